package notify

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// pruneBatch is how many alerts one transaction deletes.
const pruneBatch = 500

// prune deletes ended alerts and deliveries after their time, in bounded batches.
// Alerts of an incident that is open stay.
func (n *Feature) prune(ctx context.Context) error {
	before := n.Now().Add(-n.Limits.Keep)
	if _, err := n.queue.Prune(ctx, before); err != nil {
		return err
	}
	err := n.DB.Tx(ctx, func(tx *db.Tx) error { return pruneSilences(ctx, tx, before) })
	if err != nil {
		return err
	}
	oldest := id.Lowest(before)
	if err := n.pruneDigests(ctx, oldest); err != nil {
		return err
	}
	for deleted := int64(pruneBatch); deleted == pruneBatch && ctx.Err() == nil; {
		err := n.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			deleted, err = tx.Exec(ctx, `DELETE FROM alert WHERE alert_key IN (
				SELECT alert_key FROM alert WHERE alert_key < $1 AND state <> 'firing' AND root_key < $1 AND NOT EXISTS (
					SELECT 1 FROM cause c WHERE c.account_id = alert.account_id AND c.correlation_id = alert.correlation_id
					AND c.own = alert.own AND c.open_key = alert.root_key)
				ORDER BY alert_key LIMIT $2)`, oldest, pruneBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	for deleted := int64(pruneBatch); deleted == pruneBatch && ctx.Err() == nil; {
		err := n.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			deleted, err = tx.Exec(ctx, `DELETE FROM notified WHERE alert_key IN (
				SELECT alert_key FROM notified WHERE alert_key < $1 AND NOT EXISTS (
					SELECT 1 FROM alert WHERE alert.alert_key = notified.alert_key)
				ORDER BY alert_key LIMIT $2)`, oldest, pruneBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return n.pruneInbox(ctx)
}

// pruneSilences deletes silences that ended before a time; their decisions stay with the alerts.
func pruneSilences(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM silence WHERE id IN (SELECT id FROM silence
		WHERE ends_at < $1 AND resumed_at > 0 LIMIT $2)`, before.UnixMicro(), pruneBatch)
	return err
}
