// Package rules holds the rules of the audit event, version 1, over its JSON
// text: the same ones that the server applies and that sdk/vectors states.
package rules

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
)

// Limits of an event.
const (
	MaxBytes = 65_535         // of its JSON text
	MaxDepth = 32             // levels of objects and arrays, the event itself being the first
	MaxID    = 64             // characters of its id
	MaxAhead = 24 * time.Hour // of occurred_at against the clock of the checker
)

// Codes of the API's errors, as the server numbers them.
const (
	CodeInvalid      = 1100
	CodeInvalidJSON  = 1101
	CodeUnknownField = 1102
	CodeMissingField = 1103
	CodeWrongType    = 1104
	CodeOutOfRange   = 1105
	CodeTooLarge     = 1106
	CodeTooDeep      = 1108
	CodeEventTime    = 12008
)

// Problem is one fault of an event.
type Problem struct {
	Code    int
	Message string
	Pointer string // RFC 6901; empty for the event as a whole
}

// Options of a check.
type Options struct {
	Now time.Time // against which occurred_at may lie at most MaxAhead ahead
	// Producer says that the event is for the endpoint of many accounts: it
	// must then have account_id, which is an unknown field otherwise.
	Producer bool
}

// Check parses the text into doc and returns every fault, in the order of the
// event's fields; none means that the event may be sent.
func Check(doc *rawjson.Doc, text []byte, o Options) []Problem {
	if len(text) > MaxBytes {
		return []Problem{
			{CodeTooLarge, fmt.Sprintf("the event is %d bytes of JSON, at most %d are accepted", len(text), MaxBytes), ""},
		}
	}
	if err := doc.Parse(text, MaxDepth); err != nil {
		var e *rawjson.Error
		if !errors.As(err, &e) {
			return []Problem{{CodeInvalidJSON, err.Error(), ""}}
		}
		if e.TooDeep {
			return []Problem{{CodeTooDeep, fmt.Sprintf("nested deeper than %d levels", MaxDepth), e.Pointer}}
		}
		return []Problem{{CodeInvalidJSON, e.Error(), e.Pointer}}
	}
	c := checker{doc: doc, Options: o}
	if doc.Nodes[0].Kind != '{' {
		c.add(CodeWrongType, 0, "an event must be a JSON object")
		return c.found
	}
	c.event()
	return c.found
}

type checker struct {
	doc *rawjson.Doc
	Options
	found []Problem
}

// add reports a fault of a node. Pointers are made for faults alone.
func (c *checker) add(code, node int, format string, args ...any) {
	c.addAt(code, c.doc.Pointer(node), format, args...)
}

func (c *checker) addAt(code int, pointer, format string, args ...any) {
	c.found = append(c.found, Problem{code, fmt.Sprintf(format, args...), pointer})
}

// rule is the check of one member.
type rule struct {
	name     string
	required bool
	check    func(c *checker, node int)
}

// object applies rules to the members of object node, and returns the values
// that no rule names.
func (c *checker) object(node int, rules []rule) (others []int) {
	if c.doc.Nodes[node].Kind != '{' {
		c.add(CodeWrongType, node, "must be an object")
		return nil
	}
	var at [24]int // the node of each rule's member; 0 when it is not there
	for m := range c.doc.Children(node) {
		key := c.doc.Data[c.doc.Nodes[m].KeyStart+1 : c.doc.Nodes[m].KeyEnd-1]
		known := slices.IndexFunc(rules, func(r rule) bool { return string(key) == r.name })
		if known < 0 {
			name := c.doc.Key(m) // perhaps a known name written with escapes
			known = slices.IndexFunc(rules, func(r rule) bool { return name == r.name })
		}
		if known < 0 {
			others = append(others, m)
		} else {
			at[known] = m
		}
	}
	for i, r := range rules {
		m := at[i]
		absent := m == 0 || c.doc.Nodes[m].Kind == 'n'
		switch {
		case absent && r.required:
			c.addAt(CodeMissingField, c.doc.Pointer(node)+"/"+r.name, "is required")
		case !absent && r.check != nil:
			r.check(c, m)
		}
	}
	return others
}

// The shape of the event. Rules are values without state.
var (
	eventRules = [...]rule{
		{"v", false, version}, {"id", false, eventID}, {"occurred_at", false, eventTime},
		{"action", true, part(&actionRules)}, {"actor", true, part(&actorRules)},
		{"interface", false, oneOf("UI", "API", "CLI", "SYSTEM")},
		{"resource", true, part(&resourceRules)}, {"zone", false, line},
		{"before", false, nil}, {"after", false, nil},
		{"reason", false, part(&reasonRules)}, {"change_set", false, line},
		{"related", false, related}, {"request", false, part(&requestRules)},
		{"metadata", false, anyObject},
		{"account_id", true, filled}, // last: only for producers
	}
	actionRules = []rule{
		{"type", true, filled},
		{"description", false, lines},
		{"result", false, oneOf("success", "failure")},
	}
	actorRules = []rule{
		{"type", true, oneOf("user", "token", "integration", "staff", "system")}, {"id", true, filled},
		{"email", false, line}, {"name", false, line}, {"ip_address", false, line},
		{"token_id", false, line}, {"token_name", false, line}, {"on_behalf_of", false, part(&behalfRules)},
	}
	behalfRules   = []rule{{"type", false, line}, {"id", false, line}, {"email", false, line}}
	resourceRules = []rule{
		{"product", true, filled},
		{"type", true, filled},
		{"id", true, filled},
		{"name", false, line},
		{"scope", false, line},
	}
	reasonRules  = []rule{{"text", false, lines}, {"url", false, line}}
	relatedRules = []rule{{"type", false, line}, {"id", false, line}, {"name", false, line}}
	// The server repairs the texts of request, because the sender of the request chose them.
	requestRules = []rule{
		{"id", false, anyText},
		{"method", false, anyText},
		{"uri", false, anyText},
		{"status_code", false, integer},
		{"user_agent", false, anyText},
	}
)

