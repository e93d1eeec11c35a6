package record

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
)

// The envelope, version 1: the exact bytes whose hash is the event's leaf.
//
//	{"v":1,"recorded_at":"…","account":"…","submitted_by":{"type":"…","id":"…"},
//	 "event":{…},"commitments":{"<pointer>":"<base64>",…}}          (without the line break)
//
// event is the canonical JSON of the event without its committed fields;
// commitments are SHA-256(salt || canonical JSON of the field's value) by RFC
// 6901 pointer, in the order of their bytes. Canonical is RFC 8785, but with
// numbers kept as they were written: 1.0 is not 1, and no digit is lost.
//
// recorded_at has a fixed place and a fixed width, because it is known only under the
// lock of the account's head, when all the rest has been built.
const (
	envelopeHead   = `{"v":1,"recorded_at":"`
	recordedAt     = len(envelopeHead)
	envelopeMiddle = `","account":"`
)

// alwaysCommitted are the fields that are commitments in every envelope since
// version 1. A catalogue may add to them; none is ever removed.
var alwaysCommitted = []string{
	"/actor/email", "/actor/id", "/actor/ip_address", "/actor/name",
	"/actor/on_behalf_of/email", "/actor/on_behalf_of/id",
	"/after", "/before", "/metadata", "/request/uri", "/request/user_agent",
}

// committable are the further fields that a catalogue may declare personal,
// besides members of before, after and metadata.
var committable = []string{
	"/action/description", "/actor/token_id", "/actor/token_name",
	"/reason/text", "/reason/url", "/request/id", "/resource/id", "/resource/name",
}

// AlwaysCommitted are the fields that are commitments in every envelope.
func AlwaysCommitted() []string { return slices.Clone(alwaysCommitted) }

// AlsoCommittable are the further fields that a catalogue may declare personal,
// besides members of before, after and metadata.
func AlsoCommittable() []string { return slices.Clone(committable) }

// Committable reports whether a catalogue may declare the pointer personal.
func Committable(pointer string) bool {
	if slices.Contains(committable, pointer) || slices.Contains(alwaysCommitted, pointer) {
		return true
	}
	return Redactable(pointer)
}

// Redactable reports whether a catalogue may declare the pointer secret: a
// member of before, after or metadata, at any depth.
func Redactable(pointer string) bool {
	root, rest, ok := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return strings.HasPrefix(pointer, "/") && ok && rest != "" && !strings.HasSuffix(rest, "/") &&
		!strings.Contains(rest, "//") &&
		(root == "before" || root == "after" || root == "metadata")
}

// Submitter is the principal that sent the event.
type Submitter struct {
	Type string `json:"type" doc:"token, user, producer, staff, system or bus"`
	ID   string `json:"id"`
}

// opening is one committed field: its pointer and its canonical value.
type opening struct {
	path  string
	value []byte
}

// Sealed is an envelope with the seed and the values that open it.
type Sealed struct {
	Envelope []byte
	Seed     [32]byte
	openings []opening
}

// Size is the number of bytes that the event takes in the tables, about.
func (s *Sealed) Size() int {
	n := len(s.Envelope)
	for _, o := range s.openings {
		n += len(o.value)
	}
	return n
}

// Stamp sets recorded_at.
func (s *Sealed) Stamp(micros int64) { stamp(s.Envelope, micros) }

// Openings are the values as the tables keep them: {"<pointer>":value,…}.
func (s *Sealed) Openings() []byte { return encodeOpenings(s.openings) }

// saltFor derives a field's salt from the event's seed. An erasure replaces the
// seed by the salts of the fields that stay, so that no erased value can be
// guessed from the remaining data.
func saltFor(seed *[32]byte, path string) [32]byte {
	var buf [128]byte
	b := append(buf[:0], seed[:]...)
	return sha256.Sum256(append(b, path...))
}

// Commit is SHA-256(salt || value).
func Commit(salt *[32]byte, value []byte) [32]byte {
	var buf [512]byte
	b := append(buf[:0], salt[:]...)
	return sha256.Sum256(append(b, value...))
}

// Canonical returns a value in its canonical form.
func Canonical(v jsontext.Value) ([]byte, error) {
	c := v.Clone()
	err := c.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	return c, err
}

