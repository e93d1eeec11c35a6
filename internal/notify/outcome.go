package notify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// recording gathers the changes of one transaction of outcomes.
type recording struct {
	marks map[string]*destinationMark // by destination
	first []alertEvent                // first deliveries, for the audit log
}

// recordOutcomes keeps the health of destinations, the intervals of policies and
// the first deliveries of alerts. It is the engine's Record.
func (n *Feature) recordOutcomes(ctx context.Context, tx *db.Tx, list []*delivery.Outcome) (after func(), err error) {
	r := &recording{marks: map[string]*destinationMark{}}
	for _, o := range list {
		if err := n.recordOutcome(ctx, tx, r, o); err != nil {
			return nil, err
		}
	}
	changed, err := n.markDestinations(ctx, tx, r.marks)
	if err != nil {
		return nil, err
	}
	recorded, err := n.recordAlerts(ctx, tx, r.first)
	if err != nil {
		return nil, err
	}
	return func() {
		if len(changed) > 0 {
			n.destinationCache.Evict(changed...)
		}
		if recorded || len(changed) > 0 {
			n.Wake()
		}
	}, nil
}

func (n *Feature) recordOutcome(ctx context.Context, tx *db.Tx, r *recording, o *delivery.Outcome) error {
	if !o.Verdict.Made() {
		return nil
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
		if err := markNotified(ctx, tx, data.PolicyID, data.HeldFor, o.At); err != nil {
			return err
		}
	}
	starts := data.Event == event.AlertStart || data.Event == event.AlertNotice
	if o.Verdict.State != delivery.StateDelivered || !starts {
		return nil
	}
	return n.firstDelivery(ctx, tx, r, o)
}

// destinationMark is the health of one destination after a batch of attempts.
type destinationMark struct {
	account, name string
	success       int64
	failure       int64
	state         string // "" = unchanged
	why           string
}

func (m *destinationMark) add(o *delivery.Outcome) {
	v := &o.Verdict
	ended := o.At.Add(o.Took)
	if v.State == delivery.StateDelivered {
		m.success = max(m.success, ended.UnixMicro())
	} else if v.Pause == 0 && v.State != delivery.StateKept {
		m.failure = max(m.failure, ended.UnixMicro())
	}
	if v.Mark != "" {
		m.state = v.Mark
		m.why = v.Why
	}
}

// markDestinations writes health and state, and returns the destinations whose
// state changed. They are locked in the order of their ids.
func (n *Feature) markDestinations(
	ctx context.Context, tx *db.Tx, marks map[string]*destinationMark,
) (changed []string, err error) {
	for _, destinationID := range slices.Sorted(maps.Keys(marks)) {
		m := marks[destinationID]
		_, err := tx.Exec(ctx, `UPDATE destination SET
				last_success = CASE WHEN $2 > last_success THEN $2 ELSE last_success END,
				last_failure = CASE WHEN $3 > last_failure THEN $3 ELSE last_failure END
			WHERE id = $1`, destinationID, m.success, m.failure)
		if err != nil {
			return nil, err
		}
		if m.state == "" {
			continue
		}
		rows, err := tx.Exec(ctx, `UPDATE destination SET state = $2, state_why = $3, state_at = $4
			WHERE id = $1 AND state <> $2 AND state <> 'disabled'`, destinationID, m.state, m.why, n.Now().UnixMicro())
		if err != nil {
			return nil, err
		}
		if rows == 0 {
			continue
		}
		changed = append(changed, destinationID)
		err = n.recordByBelfry(ctx, tx,
			event.NewAudit(m.account, stateActions[m.state], resourceDestination, destinationID, m.name), m.why)
		if err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// stateActions are the audit actions by the new state of a destination.
var stateActions = map[string]string{
	delivery.DestinationOK:       "recover",
	delivery.DestinationBroken:   "break",
	delivery.DestinationDisabled: "disable",
}

// markNotified writes when a policy notified of a subject; the newest time stays.
func markNotified(ctx context.Context, tx *db.Tx, policyID, subject string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO told (policy_id, subject, at) VALUES ($1, $2, $3)
		ON CONFLICT (policy_id, subject) DO UPDATE
		SET at = CASE WHEN excluded.at > told.at THEN excluded.at ELSE told.at END`, policyID, subject, at.UnixMicro())
	return err
}
