package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

// storeJob stores the alerts of an HTTP request and sets each alert's status; it
// returns after the commit.
func (n *Feature) storeJob(ctx context.Context, job *intakeJob) error {
	if job.weight() == 0 {
		return nil
	}
	stored := n.findPreceding(ctx, job.list)
	defer stored()
	// A caller that has left does not end the lookups before the alerts are stored.
	return n.intake.Do(context.WithoutCancel(ctx), job)
}

// storeJobs is the writer's flush: one transaction for all jobs.
func (n *Feature) storeJobs(ctx context.Context, jobs []*intakeJob) error {
	var list []*prepared
	var rejects []event.Reject
	for _, j := range jobs {
		list = append(list, j.list...)
		rejects = append(rejects, j.rejects...)
	}
	return n.storeAlerts(ctx, list, rejects, nil)
}

// storeAlerts stores alerts in their order, with their decisions and deliveries;
// first runs in the same transaction before them. The deliveries are offered to the
// queue after the commit.
func (n *Feature) storeAlerts(
	ctx context.Context, list []*prepared, rejects []event.Reject, first func(context.Context, *db.Tx) error,
) error {
	policies, err := n.policiesFor(ctx, list)
	if err != nil {
		return err
	}
	err = n.DB.Tx(ctx, func(tx *db.Tx) error {
		s := n.newStoring(tx)
		s.policies = policies
		if first != nil {
			if err := first(ctx, tx); err != nil {
				return err
			}
		}
		if err := s.begin(ctx, list); err != nil {
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
			p.root = nil
			p.crossed = false
			if err := s.one(ctx, p); err != nil {
				return err
			}
			if p.crossed && p.source != nil {
				back = append(back, n.reject(p, "kafka", p.raw, p.source))
			}
		}
		if err := s.flush(ctx); err != nil {
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
	var queued []*delivery.Item
	for _, p := range list {
		if p.status == ingest.Accepted {
			queued = append(queued, p.queued...)
		}
	}
	n.queue.Offer(queued)
	return nil
}

// policiesFor reads the policies of the accounts, and resolves the zones that they
// name, before the transaction: zones are in another feature's database.
func (n *Feature) policiesFor(ctx context.Context, list []*prepared) (map[string]cachedPolicies, error) {
	found := map[string]cachedPolicies{}
	for _, p := range list {
		account := p.alert.Account
		if _, ok := found[account]; ok || p.status == ingest.Rejected {
			continue
		}
		policies, err := n.policies(ctx, account)
		if err != nil {
			return nil, err
		}
		for i := range policies.list {
			if err := n.resolveZones(ctx, &policies.list[i]); err != nil {
				return nil, err
			}
			n.resolveRules(ctx, &policies.list[i])
		}
		for i := range policies.silences {
			if err := n.resolveZones(ctx, &policies.silences[i].match); err != nil {
				return nil, err
			}
		}
		found[account] = policies
	}
	return found, nil
}

// target is the part of a destination that a new delivery needs.
type target struct {
	id, name, kind, typ, state, why string
}

// storing is the state of one transaction; its caches are discarded with it. What an
// alert writes is gathered and written for many alerts at once, before a statement that
// may read it.
type storing struct {
	n          *Feature
	tx         *db.Tx
	now        time.Time
	policies   map[string]cachedPolicies
	stored     map[alertName]storedAlert    // known ids
	incidents  map[incidentKey]*openedBy    // locked
	openings   map[incidentKey]*opening     // of the incidents, as they were before the transaction
	starts     map[string][]delivery.Stored // of openings whose ends are in the batch, by key
	mails      map[[2]string]target         // by account and address
	hooks      map[string]target            // by id
	byID       map[string]target            // of earlier deliveries
	alertRows  [][]any                      // to be inserted, in the order of alertColumns
	deliveries []*delivery.Item             // to be inserted
	digested   [][]any                      // alerts that wait for a digest, in the order of digestItemColumns
	escalated  [][]any                      // steps to come, in the order of escalationColumns
	endings    [][]any                      // of alerts that have ended, in the order of endingColumns
	decided    map[string]*decided          // by account and attributes
	touched    map[incidentKey]bool         // alerts of the transaction belong to them
	events     []alertEvent                 // for the audit log
}

// alertName identifies an alert for its sender.
type alertName struct {
	account, id string
	own         bool
}

func (p *prepared) name() alertName { return alertName{p.alert.Account, p.alert.ID, p.own()} }

type storedAlert struct {
	digest       []byte
	key, rootKey string
}

// newStoring begins the state of a transaction.
func (n *Feature) newStoring(tx *db.Tx) *storing {
	return &storing{
		n:         n,
		tx:        tx,
		now:       n.Now(),
		stored:    map[alertName]storedAlert{},
		incidents: map[incidentKey]*openedBy{},
		openings:  map[incidentKey]*opening{},
		starts:    map[string][]delivery.Stored{},
		decided:   map[string]*decided{},
		touched:   map[incidentKey]bool{},
		mails:     map[[2]string]target{},
		hooks:     map[string]target{},
		byID:      map[string]target{},
	}
}

// begin locks the incidents of a batch, and reads which of its alerts are known.
func (s *storing) begin(ctx context.Context, list []*prepared) error {
	if err := s.lock(ctx, list); err != nil {
		return err
	}
	if err := s.readKnown(ctx, list); err != nil {
		return err
	}
	if err := s.readOpenings(ctx); err != nil {
		return err
	}
	return s.readStarts(ctx, list)
}

// readKnown reads which alerts are stored already.
func (s *storing) readKnown(ctx context.Context, list []*prepared) error {
	var rows [][]any
	for _, p := range list {
		if p.status != ingest.Rejected {
			rows = append(rows, []any{p.alert.Account, p.alert.ID, p.own()})
		}
	}
	return s.tx.Join(ctx, []string{"account_id", "id", "own"}, rows,
		`SELECT a.account_id, a.id, a.own, a.digest, a.alert_key, a.root_key FROM input CROSS JOIN alert a
		WHERE a.account_id = input.account_id AND a.id = input.id AND a.own = input.own`, func(row db.Row) error {
			var name alertName
			var a storedAlert
			err := row.Scan(&name.account, &name.id, &name.own, &a.digest, &a.key, &a.rootKey)
			s.stored[name] = a
			return err
		})
}

// flush writes what was gathered.
func (s *storing) flush(ctx context.Context) error {
	rows := s.alertRows
	s.alertRows = nil
	if err := s.tx.Insert(ctx, "alert", alertColumns, "", rows); err != nil {
		return err
	}
	if err := s.writeEndings(ctx); err != nil {
		return err
	}
	if err := s.writeRules(ctx); err != nil {
		return err
	}
	list := s.deliveries
	s.deliveries = nil
	if err := s.n.queue.Insert(ctx, s.tx, list); err != nil {
		return err
	}
	return s.writeIncidents(ctx)
}

// one stores an alert, its decision, and its deliveries.
func (s *storing) one(ctx context.Context, p *prepared) error {
	if s.known(p) {
		return nil
	}
	p.key = s.n.ids.next(s.now)
	p.rootKey = p.key
	e, err := s.place(ctx, p)
	if err != nil || e == nil {
		return err
	}
	if err := s.insertAlert(p, e); err != nil {
		return err
	}
	s.deliver(p, e.sends)
	s.collect(p, e)
	return nil
}

// own reports whether Belfry itself raises alerts of this type. Their ids and
// correlation ids can be guessed, so they have a namespace of their own: a team's
// alert must neither replace one nor open its incident.
func (p *prepared) own() bool { return p.kind != nil && p.kind.Team == "" }

// known reports whether the id is stored already, and sets the alert's status.
func (s *storing) known(p *prepared) bool {
	a, known := s.stored[p.name()]
	if !known {
		return false
	}
	p.key = a.key
	p.rootKey = a.rootKey
	p.status = ingest.Duplicate
	if !bytes.Equal(a.digest, p.digest) {
		p.status = ingest.Conflict
		p.faults = conflictOf(p)
	}
	return true
}

// foreignCorrelation rejects an alert whose correlation id belongs to an open alert
// of another type: only the sender of a start may end it.
func (p *prepared) foreignCorrelation(kind string) {
	p.status = ingest.Conflict
	p.crossed = true
	p.faults = errs.List{errs.At(errs.CodeEventConflict, "/correlation_id",
		"an alert of the type %s is open under this correlation_id; the alerts of one incident have one type", kind)}
}

func conflictOf(p *prepared) errs.List {
	return errs.List{errs.At(errs.CodeEventConflict, "/id",
		"another alert has the id %s already; it stays as it is", quoted(p.alert.ID))}
}

// title is the alert in one sentence.
func (p *prepared) title() string { return alertTitle(&p.alert, p.kind.Title, few(namesOf(p.zones))) }

// subjectTitle returns the title of what the alert is about.
func (p *prepared) subjectTitle() string {
	return subjectTitle(p.alert.Resource, p.kind.Title, p.title())
}

func alertTitle(a *event.Alert, kind, zone string) string {
	if a.Summary != "" {
		return a.Summary
	}
	about := zone
	if a.Resource != nil {
		about = cmp.Or(a.Resource.Name, a.Resource.ID)
	}
	if about == "" {
		return cmp.Or(kind, a.Type)
	}
	return cmp.Or(kind, a.Type) + ": " + about
}

// The states of alerts.
const (
	stateFiring   = "firing"
	stateEnded    = "ended"
	stateNotice   = "notice"
	stateFollowUp = "part"
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
	"acked_at",
	"acked_by",
	"submitted_by",
	"own",
}

func (s *storing) insertAlert(p *prepared, e *entry) error {
	a := &p.alert
	considered := e.encoded
	if considered == nil {
		var err error
		if considered, err = json.Marshal(e.decision); err != nil {
			return err
		}
	}
	ended := int64(0)
	if !e.ended.IsZero() {
		ended = e.ended.UnixMicro()
	}
	state := "none"
	changes := &foundChanges{}
	if p.rootKey == p.key && a.Event != event.AlertEnd {
		switch {
		case p.changes != nil:
			state = "found"
			changes = p.changes
		case s.n.Changes != nil:
			state = "pending"
		}
	}
	listed, err := changes.encode()
	if err != nil {
		return err
	}
	s.touched[p.incident()] = true
	s.stored[p.name()] = storedAlert{digest: p.digest, key: p.key, rootKey: p.rootKey}
	s.alertRows = append(s.alertRows, []any{
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
		listed,
		changes.more,
		state,
		0,
		"",
		p.by,
		p.own(),
	})
	return nil
}

// enqueueRejects returns rejected alerts to their teams, in the transaction.
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
