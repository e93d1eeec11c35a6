package notify

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// sending is a delivery to be: which policy sends where.
type sending struct {
	policyID, policy string
	target           target
	start, followed  string // id and state of START's delivery; "" for a START
	hold             time.Time
	heldFor, why     string // the subject whose interval holds it back until hold, in words too
}

// subjectOf is what policies look at.
func (p *prepared) subject() *subject {
	a := &p.alert
	s := &subject{kind: a.Type, severity: a.Severity, zones: p.zones, zoneRef: a.Zone, filters: a.Filters, lasts: a.Event == event.AlertStart}
	switch {
	case a.Resource != nil:
		s.about = a.Type + " " + a.Resource.Product + "/" + a.Resource.Type + "/" + a.Resource.ID
	case p.zone.ID != "":
		s.about = a.Type + " " + p.zone.ID
	default:
		s.about = a.Type + " " + a.Correlation
	}
	return s
}

func (s *storing) lastTold(ctx context.Context, policyID, about string) (time.Time, error) {
	var at int64
	err := s.tx.QueryRow(ctx, `SELECT at FROM told WHERE policy_id = $1 AND subject = $2`, policyID, about).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMicro(at), err
}

// tell writes that a policy told of a subject; the newest time stays.
func tell(ctx context.Context, tx *db.Tx, policyID, about string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO told (policy_id, subject, at) VALUES ($1, $2, $3)
		ON CONFLICT (policy_id, subject) DO UPDATE SET at = CASE WHEN excluded.at > told.at THEN excluded.at ELSE told.at END`, policyID, about, at.UnixMicro())
	return err
}

// targets are the destinations of a policy.
func (s *storing) targets(ctx context.Context, p *Policy) (list []target, err error) {
	for _, w := range p.Mechanisms.Webhooks {
		t, ok := s.hooks[w.ID]
		if !ok {
			if t, err = s.target(ctx, `account_id = $1 AND id = $2 AND kind = 'webhook'`, p.account, w.ID); err != nil {
				return nil, err
			}
			s.hooks[w.ID] = t
		}
		list = append(list, t)
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
	return slices.DeleteFunc(list, func(t target) bool { return t.id == "" }), nil
}

func (s *storing) target(ctx context.Context, where string, args ...any) (t target, err error) {
	err = s.tx.QueryRow(ctx, `SELECT id, name, kind, state, state_why FROM destination WHERE `+where, args...).Scan(&t.id, &t.name, &t.kind, &t.state, &t.why)
	if errors.Is(err, sql.ErrNoRows) {
		return target{}, nil
	}
	return t, err
}

// follow sends an END where its START went, whatever the policies say now.
func (s *storing) follow(ctx context.Context, p *prepared, open *root, e *entry) error {
	if err := s.insertDeliveries(ctx); err != nil { // START's may be of this transaction
		return err
	}
	rows, err := s.tx.Query(ctx, `SELECT d.id, d.policy_id, d.policy_name, d.destination_id, d.kind, d.mechanism, d.state, COALESCE(t.state, 'gone') FROM delivery d LEFT JOIN destination t ON t.id = d.destination_id
		WHERE d.root_key = $1 AND d.event = 'start' AND d.replay_of = '' ORDER BY d.id`, open.key)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var x sending
		if err := rows.Scan(&x.start, &x.policyID, &x.policy, &x.target.id, &x.target.kind, &x.target.name, &x.followed, &x.target.state); err != nil {
			return err
		}
		e.sends = append(e.sends, x)
	}
	for _, c := range open.decision {
		if c.Matched {
			e.decision = append(e.decision, Considered{c.PolicyID, c.Policy, true, "the end goes where the start went"})
		}
	}
	return rows.Err()
}

// shards is how many parts the deliveries are split into, each with one owner.
const shards = 16

func shardOf(destinationID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(destinationID)) // a hash never fails
	return int(h.Sum32() % shards)
}

// deliver makes the deliveries. What cannot be sent is there too, with why.
func (s *storing) deliver(p *prepared, sends []sending) {
	for _, x := range sends {
		it := &item{
			id:          s.n.ids.after(x.start, s.now),
			account:     p.alert.Account,
			alertKey:    p.key,
			rootKey:     p.root,
			correlation: p.alert.Correlation,
			event:       p.alert.Event,
			shard:       shardOf(x.target.id),
			policyID:    x.policyID,
			policy:      x.policy,
			destination: x.target.id,
			kind:        x.target.kind,
			due:         latest(s.now, x.hold),
			created:     s.now,
			heldFor:     x.heldFor,
			alert:       p,
		}
		state, why := stateWaiting, x.why
		switch {
		case x.target.state == destinationDisabled:
			state, why = stateNotSent, "the destination is disabled: "+firstOf(x.target.why, "its receiver is gone")
		case x.target.state == "gone":
			state, why = stateNotSent, "the destination was deleted"
		case x.followed == stateFailed, x.followed == stateNotSent:
			state, why = stateNotSent, "its start did not arrive, so there is nothing to end"
		}
		if state == stateWaiting {
			p.queued = append(p.queued, it)
		}
		s.deliveries = append(s.deliveries, it.row(x.target.name, "", state, why))
	}
}

var deliveryColumns = []string{"id", "account_id", "shard", "alert_key", "root_key", "correlation_id", "event", "policy_id", "policy_name",
	"destination_id", "kind", "mechanism", "replay_of", "state", "why", "attempts", "failures", "next_at", "created_at", "ended_at", "held_for"}

// row is a new delivery in the order of deliveryColumns.
func (it *item) row(mechanism, replayOf, state, why string) []any {
	ended := int64(0)
	if state != stateWaiting {
		ended = it.created.UnixMicro()
	}
	return []any{
		it.id,
		it.account,
		it.shard,
		it.alertKey,
		it.rootKey,
		it.correlation,
		string(it.event),
		it.policyID,
		it.policy,
		it.destination,
		it.kind,
		mechanism,
		replayOf,
		state,
		why,
		0,
		0,
		it.due.UnixMicro(),
		it.created.UnixMicro(),
		ended,
		it.heldFor,
	}
}

func (s *storing) insertDeliveries(ctx context.Context) error {
	rows := s.deliveries
	s.deliveries = nil
	return s.tx.Insert(ctx, "delivery", deliveryColumns, "", rows)
}
