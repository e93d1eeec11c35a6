// Package record defines an audit event and the bytes of it that are hashed. It is
// pure: the offline verifier runs the same code as the server.
//
//	published JSON -> Decode -> Event -> Protect, Seal -> Sealed (envelope, seed, openings)
//	tables -> Stored -> Open -> Record -> Sentence, Diff, ExportLine
//
// An envelope holds the clear members of an event, and a commitment SHA-256(salt ||
// value) for each personal one. Openings (salt and value) restore the event; after an
// erasure some are missing, and the envelope still has the same hash.
//
// facet.go and filter.go say how events are found: by the keys of five fields in the
// digest of each tile, then by the conditions themselves.
package record

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Limits of one event. The first follows from the C2SP tile format, which
// writes an entry's length in 16 bits.
const (
	MaxEvent     = 1<<16 - 1 // bytes of JSON
	MaxDepth     = 32        // nested objects and arrays
	MaxAhead     = 24 * time.Hour
	maxText      = 1024 // characters of a name, description, reason or id of another system
	maxURI       = 8192
	maxRelated   = 64
	maxMethod    = 32
	maxWord      = 128 // characters of a type, product, interface
	TimeLayout   = "2006-01-02T15:04:05.000000Z"
	timeWidth    = len(TimeLayout)
	Redacted     = "[redacted]"
	redactedDiff = "[redacted, changed]"
)

// Event is one change as a product publishes it, version 1. Required are
// action.type, actor.type and actor.id, and resource.product, type and id.
type Event struct {
	V           int            `json:"v,omitzero" doc:"Version of this shape: 1"`
	ID          string         `json:"id,omitzero" doc:"1 to 64 characters of [A-Za-z0-9._:-], unique in its account; made when left out" maxLength:"64"`
	Account     string         `json:"account_id,omitzero" doc:"The account, where one request carries events of many"`
	OccurredAt  string         `json:"occurred_at,omitzero" doc:"When it happened, RFC 3339; from 1970 to 24 hours ahead" format:"date-time"`
	Action      Action         `json:"action"`
	Actor       Actor          `json:"actor"`
	Interface   string         `json:"interface,omitzero" enum:"UI,API,CLI,SYSTEM" doc:"Through what it was done"`
	Resource    Resource       `json:"resource"`
	Zone        ZoneRef        `json:"zone,omitzero" doc:"The zone (property) it belongs to, by id, name or alias"`
	Before      jsontext.Value `json:"before,omitzero" doc:"The resource before the change: any JSON"`
	After       jsontext.Value `json:"after,omitzero" doc:"The resource after the change: any JSON"`
	Reason      *Reason        `json:"reason,omitzero"`
	ChangeSet   string         `json:"change_set,omitzero" doc:"Groups the events of one larger change" maxLength:"128"`
	Related     []Related      `json:"related,omitzero" maxItems:"64"`
	Request     *Request       `json:"request,omitzero"`
	Metadata    jsontext.Value `json:"metadata,omitzero" doc:"Open data: a JSON object"`
	at          int64          // OccurredAt in Unix microseconds
	filledID    bool           // what the publisher left out and Belfry filled
	filledAt    bool
	filledIface bool
}

// Action is the act.
type Action struct {
	Type        string `json:"type" doc:"The action's name, such as update or member.invite" maxLength:"128"`
	Description string `json:"description,omitzero" maxLength:"1024"`
	Result      string `json:"result,omitzero" enum:"success,failure" doc:"success when left out"`
}

// Actor is the user, token or system that acted.
type Actor struct {
	Type       string      `json:"type" enum:"user,token,integration,staff,system"`
	ID         string      `json:"id" maxLength:"1024"`
	Email      string      `json:"email,omitzero" maxLength:"1024"`
	Name       string      `json:"name,omitzero" maxLength:"1024"`
	IPAddress  string      `json:"ip_address,omitzero" doc:"IPv4 or IPv6 address"`
	TokenID    string      `json:"token_id,omitzero" maxLength:"128"`
	TokenName  string      `json:"token_name,omitzero" maxLength:"1024"`
	OnBehalfOf *OnBehalfOf `json:"on_behalf_of,omitzero"`
}

