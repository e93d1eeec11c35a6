package ledger

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Query asks for a page of the record, newest first by (occurred_at, seq), or
// oldest first.
type Query struct {
	Since, Before int64 // Unix microseconds, [Since, Before); Before 0 = open
	Filters       []record.Filter
	Ascending     bool
	After         *Position // the last event of the page before; nil = from the start
	Limit         int       // 1 to 1,000
	Skip          int       // matching events to pass over (page numbers)
	// Patient is for exports: a search that exceeds its budget returns an empty page
	// with Next instead of an error.
	Patient bool
}

// Position is a place in a list.
type Position struct {
	At  int64 `json:"a"`
	Seq int64 `json:"s"`
}

// PositionOf is the place of an event.
func PositionOf(r *record.Record) *Position { return &Position{At: r.Event.Micros(), Seq: r.Seq} }

// Page is a part of a list. Next is nil at its end.
type Page struct {
	Records []*record.Record
	Next    *Position
}

// SearchBudget is how long one page may look for matches.
const SearchBudget = 2 * time.Second

// Reader reads the record of one account at a time.
type Reader struct {
	db     *db.DB
	budget time.Duration // how long one page may look for matches
	opened atomic.Int64  // events that lists have decoded
}

// NewReader makes a Reader. budget is how long one page may look for matches,
// [SearchBudget] for people.
func NewReader(d *db.DB, budget time.Duration) *Reader { return &Reader{db: d, budget: budget} }

// Opened is the number of events that [Reader.List] has decoded: the measure of what its searches cost.
func (r *Reader) Opened() int64 { return r.opened.Load() }

// List returns a page. A search that finds nothing within two seconds answers
// CodeNarrowRange rather than an empty page, at which clients stop; one that
// has found something gives it, with a Next from where it stopped.
func (r *Reader) List(ctx context.Context, account string, q Query) (*Page, error) {
	m, err := record.Compile(q.Filters)
	if err != nil {
		return nil, err
	}
	page := &Page{}
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil || key == 0 {
			return err
		}
		c := &collector{query: q, match: m, page: page, started: time.Now(), budget: r.budget}
		defer func() { r.opened.Add(c.opened) }()
		if m.Indexed() && !q.Patient { // the walk by time knows how far it came, even when it found nothing
			return c.byDigest(ctx, tx, key)
		}
		return c.byTime(ctx, tx, key)
	})
	return page, err
}

// collector fills one page.
type collector struct {
	query   Query
	match   *record.Matcher
	page    *Page
	skipped int
	started time.Time
	budget  time.Duration
	last    Position // the last event that was looked at
	opened  int64    // events that were decoded
}

// full reports whether the page has one event more than asked: the sign that
// there is a next page.
func (c *collector) full() bool { return len(c.page.Records) > c.query.Limit }

// take looks at one event.
func (c *collector) take(s *record.Stored) error {
	c.last = Position{s.At, s.Seq}
	c.opened++
	rec, err := s.Open()
	if err != nil {
		return err
	}
	if !c.match.Matches(rec) {
		return nil
	}
	if c.skipped < c.query.Skip {
		c.skipped++
		return nil
	}
	c.page.Records = append(c.page.Records, rec)
	return nil
}

// finish sets where the next page begins.
func (c *collector) finish() {
	if c.full() {
		c.page.Records = c.page.Records[:c.query.Limit]
		last := c.page.Records[c.query.Limit-1]
		c.page.Next = &Position{last.Event.Micros(), last.Seq}
	}
}

// overBudget ends a search that takes too long.
func (c *collector) overBudget() (bool, error) {
	if time.Since(c.started) < c.budget {
		return false, nil
	}
	if len(c.page.Records) == 0 && !c.query.Patient {
		return true, errs.New(errs.CodeNarrowRange,
			"nothing was found within %v of searching; narrow the time range with since and before, filter by one of "+
				"actor id, resource id, product, action type or zone, or start an export", c.budget)
	}
	c.page.Next = &Position{c.last.At, c.last.Seq}
	return true, nil
}

// bounds returns the unread range of (at, seq), both ends exclusive.
func (c *collector) bounds() (low, high Position) {
	low = Position{c.query.Since, -1}
	high = Position{math.MaxInt64, math.MaxInt64}
	if c.query.Before > 0 {
		high = Position{c.query.Before, -1}
	}
	if a := c.query.After; a != nil {
		if c.query.Ascending && less(low, *a) {
			low = *a
		} else if !c.query.Ascending && less(*a, high) {
			high = *a
		}
	}
	return low, high
}

func less(a, b Position) bool { return a.At < b.At || a.At == b.At && a.Seq < b.Seq }

const storedColumns = `r.seq, r.at, e.envelope, r.seed, r.salts, r.openings`

