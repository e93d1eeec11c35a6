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

// Alert is an alert as its account's readers see it: a cause with its state, or
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
	ToldAt      web.Time             `json:"told_at,omitzero" doc:"When the first message about it was delivered"`
	AckedAt     web.Time             `json:"acknowledged_at,omitzero"`
	AckedBy     string               `json:"acknowledged_by,omitempty"`
	Unmatched   string               `json:"unmatched,omitempty" doc:"Why no message was sent; left out when a policy matched"`
	Changes     []Change             `json:"changes" doc:"What preceded it; at most 5"`
	ChangesMore int                  `json:"changes_more"`

	key     string
	account string
	event   event.AlertEvent
	pending bool // its changes are still looked for
}

// AlertZone is the property that an alert is about.
type AlertZone struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
}

// Decision is an alert with everything that followed from it.
type Decision struct {
	Alert
	Policies   []PolicyResult `json:"policies" doc:"Every policy for its type, matched or not, and why"`
	Deliveries []Delivery     `json:"deliveries"`
	Related    []Part         `json:"related" doc:"Repeats and the end: alerts with the same correlation id"`
}

// Part is a later alert of the same cause.
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
	Event         string    `json:"event" enum:"start,end,notice,test"`
	PolicyID      string    `json:"policy_id"`
	Policy        string    `json:"policy"`
	DestinationID string    `json:"destination_id"`
	MechanismType string    `json:"mechanism_type" enum:"webhook,email"`
	Mechanism     string    `json:"mechanism"`
	State         string    `json:"state" enum:"waiting,delivered,failed,superseded,not_sent,kept"`
	Reason        string    `json:"reason,omitempty"`
	ReplayOf      string    `json:"replay_of,omitempty"`
	Tries         int       `json:"attempts_made"`
	NextAt        web.Time  `json:"next_attempt_at,omitzero"`
	CreatedAt     web.Time  `json:"created_at"`
	EndedAt       web.Time  `json:"ended_at,omitzero"`
	Attempts      []Attempt `json:"attempts,omitempty"`

	summary string // of the alert
	kind    string // alert_type
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
	alert               event.Alert
	rootID, rootSummary string
	summary             string
	at, began, started  time.Time // started is the root's
	about               *event.AlertResource
	changes             []Change
	more                int
}

// row is the alertRow of an alert that was just stored and opened its incident.
func (p *prepared) row() alertRow {
	return alertRow{
		alert:       p.alert,
		rootID:      p.alert.ID,
		rootSummary: p.title(),
		summary:     p.title(),
		at:          p.at,
		began:       p.began,
		started:     p.at,
		about:       p.alert.Resource,
	}
}

func (n *Feature) alertRow(ctx context.Context, accountID, key string) (r alertRow, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		var content, rootContent, changes []byte
		var at, began, started int64
		err := tx.QueryRow(ctx, `SELECT a.content, a.summary, a.occurred_at,
				r.began_at, r.occurred_at, r.content, r.id, r.summary, r.changes, r.changes_more
			FROM alert a JOIN alert r ON r.alert_key = a.root_key WHERE a.alert_key = $1 AND a.account_id = $2`, key, accountID).
			Scan(&content, &r.summary, &at, &began, &started, &rootContent, &r.rootID, &r.rootSummary, &changes, &r.more)
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
	changes, changes_more, changes_state, told_at, acked_at, acked_by FROM alert`

func scanAlert(row interface{ Scan(...any) error }) (a Alert, err error) {
	var occurred, began, received, ended, told, acked int64
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
		&told,
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
	a.ToldAt = timeOf(told)
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

// thing returns the title of the object that the alert concerns.
func (a *Alert) thing(kind *AlertType) string {
	if kind == nil {
		return a.Summary
	}
	return thing(a.Resource, kind.Title, a.Summary)
}

// place is the cursor of a list of alerts.
type place struct {
	At  int64  `json:"a"`
	Key string `json:"k"`
}

// Alerts are the causes and notices of an account, the newest first, behind a
// place. state is firing, ended, notice or "" for all.
func (n *Feature) alerts(
	ctx context.Context, accountID, state string, after place, limit int,
) (list []Alert, err error) {
	if after.Key == "" {
		after = place{1 << 62, ""}
	}
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list = []Alert{}
		var rows *sql.Rows
		if state == "" {
			rows, err = tx.Query(ctx,
				alertView+` WHERE account_id = $1 AND state <> 'part' AND (occurred_at, alert_key) < ($2, $3)
			ORDER BY occurred_at DESC, alert_key DESC LIMIT $4`, accountID, after.At, after.Key, limit)
		} else {
			rows, err = tx.Query(ctx,
				alertView+` WHERE account_id = $1 AND state = $2 AND (occurred_at, alert_key) < ($3, $4)
			ORDER BY occurred_at DESC, alert_key DESC LIMIT $5`, accountID, state, after.At, after.Key, limit)
		}
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanAlert(rows)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	return list, err
}

func noAlert() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such alert") }

// rootOf finds the cause of an alert by the id of any of its alerts. Belfry's own
// comes before a team's of the same id.
func rootOf(ctx context.Context, tx *db.Tx, accountID, alertID string) (a Alert, err error) {
	a, err = scanAlert(tx.QueryRow(ctx,
		alertView+` WHERE alert_key = (SELECT root_key FROM alert WHERE account_id = $1 AND id = $2
			ORDER BY own DESC LIMIT 1)`, accountID, alertID))
	if errors.Is(err, sql.ErrNoRows) {
		err = noAlert()
	}
	return a, err
}

// mostDeliveries of one alert are shown; the history has all of them.
const mostDeliveries = 200

// Decision reads an alert with everything that followed from it.
func (n *Feature) Decision(ctx context.Context, accountID, alertID string) (d Decision, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		d = Decision{Policies: []PolicyResult{}, Related: []Part{}}
		if d.Alert, err = rootOf(ctx, tx, accountID, alertID); err != nil {
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
		if d.Related, err = partsOf(ctx, tx, d.key); err != nil {
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

func partsOf(ctx context.Context, tx *db.Tx, rootKey string) ([]Part, error) {
	rows, err := tx.Query(ctx,
		`SELECT id, event, summary, occurred_at, unmatched FROM alert WHERE root_key = $1 AND alert_key <> $1
			ORDER BY alert_key LIMIT 100`, rootKey)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Part{}
	for rows.Next() {
		var p Part
		var at int64
		if err := rows.Scan(&p.ID, &p.Event, &p.Summary, &at, &p.Note); err != nil {
			return nil, err
		}
		p.OccurredAt = web.TimeOf(at)
		list = append(list, p)
	}
	return list, rows.Err()
}
