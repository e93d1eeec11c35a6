package delivery

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Replay inserts a new delivery for each of list, in its transaction; call Offer
// with the result after the commit. Each has an id of its own, since a receiver
// would ignore the old one as a duplicate.
func (q *Queue) Replay(ctx context.Context, tx *db.Tx, list []Stored) ([]*Item, error) {
	now := q.cfg.Now()
	items := make([]*Item, len(list))
	for i := range list {
		s := &list[i]
		items[i] = &Item{
			ID:          id.At(now),
			Tenant:      s.Tenant,
			Destination: s.Destination,
			Kind:        s.Kind,
			Subject:     s.Subject,
			Payload:     s.Payload,
			Labels:      s.Labels,
			ReplayOf:    s.ID,
			Created:     now,
		}
		if q.cfg.Load != nil {
			if err := q.cfg.Load(items[i]); err != nil {
				return nil, err
			}
		}
	}
	return items, q.Insert(ctx, tx, items)
}

// Filter selects deliveries of a tenant that have ended, without replays.
type Filter struct {
	Tenant      string
	Destination string    // "" = any
	OnlyFailed  bool      // failed or not sent
	Since       time.Time // when they were made; zero = no bound
	Before      time.Time // zero = no bound
}

// where is the condition of a filter; its parameters begin at $1.
func (f *Filter) where() (where string, args []any) {
	where = `WHERE tenant = $1 AND id >= $2 AND id < $3 AND replay_of = '' AND state <> 'waiting'
		AND ($4 = '' OR destination = $4)`
	if f.OnlyFailed {
		where += ` AND state IN ('failed', 'not_sent')`
	}
	since := ""
	if !f.Since.IsZero() {
		since = id.Lowest(f.Since)
	}
	before := afterAllIDs
	if !f.Before.IsZero() {
		before = id.Lowest(f.Before)
	}
	return where, []any{
		f.Tenant,
		since,
		before,
		f.Destination,
	}
}

// afterAllIDs sorts after every id, which is hexadecimal.
const afterAllIDs = "g"

// Count says how many deliveries a filter selects: the dry run of a replay.
func (q *Queue) Count(ctx context.Context, f Filter) (n int, err error) {
	where, args := f.where()
	err = q.cfg.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM delivery `+where, args...).Scan(&n)
	})
	return n, err
}

// Range is a replay of all deliveries that a filter selects.
type Range struct {
	Key      string // of the replay: called again with the same key, it continues
	Filter   Filter
	Rate     int                // deliveries a second; 0 = as fast as they are stored
	Progress func(replayed int) // optional: called after each batch
}

// replayBatch is how many deliveries one transaction of a replay makes.
const replayBatch = 200

// ReplayRange replays a range in batches, oldest first, and returns how many
// deliveries it made. Deliveries that are made after its beginning are left out.
func (q *Queue) ReplayRange(ctx context.Context, r Range) (replayed int, err error) {
	batch := replayBatch
	if r.Rate > 0 {
		batch = min(batch, r.Rate)
	}
	for {
		began := time.Now()
		var items []*Item
		err := q.cfg.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			items, replayed, err = q.replayNext(ctx, tx, r, batch)
			return err
		})
		if err != nil {
			return replayed, err
		}
		q.Offer(items)
		if r.Progress != nil {
			r.Progress(replayed)
		}
		if len(items) < batch {
			return replayed, nil
		}
		var pause time.Duration
		if r.Rate > 0 {
			pause = time.Duration(len(items))*time.Second/time.Duration(r.Rate) - time.Since(began)
		}
		select {
		case <-ctx.Done():
			return replayed, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// replayNext makes the next batch and moves the progress in one transaction.
func (q *Queue) replayNext(ctx context.Context, tx *db.Tx, r Range, batch int) (
	items []*Item, replayed int, err error,
) {
	until := id.Lowest(q.cfg.Now().Add(time.Millisecond))
	var after string
	err = tx.QueryRow(ctx, `INSERT INTO replay_progress (key, until, after, replayed) VALUES ($1, $2, '', 0)
		ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING until, after, replayed`, r.Key, until).
		Scan(&until, &after, &replayed)
	if err != nil {
		return nil, 0, err
	}
	where, args := r.Filter.where()
	where += ` AND id < $5 AND id > $6 ORDER BY id LIMIT $7`
	list, err := Select(ctx, tx, where, append(args, until, after, batch)...)
	if err != nil {
		return nil, 0, err
	}
	if items, err = q.Replay(ctx, tx, list); err != nil {
		return nil, 0, err
	}
	replayed += len(items)
	if len(list) > 0 {
		after = list[len(list)-1].ID
	}
	_, err = tx.Exec(ctx, `UPDATE replay_progress SET after = $2, replayed = $3 WHERE key = $1`, r.Key, after, replayed)
	return items, replayed, err
}