// OnBehalfOf is for whom a token, an integration or staff acted.
type OnBehalfOf struct {
	Type  string `json:"type" enum:"user,token,integration,staff,system"`
	ID    string `json:"id" maxLength:"1024"`
	Email string `json:"email,omitzero" maxLength:"1024"`
}

// Resource is the changed thing.
type Resource struct {
	Product string `json:"product" maxLength:"128"`
	Type    string `json:"type" maxLength:"128"`
	ID      string `json:"id" maxLength:"1024"`
	Name    string `json:"name,omitzero" maxLength:"1024"`
	Scope   string `json:"scope,omitzero" doc:"accounts, user, zones, memberships, ..." maxLength:"128"`
}

// Reason is why, in the words of who did it.
type Reason struct {
	Text string `json:"text,omitzero" maxLength:"1024"`
	URL  string `json:"url,omitzero" doc:"http or https" maxLength:"8192"`
}

// Related is another thing that the change concerns.
type Related struct {
	Type string `json:"type" maxLength:"128"`
	ID   string `json:"id" maxLength:"1024"`
	Name string `json:"name,omitzero" maxLength:"1024"`
}

// Request is the HTTP request by which it was done. Its texts come from the sender
// of the request and are repaired rather than refused (see tidy).
type Request struct {
	ID         string `json:"id,omitzero" doc:"Cut after 128 characters, then ending with …"`
	Method     string `json:"method,omitzero" doc:"Cut after 32 characters, then ending with …"`
	URI        string `json:"uri,omitzero" doc:"Cut after 8,192 characters, then ending with …"`
	StatusCode int    `json:"status_code,omitzero" minimum:"100" maximum:"599"`
	UserAgent  string `json:"user_agent,omitzero" doc:"Cut after 1,024 characters, then ending with …"`
}

// ZoneRef names a zone. A publisher writes a string (id, name or alias); the
// record shows {"id","name"}, without id when no zone of that name was known.
type ZoneRef struct {
	ID   string `json:"id,omitzero"`
	Name string `json:"name,omitzero"`
}

// UnmarshalJSONFrom takes both forms.
func (z *ZoneRef) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		return json.UnmarshalDecode(dec, &z.Name)
	}
	type plain ZoneRef
	return json.UnmarshalDecode(dec, (*plain)(z))
}

// At is when it happened.
func (e *Event) At() time.Time { return time.UnixMicro(e.at).UTC() }

// Micros is [Event.At] in Unix microseconds.
func (e *Event) Micros() int64 { return e.at }

// SetMicros sets occurred_at, in Unix microseconds.
func (e *Event) SetMicros(micros int64) {
	e.at = micros
	e.OccurredAt = FormatTime(micros)
}

// IDMadeHere reports whether the publisher left the id out: no stored event can
// have the id that was made for it.
func (e *Event) IDMadeHere() bool { return e.filledID }

var declared = json.JoinOptions(json.RejectUnknownMembers(true))

// publishedEvent is how a publisher's event is read: its zone is a string, never the
// object that the record shows.
var publishedEvent = json.JoinOptions(declared, json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(func(dec *jsontext.Decoder, z *ZoneRef) error {
		return json.UnmarshalDecode(dec, &z.Name)
	}),
	json.UnmarshalFromFunc(wholeNumber),
)))

// Decode reads one event and checks it. Its error is an [errs.List] whose
// pointers name the fields; the event that comes with it holds what could be
// read. now is the clock against which occurred_at is checked.
func Decode(data []byte, now time.Time) (*Event, error) { return decode(data, now, false) }

// DecodeOwn is Decode for the events of Belfry itself: names that people chose are
// repaired, not refused.
func DecodeOwn(data []byte, now time.Time) (*Event, error) { return decode(data, now, true) }

