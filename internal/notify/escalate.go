package notify

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// dueSteps are the times at which the steps of an escalation are due, after the first message of a start.
func (p *Policy) dueSteps(from time.Time) []time.Time {
	list := make([]time.Time, len(p.Escalation))
	for i, step := range p.Escalation {
		after, _ := parseInterval(step.After) // checked when it was saved
		list[i] = from.Add(after)
	}
	return list
}

// escalationsAtOnce is how many steps one round handles.
const escalationsAtOnce = 200

// dueStep is a step of an escalation that is due.
type dueStep struct {
	alert, policy string // key and id
	step          int
	account       string
}

// escalate sends the starts of alerts that still fire and are not acknowledged to the next destinations.
func (n *Feature) escalate(ctx context.Context) error {
	scan := func(row db.Row) (d dueStep, err error) {
		err = row.Scan(&d.alert, &d.policy, &d.step, &d.account)
		return d, err
	}
	var list []dueStep
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scan, `SELECT alert_key, policy_id, step, account_id FROM escalation
			WHERE due_at <= $1 ORDER BY due_at LIMIT $2`, n.Now().UnixMicro(), escalationsAtOnce)
		return err
	})
	for _, d := range list {
		policies, err := n.policiesFor(ctx, []*prepared{{alert: event.Alert{Account: d.account}}})
		if err != nil {
			return err
		}
		var items []*delivery.Item
		err = n.Change(ctx, func(tx *db.Tx) (err error) {
			items, err = n.escalateStep(ctx, tx, d, policies[d.account])
			return err
		})
		if err != nil {
			return err
		}
		n.queue.Offer(items)
	}
	return err
}

// escalateStep makes the deliveries of a step. The row of the incident is locked, as for its end: the end follows to
// the destinations of every step that was sent before it.
func (n *Feature) escalateStep(
	ctx context.Context, tx *db.Tx, d dueStep, current cachedPolicies,
) ([]*delivery.Item, error) {
	changed, err := tx.Exec(ctx, `DELETE FROM escalation WHERE alert_key = $1 AND policy_id = $2 AND step = $3`,
		d.alert, d.policy, d.step)
	if err != nil || changed == 0 {
		return nil, err
	}
	a, err := alertByKey(ctx, tx, d.account, d.alert)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil || a.State != stateFiring || !a.AckedAt.IsZero() {
		return nil, err
	}
	locked, err := tx.Exec(ctx, `UPDATE cause SET open_key = open_key
		WHERE account_id = $1 AND correlation_id = $2 AND open_key = $3`, d.account, a.Correlation, d.alert)
	if err != nil || locked == 0 {
		return nil, err
	}
	for i := range current.list {
		p := &current.list[i]
		if p.ID != d.policy || !p.Enabled || d.step >= len(p.Escalation) {
			continue
		}
		kind, err := n.AlertType(ctx, a.Type)
		if err != nil {
			return nil, err
		}
		attr := a.attributes(kind)
		if silence, _ := silencedBy(current.silences, p, attr, n.Now()); silence != "" {
			return nil, nil
		}
		return n.sendStep(ctx, tx, p, d.step, &a, kind)
	}
	return nil, nil
}

func (n *Feature) sendStep(
	ctx context.Context, tx *db.Tx, p *Policy, step int, a *Alert, kind *AlertType,
) ([]*delivery.Item, error) {
	further := *p
	further.Mechanisms = p.Escalation[step].Mechanisms
	targets, err := n.newStoring(tx).targets(ctx, &further)
	if err != nil || len(targets) == 0 {
		return nil, err
	}
	var items []*delivery.Item
	names := []string{}
	for _, t := range targets {
		it := n.policyItem(p, t, event.AlertStart)
		data := outgoingOf(it)
		data.Escalated = p.Escalation[step].After
		it.Labels = data.encode()
		it.Lane = a.Correlation
		it.Subject = a.key
		it.Payload = a.key
		it.Why = "not acknowledged after " + p.Escalation[step].After
		if t.state == delivery.DestinationDisabled {
			it.State = delivery.StateNotSent
			it.Why = whyDisabled(t.why)
		}
		items = append(items, it)
		names = append(names, t.name)
	}
	if err := n.queue.Insert(ctx, tx, items); err != nil {
		return nil, err
	}
	e := event.NewAudit(a.account, "escalate", resourceAlert, a.ID, cut(a.subjectTitle(kind), 200))
	e.Metadata = map[string]any{"policy": p.Name, "after": p.Escalation[step].After, "to": few(names)}
	return items, n.recordByBelfry(ctx, tx, e, "")
}

// attributes returns the parts of a stored alert that policies filter on.
func (a *Alert) attributes(kind *AlertType) *attributes {
	s := &attributes{kind: a.Type, severity: a.Severity, filters: a.Filters}
	if a.Zone != nil {
		s.zones = []Zone{{ID: a.Zone.ID, Name: a.Zone.Name}}
	}
	if kind != nil {
		s.severities = kind.Severities
	}
	return s
}
