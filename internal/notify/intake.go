package notify

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// intakeJob is what one request hands in; the writer gathers many of them.
type intakeJob struct {
	list    []*prepared
	rejects []event.Reject
}

func (j *intakeJob) weight() int { return len(j.list) + len(j.rejects) }

// Send stores alerts that an HTTP request handed in; it returns after the
// commit, with each alert's status in it.
func (n *Notify) send(ctx context.Context, job *intakeJob) error {
	if job.weight() == 0 {
		return nil
	}
	return n.intake.Do(ctx, job)
}

// storeJobs is the writer's flush: one transaction for all jobs.
func (n *Notify) storeJobs(ctx context.Context, jobs []*intakeJob) error {
	var list []*prepared
	var rejects []event.Reject
	for _, j := range jobs {
		list, rejects = append(list, j.list...), append(rejects, j.rejects...)
	}
	return n.storeAlerts(ctx, list, rejects, nil)
}

// storeAlerts stores alerts in their order, with the decision on each and the
// deliveries that follow; beside is what else belongs into the transaction.
// What was queued is handed to the queue after the commit.
func (n *Notify) storeAlerts(ctx context.Context, list []*prepared, rejects []event.Reject, beside func(context.Context, *db.Tx) error) error {
	policies, err := n.policiesFor(ctx, list)
	if err != nil {
		return err
	}
	err = n.DB.Tx(ctx, func(tx *db.Tx) error {
		s := &storing{n: n, tx: tx, now: n.Now(), policies: policies, mails: map[[2]string]target{}, hooks: map[string]target{}}
		if beside != nil {
			if err := beside(ctx, tx); err != nil {
				return err
			}
		}
		if err := s.lock(ctx, list); err != nil {
			return err
		}
		for _, p := range list {
			if p.status == Rejected {
				continue
			}
			p.status, p.faults, p.queued = Accepted, nil, nil
			if err := s.one(ctx, p); err != nil {
				return err
			}
		}
		if err := s.insertDeliveries(ctx); err != nil {
			return err
		}
		return enqueueRejects(ctx, tx, rejects)
	})
	if err != nil {
		return err
	}
	n.Wake()
	n.metrics.stored(list)
	var queued []*item
	for _, p := range list {
		if p.status == Accepted {
			queued = append(queued, p.queued...)
		}
	}
	n.queue.offer(queued)
	return nil
}

// policiesFor reads the policies of the accounts, and resolves the zones that
// they name, before the transaction: other features answer that.
func (n *Notify) policiesFor(ctx context.Context, list []*prepared) (map[string][]Policy, error) {
	found := map[string][]Policy{}
	for _, p := range list {
		account := p.alert.Account
		if _, ok := found[account]; ok || p.status == Rejected {
			continue
		}
		policies, err := n.Policies(ctx, account)
		if err != nil {
			return nil, err
		}
		for i := range policies {
			if err := n.resolveZones(ctx, &policies[i]); err != nil {
				return nil, err
			}
		}
		found[account] = policies
	}
	return found, nil
}

// target is a destination as far as a new delivery needs it.
type target struct {
	id, name, kind, state, why string
}

// storing is one transaction. Its maps live as long.
type storing struct {
	n          *Notify
	tx         *db.Tx
	now        time.Time
	policies   map[string][]Policy
	mails      map[[2]string]target // by account and address
	hooks      map[string]target    // by id
	deliveries [][]any
	last       string // id of the newest delivery: they sort as they were decided
}

// lock takes the rows of all causes in one order, so that two transactions do
// not wait for each other, and whoever comes second sees what the first did.
func (s *storing) lock(ctx context.Context, list []*prepared) error {
	type cause struct{ account, correlation string }
	var causes []cause
	for _, p := range list {
		if p.status != Rejected && p.alert.Event != event.AlertNotice {
			causes = append(causes, cause{p.alert.Account, p.alert.Correlation})
		}
	}
	slices.SortFunc(causes, func(a, b cause) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.correlation, b.correlation))
	})
	for _, c := range slices.Compact(causes) {
		_, err := s.tx.Exec(ctx, `INSERT INTO cause (account_id, correlation_id, open_key) VALUES ($1, $2, '') ON CONFLICT (account_id, correlation_id) DO UPDATE SET open_key = cause.open_key`, c.account, c.correlation)
		if err != nil {
			return err
		}
	}
	return nil
}

// root is the alert that opened a cause, as far as what follows needs it.
type root struct {
	key, id, summary string
	at, began        time.Time
	decision         []Considered
}

// one stores an alert, its decision, and its deliveries.
func (s *storing) one(ctx context.Context, p *prepared) error {
	a := &p.alert
	known, err := s.known(ctx, p)
	if err != nil || known {
		return err
	}
	p.key = id.At(s.now)
	var open *root
	if a.Event != event.AlertNotice {
		if open, err = s.open(ctx, a.Account, a.Correlation); err != nil {
			return err
		}
	}
	p.root = p.key
	state, unmatched := stateNotice, ""
	var decision []Considered
	var sends []sending
	switch {
	case a.Event == event.AlertStart && open != nil:
		p.root, state = open.key, statePart
		unmatched = "a repeat: this has been firing since " + formatTime(open.at) + ", and nobody is told twice"
	case a.Event == event.AlertEnd && open != nil:
		p.root, state = open.key, statePart
		if decision, sends, err = s.follow(ctx, p, open); err != nil {
			return err
		}
		if len(sends) == 0 {
			unmatched = "nobody was told of its start"
		}
	case a.Event == event.AlertEnd:
		state, unmatched = stateEnded, "an end without a start: there was nothing open that it could end"
	default:
		if a.Event == event.AlertStart {
			state = stateFiring
		}
		if decision, sends, unmatched, err = s.decide(ctx, p); err != nil {
			return err
		}
	}
	if err := s.insertAlert(ctx, p, state, decision, unmatched); err != nil {
		return err
	}
	if err := s.move(ctx, p, open); err != nil {
		return err
	}
	s.deliver(p, sends)
	return nil
}