func (c *checker) event() {
	rules := eventRules[:]
	if !c.Producer {
		rules = rules[:len(rules)-1]
	}
	for _, m := range c.object(0, rules) {
		name := c.doc.Key(m)
		c.add(CodeUnknownField, m, "unknown field %q; free data belongs under metadata", name)
	}
}

// part checks an object inside the event. Members that no rule names are left
// to the server: only unknown fields of the event itself are refused.
func part(rules *[]rule) func(*checker, int) {
	return func(c *checker, node int) { c.object(node, *rules) }
}

func related(c *checker, node int) {
	if c.doc.Nodes[node].Kind != '[' {
		c.add(CodeWrongType, node, "must be an array of objects")
		return
	}
	for m := range c.doc.Children(node) {
		c.object(m, relatedRules)
	}
}

func anyObject(c *checker, node int) {
	if c.doc.Nodes[node].Kind != '{' {
		c.add(CodeWrongType, node, "must be an object")
	}
}

func isText(c *checker, node int) bool {
	if c.doc.Nodes[node].Kind != '"' {
		c.add(CodeWrongType, node, "must be a string")
		return false
	}
	return true
}

func anyText(c *checker, node int) { isText(c, node) }

// line checks text of one line: no control characters, and no bidirectional embeddings, overrides and isolates, which
// change the order in which the text after them is shown.
func line(c *checker, node int) {
	if isText(c, node) {
		c.characters(node, func(_ string, r rune) bool {
			return r < 0x20 || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		})
	}
}

// lines may have several, which end with "\n" or "\r\n".
func lines(c *checker, node int) {
	if isText(c, node) {
		c.characters(node, func(rest string, r rune) bool {
			return (r < 0x20 || r == 0x7f) && r != '\n' && r != '\t' && !(r == '\r' && strings.HasPrefix(rest, "\n"))
		})
	}
}

// characters reports the first bad character of a text; rest is the text after it.
func (c *checker) characters(node int, bad func(rest string, r rune) bool) {
	// Nearly all texts are plain: what is bad is escaped, or not ASCII, or DEL.
	if !bytes.ContainsFunc(c.doc.Bytes(node), func(r rune) bool { return r == '\\' || r >= 0x7f }) {
		return
	}
	value := c.doc.Text(node)
	for i, r := range value {
		if bad(value[i+utf8.RuneLen(r):], r) {
			c.add(CodeInvalid, node, "must not contain the character %U", r)
			return
		}
	}
}

func filled(c *checker, node int) {
	if isText(c, node) && len(c.doc.Bytes(node)) == 2 {
		c.add(CodeMissingField, node, "is required and must not be empty")
		return
	}
	line(c, node)
}

func oneOf(words ...string) func(*checker, int) {
	return func(c *checker, node int) {
		if isText(c, node) && !slices.Contains(words, c.doc.Text(node)) {
			c.add(CodeInvalid, node, "must be one of %s", strings.Join(words, ", "))
		}
	}
}

func integer(c *checker, node int) {
	if f, ok := number(c, node); !ok || f != math.Trunc(f) {
		c.add(CodeWrongType, node, "must be a whole number")
	}
}

// number reads a number however it is written: 200.0 is a whole one.
func number(c *checker, node int) (float64, bool) {
	if c.doc.Nodes[node].Kind != '0' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(c.doc.Bytes(node)), 64)
	return f, err == nil
}

func version(c *checker, node int) {
	if f, ok := number(c, node); !ok || f != 1 {
		c.add(CodeInvalid, node, "must be 1, the only version of the event there is")
	}
}

func eventID(c *checker, node int) {
	if isText(c, node) && !ValidID(c.doc.Text(node)) {
		c.add(CodeInvalid, node, "must be 1 to %d characters of A-Z a-z 0-9 . _ : -", MaxID)
	}
}

// ValidID reports whether s may be the id of an event.
func ValidID(s string) bool {
	if len(s) < 1 || len(s) > MaxID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != ':' &&
			c != '-' {
			return false
		}
	}
	return true
}

// rfc3339 reads a time. T and Z may be small letters, and a leap second is the
// last microsecond of its minute, as on the server.
func rfc3339(s string) (t time.Time, ok bool) {
	s = strings.ToUpper(s)
	const seconds = len("2006-01-02T15:04:")
	leap := len(s) > seconds+2 && s[seconds:seconds+2] == "60"
	if leap {
		s = s[:seconds] + "59" + s[seconds+2:]
	}
	// UnmarshalText is strict about RFC 3339, time.Parse is not.
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, false
	}
	if leap {
		t = t.UTC().Truncate(time.Second)
		if t.Hour() != 23 || t.Minute() != 59 {
			return t, false
		}
		t = t.Add(time.Second - time.Microsecond)
	}
	return t, true
}

func eventTime(c *checker, node int) {
	if !isText(c, node) {
		return
	}
	t, ok := rfc3339(c.doc.Text(node))
	if !ok {
		c.add(CodeEventTime, node, "must be a time as RFC 3339 has it, for example 2026-11-22T10:00:00.000000Z")
		return
	}
	if t.Before(time.Unix(0, 0)) || t.After(c.Now.Add(MaxAhead)) {
		c.add(CodeEventTime, node, "must be between 1970 and 24 hours ahead")
	}
}
