package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Alert is an alert as its account's readers see it: an incident with its state, or
// a notice.
type Alert struct {
	ID          string               `json:"id"`
	Type        string               `json:"alert_type"`
	State       string               `json:"state" enum:"firing,ended,notice"`
	Correlation string               `json:"correlation_id"`
	Severity    string               `json:"severity"`
	Summary     string               `json:"summary"`
	Zone        *AlertZone           `json:"zone,omitempty"`
	Resource    *event.AlertResource `json:"resource,omitempty"`
	Filters     map[string][]string  `json:"filters,omitempty"`
	Data        json.RawMessage      `json:"data,omitempty"`
	URL         string               `json:"url,omitempty" doc:"Of a page of the product that explains it"`
	OccurredAt  web.Time             `json:"occurred_at"`
	BeganAt     web.Time             `json:"began_at"`
	ReceivedAt  web.Time             `json:"received_at"`
	EndedAt     web.Time             `json:"ended_at,omitzero"`
	NotifiedAt  web.Time             `json:"told_at,omitzero" doc:"When the first message about it was delivered"`
	AckedAt     web.Time             `json:"acknowledged_at,omitzero"`
	AckedBy     string               `json:"acknowledged_by,omitempty"`
	Unmatched   string               `json:"unmatched,omitempty" doc:"Why no message was sent; left out when a policy matched"`
	Changes     []Change             `json:"changes" doc:"What preceded it; at most 5"`
	ChangesMore int                  `json:"changes_more"`

	key     string
	account string
	event   event.AlertEvent
	pending bool // its changes are not known yet
}

// AlertZone is the property that an alert is about.
type AlertZone struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
}

// Decision is an alert with its decisions, deliveries and later alerts.
type Decision struct {
	Alert
	Policies   []PolicyResult `json:"policies" doc:"Every policy for its type, matched or not, and why"`
	Deliveries []Delivery     `json:"deliveries"`
	Related    []Part         `json:"related" doc:"Repeats and the end: alerts with the same correlation id"`
	Notes      []AlertNote    `json:"notes" doc:"What members wrote about it, the oldest first; at most 200"`
}

// Part is a later alert of the same incident.
type Part struct {
	ID         string   `json:"id"`
	Event      string   `json:"event"`
	Summary    string   `json:"summary"`
	OccurredAt web.Time `json:"occurred_at"`
	Note       string   `json:"note,omitempty"`
}

// Delivery is one message to one destination.
type Delivery struct {
	ID            string    `json:"id"`
	AlertID       string    `json:"alert_id,omitempty"`
	Event         string    `json:"event" enum:"start,end,notice,test,digest"`
	PolicyID      string    `json:"policy_id"`
	Policy        string    `json:"policy"`
	DestinationID string    `json:"destination_id"`
	MechanismType string    `json:"mechanism_type" enum:"webhook,email,pagerduty,inbox"`
	Mechanism     string    `json:"mechanism"`
	State         string    `json:"state" enum:"waiting,delivered,failed,superseded,not_sent,kept"`
	Reason        string    `json:"reason,omitempty"`
	ReplayOf      string    `json:"replay_of,omitempty"`
	Escalated     string    `json:"escalated_after,omitempty" doc:"The time without acknowledgement after which it was sent"`
	Tries         int       `json:"attempts_made"`
	NextAt        web.Time  `json:"next_attempt_at,omitzero"`
	CreatedAt     web.Time  `json:"created_at"`
	EndedAt       web.Time  `json:"ended_at,omitzero"`
	Attempts      []Attempt `json:"attempts,omitempty"`

	summary    string // of the alert
	kind       string // alert_type
	lastStatus int    // of the last attempt; 0 = none, or no answer
	lastTook   time.Duration
}

// Attempt is one try, as it went over the wire.
type Attempt struct {
	N        int               `json:"n"`
	At       web.Time          `json:"at"`
	TookMS   float64           `json:"took_ms"`
	Status   int               `json:"status" doc:"Of HTTP or SMTP; 0 when there was no answer"`
	Outcome  string            `json:"outcome" enum:"delivered,retry,failed,kept"`
	Error    string            `json:"error,omitempty"`
	Request  []delivery.Header `json:"request_headers"`
	Body     string            `json:"request_body"`
	Response []delivery.Header `json:"response_headers"`
	Answer   string            `json:"response_body"`
}

// alertRow holds the attributes of an alert that a message needs.
type alertRow struct {
	alert              event.Alert
	root               rootSummary
	summary            string
	at, began, started time.Time // began and started are the root's
	about              *event.AlertResource
	changes            []Change
	more               int
}

