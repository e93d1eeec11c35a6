package notify

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

// Channel sends messages to destinations of one kind. Send makes one attempt
// within ctx's deadline; what goes wrong is part of the Result.
type Channel interface {
	Kind() string
	Send(ctx context.Context, m *Message) Result
}

// Message is one alert (or a test) on its way to one destination.
type Message struct {
	ID       string    // of the delivery: the same over all attempts
	Sent     time.Time // of this attempt
	Account  string
	Name     string   // of the destination
	Address  string   // URL, or address of mail
	Secret   string   // for cf-webhook-auth; "" = none
	Keys     []string // whsec_...: each signs
	PolicyID string
	Policy   string // its name

	AlertID     string
	Type        string           // alert_type
	Title       string           // the type's, for people
	Event       event.AlertEvent // "" for a test
	Correlation string
	Severity    string
	At          time.Time // when the alert was raised, ended or happened
	Began       time.Time // since when what it reports goes on
	Started     time.Time // of an end: when its alert was raised
	Thing       string    // what it is about, as a title: "Checkout error budget burn"
	Summary     string    // one sentence
	Data        json.RawMessage
	Changes     []Change
	More        int    // changes that are not listed
	URL         string // of the alert's page
}

// Test reports whether this is a test message.
func (m *Message) Test() bool { return m.Event == "" }

// Fault is why an attempt brought no answer.
type Fault uint8

// The faults.
const (
	NoFault   Fault = iota
	Temporary       // connection refused or lost, a mail server busy
	Timeout         // the deadline of the attempt passed
	NoName          // the name does not resolve
	BadTLS          // certificate or handshake
	Blocked         // an address that must not be reached
	Permanent       // can never succeed as it is
	Kept            // nothing to send with: the message stays on its page
)

// Result is one attempt, as it is kept. Headers hold no secrets.
type Result struct {
	Status     int           // of HTTP or SMTP; 0 = no answer
	RetryAfter time.Duration // asked for by the receiver; 0 = not
	Fault      Fault
	Error      string // a sentence for people; "" when the answer says it all
	Request    []Header
	Body       []byte // that was sent
	Response   []Header
	Answer     []byte // the beginning of it
}

// Header is a line of a request or response.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
