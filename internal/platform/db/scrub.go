package db

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// scrubWait is how long one attempt of Scrub keeps the writer, and the pause
// between two attempts.
const scrubWait = 100 * time.Millisecond

// Scrub removes values that were deleted or overwritten before the call from
// SQLite's files. The writer's secure_delete has put zeros in their place; the
// old pages are still in the database file until a checkpoint overwrites them,
// and in the write-ahead log until it is truncated.
//
// A reader that is in the middle of a View holds the old pages. Scrub tries
// again until the readers have gone or ctx ends, and is Unavailable then: the
// caller repeats it later.
//
// On PostgreSQL it does nothing: dead rows go with VACUUM, and the write-ahead
// log with its own retention.
func (d *DB) Scrub(ctx context.Context) error {
	if d.Engine != SQLite {
		return nil
	}
	ctx, cancel := d.deadline(ctx)
	defer cancel()
	for {
		done, err := d.truncateWAL(ctx)
		if err == nil && !done {
			select {
			case <-time.After(scrubWait):
				continue
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return errs.New(errs.CodeUnavailable, "the database is being read; old values are still in its files").
				Because(ctx.Err()).After(time.Second)
		}
		return d.describe(err)
	}
}

// truncateWAL writes the whole log into the database file and empties it. It is
// false when a reader was in the way.
func (d *DB) truncateWAL(ctx context.Context) (done bool, err error) {
	select {
	case <-d.writer:
		defer func() { d.writer <- struct{}{} }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	// While the checkpoint waits for readers, nothing can be written: it waits
	// for less than a transaction may.
	if _, err := d.conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA busy_timeout = %d`, scrubWait.Milliseconds())); err != nil {
		return false, err
	}
	defer func() {
		restore := fmt.Sprintf(`PRAGMA busy_timeout = %d`, busyTimeout.Milliseconds())
		if _, restoreErr := d.conn.ExecContext(context.WithoutCancel(ctx), restore); err == nil {
			err = restoreErr
		}
	}()
	var busy, logged, moved int
	err = d.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &moved)
	return busy == 0, err
}
