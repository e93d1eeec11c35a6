package notify

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// sending is a message that a policy sends to a destination.
type sending struct {
	policyID, policy string
	target           target
	start, followed  string // of an END: id and state of its START's delivery
	replaced         bool   // that delivery went to a fallback, which has a delivery of its own
	hold             time.Time
	heldFor          string // the subject whose interval holds it back until hold
	why              string // that reason, for people
	lane             string // of an END: that of its START

	// Instead of a message to target:
	digest time.Time   // it is collected for the message of this time
	steps  []time.Time // when the escalation's steps are due
}

// attributes returns the parts of the alert that policies filter on.
func (p *prepared) attributes() *attributes {
	a := &p.alert
	s := &attributes{
		kind:     a.Type,
		severity: a.Severity,
		zones:    p.zones,
		zoneRef:  a.Zone,
		filters:  a.Filters,
		lasts:    a.Event == event.AlertStart,
	}
	if p.kind != nil {
		s.severities = p.kind.Severities
	}
	switch {
	case a.Resource != nil:
		s.subject = a.Type + " " + a.Resource.Product + "/" + a.Resource.Type + "/" + a.Resource.ID
	case p.zone.ID != "":
		s.subject = a.Type + " " + p.zone.ID
	default:
		s.subject = a.Type + " " + a.Correlation
	}
	return s
}

func (s *storing) lastNotified(ctx context.Context, policyID, subject string) (time.Time, error) {
	var at int64
	err := s.tx.QueryRow(ctx, `SELECT at FROM told WHERE policy_id = $1 AND subject = $2`, policyID, subject).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMicro(at), err
}

// targets are the destinations of a policy.
func (s *storing) targets(ctx context.Context, p *Policy) (list []target, err error) {
	for _, w := range p.Mechanisms.hooks() {
		if _, ok := s.hooks[w.ID]; !ok {
			if err := s.readHooks(ctx, p); err != nil {
				return nil, err
			}
		}
		list = append(list, s.hooks[w.ID])
	}
	for _, e := range p.Mechanisms.Email {
		key := [2]string{p.account, foldAddress(e.ID)}
		t, ok := s.mails[key]
		if !ok {
			if t, err = s.target(ctx, `account_id = $1 AND address = $2 AND kind = 'email'`, key[0], key[1]); err != nil {
				return nil, err
			}
			s.mails[key] = t
		}
		list = append(list, t)
	}
	for _, m := range p.Mechanisms.Inbox {
		key := [2]string{p.account, KindInbox + " " + m.ID} // no address of mail has a space
		t, ok := s.mails[key]
		if !ok {
			if t, err = s.target(ctx, `account_id = $1 AND address = $2 AND kind = 'inbox'`, p.account, m.ID); err != nil {
				return nil, err
			}
			s.mails[key] = t
		}
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t target) bool { return t.id == "" }), nil
}

// hooksAhead is how many destinations other than mail are read with those of a policy.
const hooksAhead = 64

// readHooks reads the destinations of a policy other than mail, and with them others that policies for the
// same type name: the next alerts of the transaction probably go there.
func (s *storing) readHooks(ctx context.Context, p *Policy) error {
	var rows [][]any
	add := func(p *Policy) {
		for _, w := range p.Mechanisms.hooks() {
			if _, ok := s.hooks[w.ID]; !ok {
				s.hooks[w.ID] = target{} // unless it is found
				rows = append(rows, []any{p.account, w.ID})
			}
		}
	}
	add(p)
	for i := range s.policies[p.account].list {
		other := &s.policies[p.account].list[i]
		if len(rows) < hooksAhead && other.AlertType == p.AlertType && other.Enabled {
			add(other)
		}
	}
	return s.tx.Join(ctx, []string{"account_id", "id"}, rows,
		`SELECT d.id, d.name, d.kind, d.type, d.state, d.state_why FROM input CROSS JOIN destination d
		WHERE d.id = input.id AND d.account_id = input.account_id AND d.kind NOT IN ('email', 'inbox')`,
		func(row db.Row) error {
			var t target
			err := row.Scan(&t.id, &t.name, &t.kind, &t.typ, &t.state, &t.why)
			s.hooks[t.id] = t
			return err
		})
}