// decode is Decode; own = the event is one of Belfry itself.
func decode(data []byte, now time.Time, own bool) (*Event, error) {
	e := &Event{}
	if len(data) > MaxEvent {
		return e, errs.List{errs.New(errs.CodeTooLarge, "the event has %d bytes; at most %d are taken", len(data), MaxEvent)}
	}
	if d := strict.Depth(data); d > MaxDepth {
		return e, errs.List{errs.New(errs.CodeTooDeep, "the event is nested %d deep; at most %d levels are taken", d,
			MaxDepth)}
	}
	if jsontext.Value(data).Kind() == 'n' { // a struct takes null as nothing
		return e, errs.List{errs.New(errs.CodeWrongType, "the event must be an object, not null")}
	}
	if err := json.Unmarshal(data, e, publishedEvent); err != nil {
		e.glean(data)
		return e, allFaults(data, err, now)
	}
	var o outline
	if e.ID == "" || e.OccurredAt == "" || e.Action == (Action{}) || e.Actor == (Actor{}) || e.Resource == (Resource{}) {
		if err := json.Unmarshal(data, &o); err != nil {
			return e, errs.List{Noun.Fault(err)}
		}
	}
	e.tidy()
	if own {
		e.tidyOwn()
	}
	return e, e.check(&o, now).Or()
}

// outline distinguishes members that are missing from members that are empty, which
// the types of the fields cannot: an empty id is a fault of the publisher, a missing one
// is filled.
type outline struct {
	ID         jsontext.Value `json:"id"`
	OccurredAt jsontext.Value `json:"occurred_at"`
	Action     jsontext.Value `json:"action"`
	Actor      jsontext.Value `json:"actor"`
	Resource   jsontext.Value `json:"resource"`
}

// glean reads what names an event behind the fault at which decoding stopped:
// its team wants to know which one was refused.
func (e *Event) glean(data []byte) {
	var o struct {
		ID       jsontext.Value `json:"id"`
		Resource jsontext.Value `json:"resource"`
	}
	if json.Unmarshal(data, &o) != nil {
		return
	}
	var resource struct {
		Product jsontext.Value `json:"product"`
	}
	_ = json.Unmarshal(o.Resource, &resource) // a value that is no object has no product
	for place, v := range map[*string]jsontext.Value{&e.ID: o.ID, &e.Resource.Product: resource.Product} {
		var s string
		if *place != "" || json.Unmarshal(v, &s) != nil || len(s) > maxText {
			continue
		}
		if _, bad := strict.OneLine(s); !bad {
			*place = s
		}
	}
}

func missing(v jsontext.Value) bool   { return len(v) == 0 || v.Kind() == 'n' }
func emptyText(v jsontext.Value) bool { return string(v) == `""` }

// FormatTime writes Unix microseconds with their fixed width of 27 characters.
func FormatTime(micros int64) string { return time.UnixMicro(micros).UTC().Format(TimeLayout) }

// ValidID reports whether s can be an event's id.
func ValidID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '_' && c != ':' &&
			c != '-' {
			return false
		}
	}
	return true
}

// FillFrom completes id and occurred_at by what the record of the bus says.
// The id counts as the publisher's: a repeat is looked for.
func (e *Event) FillFrom(recordID string, at, now time.Time) {
	if e.ID == "" {
		e.ID = recordID
	}
	if e.OccurredAt == "" && at.Unix() >= 0 && !at.After(now.Add(MaxAhead)) {
		e.SetMicros(at.UnixMicro())
		e.filledAt = true
	}
}

// Fill completes what a publisher may leave out.
func (e *Event) Fill(now time.Time, iface string) {
	if e.ID == "" {
		e.ID = id.New()
		e.filledID = true
	}
	if e.OccurredAt == "" {
		e.SetMicros(now.UnixMicro())
		e.filledAt = true
	}
	if e.Interface == "" {
		e.Interface = iface
		e.filledIface = true
	}
	if e.Action.Result == "" {
		e.Action.Result = "success"
	}
	// null says the same as leaving it out: there was nothing before, or is nothing after.
	for _, v := range []*jsontext.Value{&e.Before, &e.After} {
		if v.Kind() == 'n' {
			*v = nil
		}
	}
}
