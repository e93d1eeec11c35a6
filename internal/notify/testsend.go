package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// TestPolicy queues a test message to every destination of a policy.
func (n *Feature) TestPolicy(
	ctx context.Context, by *web.Principal, accountID, policyID string,
) (out Replayed, err error) {
	p, err := n.Policy(ctx, accountID, policyID)
	if err != nil {
		return out, err
	}
	var items []*delivery.Item
	err = n.Change(ctx, func(tx *db.Tx) error {
		out = Replayed{Deliveries: []string{}}
		items = nil
		s := n.newStoring(tx)
		targets, err := s.targets(ctx, &p)
		if err != nil {
			return err
		}
		for _, t := range targets {
			it := n.policyItem(&p, t, eventTest)
			items = append(items, it)
			out.Deliveries = append(out.Deliveries, it.ID)
		}
		if err := n.queue.Insert(ctx, tx, items); err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(accountID, "test", resourcePolicy, p.ID, p.Name))
	})
	if err == nil {
		n.queue.Offer(items)
	}
	return out, err
}

// policyItem is a delivery that a policy makes outside of the intake of alerts.
func (n *Feature) policyItem(p *Policy, to target, what event.AlertEvent) *delivery.Item {
	data := &outgoing{labels: labels{
		Event:     what,
		PolicyID:  p.ID,
		Policy:    p.Name,
		Mechanism: to.name,
		Type:      to.typ,
	}}
	return &delivery.Item{
		ID:          n.ids.next(n.Now()),
		Tenant:      p.account,
		Destination: to.id,
		Kind:        to.kind,
		Labels:      data.encode(),
		Data:        data,
	}
}

// TestWebhook sends a test message now and returns the attempt.
func (n *Feature) TestWebhook(ctx context.Context, accountID, destinationID string) (Attempt, error) {
	return n.testDestination(ctx, accountID, KindWebhook, destinationID)
}

func (n *Feature) testDestination(ctx context.Context, accountID, kind, destinationID string) (Attempt, error) {
	d, err := n.destinationOf(ctx, accountID, kind, destinationID)
	if err != nil {
		return Attempt{}, err
	}
	began := n.Now()
	r, meaning, err := n.sendTest(ctx, &d)
	if err != nil {
		return Attempt{}, err
	}
	outcome := delivery.StateFailed
	switch {
	case arrived(r, meaning):
		outcome = delivery.StateDelivered
	case r.Fault == delivery.Kept:
		outcome = delivery.StateKept
	}
	return attemptOf(delivery.Attempt{N: 1, At: began, Took: n.Now().Sub(began), Outcome: outcome, Result: r}), nil
}

// sendTest sends a test message now, outside of the queue.
func (n *Feature) sendTest(ctx context.Context, d *Destination) (r delivery.Result, meaning *Answer, err error) {
	c := n.channelOf(d.Kind, d.Type)
	if c == nil {
		return r, nil, errs.New(errs.CodeUnavailable, "this installation has no channel of the kind %s", d.Kind)
	}
	m := n.newMessage(d, n.ids.next(n.Now()))
	m.Zone = n.TimeZone(ctx, d.account)
	n.fillTest(m)
	m.sanitize()
	ctx, cancel := context.WithTimeout(ctx, n.Limits.Attempt) // as long as a delivery
	defer cancel()
	r, meaning = attempt(ctx, c, m)
	return r, meaning, nil
}
