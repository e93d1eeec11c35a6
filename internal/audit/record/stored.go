package record

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
)

// Stored is one event as the tables store it.
type Stored struct {
	Seq, At  int64
	Envelope []byte
	Seed     []byte // nil after an erasure
	Salts    []byte // after an erasure: {"<pointer>":"<base64>"} of what stays
	Openings []byte // {"<pointer>":value}
}

// RecordedAt reads the time from its fixed place.
func (s *Stored) RecordedAt() int64 {
	if len(s.Envelope) < recordedAt+timeWidth {
		return 0
	}
	t, err := time.Parse(TimeLayout, string(s.Envelope[recordedAt:recordedAt+timeWidth]))
	if err != nil {
		return 0
	}
	return t.UnixMicro()
}

// Sealed returns the event in the form in which it was appended.
func (s *Stored) Sealed() *Sealed {
	out := &Sealed{Envelope: s.Envelope}
	copy(out.Seed[:], s.Seed)
	for _, o := range s.OpeningList() {
		out.openings = append(out.openings, opening{o.Path, o.Value})
	}
	return out
}

// Opening is a committed field that can be shown, with its salt.
type Opening struct {
	Path  string
	Salt  [32]byte
	Value jsontext.Value
}

// OpeningList returns the openings of the envelope, in the order of their pointers.
func (s *Stored) OpeningList() []Opening {
	var values map[string]jsontext.Value
	if json.Unmarshal(s.Openings, &values) != nil {
		return nil
	}
	var salts map[string][]byte
	if s.Seed == nil {
		if json.Unmarshal(s.Salts, &salts) != nil {
			return nil
		}
	}
	list := make([]Opening, 0, len(values))
	for path, v := range values {
		o := Opening{Path: path, Value: v}
		if s.Seed != nil {
			o.Salt = saltFor((*[32]byte)(s.Seed), path)
		} else if b := salts[path]; len(b) == 32 {
			o.Salt = [32]byte(b)
		} else {
			continue
		}
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list
}

// Without is the event after an erasure: without the values of some pointers, and
// with the salts of the others in place of the seed.
func (s *Stored) Without(gone []string) (*Stored, error) {
	keep := slices.DeleteFunc(s.OpeningList(), func(o Opening) bool { return slices.Contains(gone, o.Path) })
	values := map[string]jsontext.Value{}
	for _, o := range keep {
		values[o.Path] = o.Value
	}
	openings, err := json.Marshal(values, json.Deterministic(true))
	rest := *s
	rest.Seed = nil
	rest.Salts = encodeSalts(keep)
	rest.Openings = openings
	return &rest, err
}

// SameAs reports whether p has the same content as the stored event. Fields that the publisher left out and Belfry
// filled are copied from the stored event. The submitter, the time of recording and the resolution of the zone's name
// are not compared.
func (s *Sealed) SameAs(account string, published *Event, zoneKey func(string) string) bool {
	old, err := ParseEnvelope(s.Envelope)
	if err != nil {
		return false
	}
	e := *published
	if e.filledAt {
		e.OccurredAt = old.Event.OccurredAt
	}
	if e.filledIface {
		e.Interface = old.Event.Interface
	}
	if sameZone(e.Zone, old.Event.Zone, zoneKey) {
		e.Zone = old.Event.Zone
	}
	var extra []string
	for _, o := range s.openings {
		extra = append(extra, o.path)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(extra)))
	again, err := Seal(account, old.SubmittedBy, &e, extra, s.Seed)
	if err != nil {
		return false
	}
	again.Stamp(old.recordedAt)
	return bytes.Equal(again.Envelope, s.Envelope)
}

// sameZone compares ids, or names where neither zone was known. Of a zone that
// was known only one of the two times nothing can be compared: the publisher
// may have written its name, its id or an alias.
func sameZone(a, b ZoneRef, zoneKey func(string) string) bool {
	switch {
	case a == ZoneRef{} || b == ZoneRef{}:
		return a == b
	case a.ID == "" && b.ID == "":
		return zoneKey(a.Name) == zoneKey(b.Name) // older events hold it as it was written
	default:
		return a.ID == "" || b.ID == "" || a.ID == b.ID
	}
}

// Envelope is a parsed envelope. Event holds its clear fields only.
type Envelope struct {
	V           int               `json:"v"`
	RecordedAt  string            `json:"recorded_at"`
	Account     string            `json:"account"`
	SubmittedBy Submitter         `json:"submitted_by"`
	Clear       jsontext.Value    `json:"event"`
	Commitments map[string][]byte `json:"commitments"`
	Event       Event             `json:"-"`
	recordedAt  int64
}

// ParseEnvelope reads an envelope strictly: the members of version 1, no more.
func ParseEnvelope(b []byte) (*Envelope, error) {
	v := &Envelope{}
	if err := json.Unmarshal(b, v, declared); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	t, err := time.Parse(TimeLayout, v.RecordedAt)
	if v.V != 1 || err != nil {
		return nil, fmt.Errorf("envelope: version %d, recorded at %q: not a version-1 envelope", v.V, v.RecordedAt)
	}
	v.recordedAt = t.UnixMicro()
	if err := json.Unmarshal(v.Clear, &v.Event, declared); err != nil {
		return nil, fmt.Errorf("envelope: event: %w", err)
	}
	for path, c := range v.Commitments {
		if len(c) != 32 || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("envelope: commitment %q is not one", path)
		}
	}
	return v, nil
}

// Shown rebuilds what a reader is shown: the envelope's clear event with
// each opened value put back at its pointer, and what the ledger adds. Parents
// come before their members, since pointers are in the order of their bytes.
func (env *Envelope) Shown(seq int64, openings []Opening) (jsontext.Value, error) {
	var m map[string]any
	if err := unmarshalKeepingNumbers(env.Clear, &m); err != nil {
		return nil, err
	}
	for _, o := range openings {
		var v any
		if err := unmarshalKeepingNumbers(o.Value, &v); err != nil {
			return nil, err
		}
		if err := put(m, event.PointerTokens(o.Path), v); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Path, err)
		}
	}
	m["account"] = env.Account
	m["seq"] = seq
	m["recorded_at"] = env.RecordedAt
	m["submitted_by"] = map[string]any{"type": env.SubmittedBy.Type, "id": env.SubmittedBy.ID}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return Canonical(out)
}

// unmarshalKeepingNumbers decodes objects into maps and leaves every number as
// it was written.
func unmarshalKeepingNumbers(v jsontext.Value, to any) error {
	numbers := json.UnmarshalFromFunc(func(dec *jsontext.Decoder, out *any) error {
		if dec.PeekKind() != '0' {
			return errors.ErrUnsupported
		}
		v, err := dec.ReadValue()
		*out = v.Clone()
		return err
	})
	return json.Unmarshal(v, to, json.WithUnmarshalers(numbers))
}

// put sets a member at a path of object keys, making the objects on the way.
func put(m map[string]any, path []string, v any) error {
	for len(path) > 1 {
		child, ok := m[path[0]]
		if !ok {
			child = map[string]any{}
			m[path[0]] = child
		}
		object, ok := child.(map[string]any)
		if !ok {
			return errors.New("the place is inside a value that is not an object")
		}
		m, path = object, path[1:]
	}
	m[path[0]] = v
	return nil
}

// encodeSalts writes the salts that stay after an erasure.
func encodeSalts(list []Opening) []byte {
	b := []byte{'{'}
	for i, o := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, o.Path), ':', '"')
		b = base64.StdEncoding.AppendEncode(b, o.Salt[:])
		b = append(b, '"')
	}
	return append(b, '}')
}
