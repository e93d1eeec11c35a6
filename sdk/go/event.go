package belfry

import (
	"bytes"
	"encoding/json"
	"time"
)

// Event is one entry of an audit log, version 1: who did what to which
// resource, when, from where, why, and with which result. Required are
// Action.Type, Actor.Type and Actor.ID, and Resource.Product, Type and ID.
// As JSON it is at most 65,535 bytes, and nested at most 32 levels deep.
type Event struct {
	// ID is unique in its account, 1 to 64 characters of A-Z a-z 0-9 . _ : -
	// Empty: a UUIDv7 as 32 hexadecimal characters is made when the event is
	// accepted. It is the idempotency key of every attempt to deliver.
	ID string `json:"id,omitempty"`
	// AccountID says whose log the event belongs to: the account's 32-character
	// id, or ext: and the id that you know it by. Required for producers (no
	// Config.AccountID), otherwise empty or equal to it.
	AccountID string `json:"account_id,omitempty"`
	// OccurredAt is between 1970 and 24 hours ahead, with microseconds. Zero:
	// the moment when the event is taken.
	OccurredAt time.Time `json:"occurred_at,omitzero"`

	Action    Action    `json:"action"`
	Actor     Actor     `json:"actor"`
	Interface Interface `json:"interface,omitempty"` // through what the actor acted; empty: decided by the server
	Resource  Resource  `json:"resource"`
	// Zone is a zone's id, name or alias (a hostname or origin). Empty: the
	// change belongs to the whole account.
	Zone string `json:"zone,omitempty"`

	// Before and After are the resource's state around the change, as any
	// value that encoding/json can encode; nil: left out. A json.RawMessage is
	// taken as it is (numbers keep their spelling), and only a json.RawMessage
	// can be null. Invalid UTF-8 inside is refused where it can be seen (strings,
	// and maps and slices of them) and becomes U+FFFD inside your own types.
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`

	Reason    *Reason        `json:"reason,omitempty"`
	ChangeSet string         `json:"change_set,omitempty"` // groups the events of one change, such as one apply
	Related   []Related      `json:"related,omitempty"`
	Request   *Request       `json:"request,omitempty"`
	Metadata  map[string]any `json:"metadata,omitempty"` // whatever else belongs to it
}

// Action describes the act.
type Action struct {
	Type        string       `json:"type"` // a word of your catalogue, such as "update"
	Description string       `json:"description,omitempty"`
	Result      ActionResult `json:"result,omitempty"` // empty: not said
}

// ActionResult is how it ended.
type ActionResult string

// Results of an action.
const (
	Success ActionResult = "success"
	Failure ActionResult = "failure"
)

// Actor is the user, token or system that acted.
type Actor struct {
	Type       ActorType `json:"type"`
	ID         string    `json:"id"`
	Email      string    `json:"email,omitempty"`
	Name       string    `json:"name,omitempty"`
	IPAddress  string    `json:"ip_address,omitempty"`
	TokenID    string    `json:"token_id,omitempty"` // the API token that was used, never its value
	TokenName  string    `json:"token_name,omitempty"`
	OnBehalfOf *OnBehalf `json:"on_behalf_of,omitempty"`
}

// ActorType is a kind of actor.
type ActorType string

// Kinds of actors.
const (
	User        ActorType = "user"        // a person with an account of their own
	Token       ActorType = "token"       // an API token of an account
	Integration ActorType = "integration" // a third party's software; OnBehalfOf is who installed it
	Staff       ActorType = "staff"       // the operator's own people
	System      ActorType = "system"      // no person: a schedule, a controller
)

// OnBehalf is the one for whom the actor acted.
type OnBehalf struct {
	Type  string `json:"type,omitempty"`
	ID    string `json:"id,omitempty"`
	Email string `json:"email,omitempty"`
}

// Interface is a way into a product.
type Interface string

// Ways into a product.
const (
	UI              Interface = "UI"
	API             Interface = "API"
	CLI             Interface = "CLI"
	SystemInterface Interface = "SYSTEM"
)

// Resource is the object of the action.
type Resource struct {
	Product string `json:"product"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Scope   string `json:"scope,omitempty"`
}

// Reason is why it was done, and where to read more about that.
type Reason struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Related is another resource that the event touches.
type Related struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Request is the HTTP request by which it was done. Client.AuditRequests and
// ContextWithRequest fill it.
type Request struct {
	ID         string `json:"id,omitempty"`
	Method     string `json:"method,omitempty"`
	URI        string `json:"uri,omitempty"` // the path; a query may hold secrets and is left out
	StatusCode int    `json:"status_code,omitempty"`
	UserAgent  string `json:"user_agent,omitempty"`
}

// MarshalJSON writes the event exactly as it is sent, except that what Audit
// would fill in is left out: occurred_at with six digits and in UTC.
func (e Event) MarshalJSON() ([]byte, error) {
	var enc encoder
	return enc.event(nil, &e)
}

// UnmarshalJSON reads an event; numbers inside Before, After and Metadata
// become json.Number, so that none loses digits.
func (e *Event) UnmarshalJSON(data []byte) error {
	type plain Event // without methods
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode((*plain)(e))
}
