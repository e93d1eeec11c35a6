package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// stored is one event as it lies in the tables.
type stored struct {
	seq, at  int64
	envelope []byte
	seed     []byte // nil after an erasure
	salts    []byte // after an erasure: {"<pointer>":"<base64>"} of what stays
	openings []byte // {"<pointer>":value}
}

// readStored reads an event by its place; nil when retention has dropped it.
func readStored(ctx context.Context, tx *db.Tx, pos int64) (*stored, error) {
	s := &stored{}
	err := tx.QueryRow(ctx, `SELECT r.seq, r.at, e.envelope, r.seed, r.salts, r.openings FROM entry e JOIN reading r ON r.pos = e.pos WHERE e.pos = $1`, pos).
		Scan(&s.seq, &s.at, &s.envelope, &s.seed, &s.salts, &s.openings)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// recordedAt reads the time from its fixed place.
func (s *stored) recordedAt() int64 {
	if len(s.envelope) < recordedAt+timeWidth {
		return 0
	}
	t, err := time.Parse(TimeLayout, string(s.envelope[recordedAt:recordedAt+timeWidth]))
	if err != nil {
		return 0
	}
	return t.UnixMicro()
}

// sealed gives the event back in the form in which it was appended.
func (s *stored) sealed() *sealed {
	out := &sealed{envelope: s.envelope}
	copy(out.seed[:], s.seed)
	for _, o := range s.openingList() {
		out.openings = append(out.openings, opening{o.path, o.value})
	}
	return out
}

// saltedOpening is a committed field that can be shown, with its salt.
type saltedOpening struct {
	path  string
	salt  [32]byte
	value jsontext.Value
}

// openingList gives what opens the envelope, in the order of the pointers.
func (s *stored) openingList() []saltedOpening {
	var values map[string]jsontext.Value
	if json.Unmarshal(s.openings, &values) != nil {
		return nil
	}
	var salts map[string][]byte
	if s.seed == nil {
		if json.Unmarshal(s.salts, &salts) != nil {
			return nil
		}
	}
	list := make([]saltedOpening, 0, len(values))
	for path, v := range values {
		o := saltedOpening{path: path, value: v}
		if s.seed != nil {
			o.salt = salt((*[32]byte)(s.seed), path)
		} else if b := salts[path]; len(b) == 32 {
			o.salt = [32]byte(b)
		} else {
			continue
		}
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].path < list[j].path })
	return list
}

// sameAs reports whether p says what the stored event says. What the publisher
// left out and Belfry filled then is taken from the stored one; who submitted
// it and when it was recorded do not count; neither does how a zone's name was
// resolved at the time.
func (p *Pending) sameAs(s *sealed) bool {
	old, err := parseEnvelope(s.envelope)
	if err != nil {
		return false
	}
	e := *p.Event
	if e.filledAt {
		e.OccurredAt = old.Event.OccurredAt
	}
	if e.filledIface {
		e.Interface = old.Event.Interface
	}
	if sameZone(e.Zone, old.Event.Zone) {
		e.Zone = old.Event.Zone
	}
	var extra []string
	for _, o := range s.openings {
		extra = append(extra, o.path)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(extra)))
	again, err := sealEnvelope(p.Account, old.SubmittedBy, &e, extra, s.seed)
	if err != nil {
		return false
	}
	stamp(again.envelope, old.recordedAt)
	return bytes.Equal(again.envelope, s.envelope)
}

// sameZone compares ids, or names where neither zone was known. Of a zone that
// was known only one of the two times nothing can be compared: the publisher
// may have written its name, its id or an alias.
func sameZone(a, b ZoneRef) bool {
	switch {
	case a == ZoneRef{} || b == ZoneRef{}:
		return a == b
	case a.ID == "" && b.ID == "":
		return zoneName(a.Name) == zoneName(b.Name) // older events hold it as it was written
	default:
		return a.ID == "" || b.ID == "" || a.ID == b.ID
	}
}

// envelopeView is a parsed envelope. Event holds its clear fields only.
type envelopeView struct {
	V           int               `json:"v"`
	RecordedAt  string            `json:"recorded_at"`
	Account     string            `json:"account"`
	SubmittedBy Submitter         `json:"submitted_by"`
	Clear       jsontext.Value    `json:"event"`
	Commitments map[string][]byte `json:"commitments"`
	Event       Event             `json:"-"`
	recordedAt  int64
}

// parseEnvelope reads an envelope strictly: the members of version 1, no more.
func parseEnvelope(b []byte) (*envelopeView, error) {
	v := &envelopeView{}
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

// shownEvent rebuilds what a reader is shown: the envelope's clear event with
// each opened value put back at its pointer, and what the ledger adds. Parents
// come before their members, since pointers are in the order of their bytes.
func shownEvent(env *envelopeView, seq int64, openings []saltedOpening) (jsontext.Value, error) {
	var m map[string]any
	if err := unmarshalKeepingNumbers(env.Clear, &m); err != nil {
		return nil, err
	}
	for _, o := range openings {
		var v any
		if err := unmarshalKeepingNumbers(o.value, &v); err != nil {
			return nil, err
		}
		if err := put(m, event.PointerTokens(o.path), v); err != nil {
			return nil, fmt.Errorf("%s: %w", o.path, err)
		}
	}
	m["account"], m["seq"], m["recorded_at"] = env.Account, seq, env.RecordedAt
	m["submitted_by"] = map[string]any{"type": env.SubmittedBy.Type, "id": env.SubmittedBy.ID}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return canonical(out)
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
func encodeSalts(list []saltedOpening) []byte {
	b := []byte{'{'}
	for i, o := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, o.path), ':', '"')
		b = base64.StdEncoding.AppendEncode(b, o.salt[:])
		b = append(b, '"')
	}
	return append(b, '}')
}