const (
	newestFirst = `SELECT ` + storedColumns + ` FROM reading r JOIN entry e ON e.pos = r.pos
		WHERE r.account = $1 AND (r.at, r.seq) > ($2, $3) AND (r.at, r.seq) < ($4, $5)
		ORDER BY r.at DESC, r.seq DESC LIMIT $6 OFFSET $7`
	oldestFirst = `SELECT ` + storedColumns + ` FROM reading r JOIN entry e ON e.pos = r.pos
		WHERE r.account = $1 AND (r.at, r.seq) > ($2, $3) AND (r.at, r.seq) < ($4, $5)
		ORDER BY r.at, r.seq LIMIT $6 OFFSET $7`
	byPos = `SELECT ` + storedColumns + ` FROM reading r JOIN entry e ON e.pos = r.pos WHERE r.pos = $1`
	bySeq = `SELECT ` + storedColumns + ` FROM leaf l JOIN entry e ON e.pos = l.pos JOIN reading r ON r.pos = l.pos
		WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 ORDER BY l.seq LIMIT $4`
)

// byTime walks the index of times and tests each event.
func (c *collector) byTime(ctx context.Context, tx *db.Tx, account int64) error {
	text := newestFirst
	if c.query.Ascending {
		text = oldestFirst
	}
	skip := 0
	if c.match.Everything() { // nothing to test: the index skips
		skip = c.query.Skip
		c.query.Skip = 0
	}
	low, high := c.bounds()
	for chunk := c.query.Limit + 1; ; chunk = 500 {
		n, err := c.read(ctx, tx, text, account, low.At, low.Seq, high.At, high.Seq, chunk, skip)
		if err != nil {
			return err
		}
		if c.full() || n < chunk {
			c.finish()
			return nil
		}
		if stop, err := c.overBudget(); stop {
			return err
		}
		skip = 0
		if c.query.Ascending {
			low = c.last
		} else {
			high = c.last
		}
	}
}

// read takes the rows of one query until the page is full.
func (c *collector) read(ctx context.Context, tx *db.Tx, text string, args ...any) (n int, err error) {
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return n, err
		}
		n++
		if err := c.take(s); err != nil {
			return n, err
		}
		if c.full() {
			return n, nil
		}
	}
	return n, rows.Err()
}

func scanStored(row db.Row) (*record.Stored, error) {
	s := &record.Stored{}
	return s, row.Scan(&s.Seq, &s.At, &s.Envelope, &s.Seed, &s.Salts, &s.Openings)
}

// openRow scans and opens a stored event, for [db.Collect].
func openRow(row db.Row) (*record.Record, error) {
	s, err := scanStored(row)
	if err != nil {
		return nil, err
	}
	return s.Open()
}

// Get returns one event by its id; NotFound when the account has none.
func (r *Reader) Get(ctx context.Context, account, eventID string) (*record.Record, error) {
	var rec *record.Record
	err := r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil {
			return err
		}
		at, err := findKnown(ctx, tx, []idKey{{key, string(compactID(eventID))}})
		if err != nil {
			return err
		}
		for _, p := range at {
			s, err := readStored(ctx, tx, p.pos)
			if err != nil {
				return err
			}
			if s != nil {
				rec, err = s.Open()
				return err
			}
		}
		return errs.New(errs.CodeNotFound, "there is no event %s in this account's record", eventID)
	})
	return rec, err
}

// Size is the number of events in the account's record.
func (r *Reader) Size(ctx context.Context, account string) (size int64, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil || key == 0 {
			return err
		}
		h, err := readHead(ctx, tx, key)
		if err == nil {
			size = int64(h.frontier.Size())
		}
		return err
	})
	return size, err
}

// Range gives up to limit events [from, to) in the order of the log.
func (r *Reader) Range(ctx context.Context, account string, from, to int64, limit int) ([]*record.Record, error) {
	var list []*record.Record
	err := r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil || key == 0 {
			return err
		}
		list, err = db.Collect(ctx, tx, openRow, bySeq, key, from, to, limit)
		return err
	})
	return list, err
}

// Count counts matching events up to most; capped says that there are more, or
// that counting took longer than a search may.
func (r *Reader) Count(ctx context.Context, account string, q Query, most int) (n int, capped bool, err error) {
	q.Limit = min(most, 1000)
	started := time.Now()
	for {
		page, err := r.List(ctx, account, q)
		if err != nil {
			if errs.Is(err, errs.CodeNarrowRange) {
				return n, true, nil
			}
			return n, false, err
		}
		n += len(page.Records)
		switch {
		case page.Next == nil:
			return n, false, nil
		case n >= most || time.Since(started) > r.budget:
			return n, true, nil
		}
		q.After = page.Next
	}
}

// Each walks all matching events, newest first, without the budget of a page.
func (r *Reader) Each(ctx context.Context, account string, q Query, do func(*record.Record) error) error {
	if q.Before > 0 && q.Since >= q.Before {
		return nil // an empty range
	}
	q.Limit = exportChunk
	q.Patient = true
	for {
		page, err := r.List(ctx, account, q)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			if err := do(rec); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return ctx.Err()
		}
		q.After = page.Next
	}
}