// quote appends s as a canonical JSON string. The decoder has refused invalid
// UTF-8 already; what could still come is replaced, never an error.
func quote(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		out, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}

// sealer writes the canonical clear part of an event and gathers the openings
// on the way. Members are written in the order of RFC 8785, which a test
// compares with the library's own canonical form.
type sealer struct {
	b        []byte
	extra    []string // further committed pointers, from the catalogue
	openings []opening
	comma    bool
}

func (s *sealer) open(key string) {
	s.key(key)
	s.b = append(s.b, '{')
	s.comma = false
}

func (s *sealer) close() {
	s.b = append(s.b, '}')
	s.comma = true
}

func (s *sealer) key(key string) {
	if s.comma {
		s.b = append(s.b, ',')
	}
	s.comma = true
	s.b = append(s.b, '"')
	s.b = append(s.b, key...)
	s.b = append(s.b, '"', ':')
}

// str writes a member of clear text, unless the catalogue commits it.
func (s *sealer) str(key, path, value string) {
	if value == "" {
		return
	}
	if len(s.extra) > 0 && slices.Contains(s.extra, path) {
		s.hide(path, value)
		return
	}
	s.key(key)
	s.b = quote(s.b, value)
}

// hide commits a text field.
func (s *sealer) hide(path, value string) {
	if value != "" {
		s.openings = append(s.openings, opening{path, quote(make([]byte, 0, len(value)+2), value)})
	}
}

// hideJSON commits a JSON field, and each of its personal members by itself.
func (s *sealer) hideJSON(path string, value jsontext.Value) error {
	if value == nil {
		return nil
	}
	c, err := Canonical(value)
	if err != nil {
		return err
	}
	for _, p := range s.extra {
		if !strings.HasPrefix(p, path+"/") {
			continue
		}
		rest, member, found, err := cut(c, event.PointerTokens(p[len(path):]))
		if err != nil {
			return err
		}
		if found {
			c = rest
			s.openings = append(s.openings, opening{p, member})
		}
	}
	s.openings = append(s.openings, opening{path, c})
	return nil
}

// Seal builds the envelope of a filled event. The time in it is a blank of the
// right width: stamp sets it.
func Seal(account string, by Submitter, e *Event, extra []string, seed [32]byte) (*Sealed, error) {
	s := &sealer{b: make([]byte, 0, 1024), extra: extra, openings: make([]opening, 0, 8)}
	s.b = append(s.b, envelopeHead...)
	s.b = append(s.b, "0000-00-00T00:00:00.000000Z"...)
	s.b = append(s.b, envelopeMiddle...)
	s.b = append(s.b, account...)
	s.b = append(s.b, `","submitted_by":{"type":`...)
	s.b = quote(s.b, by.Type)
	s.b = append(s.b, `,"id":`...)
	s.b = quote(s.b, by.ID)
	s.b = append(s.b, `},"event":`...)
	if err := s.event(e); err != nil {
		return nil, err
	}
	sort.Slice(s.openings, func(i, j int) bool { return s.openings[i].path < s.openings[j].path })
	s.b = append(s.b, `,"commitments":{`...)
	for i, o := range s.openings {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		s.b = quote(s.b, o.path)
		s.b = append(s.b, ':', '"')
		salt := saltFor(&seed, o.path)
		sum := Commit(&salt, o.value)
		s.b = base64.StdEncoding.AppendEncode(s.b, sum[:])
		s.b = append(s.b, '"')
	}
	s.b = append(s.b, '}', '}')
	if len(s.b) > MaxEvent {
		return nil, fmt.Errorf("the envelope has %d bytes; at most %d are stored", len(s.b), MaxEvent)
	}
	return &Sealed{Envelope: s.b, Seed: seed, openings: s.openings}, nil
}

