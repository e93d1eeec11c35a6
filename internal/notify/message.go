package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// labels are the attributes of a delivery that only notifications know.
type labels struct {
	Event     event.AlertEvent `json:"event"`
	PolicyID  string           `json:"policy_id,omitempty"`
	Policy    string           `json:"policy,omitempty"`    // its name then
	Mechanism string           `json:"mechanism"`           // the destination's name or address then
	Type      string           `json:"type,omitempty"`      // the destination's type then
	HeldFor   string           `json:"held_for,omitempty"`  // the subject whose interval holds a start back
	Escalated string           `json:"escalated,omitempty"` // the time without acknowledgement after which it is sent
}

func (l labels) encode() string {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings are always encoded
	}
	return string(b)
}

// outgoing is kept in memory with a delivery.
type outgoing struct {
	labels
	alert *prepared // just stored by this process; nil = in the database

	unsettled bool // of an END: its START had not been delivered yet when alert was stored

	// Of the newest attempt.
	channel  Channel
	meaning  *Answer   // of the response; nil = what it says
	fallback *fallback // nil = none
}

func outgoingOf(it *delivery.Item) *outgoing { return it.Data.(*outgoing) }

// loadLabels is the engine's Load.
func loadLabels(it *delivery.Item) error {
	o := &outgoing{}
	it.Data = o
	return json.Unmarshal([]byte(it.Labels), &o.labels)
}

// eventTest is the event of a delivery that tests a destination.
const eventTest = event.AlertEvent("test")

// compose makes the message of a delivery, or decides that there is none. It is
// the engine's Compose.
func (n *Feature) compose(ctx context.Context, it *delivery.Item) (delivery.Message, *delivery.Verdict, error) {
	d, err := n.settings(ctx, it.Tenant, it.Destination)
	if errs.Is(err, errs.CodeNotFound) {
		return nil, notSent(whyDeleted), nil
	}
	if err != nil {
		return nil, nil, err
	}
	if d.State == delivery.DestinationDisabled {
		return nil, notSent(whyDisabled(d.StateReason)), nil
	}
	o := outgoingOf(it)
	if o.channel = n.channelOf(it.Kind, d.Type); o.channel == nil {
		why := "this installation has no channel of the kind " + it.Kind
		return nil, &delivery.Verdict{State: delivery.StateFailed, Why: why}, nil
	}
	if it.Kind == KindEmail {
		member, err := n.Member(ctx, it.Tenant, d.URL)
		if err != nil {
			return nil, nil, err
		}
		if !member {
			return nil, notSent(n.whyNoMail(ctx, it.Tenant, d.URL)), nil
		}
	}
	if it.Kind == KindInbox {
		list, err := n.recipients(ctx, it.Tenant, d.URL)
		if err != nil {
			return nil, nil, err
		}
		if len(list) == 0 {
			return nil, notSent("no member of the account has the inbox " + d.URL), nil
		}
	}
	if verdict, err := n.endAfter(ctx, it); err != nil || verdict != nil {
		return nil, verdict, err
	}
	if o.fallback, err = n.fallbackOf(ctx, it, d); err != nil {
		return nil, nil, err
	}
	m := n.newMessage(d, it.ID)
	m.Zone = n.TimeZone(ctx, it.Tenant)
	m.PolicyID = o.PolicyID
	m.Policy = o.Policy
	digestID := digestOf(it)
	switch {
	case it.Payload == "":
		n.fillTest(m)
	case digestID != "":
		err = n.fillDigest(ctx, m, digestID)
	default:
		err = n.fill(ctx, m, it)
	}
	if err != nil {
		return nil, nil, err
	}
	m.sanitize()
	return m, nil, nil
}

const whyDeleted = "the destination was deleted"

func whyDisabled(reason string) string {
	return "the destination is disabled: " + cmp.Or(reason, "its receiver is gone")
}

func notSent(why string) *delivery.Verdict {
	return &delivery.Verdict{State: delivery.StateNotSent, Why: why}
}

