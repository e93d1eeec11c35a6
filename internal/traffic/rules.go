package traffic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Rule decides the count of a request. The conditions of When that are set must all
// hold.
type Rule struct {
	When Condition `json:"when"`
	Is   Outcome   `json:"is" enum:"good,bad,unreachable,ignore" doc:"good, bad, unreachable (bad, and the origin was not reached), or ignore (not counted)"`
}

// Condition selects requests. An empty condition holds for all of them.
type Condition struct {
	Format string `json:"format,omitempty" doc:"Formats of logs, and the on-ramps otlp and prometheus: envoy, haproxy" maxLength:"200"`
	Edge   string `json:"edge,omitempty" doc:"Status that the client got: 5xx, 520-530, 502, or several with commas; 0 = none was sent" maxLength:"200"`
	Origin string `json:"origin,omitempty" doc:"Status of the origin, where the log has one; 0 = the origin was not asked" maxLength:"200"`
	Reason string `json:"reason,omitempty" doc:"The proxy's own words, such as UF, UH (Envoy), SC (HAProxy), OriginDnsError (CloudFront); one of them is enough" maxLength:"1000"`
}

// Outcome is the count that a request belongs to.
type Outcome string

// The outcomes.
const (
	IsGood        Outcome = "good"
	IsBad         Outcome = "bad"
	IsUnreachable Outcome = "unreachable"
	IsIgnored     Outcome = "ignore"
)

// Limits of a list of rules.
const (
	maxRules      = 50
	maxConditions = 200 // ranges and words of one condition
)

// DefaultRules apply where an account has no rules of its own.
var DefaultRules = []Rule{
	{Condition{Edge: "521"}, IsUnreachable},
	{Condition{Origin: "521"}, IsUnreachable},
	{Condition{Format: "nginx-json", Edge: "502", Reason: "not-connected"}, IsUnreachable},
	{Condition{Format: "envoy", Edge: "500-999", Reason: "UF, UH, DF"}, IsUnreachable},
	{Condition{Format: "envoy", Reason: "UC, UR, UT, UPE"}, IsBad},
	{Condition{Format: "haproxy", Edge: "500-999", Reason: "SC, sC"}, IsUnreachable},
	{Condition{Format: "haproxy", Reason: "SD, sD, SH, sH"}, IsBad},
	{Condition{Format: "alb", Edge: "502, 503", Reason: "no-target, not-dispatched"}, IsUnreachable},
	{Condition{Format: "cloudfront", Edge: "500-999", Reason: "OriginConnectError, OriginDnsError"}, IsUnreachable},
	{Condition{Format: "cloudfront", Reason: "OriginReadError, OriginCommError"}, IsBad},
	{Condition{Edge: "520-530"}, IsBad},
	{Condition{Origin: "0"}, IsGood},
	{Condition{Edge: "500-999"}, IsBad},
	{Condition{Origin: "500-999"}, IsBad},
}

var defaultRules = mustCompile(DefaultRules)

func mustCompile(list []Rule) *Rules {
	r, faults := CompileRules(list, "")
	if len(faults) > 0 {
		panic(faults) // a fault of this file
	}
	return r
}

// Rules are compiled rules. The first that holds decides; a request that none holds for
// is good. Safe for concurrent use.
type Rules struct{ list []compiled }

type compiled struct {
	formats []string
	edge    *statuses
	origin  *statuses
	reasons []string
	is      Outcome
}

// statuses is a set of the statuses 0 to 999.
type statuses [1000/64 + 1]uint64

func (s *statuses) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s *statuses) has(n int) bool { return n >= 0 && n < 1000 && s[n/64]&(1<<(n%64)) != 0 }

// Classify sets the outcome of an entry of a format.
func (r *Rules) Classify(f Format, e *Entry) {
	is := IsGood
	for i := range r.list {
		if r.list[i].holds(f, e) {
			is = r.list[i].is
			break
		}
	}
	e.Bad = is == IsBad || is == IsUnreachable
	e.Unreachable = is == IsUnreachable
	e.Ignored = is == IsIgnored
}

// first returns the index of the rule that decides; -1 = none.
func (r *Rules) first(f Format, e *Entry) int {
	for i := range r.list {
		if r.list[i].holds(f, e) {
			return i
		}
	}
	return -1
}

