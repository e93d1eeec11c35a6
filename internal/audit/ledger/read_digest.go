package ledger

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"sort"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// candidate is an event whose facets match.
type candidate struct {
	Position
	pos int64
}

// upcoming is a tile of 256 events, or a span of 16 tiles, that may hold a match, with
// the time of its event that comes first in the list's order.
type upcoming struct {
	at, n int64
	span  bool
}

// byDigest walks the digests, newest (or oldest) first: those of the spans where
// the log has them, then of the tiles in the spans that may hold a match, and
// opens the tiles that may. A tile's events may be interleaved in time with those of
// others, so a match is emitted only once no unread tile can contain an earlier
// event.
func (c *collector) byDigest(ctx context.Context, tx *db.Tx, account int64) error {
	h, err := readHead(ctx, tx, account)
	if err != nil {
		return err
	}
	w := &digestWalk{collector: c, account: account}
	w.low, w.high = c.bounds()
	size := int64(h.frontier.Size())
	if err := w.start(ctx, tx, size); err != nil {
		return err
	}
	for !c.full() {
		if err := w.load(ctx, tx); err != nil {
			return err
		}
		if w.stopped {
			return nil
		}
		for len(w.waiting) > 0 && !c.full() && (len(w.ahead) == 0 || c.beyond(w.waiting[0].At, w.ahead[0].at)) {
			if _, err := c.read(ctx, tx, byPos, w.waiting[0].pos); err != nil {
				return err
			}
			w.waiting = w.waiting[1:]
		}
		if c.full() || len(w.ahead) == 0 {
			break
		}
		if stop, err := c.overBudget(); stop {
			return err
		}
		next := w.ahead[0]
		w.ahead = w.ahead[1:]
		if next.span {
			err = w.addTiles(ctx, tx, next.n*spanTiles, next.n*spanTiles+spanTiles)
		} else {
			err = w.openTile(ctx, tx, next.n*256, next.n*256+256)
		}
		if err != nil {
			return err
		}
	}
	c.finish()
	return nil
}

// digestWalk is the state of one walk over the digests.
type digestWalk struct {
	*collector
	account   int64
	low, high Position

	waiting []candidate // found, in the list's order, and not given out
	ahead   []upcoming  // to be opened, in the list's order

	text    string // of the query for the digests; the rest of it follows
	spans   bool   // they are of spans
	cursor  Position
	end     bool // there are none after cursor
	stopped bool // the budget ran out
}

// How many digests one query gives: a span's has some 5 KB, a tile's 500 bytes.
const (
	spansChunk = 64
	tilesChunk = 1000
)

// start opens what no digest covers, and decides which digests to walk over.
func (w *digestWalk) start(ctx context.Context, tx *db.Tx, size int64) error {
	if err := w.openTile(ctx, tx, size&^255, size); err != nil {
		return err
	}
	built, err := spansBuilt(ctx, tx, w.account)
	if err != nil {
		return err
	}
	table := "digest"
	// Of a log that grew before there were spans, they may still be made.
	if w.spans = built > 0 && built == size/spanEvents; w.spans {
		table = "span"
		if err := w.addTiles(ctx, tx, built*spanTiles, size/256); err != nil {
			return err
		}
	}
	w.text = `SELECT n, max_at, bloom FROM ` + table +
		` WHERE account = $1 AND max_at >= $2 AND min_at <= $3 AND (max_at, n) < ($4, $5)
			ORDER BY max_at DESC, n DESC LIMIT $6`
	w.cursor = Position{math.MaxInt64, math.MaxInt64}
	if w.query.Ascending {
		w.text = `SELECT n, min_at, bloom FROM ` + table +
			` WHERE account = $1 AND max_at >= $2 AND min_at <= $3 AND (min_at, n) > ($4, $5) ORDER BY min_at, n LIMIT $6`
		w.cursor = Position{math.MinInt64, -1}
	}
	return nil
}

// load reads digests until none that is not read comes before the first ahead.
func (w *digestWalk) load(ctx context.Context, tx *db.Tx) error {
	chunk := tilesChunk
	if w.spans {
		chunk = spansChunk
	}
	for !w.end && (len(w.ahead) == 0 || w.beyond(w.cursor.At, w.ahead[0].at)) {
		n, err := w.add(ctx, tx, w.text, w.spans, &w.cursor, w.account, w.low.At, w.high.At, w.cursor.At, w.cursor.Seq, chunk)
		if err != nil {
			return err
		}
		w.end = n < chunk
		if w.stopped, err = w.overBudget(); w.stopped {
			return err
		}
	}
	return nil
}

// addTiles puts those of the full tiles [from, to) ahead that may hold a match.
func (w *digestWalk) addTiles(ctx context.Context, tx *db.Tx, from, to int64) error {
	if from >= to {
		return nil
	}
	text := `SELECT n, max_at, bloom
		FROM digest WHERE account = $1 AND max_at >= $2 AND min_at <= $3 AND n >= $4 AND n < $5`
	if w.query.Ascending {
		text = `SELECT n, min_at, bloom
			FROM digest WHERE account = $1 AND max_at >= $2 AND min_at <= $3 AND n >= $4 AND n < $5`
	}
	_, err := w.add(ctx, tx, text, false, &Position{}, w.account, w.low.At, w.high.At, from, to)
	return err
}

// add asks for digests, puts those that may hold a match ahead, and sets last to
// the last of them.
func (w *digestWalk) add(
	ctx context.Context,
	tx *db.Tx,
	text string,
	span bool,
	last *Position,
	args ...any,
) (n int, err error) {
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var bloom sql.RawBytes
		if err := rows.Scan(&last.Seq, &last.At, &bloom); err != nil {
			return n, err
		}
		if w.match.MayBeIn(bloom) {
			w.ahead = append(w.ahead, upcoming{last.At, last.Seq, span})
		}
	}
	slices.SortStableFunc(w.ahead, func(a, b upcoming) int {
		switch {
		case a.at == b.at:
			return 0
		case w.beyond(a.at, b.at):
			return -1
		default:
			return 1
		}
	})
	return n, rows.Err()
}

// before is the list's order.
func (c *collector) before(a, b Position) bool {
	if c.query.Ascending {
		return less(a, b)
	}
	return less(b, a)
}

// beyond reports whether an event at this time comes before everything in a
// tile whose nearest event is at edge.
func (c *collector) beyond(at, edge int64) bool {
	if c.query.Ascending {
		return at < edge
	}
	return at > edge
}

// openTile puts the events [from, to) whose facets match among those that wait.
func (w *digestWalk) openTile(ctx context.Context, tx *db.Tx, from, to int64) error {
	rows, err := tx.Query(ctx, `SELECT r.pos, r.seq, r.at, r.actor, r.resource, r.product, r.action, r.zone
		FROM leaf l JOIN reading r ON r.pos = l.pos
		WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3`, w.account, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k candidate
		var keys record.Keys
		if err := rows.Scan(&k.pos, &k.Seq, &k.At, &keys[record.ByActor], &keys[record.ByResource], &keys[record.ByProduct],
			&keys[record.ByAction], &keys[record.ByZone]); err != nil {
			return err
		}
		if w.match.HasKeys(&keys) && less(w.low, k.Position) && less(k.Position, w.high) {
			w.waiting = append(w.waiting, k)
		}
	}
	sort.Slice(w.waiting, func(i, j int) bool { return w.before(w.waiting[i].Position, w.waiting[j].Position) })
	return rows.Err()
}
