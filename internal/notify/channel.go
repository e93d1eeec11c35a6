package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Channel sends messages to destinations of one type. Send makes one attempt
// within ctx's deadline; failures are part of the Result.
type Channel interface {
	Traits() Traits
	Send(ctx context.Context, m *Message) delivery.Result
	// Preview is the message as the channel writes it, without sending it. An error
	// is the fault of the destination's settings.
	Preview(m *Message) (Rendered, error)
}

// Traits describe a channel.
type Traits struct {
	Type  string        // of its destinations, such as slack
	Title string        // for people: "Slack"
	Rate  delivery.Rate // of one destination, or of one RateKey; the zero value is unlimited
	// RateKey names what the rate is counted for, by the address of a destination; nil = the destination.
	RateKey func(address string) string
	// Program says that the receiver is a program that counts incidents: it gets every START and END in order.
	// Persons and pagers are spared a pair of which they have seen nothing (see supersede).
	Program bool
	// Answers are the responses that this receiver gives another meaning than the
	// table of delivery.Judge does.
	Answers []Answer
	// Check returns the pointer and the fault of settings that the channel cannot
	// use; "" when they are valid. nil = everything is valid.
	Check func(s Settings) (pointer, fault string)
}

// Settings are the settings of a destination that is being saved.
type Settings struct {
	URL    string
	Secret string
	Body   string // template of the body
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
	Secret   string   // the destination's credential; "" = none
	Keys     []string // whsec_...: each signs
	Signers  []ed25519.PrivateKey
	Headers  map[string]string // of the destination, besides those of the channel
	Body     string            // template of the body; "" = the standard body
	PolicyID string
	Policy   string // its name

	AlertID     string
	Type        string           // alert_type
	Title       string           // the type's, for people
	Event       event.AlertEvent // "" for a test
	Correlation string
	Incident    string // of the same incident: start, end and repeats have the same
	Severity    string
	Property    string         // name of the property; "" = none, or several
	Zone        *time.Location // of the account, for times in texts; nil = UTC
	At          time.Time      // of the alert's start, end or notice
	Began       time.Time      // of the condition that it reports
	Started     time.Time      // of an end: when its alert was raised
	Subject     string         // title of what it is about: "Checkout error budget burn"
	Summary     string         // one sentence
	Data        json.RawMessage
	Changes     []Change
	More        int      // changes that are not listed
	Digest      []Change // of a digest: its alerts, as they are now
	DigestMore  int      // alerts that are not listed
	URL         string   // of the alert's page
	AckURL      string   // with which the recipient acknowledges the alert; "" = the message has no such link

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

// channelOf chooses the channel of a destination by its type; a webhook of a type
// that has no channel here is generic. nil = this installation has no such channel.
func (n *Feature) channelOf(kind, destinationType string) Channel {
	if c := n.channels[destinationType]; c != nil {
		return c
	}
	return n.channels[kindTypes[kind]]
}

// kindTypes are the types of destinations that every kind has.
var kindTypes = map[string]string{
	KindWebhook:   TypeGeneric,
	KindEmail:     KindEmail,
	KindPagerDuty: KindPagerDuty,
	KindInbox:     KindInbox,
}

// Answer gives a response of one receiver the meaning of another status in the table
// of delivery.Judge: a receiver may answer 200 to a message that it refuses, or 404
// where it means 410.
type Answer struct {
	Status int    // 0 = any
	Text   string // part of the body; "" = any
	As     int    // the status whose row applies
	Why    string // for people
}

// meaning returns the row of a channel's table that applies; nil = none.
func (t *Traits) meaning(r *delivery.Result) *Answer {
	if r.Fault != delivery.NoFault {
		return nil
	}
	for i := range t.Answers {
		a := &t.Answers[i]
		if (a.Status == 0 || a.Status == r.Status) && bytes.Contains(r.Answer, []byte(a.Text)) {
			return a
		}
	}
	return nil
}

// attempt sends a message. meaning is nil when the response means what it says.
func attempt(ctx context.Context, c Channel, m *Message) (r delivery.Result, meaning *Answer) {
	r = c.Send(ctx, m)
	t := c.Traits()
	if meaning = t.meaning(&r); meaning != nil && r.Error == "" {
		r.Error = meaning.Why
	}
	return r, meaning
}

// statusOf is the status whose row in the table of answers applies.
func statusOf(r delivery.Result, meaning *Answer) int {
	if meaning != nil {
		return meaning.As
	}
	return r.Status
}

// arrived reports whether a receiver accepted a message.
func arrived(r delivery.Result, meaning *Answer) bool {
	status := statusOf(r, meaning)
	return r.Fault == delivery.NoFault && status >= http.StatusOK && status < http.StatusMultipleChoices
}

// judge decides on an attempt with the meaning that the channel gives the response.
// It is the engine's Judge.
func (n *Feature) judge(it *delivery.Item, r delivery.Result, v delivery.Verdict) delivery.Verdict {
	o := outgoingOf(it)
	if o.meaning != nil {
		meant := r
		meant.Status = o.meaning.As
		v = delivery.Judge(meant, it.Failures, n.Now().Sub(it.Created), n.Limits.Schedule, rand.Float64())
		v.Why = o.meaning.Why
	}
	if v.State == delivery.StateDelivered && r.RetryAfter > 0 { // it accepts no further message for now
		v.Pause = min(r.RetryAfter, longestRest)
	}
	return n.redirect(it, o.fallback, v)
}

// longestRest is the longest pause after a message that was accepted.
const longestRest = time.Hour

// rate is the rate of a destination's channel. It is the engine's Rate.
func (n *Feature) rate(it *delivery.Item) (key string, rate delivery.Rate) {
	c := n.channelOf(it.Kind, outgoingOf(it).Type)
	if c == nil {
		return it.Destination, rate
	}
	t := c.Traits()
	if t.RateKey == nil {
		return it.Destination, t.Rate
	}
	return n.rateKeys.of(it.Destination), t.Rate
}

// rateKeys are the keys of destinations whose rate is counted for several of them together, such as the webhooks of
// one space. The address of a destination is known once its first message was composed: until then it is counted
// alone.
type rateKeys struct {
	mu   sync.Mutex        // guards keys
	keys map[string]string // by destination
}

func (r *rateKeys) of(destinationID string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.keys[destinationID], destinationID)
}

// learn notes the key of a destination whose settings were read.
func (r *rateKeys) learn(d *Destination, c Channel) {
	if c == nil {
		return
	}
	of := c.Traits().RateKey
	if of == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil || len(r.keys) > mostCached {
		r.keys = map[string]string{}
	}
	r.keys[d.ID] = of(d.address())
}