// row is the alertRow of an alert that was just stored, and opened its incident or
// ended it.
func (p *prepared) row() alertRow {
	r := alertRow{
		alert:   p.alert,
		root:    rootSummary{id: p.alert.ID, summary: p.title(), kind: p.alert.Type, zone: p.zone},
		summary: p.title(),
		at:      p.at,
		began:   p.began,
		started: p.at,
		about:   p.alert.Resource,
	}
	if o := p.root; o != nil {
		r.root = rootSummary{id: o.id, summary: o.summary, kind: o.kind, zone: o.zone}
		r.began = o.began
		r.started = o.at
		r.about = o.resource
		r.changes = o.changes.list
		r.more = o.changes.more
	}
	return r
}

func (n *Feature) alertRow(ctx context.Context, accountID, key string) (r alertRow, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		var content, rootContent, changes []byte
		var at, began, started int64
		err := tx.QueryRow(ctx, `SELECT a.content, a.summary, a.occurred_at,
				r.began_at, r.occurred_at, r.content, r.id, r.summary, r.type, r.zone_id, r.zone_name, r.changes, r.changes_more
			FROM alert a JOIN alert r ON r.alert_key = a.root_key WHERE a.alert_key = $1 AND a.account_id = $2`, key, accountID).
			Scan(&content, &r.summary, &at, &began, &started, &rootContent, &r.root.id, &r.root.summary,
				&r.root.kind, &r.root.zone.ID, &r.root.zone.Name, &changes, &r.more)
		if err != nil {
			return err
		}
		r.at = time.UnixMicro(at).UTC()
		r.began = time.UnixMicro(began).UTC()
		r.started = time.UnixMicro(started).UTC()
		var sent event.Alert
		err = errors.Join(json.Unmarshal(content, &r.alert), json.Unmarshal(rootContent, &sent),
			json.Unmarshal(changes, &r.changes))
		r.about = sent.Resource
		return err
	})
	return r, err
}

const alertView = `SELECT alert_key, account_id, id, type, event, state, correlation_id, severity, summary,
	zone_id, zone_name, occurred_at, began_at, received_at, ended_at, content, unmatched,
	changes, changes_more, changes_state,
	COALESCE((SELECT n.at FROM notified n WHERE n.alert_key = alert.alert_key), 0), acked_at, acked_by FROM alert`

func scanAlert(row db.Row) (a Alert, err error) {
	var occurred, began, received, ended, notified, acked int64
	var zone AlertZone
	var content, changes []byte
	var changesState string
	err = row.Scan(
		&a.key,
		&a.account,
		&a.ID,
		&a.Type,
		&a.event,
		&a.State,
		&a.Correlation,
		&a.Severity,
		&a.Summary,
		&zone.ID,
		&zone.Name,
		&occurred,
		&began,
		&received,
		&ended,
		&content,
		&a.Unmatched,
		&changes,
		&a.ChangesMore,
		&changesState,
		&notified,
		&acked,
		&a.AckedBy,
	)
	if err != nil {
		return a, err
	}
	if zone.Name != "" {
		a.Zone = &zone
	}
	a.OccurredAt = timeOf(occurred)
	a.BeganAt = timeOf(began)
	a.ReceivedAt = timeOf(received)
	a.EndedAt = timeOf(ended)
	a.NotifiedAt = timeOf(notified)
	a.AckedAt = timeOf(acked)
	a.pending = changesState == "pending"
	var sent event.Alert
	if err := errors.Join(json.Unmarshal(content, &sent), json.Unmarshal(changes, &a.Changes)); err != nil {
		return a, err
	}
	a.Resource = sent.Resource
	a.Filters = sent.Filters
	a.Data = sent.Data
	a.URL = sent.URL
	return a, nil
}

// subjectTitle returns the title of what the alert is about.
func (a *Alert) subjectTitle(kind *AlertType) string {
	if kind == nil {
		return a.Summary
	}
	return subjectTitle(a.Resource, kind.Title, a.Summary)
}

// alertFilter selects the incidents and notices of an account. Zero fields select
// all.
type alertFilter struct {
	account       string
	state         string // firing, ended or notice
	types         []string
	notTypes      []string
	severities    []string
	notSeverities []string
	zones         []string // ids
	notZones      []string
	since         time.Time // when they occurred
	before        time.Time
	sort          string // "" = the newest first
}

// ofZone lets the database use the index of the alerts of a property, which leaves out
// alerts without one: a bound value does not say that it is not empty.
const ofZone = `zone_id <> ''`

