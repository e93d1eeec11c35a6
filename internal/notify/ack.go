package notify

import (
	"cmp"
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// named reads the alert that opened an incident, and its name in the audit log.
func (n *Feature) named(ctx context.Context, accountID, alertID string) (a Alert, name string, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		a, err = rootAlert(ctx, tx, accountID, alertID)
		return err
	})
	if err != nil {
		return a, "", err
	}
	kind, err := n.AlertType(ctx, a.Type)
	return a, cut(a.subjectTitle(kind), 200), err
}

// byName is a principal for people.
func byName(by *web.Principal) string { return cut(cmp.Or(by.Name, by.Email, by.ID), 200) }

// Ack records who takes care of an alert. The first acknowledgement stays.
func (n *Feature) Ack(ctx context.Context, by *web.Principal, accountID, alertID string) (Alert, error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return a, err
	}
	err = n.Change(ctx, func(tx *db.Tx) (err error) {
		if a, err = rootAlert(ctx, tx, accountID, alertID); err != nil {
			return err
		}
		if !a.AckedAt.IsZero() {
			return nil
		}
		a.AckedAt = moment(n.Now())
		a.AckedBy = byName(by)
		_, err = tx.Exec(ctx, `UPDATE alert SET acked_at = $2, acked_by = $3 WHERE alert_key = $1`,
			a.key, micros(a.AckedAt), a.AckedBy)
		if err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(accountID, "acknowledge", resourceAlert, a.ID, name))
	})
	return a, err
}

// Unack withdraws an acknowledgement.
func (n *Feature) Unack(ctx context.Context, by *web.Principal, accountID, alertID string) (Alert, error) {
	a, name, err := n.named(ctx, accountID, alertID)
	if err != nil {
		return a, err
	}
	err = n.Change(ctx, func(tx *db.Tx) (err error) {
		if a, err = rootAlert(ctx, tx, accountID, alertID); err != nil {
			return err
		}
		if a.AckedAt.IsZero() {
			return nil
		}
		a.AckedAt = web.Time{}
		a.AckedBy = ""
		_, err = tx.Exec(ctx, `UPDATE alert SET acked_at = 0, acked_by = '' WHERE alert_key = $1`, a.key)
		if err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(accountID, "unacknowledge", resourceAlert, a.ID, name))
	})
	return a, err
}