// known reports whether the id is there already, and then with which content.
func (s *storing) known(ctx context.Context, p *prepared) (bool, error) {
	var digest []byte
	err := s.tx.QueryRow(ctx, `SELECT digest, alert_key, root_key FROM alert WHERE account_id = $1 AND id = $2`, p.alert.Account, p.alert.ID).Scan(&digest, &p.key, &p.root)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case bytes.Equal(digest, p.digest):
		p.status = Duplicate
	default:
		p.status = Conflict
		p.faults = conflictOf(p)
	}
	return true, nil
}

func conflictOf(p *prepared) errs.List {
	return errs.List{errs.At(errs.CodeEventConflict, "/id", "an alert with the id %s is there already, with other content; it stays as it is", quoted(p.alert.ID))}
}

func (s *storing) open(ctx context.Context, accountID, correlation string) (*root, error) {
	r := &root{}
	var at, began int64
	var decision []byte
	err := s.tx.QueryRow(ctx, `SELECT a.alert_key, a.id, a.summary, a.occurred_at, a.began_at, a.decision FROM cause c JOIN alert a ON a.alert_key = c.open_key WHERE c.account_id = $1 AND c.correlation_id = $2`,
		accountID, correlation).Scan(&r.key, &r.id, &r.summary, &at, &began, &decision)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.at, r.began = time.UnixMicro(at).UTC(), time.UnixMicro(began).UTC()
	return r, json.Unmarshal(decision, &r.decision)
}

// move opens or ends the cause, and records it.
func (s *storing) move(ctx context.Context, p *prepared, open *root) error {
	a := &p.alert
	to := ""
	switch {
	case a.Event == event.AlertStart && open == nil:
		to = p.key
	case a.Event == event.AlertEnd && open != nil:
		if _, err := s.tx.Exec(ctx, `UPDATE alert SET state = $2, ended_at = $3 WHERE alert_key = $1`, open.key, stateEnded, max(p.at.UnixMicro(), open.at.UnixMicro())); err != nil {
			return err
		}
	default:
		return nil
	}
	if _, err := s.tx.Exec(ctx, `UPDATE cause SET open_key = $3 WHERE account_id = $1 AND correlation_id = $2`, a.Account, a.Correlation, to); err != nil {
		return err
	}
	if open != nil {
		return s.n.recordAlert(ctx, s.tx, a.Account, "end", open.id, firstOf(open.summary, p.title()), p.zone.ID, p.at, map[string]any{"alert_type": a.Type, "correlation_id": a.Correlation})
	}
	return s.n.recordAlert(ctx, s.tx, a.Account, "start", a.ID, p.title(), p.zone.ID, p.at, map[string]any{"alert_type": a.Type, "correlation_id": a.Correlation, "severity": a.Severity})
}

// title is the alert in one sentence.
func (p *prepared) title() string { return title(&p.alert, p.kind.Title, p.zone.Name) }

func title(a *event.Alert, kind, zone string) string {
	if a.Summary != "" {
		return a.Summary
	}
	about := zone
	if a.Resource != nil {
		about = firstOf(a.Resource.Name, a.Resource.ID)
	}
	if about == "" {
		return firstOf(kind, a.Type)
	}
	return firstOf(kind, a.Type) + ": " + about
}

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

// The states of alerts.
const (
	stateFiring = "firing"
	stateEnded  = "ended"
	stateNotice = "notice"
	statePart   = "part"
)

// The states of deliveries.
const (
	stateWaiting    = "waiting"
	stateDelivered  = "delivered"
	stateFailed     = "failed"
	stateSuperseded = "superseded"
	stateNotSent    = "not_sent"
	stateKept       = "kept"
)

var alertColumns = []string{"alert_key", "account_id", "id", "root_key", "type", "event", "state", "correlation_id", "severity", "summary", "zone_id", "zone_name", "environment",
	"occurred_at", "began_at", "received_at", "ended_at", "digest", "content", "decision", "unmatched", "changes", "changes_more", "changes_state", "told_at", "acked_at", "acked_by", "submitted_by"}

func (s *storing) insertAlert(ctx context.Context, p *prepared, state string, decision []Considered, unmatched string) error {
	a := &p.alert
	considered, err := json.Marshal(decision)
	if err != nil {
		return err
	}
	ended := int64(0)
	if state == stateEnded {
		ended = p.at.UnixMicro()
	}
	changes := "none"
	if s.n.Changes != nil && p.root == p.key && a.Event != event.AlertEnd {
		changes = "pending"
	}
	return s.tx.Insert(ctx, "alert", alertColumns, "", [][]any{{p.key, a.Account, a.ID, p.root, a.Type, string(a.Event), state, a.Correlation, a.Severity, p.title(), p.zone.ID, p.zone.Name, p.zone.Environment,
		p.at.UnixMicro(), p.began.UnixMicro(), s.now.UnixMicro(), ended, p.digest, p.content, considered, unmatched, []byte("[]"), 0, changes, 0, 0, "", p.by}})
}

// enqueueRejects sends refused alerts back to their team, in the transaction.
func enqueueRejects(ctx context.Context, tx *db.Tx, list []event.Reject) error {
	msgs := make([]bus.Message, len(list))
	for i, r := range list {
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditRejects, Key: []byte(firstOf(r.Producer, r.Account)), Value: value}
	}
	return bus.Enqueue(ctx, tx, msgs...)
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
