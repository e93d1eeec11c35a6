package notify

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// intakeJob holds the alerts of one request; the writer commits many jobs together.
type intakeJob struct {
	list    []*prepared
	rejects []event.Reject
}

func (j *intakeJob) weight() int { return len(j.list) + len(j.rejects) }

// storeJob stores alerts that an HTTP request handed in; it returns after the
// commit, with each alert's status in it.
func (n *Feature) storeJob(ctx context.Context, job *intakeJob) error {
	if job.weight() == 0 {
		return nil
	}
	return n.intake.Do(ctx, job)
}

// storeJobs is the writer's flush: one transaction for all jobs.
func (n *Feature) storeJobs(ctx context.Context, jobs []*intakeJob) error {
	var list []*prepared
	var rejects []event.Reject
	for _, j := range jobs {
		list, rejects = append(list, j.list...), append(rejects, j.rejects...)
	}
	return n.storeAlerts(ctx, list, rejects, nil)
}

// storeAlerts stores alerts in their order, with the decision on each and the
// deliveries that follow; beside adds further work to the transaction. The deliveries
// are offered to the queue after the commit.
func (n *Feature) storeAlerts(
	ctx context.Context, list []*prepared, rejects []event.Reject, beside func(context.Context, *db.Tx) error,
) error {
	policies, err := n.policiesFor(ctx, list)
	if err != nil {
		return err
	}
	err = n.DB.Tx(ctx, func(tx *db.Tx) error {
		s := n.newStoring(tx)
		s.policies = policies
		if beside != nil {
			if err := beside(ctx, tx); err != nil {
				return err
			}
		}
		if err := s.lock(ctx, list); err != nil {
			return err
		}
		back := slices.Clone(rejects)
		for _, p := range list {
			if p.status == ingest.Rejected {
				continue
			}
			p.status = ingest.Accepted
			p.faults = nil
			p.queued = nil
			p.crossed = false
			if err := s.one(ctx, p); err != nil {
				return err
			}
			if p.crossed && p.source != nil {
				back = append(back, n.reject(p, "kafka", p.raw, p.source))
			}
		}
		if err := s.insertDeliveries(ctx); err != nil {
			return err
		}
		if err := enqueueRejects(ctx, tx, back); err != nil {
			return err
		}
		_, err := n.recordAlerts(ctx, tx, s.events)
		return err
	})
	if err != nil {
		return err
	}
	n.Wake()
	n.metrics.stored(list)
	shareChanges(list)
	var queued []*delivery.Item
	for _, p := range list {
		if p.status == ingest.Accepted {
			queued = append(queued, p.queued...)
		}
	}
	n.queue.Offer(queued)
	return nil
}

// policiesFor reads the policies of the accounts, and resolves the zones that
// they name, before the transaction: other features answer that.
func (n *Feature) policiesFor(ctx context.Context, list []*prepared) (map[string][]Policy, error) {
	found := map[string][]Policy{}
	for _, p := range list {
		account := p.alert.Account
		if _, ok := found[account]; ok || p.status == ingest.Rejected {
			continue
		}
		policies, err := n.policies(ctx, account)
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

// storing is the state of one transaction; its caches are discarded with it.
type storing struct {
	n          *Feature
	tx         *db.Tx
	now        time.Time
	policies   map[string][]Policy
	mails      map[[2]string]target // by account and address
	hooks      map[string]target    // by id
	byID       map[string]target    // of earlier deliveries
	deliveries []*delivery.Item     // to be inserted
	events     []alertEvent         // for the audit log
}

// newStoring begins the state of a transaction.
func (n *Feature) newStoring(tx *db.Tx) *storing {
	return &storing{
		n:     n,
		tx:    tx,
		now:   n.Now(),
		mails: map[[2]string]target{},
		hooks: map[string]target{},
		byID:  map[string]target{},
	}
}

// lock locks the rows of all incidents in one order, so that two transactions do
// not deadlock, and the second one sees the changes of the first.
func (s *storing) lock(ctx context.Context, list []*prepared) error {
	type causeKey struct {
		account, correlation string
		own                  bool
	}
	var causes []causeKey
	for _, p := range list {
		if p.status != ingest.Rejected && p.alert.Event != event.AlertNotice {
			causes = append(causes, causeKey{p.alert.Account, p.alert.Correlation, p.own()})
		}
	}
	slices.SortFunc(causes, func(a, b causeKey) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.correlation, b.correlation),
			compareBools(a.own, b.own))
	})
	for _, c := range slices.Compact(causes) {
		_, err := s.tx.Exec(ctx, `INSERT INTO cause (account_id, correlation_id, own, open_key, last_key, started_at)
			VALUES ($1, $2, $3, '', '', 0)
			ON CONFLICT (account_id, correlation_id, own) DO UPDATE SET open_key = cause.open_key`,
			c.account, c.correlation, c.own)
		if err != nil {
			return err
		}
	}
	return nil
}