func (c *compiled) holds(f Format, e *Entry) bool {
	if c.edge != nil && !c.edge.has(e.Status) {
		return false
	}
	if c.origin != nil {
		status := e.OriginStatus
		switch status {
		case 0:
			return false // not known
		case NotAsked:
			status = 0
		}
		if !c.origin.has(status) {
			return false
		}
	}
	if c.reasons != nil && !c.hasReason(e.Reason) {
		return false
	}
	return c.formats == nil || slices.Contains(c.formats, string(f))
}

func (c *compiled) hasReason(all string) bool {
	for all != "" {
		word, rest, _ := strings.Cut(all, ",")
		if slices.Contains(c.reasons, word) {
			return true
		}
		all = rest
	}
	return false
}

// CompileRules checks rules. The pointers of the faults begin with at, such as /rules.
func CompileRules(list []Rule, at string) (*Rules, errs.List) {
	var faults errs.List
	if len(list) > maxRules {
		faults = append(faults, errs.At(errs.CodeOutOfRange, at, "an account has at most %d rules, not %d",
			maxRules, len(list)))
		return nil, faults
	}
	r := &Rules{list: make([]compiled, len(list))}
	for i, rule := range list {
		pointer := fmt.Sprintf("%s/%d", at, i)
		c, wrong := rule.When.compile(pointer + "/when")
		faults = append(faults, wrong...)
		switch rule.Is {
		case IsGood, IsBad, IsUnreachable, IsIgnored:
		default:
			faults = append(faults, errs.At(errs.CodeInvalid, pointer+"/is",
				"is must be good, bad, unreachable or ignore, not %q", strict.Clip(string(rule.Is), 40)))
		}
		if rule.When == (Condition{}) && i < len(list)-1 {
			faults = append(faults, errs.At(errs.CodeInvalid, pointer+"/when",
				"when has no condition, so it holds for all requests and the rules after it never apply; put it last"))
		}
		c.is = rule.Is
		r.list[i] = c
	}
	return r, faults
}

func (c Condition) compile(at string) (out compiled, faults errs.List) {
	var fault *errs.Error
	if out.edge, fault = parseStatuses(c.Edge, at+"/edge"); fault != nil {
		faults = append(faults, fault)
	}
	if out.origin, fault = parseStatuses(c.Origin, at+"/origin"); fault != nil {
		faults = append(faults, fault)
	}
	if out.formats, fault = parseWords(c.Format, at+"/format"); fault != nil {
		faults = append(faults, fault)
	}
	for _, name := range out.formats {
		if !slices.Contains(append(formatNames(), string(otlpFormat), string(prometheusFormat)), name) {
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/format", "%q is not a format: %s, otlp, prometheus",
				strict.Clip(name, 40), strings.Join(formatNames(), ", ")))
		}
	}
	if out.reasons, fault = parseWords(c.Reason, at+"/reason"); fault != nil {
		faults = append(faults, fault)
	}
	return out, faults
}

// The on-ramps of metrics, as conditions name them.
const (
	otlpFormat       Format = "otlp"
	prometheusFormat Format = "prometheus"
)

// parseStatuses reads "5xx, 521, 520-530"; nil = no condition.
func parseStatuses(text, at string) (*statuses, *errs.Error) {
	if text == "" {
		return nil, nil
	}
	words, fault := parseWords(text, at)
	if fault != nil {
		return nil, fault
	}
	set := &statuses{}
	for _, word := range words {
		from, to, ok := statusRange(word)
		if !ok {
			return nil, errs.At(errs.CodeInvalid, at,
				"%q is not a status: a number from 0 to 999, a class such as 5xx, or a range such as 520-530", strict.Clip(word, 40))
		}
		for n := from; n <= to; n++ {
			set.add(n)
		}
	}
	return set, nil
}

func statusRange(word string) (from, to int, ok bool) {
	if len(word) == 3 && word[1:] == "xx" && word[0] >= '1' && word[0] <= '9' {
		from = 100 * int(word[0]-'0')
		return from, from + 99, true
	}
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	from, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0, false
	}
	to, err = strconv.Atoi(last)
	return from, to, err == nil && 0 <= from && from <= to && to <= 999
}

// parseWords reads a list with commas; nil = no condition.
func parseWords(text, at string) ([]string, *errs.Error) {
	if text == "" {
		return nil, nil
	}
	words := strings.Split(text, ",")
	if len(words) > maxConditions {
		return nil, errs.At(errs.CodeOutOfRange, at, "a condition has at most %d values, not %d", maxConditions, len(words))
	}
	for i, word := range words {
		if words[i] = strings.TrimSpace(word); words[i] == "" {
			return nil, errs.At(errs.CodeInvalid, at, "the list has an empty value between its commas")
		}
	}
	return words, nil
}
