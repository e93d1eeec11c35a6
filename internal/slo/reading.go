package slo

import (
	"context"
	"database/sql"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// reading holds the stored state of an objective.
type reading struct {
	counted bool // a batch has summed it
	shard   int64
	series  uint32
	first   int64 // the series' first tick
	clock   int64
	dataAt  int64
	sums    windowSums
	pairs   []pairState

	exclusions []exclusion
	excluded   []excludedTally // in the period
	history    []bucket        // of the series, over the short windows of the firing pairs; nil unless a pair fires
	composite  *Objective      // nil unless the objective is composite
	parts      []memberReading // of a composite objective: its members
}

// want adds the series of the objective and of its exclusions to those whose history is read.
func (r *reading) want(series map[uint32][]bucket) {
	series[r.series] = nil
	for _, x := range r.exclusions {
		if x.series >= 0 && x.shard == r.shard {
			series[uint32(x.series)] = nil
		}
	}
}

// corrected is the history of the objective's series without what corrections exclude; histories is that of want.
func (r *reading) corrected(histories map[uint32][]bucket) []bucket {
	list := histories[r.series]
	if len(r.exclusions) == 0 {
		return list
	}
	return without(list, excludedOf(list, r.exclusions, histories)...)
}

// anyFiring reports whether a pair fires.
func (r *reading) anyFiring() bool {
	return slices.ContainsFunc(r.pairs, func(st pairState) bool { return st.state == firing })
}

// readingOf reads the committed state of one objective.
func readingOf(ctx context.Context, tx *db.Tx, o *Objective) (reading, error) {
	list, err := readingsOf(ctx, tx, o.account, []*Objective{o})
	if err != nil {
		return reading{}, err
	}
	return list[0], nil
}

// readingsOf reads the committed sums and states of objectives of one account. Any process can answer: it need not own
// the shard.
func readingsOf(ctx context.Context, tx *db.Tx, account string, list []*Objective) ([]reading, error) {
	out := make([]reading, len(list))
	at := make(map[string]int, len(list))
	for i, o := range list {
		out[i].pairs = make([]pairState, len(o.rules))
		at[o.ID] = i
	}
	one := onlyID(list)
	exclusions, err := readExclusions(ctx, tx, account, one, 0)
	if err != nil {
		return nil, err
	}
	for i, o := range list {
		out[i].exclusions = exclusions[o.ID]
	}
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objective, pair string
		var state int64
		var st pairState
		if err := rows.Scan(&objective, &pair, &state, &st.since, &st.began, &st.alerted); err != nil {
			return err
		}
		st.state = alertState(state)
		if i, ok := at[objective]; ok {
			if k := slices.IndexFunc(list[i].rules, func(p Pair) bool { return p.key() == pair }); k >= 0 {
				out[i].pairs[k] = st
			}
		}
		return nil
	}, `SELECT s.objective_id, s.pair, s.state, s.since, s.began, s.told
		FROM objective o JOIN standing s ON s.objective_id = o.id
		WHERE o.account_id = $1 AND ($2 = '' OR o.id = $2)`, account, one)
	if err != nil {
		return nil, err
	}
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objective, text, excluded string
		var series int64
		var r reading
		if err := rows.Scan(&objective, &r.shard, &series, &r.first, &r.clock, &r.dataAt, &text, &excluded); err != nil {
			return err
		}
		i, ok := at[objective]
		if !ok {
			return nil
		}
		r.counted = true
		r.series = uint32(series)
		r.pairs = out[i].pairs
		r.exclusions = out[i].exclusions
		var err error
		if r.excluded, err = decodeExcluded(excluded); err != nil {
			return err
		}
		r.sums, err = decodeSums(list[i].Window, text)
		out[i] = r
		return err
	}, `SELECT o.id, r.shard, r.line, l.first_at, r.clock, r.data_at, r.sums, r.excluded
		FROM objective o JOIN reading r ON r.objective_id = o.id
		JOIN line l ON l.shard = r.shard AND l.id = r.line WHERE o.account_id = $1 AND ($2 = '' OR o.id = $2)`, account, one)
	if err != nil {
		return nil, err
	}
	if err := readBehind(ctx, tx, list, at, out); err != nil {
		return nil, err
	}
	return out, composeReadings(ctx, tx, list, out)
}

// onlyID is the id of the objective when there is only one; "" otherwise.
func onlyID(list []*Objective) string {
	if len(list) == 1 {
		return list[0].ID
	}
	return ""
}