// send makes one attempt. It is the engine's Send.
func (n *Feature) send(ctx context.Context, it *delivery.Item, m delivery.Message) delivery.Result {
	o := outgoingOf(it)
	r, meaning := attempt(ctx, o.channel, m.(*Message))
	o.meaning = meaning
	o.alert = nil // a second attempt reads what was stored since
	if it.Kind == KindEmail && r.Status == 0 && r.Fault != delivery.NoFault && r.Fault != delivery.Kept {
		// The server is at fault, not the address: the operator has to act.
		n.Log.Warn("a mail was not sent", "delivery", it.ID, "attempt", it.Attempts+1, "error", r.Error)
	}
	return r
}

// newMessage has what all messages to a destination share.
func (n *Feature) newMessage(d *Destination, deliveryID string) *Message {
	now := n.Now()
	keys, signers := d.secrets.active(now)
	return &Message{
		ID:      deliveryID,
		Sent:    now,
		Account: d.account,
		Name:    d.Name,
		Address: d.address(),
		Secret:  d.secrets.Shared,
		Keys:    keys,
		Signers: signers,
		Headers: d.secrets.Headers,
		Body:    d.settings.Body,
		At:      now,
	}
}

func (n *Feature) fillTest(m *Message) {
	m.Type = "belfry_test"
	m.Title = "Test message"
	m.Severity = "info"
	m.Summary = fmt.Sprintf("This is a test message from Belfry to %s. Nothing is wrong.", m.Name)
	m.URL = n.URL + "/accounts/" + m.Account + "/notifications"
}

// fill adds the alert, and the changes that preceded it.
func (n *Feature) fill(ctx context.Context, m *Message, it *delivery.Item) error {
	changes := n.awaitChanges(ctx, it)
	row, err := n.messageRow(ctx, it, changes)
	if err != nil {
		return err
	}
	a := &row.alert
	if kind, err := n.AlertType(ctx, a.Type); err == nil && kind != nil {
		m.Title = kind.Title
	}
	m.AlertID = a.ID
	m.Type = a.Type
	m.Event = a.Event
	m.Correlation = a.Correlation
	m.Incident = it.Subject
	m.Property = row.root.zone.Name
	m.Severity = a.Severity
	m.Data = a.Data
	m.At = row.at
	m.Began = row.began
	m.Summary = row.summary
	m.Changes = row.changes
	m.More = row.more
	m.Subject = subjectTitle(row.about, m.Title, row.root.summary)
	m.URL = n.alertURL(it.Tenant, row.root.id)
	m.root = row.root
	if a.Event == event.AlertStart && !outgoingOf(it).channel.Traits().Program {
		m.AckURL = n.ackURL(n.ackToken(it.Tenant, row.root.id, it.Destination))
	}
	if a.Event == event.AlertEnd {
		m.Started = row.started
		if a.Summary == "" {
			m.Summary = m.Subject
		}
	}
	for i, c := range m.Changes {
		if strings.HasPrefix(c.URL, "/") { // a page of ours; mail has no base
			m.Changes[i].URL = n.URL + c.URL
		}
	}
	return nil
}

// messageRow reads what a message needs of an alert: from memory where it was
// just stored and nothing can have been added to it, otherwise from the
// database. changes may not be in the database yet.
func (n *Feature) messageRow(ctx context.Context, it *delivery.Item, changes *foundChanges) (row alertRow, err error) {
	p := outgoingOf(it).alert
	known := p != nil && (p.root != nil && p.root.changes != nil && n.current(p.changesAsOf) ||
		it.Payload == it.Subject && (n.Changes == nil && p.changes == nil || changes != nil))
	if known {
		row = p.row()
	} else if row, err = n.alertRow(ctx, it.Tenant, it.Payload); err != nil {
		return row, err
	}
	if changes != nil {
		row.changes = changes.list
		row.more = changes.more
	}
	row.changes = slices.Clone(row.changes) // the message writes whole URLs into it
	return row, nil
}

func (n *Feature) alertURL(accountID, alertID string) string {
	return n.URL + alertPath(accountID, alertID)
}
