package notify

import (
	"context"
	"database/sql"
	stdjson "encoding/json"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

var reportedColumns = []string{"account_id", "fingerprint", "alert_id", "until_at"}

// row is an alert that fires in the order of reportedColumns.
func (r *relayed) row(accountID string) []any {
	return []any{
		accountID,
		r.fingerprint,
		r.alertID,
		r.until(),
	}
}

// firingReports returns which of the alerts are firing: fingerprint to the id of the
// stored alert, and how many alerts of the account are.
func (n *Feature) firingReports(
	ctx context.Context, accountID string, list []*relayed,
) (firing map[string]string, total int, err error) {
	firing = map[string]string{}
	rows := make([][]any, 0, len(list))
	for _, r := range list {
		rows = append(rows, []any{r.fingerprint})
	}
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM reported WHERE account_id = $1`, accountID).Scan(&total)
		if err != nil {
			return err
		}
		// Join has no other parameters: the account is a column of its input.
		for i := range rows {
			rows[i] = append(rows[i], accountID)
		}
		return tx.Join(ctx, []string{"fingerprint", "account_id"}, rows, `SELECT r.fingerprint, r.alert_id
			FROM input JOIN reported r ON r.account_id = input.account_id AND r.fingerprint = input.fingerprint`,
			func(row db.Row) error {
				var fingerprint, alertID string
				err := row.Scan(&fingerprint, &alertID)
				firing[fingerprint] = alertID
				return err
			})
	})
	return firing, total, err
}

// endOf is the end of a stored alert; nil when the alert is not stored any more.
func (n *Feature) endOf(ctx context.Context, accountID, alertID string, at time.Time) (*event.Alert, error) {
	var content []byte
	var occurred int64
	err := n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT content, occurred_at FROM alert WHERE account_id = $1 AND id = $2 LIMIT 1`,
			accountID, alertID).Scan(&content, &occurred)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &event.Alert{}
	if err := stdjson.Unmarshal(content, a); err != nil {
		return nil, err
	}
	if began := time.UnixMicro(occurred); at.Before(began) {
		at = began // by another clock
	}
	a.ID += "-end"
	a.Event = event.AlertEnd
	a.OccurredAt = formatTime(at)
	a.BeganAt = ""
	return a, nil
}

// writeReports stores which alerts are firing after a request.
func (n *Feature) writeReports(ctx context.Context, accountID string, list []*relayed) error {
	var firing, ended [][]any
	for _, r := range list {
		switch {
		case r.prepared != nil && r.prepared.status == ingest.Rejected && !r.ended:
		case r.ended:
			ended = append(ended, []any{accountID, r.fingerprint, r.alertID})
		default:
			firing = append(firing, r.row(accountID))
		}
	}
	if len(firing)+len(ended) == 0 {
		return nil
	}
	return n.DB.Tx(ctx, func(tx *db.Tx) error {
		err := tx.Insert(ctx, "reported", reportedColumns,
			`ON CONFLICT (account_id, fingerprint) DO UPDATE SET until_at = excluded.until_at`, firing)
		if err != nil {
			return err
		}
		return deleteReports(ctx, tx, ended)
	})
}

// deleteReports forgets alerts that have ended: rows of account, fingerprint and alert.
func deleteReports(ctx context.Context, tx *db.Tx, ended [][]any) error {
	for _, row := range ended {
		_, err := tx.Exec(ctx, `DELETE FROM reported WHERE account_id = $1 AND fingerprint = $2 AND alert_id = $3`, row...)
		if err != nil {
			return err
		}
	}
	return nil
}

// expired is an alert that was not repeated in time.
type expired struct {
	account, fingerprint, alertID string
	until                         int64
}

func scanExpired(row db.Row) (e expired, err error) {
	err = row.Scan(&e.account, &e.fingerprint, &e.alertID, &e.until)
	return e, err
}

