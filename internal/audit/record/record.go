package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Record is a stored event as a reader of its account sees it.
type Record struct {
	Account     string
	Seq         int64
	RecordedAt  string
	SubmittedBy Submitter
	Event       Event
	Erased      []string // pointers of committed fields whose values were erased

	raw *Stored // nil unless it was read from the tables
}

// Leaf is the hash of the event's envelope.
func (r *Record) Leaf() merkle.Hash { return merkle.LeafHash(r.raw.Envelope) }

// Open opens a stored event.
func (s *Stored) Open() (*Record, error) {
	env, err := ParseEnvelope(s.Envelope)
	if err != nil {
		return nil, fmt.Errorf("seq %d: %w", s.Seq, err)
	}
	var values map[string]jsontext.Value
	if err := json.Unmarshal(s.Openings, &values); err != nil {
		return nil, fmt.Errorf("seq %d: openings: %w", s.Seq, err)
	}
	r, err := env.Open(s.Seq, values)
	if err != nil {
		return nil, fmt.Errorf("seq %d: %w", s.Seq, err)
	}
	r.Event.at = s.At
	r.raw = s
	return r, nil
}

// Open puts the opened values back at their pointers. Of a record that was not read
// from the tables only the event can be shown, not what proves it.
func (env *Envelope) Open(seq int64, values map[string]jsontext.Value) (*Record, error) {
	r := &Record{
		Account:     env.Account,
		Seq:         seq,
		RecordedAt:  env.RecordedAt,
		SubmittedBy: env.SubmittedBy,
		Event:       env.Event,
	}
	for _, p := range slices.Sorted(maps.Keys(env.Commitments)) { // parents before their members
		value, ok := values[p]
		if !ok {
			r.Erased = append(r.Erased, p)
			continue
		}
		if err := r.Event.restore(p, value); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return r, nil
}

// text returns the place of a committed text field; nil for any other pointer.
func (e *Event) text(pointer string) *string {
	behalf := func() *OnBehalfOf {
		if e.Actor.OnBehalfOf == nil {
			e.Actor.OnBehalfOf = &OnBehalfOf{}
		}
		return e.Actor.OnBehalfOf
	}
	request := func() *Request {
		if e.Request == nil {
			e.Request = &Request{}
		}
		return e.Request
	}
	reason := func() *Reason {
		if e.Reason == nil {
			e.Reason = &Reason{}
		}
		return e.Reason
	}
	switch pointer {
	case "/actor/email":
		return &e.Actor.Email
	case "/actor/id":
		return &e.Actor.ID
	case "/actor/ip_address":
		return &e.Actor.IPAddress
	case "/actor/name":
		return &e.Actor.Name
	case "/actor/token_id":
		return &e.Actor.TokenID
	case "/actor/token_name":
		return &e.Actor.TokenName
	case "/actor/on_behalf_of/email":
		return &behalf().Email
	case "/actor/on_behalf_of/id":
		return &behalf().ID
	case "/action/description":
		return &e.Action.Description
	case "/request/uri":
		return &request().URI
	case "/request/user_agent":
		return &request().UserAgent
	case "/request/id":
		return &request().ID
	case "/reason/text":
		return &reason().Text
	case "/reason/url":
		return &reason().URL
	case "/resource/id":
		return &e.Resource.ID
	case "/resource/name":
		return &e.Resource.Name
	}
	return nil
}

// restore puts an opened value back at its pointer.
func (e *Event) restore(pointer string, v jsontext.Value) error {
	if place := e.text(pointer); place != nil {
		return json.Unmarshal(v, place)
	}
	tokens := event.PointerTokens(pointer)
	target := map[string]*jsontext.Value{"before": &e.Before, "after": &e.After, "metadata": &e.Metadata}[tokens[0]]
	if target == nil {
		return fmt.Errorf("not a field that can be committed")
	}
	if len(tokens) == 1 {
		*target = v
		return nil
	}
	m := map[string]any{}
	if *target != nil {
		if err := unmarshalKeepingNumbers(*target, &m); err != nil {
			return err
		}
	}
	if err := put(m, tokens[1:], v); err != nil {
		return err
	}
	out, err := json.Marshal(m, json.Deterministic(true))
	*target = out
	return err
}

// Shown is the event as JSON, as exports and the API's own routes give it.
func (r *Record) Shown() (jsontext.Value, error) {
	env, err := ParseEnvelope(r.raw.Envelope)
	if err != nil {
		return nil, err
	}
	return env.Shown(r.Seq, r.raw.OpeningList())
}

// Behalf is the person for whom the actor acted; its zero value = the actor itself.
func (r *Record) Behalf() *OnBehalfOf {
	if r.Event.Actor.OnBehalfOf == nil {
		return &OnBehalfOf{}
	}
	return r.Event.Actor.OnBehalfOf
}

// Request is the HTTP request of the event; its zero value = it names none.
func (r *Record) Request() *Request {
	if r.Event.Request == nil {
		return &Request{}
	}
	return r.Event.Request
}

// SameChangeSet reports whether two events are parts of one change by one actor.
func (r *Record) SameChangeSet(other *Record) bool {
	a, b := &r.Event, &other.Event
	return a.ChangeSet != "" && a.ChangeSet == b.ChangeSet && a.Actor.ID == b.Actor.ID && a.Actor.Type == b.Actor.Type
}

// Mentions reports whether the names and ids of who and what have a text, in any
// case. lower is in lower case.
func (r *Record) Mentions(lower string) bool {
	e := &r.Event
	for _, s := range []string{e.Actor.Name, e.Actor.Email, e.Actor.ID, e.Actor.TokenName, e.Resource.Name, e.Resource.ID,
		e.Resource.Type, e.Zone.Name, e.Action.Type, e.ID, reasonText(e)} {
		if s != "" && strings.Contains(strings.ToLower(s), lower) {
			return true
		}
	}
	if o := e.Actor.OnBehalfOf; o != nil {
		return strings.Contains(strings.ToLower(o.Email), lower) || strings.Contains(strings.ToLower(o.ID), lower)
	}
	return false
}

func reasonText(e *Event) string {
	if e.Reason == nil {
		return ""
	}
	return e.Reason.Text
}
