package ledger

import (
	"context"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// Omission leaves the events of one product out of a read, except those of two
// actions. The database compares the keys of the facets, so omitted events are not
// decoded.
type Omission struct {
	Product string
	Except  [2]string // actions
}

// ChangeQuery asks for the newest changes of a range of time.
type ChangeQuery struct {
	Since, Before int64 // Unix microseconds, [Since, Before)
	Omit          Omission
	Limit         int
}

// The reads of changes, with an Omission.
const (
	changesByTime = `SELECT ` + storedColumns + ` FROM reading r JOIN entry e ON e.pos = r.pos
		WHERE r.account = $1 AND r.at >= $2 AND r.at < $3 AND r.seq < $4
			AND (r.product <> $5 OR r.action = $6 OR r.action = $7)
		ORDER BY r.at DESC, r.seq DESC LIMIT $8`
	changesBySeq = `SELECT ` + storedColumns + ` FROM leaf l JOIN reading r ON r.pos = l.pos JOIN entry e ON e.pos = l.pos
		WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 AND (r.product <> $4 OR r.action = $5 OR r.action = $6)
		ORDER BY l.seq LIMIT $7`
)

// changesChunk is how many events one query of ChangesFrom gives.
const changesChunk = 1000

// ChangesBetween visits the events of a range of time, the newest first. size is the
// log's size at this moment; 0 = the account has no record.
func (r *Reader) ChangesBetween(
	ctx context.Context,
	account string,
	q ChangeQuery,
	visit func(*record.Record),
) (size int64, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil || key == 0 {
			return err
		}
		size = int64(h.frontier.Size())
		_, err = visitStored(ctx, tx, visit, changesByTime, key, q.Since, q.Before, size,
			record.ByProduct.Key(q.Omit.Product), record.ByAction.Key(q.Omit.Except[0]),
			record.ByAction.Key(q.Omit.Except[1]), q.Limit)
		return err
	})
	return size, err
}

// ChangesFrom visits the events from a seq on, in the order of the log. size is the
// log's size: all events below it were visited or left out.
func (r *Reader) ChangesFrom(
	ctx context.Context,
	account string,
	from int64,
	o Omission,
	visit func(*record.Record),
) (size int64, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil {
			return err
		}
		size = int64(h.frontier.Size())
		next := from
		for next < size {
			n, err := visitStored(ctx, tx, func(rec *record.Record) {
				next = rec.Seq + 1
				visit(rec)
			}, changesBySeq, key, next, size,
				record.ByProduct.Key(o.Product), record.ByAction.Key(o.Except[0]), record.ByAction.Key(o.Except[1]), changesChunk)
			if err != nil {
				return err
			}
			if n < changesChunk {
				return nil
			}
		}
		return nil
	})
	return size, err
}

// visitStored decodes the rows of a query, and returns their number.
func visitStored(
	ctx context.Context,
	tx *db.Tx,
	visit func(*record.Record),
	text string,
	args ...any,
) (n int, err error) {
	err = db.Each(ctx, tx, func(row db.Row) error {
		rec, err := openRow(row)
		if err != nil {
			return err
		}
		n++
		visit(rec)
		return nil
	}, text, args...)
	return n, err
}
