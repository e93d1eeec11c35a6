package record

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

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

// Action is what was done.
type Action struct {
	Type        string `json:"type" doc:"The action's name, such as update or member.invite" maxLength:"128"`
	Description string `json:"description,omitzero" maxLength:"1024"`
	Result      string `json:"result,omitzero" enum:"success,failure" doc:"success when left out"`
}

// Actor is who did it.
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

// Resource is what was changed.
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

// Request is the HTTP request by which it was done. Its texts come from whoever
// sent the request and are repaired rather than refused (see tidy).
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

// published is how a publisher's event is read: its zone is a string, never the
// object that the record shows.
var published = json.JoinOptions(declared, json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(func(dec *jsontext.Decoder, z *ZoneRef) error {
		return json.UnmarshalDecode(dec, &z.Name)
	}),
	json.UnmarshalFromFunc(wholeNumber),
)))

// Decode reads one event and checks it. Its error is an [errs.List] whose
// pointers name the fields; the event that comes with it holds what could be
// read. now is the clock for what is too far ahead.
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
	if err := json.Unmarshal(data, e, published); err != nil {
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

// outline tells what was left out from what stands there empty, which the types
// of the fields cannot: an empty id is a fault of the publisher, a missing one
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
	json.Unmarshal(o.Resource, &resource) // what is no object has no product
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

// checker gathers the faults of one event.
type checker struct{ list errs.List }

func (c *checker) fault(code errs.Code, pointer, format string, args ...any) {
	c.list = append(c.list, errs.At(code, pointer, format, args...))
}

func (c *checker) required(pointer, value string, limit int) {
	if value == "" {
		c.fault(errs.CodeMissingField, pointer, "%s is required", Noun.Field(pointer))
		return
	}
	c.text(pointer, value, limit)
}

func (c *checker) length(pointer, value string, limit int) {
	if len(value) > limit && utf8.RuneCountInString(value) > limit {
		c.fault(errs.CodeOutOfRange, pointer, "%s has %d characters; at most %d are taken",
			Noun.Field(pointer), utf8.RuneCountInString(value), limit)
	}
}

// text checks a field of one line.
func (c *checker) text(pointer, value string, limit int) {
	c.length(pointer, value, limit)
	// Such a text would forge a second line, or another order of the words, wherever
	// the event is read. (PostgreSQL, besides, keeps no U+0000.)
	if bad, found := strict.OneLine(value); found {
		c.fault(errs.CodeInvalid, pointer, "%s is one line of text; it must not contain the character %U",
			Noun.Field(pointer), bad)
	}
}

// lines is text for what people write in several lines.
func (c *checker) lines(pointer, value string, limit int) {
	c.length(pointer, value, limit)
	if bad, found := strict.Lines(value); found {
		c.fault(errs.CodeInvalid, pointer, "%s must not contain the control character %U", Noun.Field(pointer), bad)
	}
}

func (c *checker) oneOf(pointer, value string, words ...string) {
	for _, w := range words {
		if value == w {
			return
		}
	}
	c.fault(errs.CodeInvalid, pointer, "%s must be one of %s", Noun.Field(pointer), strings.Join(words, ", "))
}

var actorTypes = []string{"user", "token", "integration", "staff", "system"}

func (e *Event) check(o *outline, now time.Time) errs.List {
	var c checker
	if e.V != 0 && e.V != 1 {
		c.fault(errs.CodeInvalid, "/v", "v must be 1, the version of this shape")
	}
	if e.ID != "" && !ValidID(e.ID) || emptyText(o.ID) {
		c.fault(errs.CodeInvalid, "/id", "id must be 1 to 64 characters of A-Z a-z 0-9 . _ : -")
	}
	c.text("/account_id", e.Account, maxText)
	if e.Action == (Action{}) && missing(o.Action) {
		c.required("/action", "", 0)
	} else {
		c.required("/action/type", e.Action.Type, maxWord)
	}
	c.lines("/action/description", e.Action.Description, maxText)
	if e.Action.Result != "" {
		c.oneOf("/action/result", e.Action.Result, "success", "failure")
	}
	switch {
	case e.Actor == (Actor{}) && missing(o.Actor):
		c.required("/actor", "", 0)
	case e.Actor.Type == "":
		c.required("/actor/type", "", maxWord)
		c.required("/actor/id", e.Actor.ID, maxText)
	default:
		c.oneOf("/actor/type", e.Actor.Type, actorTypes...)
		c.required("/actor/id", e.Actor.ID, maxText)
	}
	c.text("/actor/email", e.Actor.Email, maxText)
	c.text("/actor/name", e.Actor.Name, maxText)
	if e.Actor.IPAddress != "" {
		_, err := netip.ParseAddr(e.Actor.IPAddress)
		_, control := strict.OneLine(e.Actor.IPAddress) // which the zone of an IPv6 address may hold
		if err != nil || control {
			c.fault(errs.CodeInvalid, "/actor/ip_address", "actor.ip_address must be an IPv4 or IPv6 address")
		}
	}
	c.text("/actor/token_id", e.Actor.TokenID, maxWord)
	c.text("/actor/token_name", e.Actor.TokenName, maxText)
	if o := e.Actor.OnBehalfOf; o != nil {
		c.oneOf("/actor/on_behalf_of/type", o.Type, actorTypes...)
		c.required("/actor/on_behalf_of/id", o.ID, maxText)
		c.text("/actor/on_behalf_of/email", o.Email, maxText)
	}
	if e.Interface != "" {
		c.oneOf("/interface", e.Interface, "UI", "API", "CLI", "SYSTEM")
	}
	if e.Resource == (Resource{}) && missing(o.Resource) {
		c.required("/resource", "", 0)
	} else {
		c.required("/resource/product", e.Resource.Product, maxWord)
		c.required("/resource/type", e.Resource.Type, maxWord)
		c.required("/resource/id", e.Resource.ID, maxText)
	}
	c.text("/resource/name", e.Resource.Name, maxText)
	c.text("/resource/scope", e.Resource.Scope, maxWord)
	c.text("/zone", e.Zone.Name, 255)
	c.text("/zone/id", e.Zone.ID, 64)
	if r := e.Reason; r != nil {
		c.lines("/reason/text", r.Text, maxText)
		c.text("/reason/url", r.URL, maxURI)
		// A link that a reader may click: no other scheme reaches a page.
		if r.URL != "" && !hasScheme(r.URL, "https") && !hasScheme(r.URL, "http") {
			c.fault(errs.CodeInvalid, "/reason/url", "reason.url must begin with https:// or http://")
		}
	}
	c.text("/change_set", e.ChangeSet, maxWord)
	if len(e.Related) > maxRelated {
		c.fault(errs.CodeOutOfRange, "/related", "related has %d entries; at most %d are taken", len(e.Related), maxRelated)
	}
	for i, r := range e.Related {
		c.required(fmt.Sprintf("/related/%d/type", i), r.Type, maxWord)
		c.required(fmt.Sprintf("/related/%d/id", i), r.ID, maxText)
		c.text(fmt.Sprintf("/related/%d/name", i), r.Name, maxText)
	}
	if r := e.Request; r != nil {
		if r.StatusCode != 0 && (r.StatusCode < 100 || r.StatusCode > 599) {
			c.fault(errs.CodeOutOfRange, "/request/status_code", "request.status_code must be between 100 and 599")
		}
	}
	if e.Metadata != nil && e.Metadata.Kind() != '{' {
		c.fault(errs.CodeWrongType, "/metadata", "metadata must be an object, not %s", strict.Kind(e.Metadata.Kind()))
	}
	e.checkTime(&c, o, now)
	return c.list
}

func (e *Event) checkTime(c *checker, o *outline, now time.Time) {
	if e.OccurredAt == "" && !emptyText(o.OccurredAt) {
		return
	}
	t, ok := strict.Time(e.OccurredAt)
	switch {
	case !ok:
		c.fault(errs.CodeInvalid, "/occurred_at", "occurred_at must be a time of RFC 3339, such as 2026-11-22T10:00:00Z")
	case t.Unix() < 0 || t.After(now.Add(MaxAhead)):
		c.fault(errs.CodeEventTime, "/occurred_at", "occurred_at must be between 1970 and 24 hours ahead of now")
	default:
		e.SetMicros(t.UnixMicro())
	}
}

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
func (e *Event) FillFrom(id string, at time.Time, now time.Time) {
	if e.ID == "" {
		e.ID = id
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
