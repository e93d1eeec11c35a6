package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// ProductDay is the number of events of a product on one day (UTC), in all accounts.
type ProductDay struct {
	Product string
	Day     time.Time
	Count   int64
}

// maxProductDays bounds the rows of ProductDays.
const maxProductDays = 20_000

// ProductDays counts the events of all accounts by product and day, from the day of since on. It reads the roll-ups of
// each account: the caller limits the time, and keeps the answer.
func (r *Reader) ProductDays(ctx context.Context, since time.Time) (list []ProductDay, err error) {
	scan := func(row db.Row) (one ProductDay, err error) {
		var day int64
		err = row.Scan(&one.Product, &day, &one.Count)
		one.Day = time.UnixMicro(day * dayMicros).UTC()
		return one, err
	}
	err = r.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scan, `
			SELECT r.product, r.day, CAST(SUM(r.n) AS BIGINT) FROM account a JOIN rollup r ON r.account = a.key AND r.day >= $1
			GROUP BY r.product, r.day ORDER BY r.day DESC, 3 DESC LIMIT $2`, since.UnixMicro()/dayMicros, maxProductDays)
		return err
	})
	return list, err
}

// FirstDay is the day (UTC) of the oldest event of an account; zero for an account without events.
func (r *Reader) FirstDay(ctx context.Context, account string) (day time.Time, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil {
			return err
		}
		var first sql.NullInt64
		err = tx.QueryRow(ctx, `SELECT MIN(day) FROM rollup WHERE account = $1`, key).Scan(&first)
		if first.Valid {
			day = time.UnixMicro(first.Int64 * dayMicros).UTC()
		}
		return err
	})
	return day, err
}

// LogSize is the length of the log of one account.
type LogSize struct {
	Size       int64
	RecordedAt time.Time // of the last event
}

// maxSizes bounds the accounts of Sizes: the newest.
const maxSizes = 20_000

// Sizes returns the length of the log of each account that has events, by id.
func (r *Reader) Sizes(ctx context.Context) (map[string]LogSize, error) {
	sizes := map[string]LogSize{}
	err := r.db.View(ctx, func(tx *db.Tx) error {
		return db.Each(ctx, tx, func(row db.Row) error {
			var id string
			var one LogSize
			var at int64
			if err := row.Scan(&id, &one.Size, &at); err != nil {
				return err
			}
			one.RecordedAt = time.UnixMicro(at).UTC()
			sizes[id] = one
			return nil
		}, `SELECT a.id, h.size, h.recorded_at FROM head h JOIN account a ON a.key = h.account
			WHERE h.size > 0 ORDER BY h.account DESC LIMIT $1`, maxSizes)
	})
	return sizes, err
}
