package slo

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// evaluateNow evaluates objectives that are new or changed, or that got or lost a correction, on the existing counts of
// their series, in the transaction that stores them. A shard evaluates only when counts arrive: without this, an
// objective on a failing property that no longer gets requests would stay "ok" for ever.
func (f *Feature) evaluateNow(ctx context.Context, tx *db.Tx, objectives ...*Objective) error {
	list, err := countedOf(ctx, tx, objectives)
	if err != nil {
		return err
	}
	var rows [][]any
	for i := range list {
		c := &list[i]
		e, w, err := c.engine()
		if err != nil {
			return err
		}
		e.alertFrom = f.now().Unix() - alertFor
		e.setPairs(w, c.pairs)
		w.dataAt = c.dataAt
		e.evaluate(w)
		if err := e.setBegan(); err != nil {
			return err
		}
		if err := writePairStates(ctx, tx, c.shard, w, c.pairs); err != nil {
			return err
		}
		rows = append(rows, e.readingRow(w, c.shard, c.series))
		if err := storeTransitions(ctx, tx, e.transitions); err != nil {
			return err
		}
	}
	return insertReadings(ctx, tx, rows)
}

// countedObjective is an objective whose requests have been counted, with the history of its series.
type countedObjective struct {
	*Objective
	reading
	list     []bucket
	excluded [][]bucket // by exclusion
}

// countedOf reads the histories of objectives of one account, decoding each block once for all of a shard's series.
// Objectives of which nothing was counted are left out.
func countedOf(ctx context.Context, tx *db.Tx, objectives []*Objective) ([]countedObjective, error) {
	if len(objectives) == 0 {
		return nil, nil
	}
	readings, err := readingsOf(ctx, tx, objectives[0].account, objectives)
	if err != nil {
		return nil, err
	}
	var out []countedObjective
	histories := map[int64]map[uint32][]bucket{} // by shard
	for i, o := range objectives {
		c := countedObjective{Objective: o, reading: readings[i]}
		found, err := c.find(ctx, tx)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if histories[c.shard] == nil {
			histories[c.shard] = map[uint32][]bucket{}
		}
		c.want(histories[c.shard])
		out = append(out, c)
	}
	for shard, series := range histories {
		if err := readHistory(ctx, tx, shard, 0, series); err != nil {
			return nil, err
		}
	}
	for i := range out {
		c := &out[i]
		c.list = histories[c.shard][c.series]
		c.excluded = excludedOf(c.list, c.exclusions, histories[c.shard])
		if n := len(c.list); n > 0 {
			c.dataAt = min(c.list[n-1].End, c.clock)
		}
	}
	return out, nil
}

// find finds the series of the objective; false when nothing was counted yet.
func (c *countedObjective) find(ctx context.Context, tx *db.Tx) (bool, error) {
	k := c.seriesKey()
	var series int64
	err := tx.QueryRow(ctx, `SELECT l.shard, l.id, l.first_at, s.clock FROM line l JOIN shard s ON s.id = l.shard
		WHERE l.account_id = $1 AND l.zone_id = $2 AND l.kind = $3 AND l.value = $4 AND l.sli = $5`,
		k.account, k.zone, k.kind, k.value, k.sli).Scan(&c.shard, &series, &c.first, &c.clock)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	c.series = uint32(series)
	return err == nil, err
}

// engine makes an engine with the objective on series 0 and what its exclusions leave out on the following ones.
func (c *countedObjective) engine() (*engine, *watch, error) {
	e := newEngine()
	e.SetClock(c.clock)
	w := e.watch(c.Objective, e.AddSeries(c.first))
	list := slices.Clone(c.exclusions)
	for i := range list {
		list[i].series = int64(e.AddSeries(c.first))
		e.Watch(uint32(list[i].series), c.Window, nil)
	}
	e.corrected.set(w, list)
	type part struct {
		id uint32
		bucket
	}
	var all []part
	for i, buckets := range append([][]bucket{c.list}, c.excluded...) {
		for _, b := range buckets {
			all = append(all, part{uint32(i), b})
		}
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(a.Start, b.Start) })
	for i := 0; i < len(all); {
		from := all[i].Start
		size := all[i].End - all[i].Start
		var entries []tally.Entry
		for ; i < len(all) && all[i].Start == from; i++ {
			entries = append(entries, tally.Entry{ID: all[i].id, Tally: all[i].Tally})
		}
		ref := tally.Ref{Level: tally.LevelOf(size), Start: from}
		if err := e.Restore(ref, tally.Encode(nil, entries), true); err != nil {
			return nil, nil, err
		}
	}
	return e, w, nil
}

// sumsWithout are the tallies of the objective at its clock, as if a correction did not exist.
func (c *countedObjective) sumsWithout(correction string) windowSums {
	var excluded [][]bucket
	for i, x := range c.exclusions {
		if x.correction != correction {
			excluded = append(excluded, c.excluded[i])
		}
	}
	return tally.Sum(c.clock, c.Window, without(c.list, excluded...))
}