// readBehind adds up the blocks for the objectives whose shard is behind: their readings may be older than the counts.
func readBehind(
	ctx context.Context, tx *db.Tx, objectives []*Objective, at map[string]int, out []reading,
) error {
	clocks := map[int64]int64{}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var shard, clock int64
		err := rows.Scan(&shard, &clock)
		clocks[shard] = clock
		return err
	}, `SELECT id, clock FROM shard WHERE behind = 1`)
	if err != nil || len(clocks) == 0 || len(objectives) == 0 {
		return err
	}
	account := objectives[0].account
	one := onlyID(objectives)
	lines := map[int64]map[uint32][]bucket{} // by shard
	var found []int
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var objective string
		var shard, series, first int64
		if err := rows.Scan(&objective, &shard, &series, &first); err != nil {
			return err
		}
		i, ok := at[objective]
		clock, behind := clocks[shard]
		if !ok || !behind {
			return nil
		}
		out[i] = reading{
			counted: true,
			shard:   shard,
			series:  uint32(series),
			first:   first,
			clock:   clock,
			pairs:   out[i].pairs,

			exclusions: out[i].exclusions,
		}
		found = append(found, i)
		if lines[shard] == nil {
			lines[shard] = map[uint32][]bucket{}
		}
		out[i].want(lines[shard])
		return nil
	}, `SELECT o.id, l.shard, l.id, l.first_at FROM objective o JOIN line l ON l.account_id = o.account_id
		AND l.zone_id = o.zone_id AND l.kind = o.kind AND l.value = o.value AND l.sli = o.sli
		WHERE o.account_id = $1 AND ($2 = '' OR o.id = $2)`, account, one)
	if err != nil {
		return err
	}
	for shard, series := range lines {
		if err := readHistory(ctx, tx, shard, 0, series); err != nil {
			return err
		}
	}
	for _, i := range found {
		r := &out[i]
		list := lines[r.shard][r.series]
		r.sums = tally.Sum(r.clock, objectives[i].Window, r.corrected(lines[r.shard]))
		r.setExcluded(objectives[i], lines[r.shard])
		if n := len(list); n > 0 {
			r.dataAt = min(list[n-1].End, r.clock)
		}
	}
	return nil
}

// readRecent reads the history of series on which a pair fires, over the longest short window of such a pair. It serves
// lists and single objectives alike, so that two pages never contradict each other.
func readRecent(ctx context.Context, tx *db.Tx, list []*Objective, readings []reading) error {
	type need struct {
		since int64
		lines map[uint32][]bucket
	}
	shards := map[int64]*need{}
	for i := range readings {
		r := &readings[i]
		for k, p := range list[i].rules {
			if !r.counted || r.composite != nil || r.pairs[k].state != firing {
				continue
			}
			n := shards[r.shard]
			if n == nil {
				n = &need{since: r.clock, lines: map[uint32][]bucket{}}
				shards[r.shard] = n
			}
			// A block at the window's edge counts as inside, as in the engine's sums.
			n.since = min(n.since, r.clock-p.Short.Seconds()-tally.Levels[p.Short.Level()].Size)
			r.want(n.lines)
		}
	}
	for shard, n := range shards {
		if err := readHistory(ctx, tx, shard, n.since, n.lines); err != nil {
			return err
		}
	}
	for i := range readings {
		r := &readings[i]
		switch {
		case !r.anyFiring():
		case r.composite != nil:
			t, err := composedTimeline(ctx, tx, r, D3.Seconds())
			if err != nil {
				return err
			}
			r.history = t.list
		case shards[r.shard] != nil:
			r.history = r.corrected(shards[r.shard].lines)
		}
	}
	return nil
}

// readingColumns are the columns of the rows that readingRow makes.
var readingColumns = []string{"objective_id", "shard", "line", "clock", "data_at", "sums", "excluded", "silent_at"}

func (e *engine) readingRow(w *watch, shard int64, series uint32) []any {
	s := e.sums(w)
	return []any{
		w.ID,
		shard,
		int64(series),
		e.Clock(),
		w.dataAt,
		encodeSums(w.Window, &s),
		e.excludedText(w),
		w.silentAt(w.dataAt, e.Sums(w.series, w.Window)[D1]),
	}
}

func insertReadings(ctx context.Context, tx *db.Tx, rows [][]any) error {
	return tx.Insert(ctx, "reading", readingColumns,
		`ON CONFLICT (objective_id) DO UPDATE SET shard = excluded.shard, line = excluded.line, clock = excluded.clock,
		data_at = excluded.data_at, sums = excluded.sums,
		excluded = excluded.excluded, silent_at = excluded.silent_at`, rows)
}