// compareBools orders false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// one stores an alert, its decision, and its deliveries.
func (s *storing) one(ctx context.Context, p *prepared) error {
	known, err := s.known(ctx, p)
	if err != nil || known {
		return err
	}
	p.key = s.n.ids.next(s.now)
	p.rootKey = p.key
	e, err := s.place(ctx, p)
	if err != nil || e == nil {
		return err
	}
	if err := s.insertAlert(ctx, p, e); err != nil {
		return err
	}
	s.deliver(p, e.sends)
	return nil
}

// own reports whether Belfry itself raises alerts of this type. Such alerts have
// ids and correlation ids of their own: those can be computed by others, and a
// team's alert must neither take the place of one nor open its cause.
func (p *prepared) own() bool { return p.kind != nil && p.kind.Team == "" }

// known reports whether the id is there already, and then with which content.
func (s *storing) known(ctx context.Context, p *prepared) (bool, error) {
	var digest []byte
	err := s.tx.QueryRow(ctx, `SELECT digest, alert_key, root_key FROM alert
		WHERE account_id = $1 AND id = $2 AND own = $3`,

		p.alert.Account, p.alert.ID, p.own()).Scan(&digest, &p.key, &p.rootKey)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case bytes.Equal(digest, p.digest):
		p.status = ingest.Duplicate
	default:
		p.status = ingest.Conflict
		p.faults = conflictOf(p)
	}
	return true, nil
}

// foreignCorrelation refuses an alert that would follow an open alert of another
// type: an end by anybody else than who reported the start would be false.
func (p *prepared) foreignCorrelation(kind string) {
	p.status, p.crossed = ingest.Conflict, true
	p.faults = errs.List{errs.At(errs.CodeEventConflict, "/correlation_id",
		"an alert of the type %s is open under this correlation_id; the alerts of one cause have one type", kind)}
}

func conflictOf(p *prepared) errs.List {
	return errs.List{errs.At(errs.CodeEventConflict, "/id",
		"an alert with the id %s is there already, with other content; it stays as it is", quoted(p.alert.ID))}
}

// title is the alert in one sentence.
func (p *prepared) title() string { return alertTitle(&p.alert, p.kind.Title, few(namesOf(p.zones))) }

// thing returns the title of the object that the alert concerns.
func (p *prepared) thing() string { return thing(p.alert.Resource, p.kind.Title, p.title()) }

func alertTitle(a *event.Alert, kind, zone string) string {
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

// The states of alerts.
const (
	stateFiring = "firing"
	stateEnded  = "ended"
	stateNotice = "notice"
	statePart   = "part"
)

var alertColumns = []string{
	"alert_key",
	"account_id",
	"id",
	"root_key",
	"type",
	"event",
	"state",
	"correlation_id",
	"severity",
	"summary",
	"zone_id",
	"zone_name",
	"environment",
	"occurred_at",
	"began_at",
	"received_at",
	"ended_at",
	"digest",
	"content",
	"decision",
	"unmatched",
	"changes",
	"changes_more",
	"changes_state",
	"told_at",
	"acked_at",
	"acked_by",
	"submitted_by",
	"own",
}

func (s *storing) insertAlert(ctx context.Context, p *prepared, e *entry) error {
	a := &p.alert
	considered, err := json.Marshal(e.decision)
	if err != nil {
		return err
	}
	ended := int64(0)
	if !e.ended.IsZero() {
		ended = e.ended.UnixMicro()
	}
	changes := "none"
	if s.n.Changes != nil && p.rootKey == p.key && a.Event != event.AlertEnd {
		changes = "pending"
	}
	return s.tx.Insert(ctx, "alert", alertColumns, "", [][]any{{
		p.key,
		a.Account,
		a.ID,
		p.rootKey,
		a.Type,
		string(a.Event),
		e.state,
		a.Correlation,
		a.Severity,
		p.title(),
		p.zone.ID,
		p.zone.Name,
		p.zone.Environment,
		p.at.UnixMicro(),
		p.began.UnixMicro(),
		s.now.UnixMicro(),
		ended,
		p.digest,
		p.content,
		considered,
		e.unmatched,
		[]byte("[]"),
		0,
		changes,
		0,
		0,
		"",
		p.by,
		p.own(),
	}})
}

// enqueueRejects sends refused alerts back to their team, in the transaction.
func enqueueRejects(ctx context.Context, tx *db.Tx, list []event.Reject) error {
	msgs := make([]bus.Message, len(list))
	for i, r := range list {
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditRejects, Key: []byte(r.Key()), Value: value}
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
