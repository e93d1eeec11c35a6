package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// The rows of incidents, and of the alerts that opened them, are read and written for
// all alerts of a transaction at once. An incident to which the transaction has added
// an alert is read again, after what was gathered is written.

// incidentKey identifies the alerts of one correlation id.
type incidentKey struct {
	account, correlation string
	own                  bool
}

func (p *prepared) incident() incidentKey {
	return incidentKey{p.alert.Account, p.alert.Correlation, p.own()}
}

// lock locks the rows of all incidents in one order, so that two transactions do
// not deadlock, and the second one sees the changes of the first.
func (s *storing) lock(ctx context.Context, list []*prepared) error {
	var incidents []incidentKey
	for _, p := range list {
		if p.status != ingest.Rejected && p.alert.Event != event.AlertNotice {
			incidents = append(incidents, p.incident())
		}
	}
	slices.SortFunc(incidents, func(a, b incidentKey) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.correlation, b.correlation),
			compareBools(a.own, b.own))
	})
	var rows [][]any
	for _, c := range slices.Compact(incidents) {
		rows = append(rows, []any{c.account, c.correlation, c.own})
	}
	return s.tx.Join(ctx, []string{"account_id", "correlation_id", "own"}, rows,
		`INSERT INTO cause (account_id, correlation_id, own, open_key, last_key, started_at)
		SELECT account_id, correlation_id, own, '', '', 0 FROM input WHERE TRUE ORDER BY account_id, correlation_id, own
		ON CONFLICT (account_id, correlation_id, own) DO UPDATE SET open_key = cause.open_key
		RETURNING account_id, correlation_id, own, open_key, last_key, started_at`, func(row db.Row) error {
			var key incidentKey
			o := &openedBy{}
			err := row.Scan(&key.account, &key.correlation, &key.own, &o.open, &o.last, &o.started)
			s.incidents[key] = o
			return err
		})
}

// openedBy is the row of an incident: the alert that opened it, while it fires, or else
// the alert that ended last.
type openedBy struct {
	open, last string
	started    int64
	changed    bool // not written yet
}

var incidentColumns = []string{
	"account_id",
	"correlation_id",
	"own",
	"open_key",
	"last_key",
	"started_at",
}

// row is the row of an incident in the order of incidentColumns.
func (o *openedBy) row(key incidentKey) []any {
	return []any{
		key.account,
		key.correlation,
		key.own,
		o.open,
		o.last,
		o.started,
	}
}

// writeIncidents writes the rows of incidents that have changed.
func (s *storing) writeIncidents(ctx context.Context) error {
	var rows [][]any
	for key, o := range s.incidents {
		if o.changed {
			o.changed = false
			rows = append(rows, o.row(key))
		}
	}
	return s.tx.Join(ctx, incidentColumns, rows,
		`UPDATE cause SET open_key = input.open_key, last_key = input.last_key, started_at = input.started_at FROM input
		WHERE cause.account_id = input.account_id AND cause.correlation_id = input.correlation_id AND cause.own = input.own`,
		nil)
}

