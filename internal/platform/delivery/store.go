package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

var columns = []string{
	"id",
	"tenant",
	"shard",
	"destination",
	"kind",
	"lane",
	"subject",
	"payload",
	"labels",
	"replay_of",
	"fallback_of",
	"state",
	"why",
	"attempts",
	"failures",
	"hold_until",
	"next_at",
	"created_at",
	"ended_at",
}

// row is a new delivery in the order of columns.
func (it *Item) row() []any {
	ended := int64(0)
	if it.State != StateWaiting {
		ended = it.Created.UnixMicro()
	}
	return []any{
		it.ID,
		it.Tenant,
		shardOf(it.Destination),
		it.Destination,
		it.Kind,
		it.Lane,
		it.Subject,
		it.Payload,
		it.Labels,
		it.ReplayOf,
		it.FallbackOf,
		it.State,
		it.Why,
		it.Attempts,
		it.Failures,
		micros(it.HoldUntil),
		it.Due.UnixMicro(),
		it.Created.UnixMicro(),
		ended,
	}
}

// Insert stores new deliveries in the transaction of the change that causes them; call
// Offer with the same list after its commit.
func (q *Queue) Insert(ctx context.Context, tx *db.Tx, list []*Item) error {
	now := q.cfg.Now()
	rows := make([][]any, len(list))
	for i, it := range list {
		if it.ID == "" {
			it.ID = id.At(now)
		}
		if it.State == "" {
			it.State = StateWaiting
		}
		if it.Created.IsZero() {
			it.Created = now
		}
		it.Due = it.Created
		if it.HoldUntil.After(it.Due) {
			it.Due = it.HoldUntil
		}
		rows[i] = it.row()
	}
	return tx.Insert(ctx, "delivery", columns, "", rows)
}

// Stored is a delivery as the database has it, with its attempts where they were
// asked for.
type Stored struct {
	Item
	NextAt time.Time // of a waiting one
	Ended  time.Time
}

// Columns lists the columns of the table delivery, named d, in the order of [Stored.Scan].
var Columns = "d." + strings.Join([]string{
	"id", "tenant", "destination", "kind", "lane", "subject", "payload", "labels", "replay_of", "fallback_of",
	"state", "why", "attempts", "failures", "hold_until", "next_at", "created_at", "ended_at",
}, ", d.")

// Scan reads a row of Columns, and further columns into more.
func (s *Stored) Scan(row db.Row, more ...any) error {
	var hold, next, created, ended int64
	err := row.Scan(append([]any{
		&s.ID,
		&s.Tenant,
		&s.Destination,
		&s.Kind,
		&s.Lane,
		&s.Subject,
		&s.Payload,
		&s.Labels,
		&s.ReplayOf,
		&s.FallbackOf,
		&s.State,
		&s.Why,
		&s.Attempts,
		&s.Failures,
		&hold,
		&next,
		&created,
		&ended,
	}, more...)...)
	s.HoldUntil = timeOf(hold)
	s.Due = timeOf(next)
	s.Created = timeOf(created)
	s.Ended = timeOf(ended)
	if s.State == StateWaiting {
		s.NextAt = s.Due
	}
	return err
}

// OfSubject is the condition on delivery d for the deliveries of a subject, the first argument.
const OfSubject = `d.subject = $1`

// Select reads deliveries; rest is the statement after FROM delivery d.
func Select(ctx context.Context, tx *db.Tx, rest string, args ...any) ([]Stored, error) {
	scan := func(row db.Row) (s Stored, err error) {
		err = s.Scan(row)
		return s, err
	}
	return db.Collect(ctx, tx, scan, `SELECT `+Columns+` FROM delivery d `+rest, args...)
}

// waiting reads the waiting deliveries that a condition finds.
func (q *Queue) waiting(ctx context.Context, where string, args ...any) ([]*Item, error) {
	return q.readItems(ctx, func(tx *db.Tx) ([]Stored, error) {
		return Select(ctx, tx, `WHERE state = 'waiting' AND `+where, args...)
	})
}