func (s *storing) target(ctx context.Context, where string, args ...any) (t target, err error) {
	err = s.tx.QueryRow(ctx, `SELECT id, name, kind, type, state, state_why FROM destination WHERE `+where, args...).
		Scan(&t.id, &t.name, &t.kind, &t.typ, &t.state, &t.why)
	if errors.Is(err, sql.ErrNoRows) {
		return target{}, nil
	}
	return t, err
}

// targetByID finds the destination of an earlier delivery, which may be deleted.
func (s *storing) targetByID(ctx context.Context, account, destinationID string) (target, error) {
	t, ok := s.byID[destinationID]
	if ok {
		return t, nil
	}
	t, err := s.target(ctx, `account_id = $1 AND id = $2`, account, destinationID)
	if t.id == "" {
		t = target{id: destinationID, state: targetGone}
	}
	if err == nil {
		s.byID[destinationID] = t
	}
	return t, err
}

// follow sends an END where its START went, whatever the policies say now.
func (s *storing) follow(ctx context.Context, p *prepared, open *opening, e *entry) error {
	starts, err := s.startDeliveries(ctx, p, open.key)
	if err != nil {
		return err
	}
	replaced := map[string]bool{}
	for _, d := range starts {
		replaced[d.FallbackOf] = true
	}
	for _, d := range starts {
		t, err := s.targetByID(ctx, p.alert.Account, d.Destination)
		if err != nil {
			return err
		}
		start := outgoingOf(&d.Item)
		t.kind = d.Kind
		t.name = start.Mechanism
		e.sends = append(e.sends, sending{
			policyID: start.PolicyID,
			policy:   start.Policy,
			target:   t,
			start:    d.ID,
			followed: d.State,
			replaced: replaced[d.ID],
			lane:     d.Lane,
		})
	}
	sent := map[string]bool{}
	for _, x := range e.sends {
		sent[x.policyID] = true
	}
	for _, c := range open.decision {
		if c.Matched && sent[c.PolicyID] {
			e.decision = append(e.decision, PolicyResult{
				PolicyID: c.PolicyID,
				Policy:   c.Policy,
				Matched:  true,
				Why:      "the end is sent where the start was sent",
			})
		}
	}
	return nil
}

// targetGone is the state of a target whose destination was deleted.
const targetGone = "gone"

// laneOf is the lane of a message. One that is held back has a lane of its policy, so that it does not hold back the
// messages of other policies to the same destination.
func (x *sending) laneOf(correlationID string) string {
	switch {
	case x.lane != "":
		return x.lane
	case !x.hold.IsZero():
		return correlationID + " " + x.policyID
	}
	return correlationID
}

// deliver makes the deliveries of an alert. A message that cannot be sent is
// stored too, with the reason.
func (s *storing) deliver(p *prepared, sends []sending) {
	for _, x := range sends {
		if x.target.id == "" {
			continue // see collect
		}
		data := &outgoing{alert: p, unsettled: x.followed == delivery.StateWaiting, labels: labels{
			Event:     p.alert.Event,
			PolicyID:  x.policyID,
			Policy:    x.policy,
			Mechanism: x.target.name,
			Type:      x.target.typ,
			HeldFor:   x.heldFor,
		}}
		it := &delivery.Item{
			ID:          s.n.ids.after(x.start, s.now),
			Tenant:      p.alert.Account,
			Destination: x.target.id,
			Kind:        x.target.kind,
			Lane:        x.laneOf(p.alert.Correlation),
			Subject:     p.rootKey,
			Payload:     p.key,
			Labels:      data.encode(),
			Data:        data,
			HoldUntil:   x.hold,
			Why:         x.why,
			Created:     s.now,
		}
		switch {
		case x.target.state == delivery.DestinationDisabled:
			it.State = delivery.StateNotSent
			it.Why = whyDisabled(x.target.why)
		case x.target.state == targetGone:
			it.State = delivery.StateNotSent
			it.Why = whyDeleted
		case x.replaced:
			it.State = delivery.StateNotSent
			it.Why = whyFollowed
		case (x.followed == delivery.StateFailed || x.followed == delivery.StateNotSent) && !s.n.program(it):
			it.State = delivery.StateNotSent
			it.Why = whyNoStart
		default:
			p.queued = append(p.queued, it)
		}
		s.deliveries = append(s.deliveries, it)
	}
}