func (s *storing) setIncident(p *prepared, open, last string, started time.Time) {
	o := s.incidents[p.incident()]
	o.open = open
	o.last = last
	o.started = 0
	if !started.IsZero() {
		o.started = started.UnixMicro()
	}
	o.changed = true
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

// opening is the alert that opened an incident, as far as later alerts need it.
type opening struct {
	key, id, summary, severity string
	kind                       string // alert type
	event                      event.AlertEvent
	state                      string
	zone                       Zone
	resource                   *event.AlertResource
	at, began, ended           time.Time
	decision                   []PolicyResult
	unmatched                  string
	changes                    *foundChanges // nil while they are pending
	started                    time.Time     // the newest start of the incident
}

// correlation is the stored state of a correlation id. At most one of open and last
// is set: the incident that fires, or the one that ended last.
type correlation struct {
	open, last *opening
	started    time.Time // the newest start of open
}

// correlation reads the state of an alert's correlation id.
func (s *storing) correlation(ctx context.Context, p *prepared) (*correlation, error) {
	key := p.incident()
	if s.touched[key] {
		delete(s.openings, key)
		if err := s.flush(ctx); err != nil {
			return nil, err
		}
		if err := s.readOpenings(ctx, key); err != nil {
			return nil, err
		}
	}
	c := &correlation{}
	r := s.openings[key]
	if r == nil {
		return c, nil
	}
	c.started = r.started
	if r.state == stateFiring {
		c.open = r
	} else {
		c.last = r
	}
	return c, nil
}

const selectOpening = `SELECT c.account_id, c.correlation_id, c.own, c.started_at, a.alert_key, a.id, a.type, a.event,
		a.state, a.summary, a.severity, a.zone_id, a.zone_name, a.environment, a.occurred_at, a.began_at, a.ended_at,
		a.content, a.decision, a.unmatched, a.changes, a.changes_more, a.changes_state
	FROM input CROSS JOIN cause c CROSS JOIN alert a
	WHERE c.account_id = input.account_id AND c.correlation_id = input.correlation_id AND c.own = input.own
		AND a.alert_key = CASE WHEN c.open_key <> '' THEN c.open_key ELSE c.last_key END`

// readOpenings reads the alerts that opened some incidents, or all that are locked.
func (s *storing) readOpenings(ctx context.Context, some ...incidentKey) error {
	if len(some) == 0 {
		for key := range s.incidents {
			some = append(some, key)
		}
	}
	var rows [][]any
	for _, key := range some {
		if o := s.incidents[key]; o.open != "" || o.last != "" {
			rows = append(rows, []any{key.account, key.correlation, key.own})
		}
	}
	return s.tx.Join(ctx, []string{"account_id", "correlation_id", "own"}, rows, selectOpening, func(row db.Row) error {
		key, r, err := scanOpening(row)
		s.openings[key] = r
		return err
	})
}

func scanOpening(row db.Row) (key incidentKey, r *opening, err error) {
	r = &opening{}
	var started, at, began, ended int64
	var eventName, changesState string
	var content, decision, changes []byte
	found := &foundChanges{}
	err = row.Scan(
		&key.account,
		&key.correlation,
		&key.own,
		&started,
		&r.key,
		&r.id,
		&r.kind,
		&eventName,
		&r.state,
		&r.summary,
		&r.severity,
		&r.zone.ID,
		&r.zone.Name,
		&r.zone.Environment,
		&at,
		&began,
		&ended,
		&content,
		&decision,
		&r.unmatched,
		&changes,
		&found.more,
		&changesState,
	)
	if err != nil {
		return key, r, err
	}
	r.event = event.AlertEvent(eventName)
	r.at = time.UnixMicro(at).UTC()
	r.began = time.UnixMicro(began).UTC()
	r.ended = time.UnixMicro(ended).UTC()
	r.started = time.UnixMicro(started).UTC()
	var sent event.Alert
	err = errors.Join(json.Unmarshal(content, &sent), json.Unmarshal(decision, &r.decision),
		json.Unmarshal(changes, &found.list))
	r.resource = sent.Resource
	if changesState != "pending" {
		r.changes = found
	}
	return key, r, err
}

// writeEndings ends alerts that fired.
func (s *storing) writeEndings(ctx context.Context) error {
	rows := s.endings
	s.endings = nil
	return s.tx.Join(ctx, []string{"alert_key", "state", "ended_at"}, rows,
		`UPDATE alert SET state = input.state, ended_at = input.ended_at FROM input
		WHERE alert.alert_key = input.alert_key`, nil)
}

// readStarts reads the deliveries of the starts whose ends are in the batch.
func (s *storing) readStarts(ctx context.Context, list []*prepared) error {
	var rows [][]any
	for _, p := range list {
		if p.status == ingest.Rejected || p.alert.Event != event.AlertEnd {
			continue
		}
		if r := s.openings[p.incident()]; r != nil && s.starts[r.key] == nil {
			s.starts[r.key] = []delivery.Stored{}
			rows = append(rows, []any{r.key})
		}
	}
	// Replays are left out here: before PostgreSQL has analysed the table, it expects few deliveries without one, and
	// would read all of them for each batch.
	err := s.tx.Join(ctx, []string{"subject"}, rows, `SELECT `+delivery.Columns+` FROM input CROSS JOIN delivery d
		WHERE d.subject = input.subject`, func(row db.Row) error {
		var d delivery.Stored
		if err := d.Scan(row); err != nil {
			return err
		}
		if d.ReplayOf == "" {
			s.starts[d.Subject] = append(s.starts[d.Subject], d)
		}
		return nil
	})
	for _, starts := range s.starts {
		slices.SortFunc(starts, func(a, b delivery.Stored) int { return strings.Compare(a.ID, b.ID) })
	}
	return err
}

// startDeliveries reads the deliveries of an incident's starts, without replays.
func (s *storing) startDeliveries(ctx context.Context, p *prepared, rootKey string) ([]delivery.Stored, error) {
	list, read := s.starts[rootKey]
	if !read || s.touched[p.incident()] {
		err := s.flush(ctx) // some may be of this transaction
		if err != nil {
			return nil, err
		}
		list, err = delivery.Select(ctx, s.tx, "WHERE "+delivery.OfSubject+" AND replay_of = '' ORDER BY id", rootKey)
		if err != nil {
			return nil, err
		}
	}
	var starts []delivery.Stored
	for _, d := range list {
		if err := loadLabels(&d.Item); err != nil {
			return nil, err
		}
		if outgoingOf(&d.Item).Event == event.AlertStart {
			starts = append(starts, d)
		}
	}
	return starts, nil
}
