package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// A span is 16 full tiles. Its digest is written in the transaction that completes
// it, as a tile's is. A search for a rare value in a large log then reads 2,400
// digests of spans for ten million events, not 39,000 of tiles. Larger spans would
// be fewer, but would not help a search for one resource of many: of 50,000
// resources, three in four are in any 65,536 events, and one in twelve in 4,096.
const (
	spanTiles  = 16
	spanEvents = spanTiles * 256
)

// spansBuilt is how many spans of an account have their digest.
func spansBuilt(ctx context.Context, tx *db.Tx, account int64) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(MAX(n) + 1, 0) FROM span WHERE account = $1`, account).Scan(&n)
	return n, err
}

// saveSpans writes the digests of the spans that the append completed: from the
// rows, which are written already. In a log that has earlier spans without a
// digest they are left to buildSpans.
func (w *writing) saveSpans(ctx context.Context, tx *db.Tx) error {
	for _, s := range w.spans {
		built, err := spansBuilt(ctx, tx, s.account)
		if err != nil {
			return err
		}
		for n := max(built, s.first); built >= s.first && n < s.end; n++ {
			if err := saveSpan(ctx, tx, s.account, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// grownSpans are the spans [first, end) that one append completed in an account.
type grownSpans struct{ account, first, end int64 }

// saveSpan computes a span's digest from its events, and replaces an earlier one.
func saveSpan(ctx context.Context, tx *db.Tx, account, n int64) error {
	part, err := readTail(ctx, tx, account, uint64(n*spanEvents), uint64((n+1)*spanEvents))
	if err != nil {
		return err
	}
	if len(part) != spanEvents {
		return fmt.Errorf("span %d has %d of its %d events: the tables do not agree", n, len(part), spanEvents)
	}
	return tx.Insert(ctx, "span", digestColumns,
		`ON CONFLICT (account, n) DO UPDATE SET bloom = excluded.bloom`, [][]any{tileDigest(account, n, part)})
}

// buildSpans makes the digests of spans that were completed before there were
// any: one a transaction, under the head's lock as an append is, with a pause as
// long as the work.
func (l *Ledger) buildSpans(ctx context.Context) error {
	for {
		var account, n int64
		err := l.db.View(ctx, func(tx *db.Tx) error {
			account = 0
			rows, err := tx.Query(ctx, `SELECT h.account, COALESCE(s.n, 0)
				FROM head h LEFT JOIN (SELECT account, MAX(n) + 1 AS n FROM span GROUP BY account) s ON s.account = h.account
				WHERE h.size >= (COALESCE(s.n, 0) + 1) * $1 LIMIT 1`, int64(spanEvents))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := rows.Scan(&account, &n); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if err != nil || account == 0 {
			return err
		}
		for more := true; more; n++ {
			began := time.Now()
			err := l.db.Tx(ctx, func(tx *db.Tx) error {
				heads, err := lockHeads(ctx, tx, []int64{account})
				if err != nil {
					return err
				}
				// Under the lock: an append may have completed one, or another process made it.
				built, err := spansBuilt(ctx, tx, account)
				if err != nil {
					return err
				}
				if more = built == n && heads[account].frontier.Size() >= uint64((n+1)*spanEvents); !more {
					return nil
				}
				return saveSpan(ctx, tx, account, n)
			})
			if err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Since(began)):
			}
		}
	}
}

// RunSpans computes the missing digests of spans, once; it returns when ctx ends. A
// fault is tried again: searches are only slower without.
func (l *Ledger) RunSpans(ctx context.Context) error {
	for l.buildSpans(ctx) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	<-ctx.Done()
	return nil
}