// stillWaiting is the condition for deliveries that are found by their ids. PostgreSQL cannot use an index for it and
// expects half of the rows: it would otherwise read all deliveries that wait in a storm for each batch, because few
// waited when it analysed the table.
func stillWaiting(table string) string {
	return `CASE ` + table + `.state WHEN 'waiting' THEN TRUE ELSE FALSE END`
}

// waitingByID reads those of the deliveries that are waiting, in the order of their ids.
func (q *Queue) waitingByID(ctx context.Context, ids []string) ([]*Item, error) {
	rows := make([][]any, len(ids))
	for i := range ids {
		rows[i] = []any{ids[i]}
	}
	return q.readItems(ctx, func(tx *db.Tx) (list []Stored, err error) {
		err = tx.Join(ctx, []string{"id"}, rows, `SELECT `+Columns+` FROM input CROSS JOIN delivery d
			WHERE d.id = input.id AND `+stillWaiting("d"), func(row db.Row) error {
			var s Stored
			err := s.Scan(row)
			list = append(list, s)
			return err
		})
		slices.SortFunc(list, func(a, b Stored) int { return strings.Compare(a.ID, b.ID) })
		return list, err
	})
}

// readItems reads deliveries and prepares them for the queue.
func (q *Queue) readItems(ctx context.Context, read func(*db.Tx) ([]Stored, error)) ([]*Item, error) {
	var list []*Item
	err := q.cfg.DB.View(ctx, func(tx *db.Tx) error {
		found, err := read(tx)
		list = make([]*Item, len(found))
		for i := range found {
			list[i] = &found[i].Item
		}
		return err
	})
	if err != nil || q.cfg.Load == nil {
		return list, err
	}
	for _, it := range list {
		if err := q.cfg.Load(it); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Attempt is one try, as it went over the wire.
type Attempt struct {
	N       int
	At      time.Time
	Took    time.Duration
	Outcome string // delivered, retry, failed, kept
	Result         // RetryAfter and Fault are not stored
}

// Attempts reads the first 100 attempts of a delivery.
func Attempts(ctx context.Context, tx *db.Tx, deliveryID string) ([]Attempt, error) {
	return db.Collect(ctx, tx, scanAttempt,
		`SELECT n, at, took, status, outcome, error, request, body, response, answer
		FROM attempt WHERE delivery_id = $1 ORDER BY n LIMIT 100`, deliveryID)
}

func scanAttempt(row db.Row) (a Attempt, err error) {
	var at, took int64
	var request, response []byte
	err = row.Scan(&a.N, &at, &took, &a.Status, &a.Outcome, &a.Error, &request, &a.Body, &response, &a.Answer)
	if err != nil {
		return a, err
	}
	a.At = timeOf(at)
	a.Took = time.Duration(took) * time.Microsecond
	err = errors.Join(json.Unmarshal(request, &a.Request), json.Unmarshal(response, &a.Response))
	return a, err
}

// pruneBatch is how many deliveries one transaction deletes: it bounds the time for
// which other transactions wait.
const pruneBatch = 500

// Prune deletes the deliveries that were made before a time and have ended, with
// their attempts, in bounded batches. Between two batches other transactions run.
func (q *Queue) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	for ctx.Err() == nil {
		n, err := q.pruneNext(ctx, id.Lowest(before))
		deleted += n
		if err != nil || n < pruneBatch {
			return deleted, err
		}
	}
	return deleted, nil
}

func (q *Queue) pruneNext(ctx context.Context, before string) (deleted int64, err error) {
	const ended = `SELECT id FROM delivery WHERE id < $1 AND state <> 'waiting' ORDER BY id LIMIT $2`
	err = q.cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM attempt WHERE delivery_id IN (`+ended+`)`, before, pruneBatch)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM replay_progress WHERE until < $1`, before)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM pause WHERE until < $1`, q.cfg.Now().UnixMicro())
		if err != nil {
			return err
		}
		deleted, err = tx.Exec(ctx, `DELETE FROM delivery WHERE id IN (`+ended+`)`, before, pruneBatch)
		return err
	})
	return deleted, err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