func (s *sealer) event(e *Event) error {
	s.b = append(s.b, '{')
	s.comma = false
	s.open("action")
	s.str("description", "/action/description", e.Action.Description)
	s.str("result", "/action/result", e.Action.Result)
	s.str("type", "/action/type", e.Action.Type)
	s.close()
	s.open("actor")
	s.hide("/actor/email", e.Actor.Email)
	s.hide("/actor/id", e.Actor.ID)
	s.hide("/actor/ip_address", e.Actor.IPAddress)
	s.hide("/actor/name", e.Actor.Name)
	if o := e.Actor.OnBehalfOf; o != nil {
		s.open("on_behalf_of")
		s.hide("/actor/on_behalf_of/email", o.Email)
		s.hide("/actor/on_behalf_of/id", o.ID)
		s.str("type", "/actor/on_behalf_of/type", o.Type)
		s.close()
	}
	s.str("token_id", "/actor/token_id", e.Actor.TokenID)
	s.str("token_name", "/actor/token_name", e.Actor.TokenName)
	s.str("type", "/actor/type", e.Actor.Type)
	s.close()
	if err := s.hideJSON("/after", e.After); err != nil {
		return err
	}
	if err := s.hideJSON("/before", e.Before); err != nil {
		return err
	}
	s.str("change_set", "/change_set", e.ChangeSet)
	s.str("id", "/id", e.ID)
	s.str("interface", "/interface", e.Interface)
	if err := s.hideJSON("/metadata", e.Metadata); err != nil {
		return err
	}
	s.str("occurred_at", "/occurred_at", e.OccurredAt)
	if r := e.Reason; r != nil && *r != (Reason{}) {
		s.open("reason")
		s.str("text", "/reason/text", r.Text)
		s.str("url", "/reason/url", r.URL)
		s.close()
	}
	if len(e.Related) > 0 {
		s.key("related")
		s.b = append(s.b, '[')
		for i, r := range e.Related {
			if i > 0 {
				s.b = append(s.b, ',')
			}
			s.b = append(s.b, '{')
			s.comma = false
			s.str("id", "", r.ID)
			s.str("name", "", r.Name)
			s.str("type", "", r.Type)
			s.close()
		}
		s.b = append(s.b, ']')
	}
	if r := e.Request; r != nil && *r != (Request{}) {
		s.open("request")
		s.str("id", "/request/id", r.ID)
		s.str("method", "/request/method", r.Method)
		if r.StatusCode != 0 {
			s.key("status_code")
			s.b = strconv.AppendInt(s.b, int64(r.StatusCode), 10)
		}
		s.hide("/request/uri", r.URI)
		s.hide("/request/user_agent", r.UserAgent)
		s.close()
	}
	s.open("resource")
	s.str("id", "/resource/id", e.Resource.ID)
	s.str("name", "/resource/name", e.Resource.Name)
	s.str("product", "/resource/product", e.Resource.Product)
	s.str("scope", "/resource/scope", e.Resource.Scope)
	s.str("type", "/resource/type", e.Resource.Type)
	s.close()
	if e.Zone != (ZoneRef{}) {
		s.open("zone")
		s.str("id", "/zone/id", e.Zone.ID)
		s.str("name", "/zone/name", e.Zone.Name)
		s.close()
	}
	s.close()
	return nil
}

// stamp sets recorded_at.
func stamp(envelope []byte, micros int64) {
	copy(envelope[recordedAt:recordedAt+timeWidth], FormatTime(micros))
}

// encodeOpenings writes {"<pointer>":value,…}, the form in which the
// erasable table stores values.
func encodeOpenings(list []opening) []byte {
	n := 2
	for _, o := range list {
		n += len(o.path) + len(o.value) + 4
	}
	b := append(make([]byte, 0, n), '{')
	for i, o := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, o.path)
		b = append(b, ':')
		b = append(b, o.value...)
	}
	return append(b, '}')
}

// cut takes the member at the path of object keys out of a canonical value.
func cut(v jsontext.Value, path []string) (rest, member []byte, found bool, err error) {
	if v.Kind() != '{' {
		return v, nil, false, nil
	}
	var m map[string]jsontext.Value
	if err := json.Unmarshal(v, &m); err != nil {
		return nil, nil, false, err
	}
	child, ok := m[path[0]]
	if !ok {
		return v, nil, false, nil
	}
	if len(path) == 1 {
		delete(m, path[0])
		member = child
	} else {
		if rest, member, found, err = cut(child, path[1:]); err != nil || !found {
			return v, nil, false, err
		}
		m[path[0]] = rest
	}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, nil, false, err
	}
	rest, err = Canonical(out)
	return rest, member, true, err
}