// where is the condition of a filter; its parameters begin at $1.
func (f *alertFilter) where() (where string, args []any) {
	where = ` WHERE account_id = $1 AND state <> 'part'`
	args = []any{f.account}
	if f.state != "" {
		where = ` WHERE account_id = $1 AND state = $2`
		args = append(args, f.state)
	}
	among := func(column string, values []string) {
		if len(values) > 0 {
			where += ` AND ` + column + ` (` + db.Parameters(&args, values) + `)`
		}
	}
	among(`type IN`, f.types)
	among(`type NOT IN`, f.notTypes)
	among(`severity IN`, f.severities)
	among(`severity NOT IN`, f.notSeverities)
	among(`zone_id IN`, f.zones)
	if len(f.zones) > 0 {
		where += ` AND ` + ofZone
	}
	among(`zone_id NOT IN`, f.notZones)
	if !f.since.IsZero() {
		args = append(args, f.since.UnixMicro())
		where += ` AND occurred_at >= $` + itoa(len(args))
	}
	if !f.before.IsZero() {
		args = append(args, f.before.UnixMicro())
		where += ` AND occurred_at < $` + itoa(len(args))
	}
	return where, args
}

// countAlerts counts the alerts that a filter selects, up to countMost.
func (n *Feature) countAlerts(ctx context.Context, f alertFilter) (count int, err error) {
	where, args := f.where()
	args = append(args, countMost)
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 AS one FROM alert`+where+
			` LIMIT $`+itoa(len(args))+`) AS capped`, args...).Scan(&count)
	})
	return count, err
}

func noAlert() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such alert") }

// rootAlert reads the alert that opened an incident, by the id of any alert of the
// incident. Of two alerts with the same id, Belfry's own is found.
func rootAlert(ctx context.Context, tx *db.Tx, accountID, alertID string) (a Alert, err error) {
	a, err = scanAlert(tx.QueryRow(ctx,
		alertView+` WHERE alert_key = (SELECT root_key FROM alert WHERE account_id = $1 AND id = $2
			ORDER BY own DESC LIMIT 1)`, accountID, alertID))
	if errors.Is(err, sql.ErrNoRows) {
		err = noAlert()
	}
	return a, err
}

// alertByKey reads an alert; sql.ErrNoRows when the account has none with the key.
func alertByKey(ctx context.Context, tx *db.Tx, accountID, key string) (Alert, error) {
	return scanAlert(tx.QueryRow(ctx, alertView+` WHERE account_id = $1 AND alert_key = $2`, accountID, key))
}

// mostDeliveries of one alert are shown; the history has all of them.
const mostDeliveries = 200

// Decision reads an alert with its decisions, deliveries and later alerts.
func (n *Feature) Decision(ctx context.Context, accountID, alertID string) (d Decision, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		d = Decision{Policies: []PolicyResult{}, Related: []Part{}}
		if d.Alert, err = rootAlert(ctx, tx, accountID, alertID); err != nil {
			return err
		}
		var decision []byte
		if err := tx.QueryRow(ctx, `SELECT decision FROM alert WHERE alert_key = $1`, d.key).Scan(&decision); err != nil {
			return err
		}
		if err := json.Unmarshal(decision, &d.Policies); err != nil {
			return err
		}
		if d.Policies == nil {
			d.Policies = []PolicyResult{}
		}
		if d.Related, err = followUps(ctx, tx, d.key); err != nil {
			return err
		}
		if d.Notes, err = notesOf(ctx, tx, d.key); err != nil {
			return err
		}
		if d.Deliveries, err = deliveriesOf(ctx, tx, " WHERE "+delivery.OfSubject+` AND d.tenant = $2
			ORDER BY d.id LIMIT $3`, d.key, accountID, mostDeliveries); err != nil {
			return err
		}
		for i := range d.Deliveries {
			if d.Deliveries[i].Attempts, err = attemptsOf(ctx, tx, d.Deliveries[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return d, err
}

func followUps(ctx context.Context, tx *db.Tx, rootKey string) ([]Part, error) {
	scan := func(row db.Row) (p Part, err error) {
		var at int64
		err = row.Scan(&p.ID, &p.Event, &p.Summary, &at, &p.Note)
		p.OccurredAt = web.TimeOf(at)
		return p, err
	}
	return db.Collect(ctx, tx, scan, `SELECT id, event, summary, occurred_at, unmatched FROM alert
		WHERE root_key = $1 AND state = 'part' ORDER BY alert_key LIMIT 100`, rootKey)
}
