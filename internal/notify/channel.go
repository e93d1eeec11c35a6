package notify

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Channel sends messages to destinations of one kind. Send makes one attempt
// within ctx's deadline; failures are part of the Result.
type Channel interface {
	Kind() string
	Send(ctx context.Context, m *Message) delivery.Result
	// Preview is the message as the channel writes it, without sending it.
	Preview(m *Message) (Rendered, error)
}

// Rendered is a message as a channel writes it.
type Rendered struct {
	Subject string // of mail
	Body    string
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
	At          time.Time // of the alert's start, end or notice
	Began       time.Time // of the condition that it reports
	Started     time.Time // of an end: when its alert was raised
	Subject     string    // title of what it is about: "Checkout error budget burn"
	Summary     string    // one sentence
	Data        json.RawMessage
	Changes     []Change
	More        int    // changes that are not listed
	URL         string // of the alert's page

	root rootSummary // the alert that opened the incident
}

// rootSummary are the attributes of the alert that opened an incident, for its events
// in the audit log.
type rootSummary struct {
	id, summary, kind string // kind is the alert type
	zone              Zone
}

// Test reports whether this is a test message.
func (m *Message) Test() bool { return m.Event == "" }
