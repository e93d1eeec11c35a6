package ledger

import (
	"context"
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