// endUnrepeated ends the alerts that their senders stopped repeating. Senders could not
// repeat them while no process ran: the first minutes of a process end nothing.
func (n *Feature) endUnrepeated(ctx context.Context) error {
	now := n.Now()
	if now.Sub(n.made) < resolveTimeout {
		return nil
	}
	var list []expired
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scanExpired, `SELECT account_id, fingerprint, alert_id, until_at FROM reported
			WHERE until_at > 0 AND until_at < $1 ORDER BY until_at LIMIT $2`, now.UnixMicro(), maxBatch)
		return err
	})
	if err != nil || len(list) == 0 {
		return err
	}
	job := &intakeJob{}
	ended := make([][]any, 0, len(list))
	for _, e := range list {
		ended = append(ended, []any{e.account, e.fingerprint, e.alertID})
		p, err := n.prepareEnd(ctx, sender{Sender: ingest.Sender{By: event.Product, Account: e.account}, ramp: true},
			e.alertID, time.UnixMicro(e.until))
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if p.status == ingest.Rejected {
			n.Log.Warn("notifications: the end of an alert is not valid", "account", e.account, "alert", e.alertID,
				"error", p.faults)
			continue
		}
		job.list = append(job.list, p)
	}
	if err := n.storeJob(ctx, job); err != nil {
		return err
	}
	return n.DB.Tx(ctx, func(tx *db.Tx) error { return deleteReports(ctx, tx, ended) })
}

// prepareEnd prepares the end of a stored alert; nil when it is not stored any more.
func (n *Feature) prepareEnd(ctx context.Context, from sender, alertID string, at time.Time) (*prepared, error) {
	a, err := n.endOf(ctx, from.Account, alertID, at)
	if err != nil || a == nil {
		return nil, err
	}
	return n.prepareOwn(ctx, from, *a)
}

// prepareOwn prepares an alert that an on-ramp has made.
func (n *Feature) prepareOwn(ctx context.Context, from sender, a event.Alert) (*prepared, error) {
	value, err := stdjson.Marshal(a)
	if err != nil {
		return nil, err
	}
	return n.prepare(ctx, from, value)
}

// webhookAlerts splits the body of a webhook of Alertmanager or Grafana.
func webhookAlerts(body []byte) (ingest.Items, error) {
	var in struct {
		Alerts *[]jsontext.Value `json:"alerts"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return ingest.Items{}, webhookBody.Fault(err)
	}
	switch {
	case in.Alerts == nil:
		return ingest.Items{}, errs.At(errs.CodeMissingField, "/alerts", "alerts is required: the list of alerts")
	case len(*in.Alerts) > maxBatch:
		return ingest.Items{}, errs.At(errs.CodeTooLarge, "/alerts", "one request has at most %d alerts, not %d",
			maxBatch, len(*in.Alerts))
	}
	return ingest.Items{Values: *in.Alerts, List: true, At: "/alerts"}, nil
}

// prepareReports prepares what a request changes. Alerts that are firing already and
// ends of alerts that are not are duplicates.
func (n *Feature) prepareReports(
	ctx context.Context, o onRamp, from sender, list []*relayed, faults []errs.List,
) error {
	firing, total, err := n.firingReports(ctx, from.Account, list)
	if err != nil {
		return err
	}
	now := n.Now()
	for i, r := range list {
		if len(faults[i]) > 0 {
			r.prepared = refusedAlert(from, faults[i])
			continue
		}
		known := firing[r.fingerprint]
		r.alertID = known
		switch {
		case known == "" && r.ended: // it ended before it was reported
		case known != "" && !r.ended: // a repeat
		case r.ended:
			delete(firing, r.fingerprint)
			total--
			at := r.at
			if at.After(now) {
				at = now
			}
			if r.prepared, err = n.prepareEnd(ctx, from, known, at); err != nil {
				return err
			}
		case total >= maxReported:
			r.prepared = refusedAlert(from, errs.List{errs.New(errs.CodeLimit,
				"an account has at most %d alerts that fire in other systems", maxReported)})
		default:
			r.alertID = id.At(now)
			a, err := n.startOf(ctx, o, from.Account, r, now)
			if err != nil {
				return err
			}
			if r.prepared, err = n.prepareOwn(ctx, from, a); err != nil {
				return err
			}
			if r.prepared.status != ingest.Rejected {
				firing[r.fingerprint] = r.alertID
				total++
			}
		}
	}
	return nil
}

// refusedAlert is an alert that was not read.
func refusedAlert(from sender, faults errs.List) *prepared {
	p := &prepared{status: ingest.Rejected, by: from.By, faults: faults}
	p.alert.Account = from.Account
	return p
}
