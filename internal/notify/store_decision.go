package notify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// sending is a delivery to be: which policy sends where.
type sending struct {
	policyID, policy string
	target           target
	start, followed  string // id and state of START's delivery; "" for a START
}

// subjectOf is what policies look at.
func (p *prepared) subject() *subject {
	a := &p.alert
	s := &subject{kind: a.Type, severity: a.Severity, zone: p.zone, zoneRef: a.Zone, filters: a.Filters}
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

// decide asks every policy of the alert's type.
func (s *storing) decide(ctx context.Context, p *prepared) (list []Considered, sends []sending, unmatched string, err error) {
	about := p.subject()
	for i := range s.policies[p.alert.Account] {
		policy := &s.policies[p.alert.Account][i]
		if policy.AlertType != p.alert.Type {
			continue
		}
		var last time.Time
		if policy.AlertInterval != "" {
			if last, err = s.told(ctx, policy.ID, about.about); err != nil {
				return nil, nil, "", err
			}
		}
		matched, why := decide(policy, about, last, p.at)
		list = append(list, Considered{policy.ID, policy.Name, matched, why})
		if !matched {
			continue
		}
		if policy.AlertInterval != "" {
			if err := s.tell(ctx, policy.ID, about.about, p.at); err != nil {
				return nil, nil, "", err
			}
		}
		for _, t := range s.targets(ctx, policy, &err) {
			sends = append(sends, sending{policyID: policy.ID, policy: policy.Name, target: t})
		}
		if err != nil {
			return nil, nil, "", err
		}
	}
	switch {
	case len(list) == 0:
		unmatched = fmt.Sprintf("the account has no policy for alerts of the type %s", p.alert.Type)
	case !slices.ContainsFunc(list, func(c Considered) bool { return c.Matched }):
		unmatched = fmt.Sprintf("no policy matched: %s %s", quoted(list[0].Policy), list[0].Why)
		if len(list) > 1 {
			unmatched = fmt.Sprintf("none of %d policies matched", len(list))
		}
	}
	return list, sends, unmatched, nil
}

func (s *storing) told(ctx context.Context, policyID, about string) (time.Time, error) {
	var at int64
	err := s.tx.QueryRow(ctx, `SELECT at FROM told WHERE policy_id = $1 AND subject = $2`, policyID, about).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMicro(at), err
}

func (s *storing) tell(ctx context.Context, policyID, about string, at time.Time) error {
	_, err := s.tx.Exec(ctx, `INSERT INTO told (policy_id, subject, at) VALUES ($1, $2, $3) ON CONFLICT (policy_id, subject) DO UPDATE SET at = excluded.at`, policyID, about, at.UnixMicro())
	return err
}

// targets are the destinations of a policy.
func (s *storing) targets(ctx context.Context, p *Policy, failed *error) (list []target) {
	for _, w := range p.Mechanisms.Webhooks {
		t, ok := s.hooks[w.ID]
		if !ok {
			if t, *failed = s.target(ctx, `account_id = $1 AND id = $2 AND kind = 'webhook'`, p.account, w.ID); *failed != nil {
				return nil
			}
			s.hooks[w.ID] = t
		}
		list = append(list, t)
	}
	for _, e := range p.Mechanisms.Email {
		key := [2]string{p.account, e.ID}
		t, ok := s.mails[key]
		if !ok {
			if t, *failed = s.target(ctx, `account_id = $1 AND address = $2 AND kind = 'email'`, p.account, e.ID); *failed != nil {
				return nil
			}
			s.mails[key] = t
		}
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t target) bool { return t.id == "" })
}

func (s *storing) target(ctx context.Context, where string, args ...any) (t target, err error) {
	err = s.tx.QueryRow(ctx, `SELECT id, name, kind, state, state_why FROM destination WHERE `+where, args...).Scan(&t.id, &t.name, &t.kind, &t.state, &t.why)
	if errors.Is(err, sql.ErrNoRows) {
		return target{}, nil
	}
	return t, err
}

// follow sends an END where its START went, whatever the policies say now.
func (s *storing) follow(ctx context.Context, p *prepared, open *root) (list []Considered, sends []sending, err error) {
	if err := s.insertDeliveries(ctx); err != nil { // START's may be of this transaction
		return nil, nil, err
	}
	rows, err := s.tx.Query(ctx, `SELECT d.id, d.policy_id, d.policy_name, d.destination_id, d.kind, d.mechanism, d.state, COALESCE(t.state, 'gone') FROM delivery d LEFT JOIN destination t ON t.id = d.destination_id
		WHERE d.root_key = $1 AND d.event = 'start' AND d.replay_of = '' ORDER BY d.id`, open.key)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x sending
		if err := rows.Scan(&x.start, &x.policyID, &x.policy, &x.target.id, &x.target.kind, &x.target.name, &x.followed, &x.target.state); err != nil {
			return nil, nil, err
		}
		sends = append(sends, x)
	}
	for _, c := range open.decision {
		if c.Matched {
			list = append(list, Considered{c.PolicyID, c.Policy, true, "the end goes where the start went"})
		}
	}
	return list, sends, rows.Err()
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
		s.last = idAfter(max(s.last, x.start), s.now)
		it := &item{id: s.last, account: p.alert.Account, shard: shardOf(x.target.id), alertKey: p.key, rootKey: p.root, correlation: p.alert.Correlation,
			event: p.alert.Event, policyID: x.policyID, policy: x.policy, destination: x.target.id, kind: x.target.kind, due: s.now, created: s.now, alert: p}
		state, why := stateWaiting, ""
		switch {
		case x.target.state == destinationDisabled:
			state, why = stateNotSent, "the destination is disabled: "+firstOf(x.target.why, "its receiver is gone")
		case x.target.state == "gone":
			state, why = stateNotSent, "the destination was deleted"
		case x.followed == stateFailed, x.followed == stateNotSent:
			state, why = stateNotSent, "its start did not arrive, so there is nothing to end"
		}
		ended := int64(0)
		if state != stateWaiting {
			ended = s.now.UnixMicro()
		} else {
			p.queued = append(p.queued, it)
		}
		s.deliveries = append(s.deliveries, []any{it.id, it.account, it.shard, it.alertKey, it.rootKey, it.correlation, string(it.event), it.policyID, it.policy,
			it.destination, it.kind, x.target.name, "", state, why, 0, 0, s.now.UnixMicro(), s.now.UnixMicro(), ended})
	}
}

// idAfter makes an id for now that sorts behind another one: deliveries of one
// lane are read in the order of their ids, and an END may come within the
// millisecond of its START.
func idAfter(other string, now time.Time) string {
	for {
		if made := id.At(now); made > other {
			return made
		}
		now = now.Add(time.Millisecond)
	}
}

var deliveryColumns = []string{"id", "account_id", "shard", "alert_key", "root_key", "correlation_id", "event", "policy_id", "policy_name",
	"destination_id", "kind", "mechanism", "replay_of", "state", "why", "attempts", "failures", "next_at", "created_at", "ended_at"}

func (s *storing) insertDeliveries(ctx context.Context) error {
	rows := s.deliveries
	s.deliveries = nil
	return s.tx.Insert(ctx, "delivery", deliveryColumns, "", rows)
}
