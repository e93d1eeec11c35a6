package notify

import (
	"cmp"
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// KindInbox is the kind of destinations that are the inboxes of members. The address is
// a member's id, role:ROLE for all members of a role, or user:ID for a user of a customer's
// own system who opens the customers' pages.
const KindInbox = "inbox"

// Limits of inboxes.
const (
	maxInbox      = 1000 // entries of a member; older ones are deleted
	maxRecipients = 1000 // members of a role
	maxSnooze     = 90   // days

	rolePrefix = "role:"
	userPrefix = "user:"
)

// Recipient is a member who gets messages.
type Recipient struct{ ID, Name string }

// InboxEntry is an alert in the inbox of a member.
type InboxEntry struct {
	ID           string   `json:"id"`
	Member       string   `json:"member_id"`
	AlertID      string   `json:"alert_id"`
	Type         string   `json:"alert_type"`
	Subject      string   `json:"subject" doc:"What it is about"`
	Summary      string   `json:"summary"`
	Severity     string   `json:"severity"`
	Property     string   `json:"property,omitempty" doc:"Name of the property"`
	State        string   `json:"state" enum:"firing,ended,notice"`
	StartedAt    web.Time `json:"started_at"`
	EndedAt      web.Time `json:"ended_at,omitzero"`
	ReadAt       web.Time `json:"read_at,omitzero" doc:"Missing while it is unread"`
	ArchivedAt   web.Time `json:"archived_at,omitzero"`
	SnoozedUntil web.Time `json:"snoozed_until,omitzero"`
	URL          string   `json:"url" doc:"Page of the alert"`

	changed int64
}

// recipients are the members behind an address of the kind inbox; none when it names no
// member of the account.
func (n *Feature) recipients(ctx context.Context, accountID, address string) ([]Recipient, error) {
	if id, ok := strings.CutPrefix(address, userPrefix); ok {
		if id == "" {
			return nil, nil
		}
		return []Recipient{{ID: address, Name: id}}, nil
	}
	if n.Recipients == nil {
		return nil, nil
	}
	list, err := n.Recipients(ctx, accountID, address)
	return list[:min(len(list), maxRecipients)], err
}

// inboxName is the name of an inbox for people.
func (n *Feature) inboxName(ctx context.Context, accountID, address string) (string, error) {
	if role, ok := strings.CutPrefix(address, rolePrefix); ok {
		return "Inbox of the role " + role, nil
	}
	list, err := n.recipients(ctx, accountID, address)
	if err != nil || len(list) == 0 {
		return "Inbox", err
	}
	return "Inbox of " + cmp.Or(list[0].Name, list[0].ID), nil
}

// checkInbox reports the faults of the inboxes that a policy names.
func (n *Feature) checkInbox(
	ctx context.Context, accountID string, list []Mechanism, seen map[string]bool,
	fault func(errs.Code, string, string, ...any),
) error {
	for i, m := range list {
		at := "/mechanisms/inbox/" + itoa(i) + "/id"
		found, err := n.recipients(ctx, accountID, m.ID)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			fault(errs.CodeInvalid, at, "%s is not the id of a member, role:ROLE of a role that a member has, or user:ID",
				quoted(m.ID))
		case seen[KindInbox+" "+m.ID]:
			fault(errs.CodeInvalid, at, "the inbox %s is there twice", quoted(m.ID))
		}
		seen[KindInbox+" "+m.ID] = true
	}
	return nil
}

// ensureInboxes makes the destinations of the inboxes that a policy names.
func (n *Feature) ensureInboxes(ctx context.Context, tx *db.Tx, accountID string, list []Mechanism) error {
	now := moment(n.Now())
	for _, m := range list {
		d := Destination{
			ID:        n.ids.next(now.Time),
			Kind:      KindInbox,
			Name:      m.ID,
			URL:       m.ID,
			Type:      KindInbox,
			State:     delivery.DestinationOK,
			account:   accountID,
			CreatedAt: now,
			Modified:  now,
			StateAt:   now,
		}
		if err := n.insertDestination(ctx, tx, &d, `ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
	}
	return nil
}

// inboxChannel puts messages into the inboxes of members.
type inboxChannel struct{ n *Feature }

// Traits describe the channel.
func (inboxChannel) Traits() Traits { return Traits{Type: KindInbox, Title: "Inbox"} }

// Preview is the entry as the page shows it.
func (inboxChannel) Preview(m *Message) (Rendered, error) {
	return Rendered{Subject: m.Subject, Body: m.Summary}, nil
}

// Send puts the alert into the inbox of each recipient. A repeated attempt changes
// nothing.
func (c inboxChannel) Send(ctx context.Context, m *Message) delivery.Result {
	list, err := c.n.recipients(ctx, m.Account, m.Address)
	if err == nil && len(list) == 0 {
		return delivery.Result{Fault: delivery.Permanent, Error: "no member of the account has this inbox"}
	}
	if err == nil && !m.Test() {
		err = c.n.putEntries(ctx, m, list)
	}
	if err != nil {
		return delivery.Result{Fault: delivery.Temporary, Error: "the inbox could not be written"}
	}
	return delivery.Result{Status: 200, Body: []byte(m.Subject + "\n" + m.Summary)}
}

// inboxOf is the member whose inbox a principal asks for. Members and customers' users have
// their own inbox only; tokens name one.
func inboxOf(who *web.Principal, member string) (string, error) {
	var own string
	switch who.Kind {
	case web.KindUser:
		own = who.ID
	case web.KindPortal:
		own = userPrefix + who.OnBehalfOf
	default:
		if member == "" {
			return "", errs.At(errs.CodeMissingField, "member",
				"member is required: the id of a member, or user:ID; only sessions have an inbox of their own")
		}
		return member, nil
	}
	if member != "" && member != own {
		return "", errs.At(errs.CodeNotFound, "member", "there is no such inbox")
	}
	return own, nil
}

// stateOfEvent is the state of an entry after a message.
func stateOfEvent(e event.AlertEvent) string {
	switch e {
	case event.AlertEnd:
		return stateEnded
	case event.AlertNotice:
		return stateNotice
	}
	return stateFiring
}
