package notify

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// recording gathers the changes of one transaction of outcomes.
type recording struct {
	marks    map[string]*destinationMark // by destination
	notified map[told]int64              // when policies with an interval notified
	arrived  []*delivery.Outcome         // messages about starts and notices that arrived
}

// recordOutcomes keeps the health of destinations, the intervals of policies and
// the first deliveries of alerts. It is the engine's Record.
func (n *Feature) recordOutcomes(ctx context.Context, tx *db.Tx, list []*delivery.Outcome) (after func(), err error) {
	r := &recording{marks: map[string]*destinationMark{}, notified: map[told]int64{}}
	for _, o := range list {
		r.add(o)
	}
	if err := markNotified(ctx, tx, r.notified); err != nil {
		return nil, err
	}
	first, err := n.firstDeliveries(ctx, tx, r.arrived)
	if err != nil {
		return nil, err
	}
	n.health.skip(r.marks, n.Now())
	changed, err := n.markDestinations(ctx, tx, r.marks)
	if err != nil {
		return nil, err
	}
	recorded, err := n.recordAlerts(ctx, tx, first)
	if err != nil {
		return nil, err
	}
	return func() {
		n.health.written(r.marks)
		if len(changed) > 0 {
			n.destinationCache.Evict(changed...)
		}
		if recorded || len(changed) > 0 {
			n.Wake()
		}
	}, nil
}

func (r *recording) add(o *delivery.Outcome) {
	if !o.Verdict.Made() {
		return
	}
	it := o.Item
	data := outgoingOf(it)
	m := o.Message.(*Message)
	mark := r.marks[it.Destination]
	if mark == nil {
		mark = &destinationMark{account: it.Tenant, name: m.Name}
		r.marks[it.Destination] = mark
	}
	mark.add(o)
	if data.HeldFor != "" && it.Attempts == 0 {
		key := told{data.PolicyID, data.HeldFor}
		r.notified[key] = max(r.notified[key], o.At.UnixMicro())
	}
	starts := data.Event == event.AlertStart || data.Event == event.AlertNotice
	if o.Verdict.State == delivery.StateDelivered && starts {
		r.arrived = append(r.arrived, o)
	}
}

// told is a policy and the subject of which it notified, for the policy's interval.
type told struct{ policy, subject string }

// markNotified writes when policies notified of subjects; the newest time stays. Rows
// are locked in the order of their keys.
func markNotified(ctx context.Context, tx *db.Tx, list map[told]int64) error {
	order := slices.SortedFunc(maps.Keys(list), func(a, b told) int {
		return cmp.Or(cmp.Compare(a.policy, b.policy), cmp.Compare(a.subject, b.subject))
	})
	rows := make([][]any, len(order))
	for i, key := range order {
		rows[i] = []any{key.policy, key.subject, list[key]}
	}
	return tx.Insert(ctx, "told", []string{"policy_id", "subject", "at"}, `ON CONFLICT (policy_id, subject) DO UPDATE
		SET at = CASE WHEN excluded.at > told.at THEN excluded.at ELSE told.at END`, rows)
}
