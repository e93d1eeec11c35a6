package delivery

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// A destination that asks to wait (Retry-After) gets nothing before that time.
// The pause is stored with the outcome that reports it, and read by the process
// that becomes the owner of the destination's shard, before it sends anything.

// storePauses stores the pauses of a batch of outcomes; of several for one
// destination, the longest. Rows are locked in the order of their keys.
func storePauses(ctx context.Context, tx *db.Tx, list []*Outcome) error {
	until := map[string]time.Time{}
	for _, o := range list {
		if to := o.pausedUntil; to.After(until[o.Item.Destination]) {
			until[o.Item.Destination] = to
		}
	}
	rows := make([][]any, 0, len(until))
	for _, destinationID := range slices.Sorted(maps.Keys(until)) {
		rows = append(rows, []any{destinationID, until[destinationID].UnixMicro()})
	}
	return tx.Insert(ctx, "pause", []string{"destination", "until"}, `ON CONFLICT (destination) DO UPDATE
		SET until = CASE WHEN excluded.until > pause.until THEN excluded.until ELSE pause.until END`, rows)
}

// readPauses reads the pauses that are not over, by destination.
func readPauses(ctx context.Context, tx *db.Tx, now time.Time) (map[string]time.Time, error) {
	pauses := map[string]time.Time{}
	err := db.Each(ctx, tx, func(row db.Row) error {
		var destinationID string
		var until int64
		err := row.Scan(&destinationID, &until)
		pauses[destinationID] = timeOf(until)
		return err
	}, `SELECT destination, until FROM pause WHERE until > $1`, now.UnixMicro())
	return pauses, err
}

// loadPauses replaces the pauses of shards that are newly owned by the stored
// ones. Called with mu held.
func (q *Queue) loadPauses(acquired []int, stored map[string]time.Time) {
	concerns := func(destinationID string) bool { return slices.Contains(acquired, shardOf(destinationID)) }
	for destinationID, d := range q.dests {
		if slices.Contains(acquired, d.shard) {
			d.paused = stored[destinationID]
			d.pauseStored = true
		}
	}
	maps.DeleteFunc(q.pauses, func(destinationID string, _ time.Time) bool { return concerns(destinationID) })
	for destinationID, until := range stored {
		if concerns(destinationID) && q.dests[destinationID] == nil {
			q.pauses[destinationID] = until
		}
	}
}

// pause postpones all deliveries of a destination; the later end counts.
func (d *destination) pause(until time.Time) {
	if until.After(d.paused) {
		d.paused = until
		d.pauseStored = false
	}
}

// EndPause ends the pause of a destination in a transaction; call Resume after
// its commit.
func (q *Queue) EndPause(ctx context.Context, tx *db.Tx, destinationID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM pause WHERE destination = $1`, destinationID)
	return err
}

// Resume ends the pause of a destination in memory and sends its deliveries now.
// The caller knows that the destination works again. With several processes, the
// owner of the destination notices that its pause is no longer stored.
func (q *Queue) Resume(destinationID string) {
	q.mu.Lock()
	q.resume(destinationID)
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) resume(destinationID string) {
	delete(q.pauses, destinationID)
	d := q.dests[destinationID]
	if d == nil {
		return
	}
	d.paused = time.Time{}
	d.failing = false
	d.window = newWindow(q.cfg.Limits.PerDestination)
	q.expedite(d, 0)
	q.queueDestination(d)
}

// endedPauses resumes the destinations whose pauses another process has ended. It
// reads the database only while a destination is paused.
func (q *Queue) endedPauses(ctx context.Context) error {
	now := q.cfg.Now()
	paused := map[string]time.Time{}
	q.mu.Lock()
	maps.Copy(paused, q.pauses)
	for destinationID, d := range q.dests {
		if d.pauseStored && q.owned[d.shard] {
			paused[destinationID] = d.paused
		}
	}
	q.mu.Unlock()
	maps.DeleteFunc(paused, func(_ string, until time.Time) bool { return !until.After(now) })
	if len(paused) == 0 {
		return nil
	}

	var stored map[string]time.Time
	err := q.cfg.DB.View(ctx, func(tx *db.Tx) (err error) {
		stored, err = readPauses(ctx, tx, now)
		return err
	})
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for destinationID, until := range paused {
		if _, still := stored[destinationID]; still {
			continue
		}
		// A pause that began since the read is not ended.
		if d := q.dests[destinationID]; d == nil || d.paused.Equal(until) {
			q.resume(destinationID)
		}
	}
	return nil
}
