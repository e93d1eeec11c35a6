package slo

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// exclusion is a correction of one objective: the counts of [from, to) do not count. They are also counted in a series
// of their own, with the same blocks and windows as the objective's series, so that subtracting is exact and removing a
// correction restores every number. The counts of a tick belong to one exclusion of the objective at most.
type exclusion struct {
	id         string
	objective  string
	correction string
	from, to   int64 // ticks, or the edges of older blocks
	shard      int64
	series     int64 // -1 until the shard has made it
}

// kindExcluded is the kind of the series that have what exclusions leave out; their value is the exclusion's id.
const kindExcluded = "excluded"

func (x *exclusion) covers(at int64) bool { return x.from <= at && at < x.to }

// rangeOf widens a stretch of time to the resolution of the counts at a clock: ticks, and whole blocks where the counts
// have been compacted already.
func rangeOf(clock, from, to int64) (int64, int64) {
	from = tally.AlignDown(from, Tick)
	to = tally.AlignDown(to+Tick-1, Tick)
	if from < clock {
		from, _ = tally.BlockOf(clock, from)
	}
	if to < clock {
		_, to = tally.BlockOf(clock, to-Tick)
	}
	return from, to
}

// share are the buckets of a series that an exclusion leaves out, without what others leave out already. A bucket that
// is older than a tick is left out as a whole.
func (x *exclusion) share(of []bucket, others ...[]bucket) (list []bucket) {
	for _, b := range of {
		if b.Start >= x.to || b.End <= x.from {
			continue
		}
		for _, other := range others {
			b.Subtract(bucketAt(other, b))
		}
		if b.Total > 0 {
			list = append(list, b)
		}
	}
	return list
}

// bucketAt is the tally of a list at the stretch of a bucket.
func bucketAt(list []bucket, b bucket) Tally {
	i, found := slices.BinarySearchFunc(list, b, func(a, b bucket) int { return int(a.Start - b.Start) })
	if found && list[i].End == b.End {
		return list[i].Tally
	}
	return Tally{}
}

// without subtracts buckets from the buckets that contain them.
func without(list []bucket, excluded ...[]bucket) []bucket {
	out := slices.Clone(list)
	for i := range out {
		for _, other := range excluded {
			out[i].Subtract(bucketAt(other, out[i]))
		}
	}
	return slices.DeleteFunc(out, func(b bucket) bool { return b.Total == 0 })
}

// excludedOf are the buckets that each exclusion of an objective leaves out. histories has the buckets of the series of
// the exclusions that have one; the others leave out what is in their range.
func excludedOf(list []bucket, exclusions []exclusion, histories map[uint32][]bucket) [][]bucket {
	out := make([][]bucket, len(exclusions))
	for i, x := range exclusions {
		if x.series >= 0 {
			out[i] = histories[uint32(x.series)]
		}
	}
	for i, x := range exclusions {
		if x.series < 0 {
			out[i] = x.share(list, out...)
		}
	}
	return out
}

// stretch is the time [from, to) in Unix seconds.
type stretch struct{ from, to int64 }

// rangesOf are the times of an objective's corrections: ascending, without overlaps.
func rangesOf(list []exclusion) map[string][]stretch {
	out := map[string][]stretch{}
	list = slices.SortedFunc(slices.Values(list), func(a, b exclusion) int { return cmp.Compare(a.from, b.from) })
	for _, x := range list {
		ranges := out[x.correction]
		if n := len(ranges); n > 0 && x.from <= ranges[n-1].to {
			ranges[n-1].to = max(ranges[n-1].to, x.to)
			continue
		}
		out[x.correction] = append(ranges, stretch{x.from, x.to})
	}
	return out
}

// intersect is the time that is in both lists.
func intersect(a, b []stretch) (both []stretch) {
	for _, x := range a {
		for _, y := range b {
			if from, to := max(x.from, y.from), min(x.to, y.to); from < to {
				both = append(both, stretch{from, to})
			}
		}
	}
	return both
}

// readExclusions reads the exclusions of an account's objectives that may still matter at a time, by objective; one
// reads those of one objective. An empty account reads all.
func readExclusions(
	ctx context.Context, tx *db.Tx, account, one string, since int64,
) (map[string][]exclusion, error) {
	out := map[string][]exclusion{}
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var x exclusion
		if err := rows.Scan(&x.id, &x.objective, &x.correction, &x.from, &x.to, &x.shard, &x.series); err != nil {
			return err
		}
		out[x.objective] = append(out[x.objective], x)
		return nil
	}, `SELECT id, objective_id, correction_id, from_at, to_at, shard, line FROM exclusion
		WHERE ($1 = '' OR account_id = $1) AND ($2 = '' OR objective_id = $2) AND to_at > $3 ORDER BY id`,
		account, one, since)
	return out, err
}

// The engine's part.

// corrected is the exclusions of an engine's objectives.
type corrected struct {
	of       map[*watch][]exclusion
	from, to int64 // no exclusion covers a tick outside of these
}

func (c *corrected) set(w *watch, list []exclusion) {
	if c.of == nil {
		c.of = map[*watch][]exclusion{}
	}
	if len(list) == 0 {
		delete(c.of, w)
		return
	}
	if len(c.of) == 0 {
		c.from = list[0].from
		c.to = list[0].to
	}
	c.of[w] = list
	for i := range list {
		c.from = min(c.from, list[i].from)
		c.to = max(c.to, list[i].to)
	}
}

// sums are the tallies of an objective without what corrections exclude.
func (e *engine) sums(w *watch) windowSums {
	s := e.Sums(w.series, w.Window)
	if len(e.corrected.of) > 0 {
		for _, x := range e.corrected.of[w] {
			excluded := e.Sums(uint32(x.series), w.Window)
			s.Subtract(&excluded)
		}
	}
	return s
}

// silent reports that nothing at all was counted in a window, not even what corrections exclude.
func (e *engine) silent(w *watch, s *windowSums, window Window) bool {
	if s[window].Total > 0 {
		return false
	}
	return len(e.corrected.of) == 0 || e.Sums(w.series, w.Window)[window].Total == 0
}

// exclude adds the samples of a tick that corrections exclude to the series of these.
func (e *engine) exclude(at int64, samples []sample) error {
	if len(e.corrected.of) == 0 || at < e.corrected.from || at >= e.corrected.to {
		return nil
	}
	e.excluded = e.excluded[:0]
	for i := range samples {
		for w := range e.watchesOf(samples[i].ID) {
			list := e.corrected.of[w]
			if k := slices.IndexFunc(list, func(x exclusion) bool { return x.covers(at) }); k >= 0 {
				p := samples[i]
				p.ID = uint32(list[k].series)
				e.excluded = append(e.excluded, p)
			}
		}
	}
	if len(e.excluded) == 0 {
		return nil
	}
	_, _, err := e.Add(at, e.excluded)
	return err
}

// historiesOf are the buckets of some objectives' series without what corrections exclude.
func (e *engine) historiesOf(list []*watch, since int64) ([][]bucket, error) {
	ids := map[uint32]bool{}
	for _, w := range list {
		ids[w.series] = true
		for _, x := range e.corrected.of[w] {
			ids[uint32(x.series)] = true
		}
	}
	series := slices.Sorted(maps.Keys(ids))
	lists, err := e.Histories(series, since)
	if err != nil {
		return nil, err
	}
	of := func(id uint32) []bucket {
		i, _ := slices.BinarySearch(series, id)
		return lists[i]
	}
	out := make([][]bucket, len(list))
	for i, w := range list {
		out[i] = of(w.series)
		for _, x := range e.corrected.of[w] {
			out[i] = without(out[i], of(uint32(x.series)))
		}
	}
	return out, nil
}

// The shard's part.

// attachExclusions gives an objective its exclusions. A new one gets a series, with what the objective's series counted
// in its range before.
func (s *shardState) attachExclusions(w *watch) error {
	list := slices.Clone(s.exclusions[w.ID])
	var fresh []int
	for i := range list {
		x := &list[i]
		if x.series >= 0 && x.shard == int64(s.id) {
			continue
		}
		k := seriesKey{w.account, w.Match.Zone, kindExcluded, x.id, ""}
		x.shard = int64(s.id)
		x.series = int64(s.addExcluded(&k, s.First(w.series)))
		s.newExclusions = append(s.newExclusions, *x)
		fresh = append(fresh, i)
	}
	s.exclusions[w.ID] = list
	var recount []uint32
	for _, x := range list {
		if s.Rewatch(uint32(x.series), []tally.Watched{{Budget: w.Window}}) {
			recount = append(recount, uint32(x.series))
		}
	}
	slices.Sort(recount)
	if err := s.Recount(recount); err != nil {
		return err
	}
	for _, i := range fresh {
		if err := s.fill(w, list, i); err != nil {
			return err
		}
	}
	s.corrected.set(w, list)
	s.setActive(w.series)
	return nil
}

// excludedSeries is the series of an exclusion.
type excludedSeries struct {
	key seriesKey
	id  uint32
}

// addExcluded adds the series of an exclusion: in the line of one that was removed, if there is one.
func (s *shardState) addExcluded(k *seriesKey, first int64) (series uint32) {
	if n := len(s.free) - 1; n >= 0 {
		series = s.free[n]
		s.free = s.free[:n]
		s.SetFirst(series, first)
		s.reused[series] = *k
	} else {
		series = s.AddSeries(first)
		s.newSeries = append(s.newSeries, *k)
	}
	s.series.Put(s.keyOf(k), series)
	s.perAccount[k.account]++
	s.excludedBy[k.value] = excludedSeries{*k, series}
	return series
}

// kindFree is the kind of a series whose line is free.
const kindFree = "free"

// freeExcluded frees the lines of exclusions that no longer exist. The highest id is used first, so that the order does
// not depend on when they were freed.
func (s *shardState) freeExcluded() error {
	if len(s.excludedBy) == 0 {
		return nil
	}
	present := map[string]bool{}
	for _, list := range s.exclusions {
		for i := range list {
			present[list[i].id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.excludedBy)) {
		if present[id] {
			continue
		}
		x := s.excludedBy[id]
		if err := s.Clear(x.id); err != nil {
			return err
		}
		delete(s.excludedBy, id)
		s.series.Remove(s.keyOf(&x.key))
		s.perAccount[x.key.account]--
		s.free = append(s.free, x.id)
		s.reused[x.id] = seriesKey{kind: kindFree}
	}
	slices.Sort(s.free)
	return nil
}

// writeReused writes the series in lines that were freed, and those that were.
func (s *shardState) writeReused(ctx context.Context, tx *db.Tx) error {
	for _, series := range slices.Sorted(maps.Keys(s.reused)) {
		k := s.reused[series]
		_, err := tx.Exec(ctx, `UPDATE line SET account_id = $3, zone_id = $4, kind = $5, value = $6, sli = $7, first_at = $8
			WHERE shard = $1 AND id = $2`, s.id, int64(series), k.account, k.zone, k.kind, k.value, k.sli, s.First(series))
		if err != nil {
			return err
		}
	}
	return nil
}

// fill adds what the objective's series counted in the range of an exclusion to the series of this.
func (s *shardState) fill(w *watch, list []exclusion, fresh int) error {
	x := &list[fresh]
	if s.Clock() == 0 || x.from >= s.Clock() {
		return nil
	}
	ids := []uint32{w.series}
	for _, other := range list {
		ids = append(ids, uint32(other.series))
	}
	slices.Sort(ids)
	lists, err := s.Histories(ids, x.from)
	if err != nil {
		return err
	}
	var main []bucket
	var others [][]bucket
	for i, id := range ids {
		if id == w.series {
			main = lists[i]
		} else {
			others = append(others, lists[i])
		}
	}
	return s.AddBuckets(uint32(x.series), x.share(main, others...))
}

// readExclusions reads the exclusions of all objectives.
func (s *shardState) readExclusions(ctx context.Context, tx *db.Tx) (err error) {
	s.exclusions, err = readExclusions(ctx, tx, "", "", s.Clock()-kept)
	if err != nil {
		return err
	}
	for _, w := range s.watches {
		list := s.exclusions[w.ID]
		for _, x := range list {
			if x.series >= 0 && x.shard == int64(s.id) {
				s.Watch(uint32(x.series), w.Window, nil)
			}
		}
	}
	return nil
}

// attachAllExclusions follows the reading of the blocks.
func (s *shardState) attachAllExclusions(context.Context, *db.Tx) error {
	if err := s.freeExcluded(); err != nil {
		return err
	}
	for _, w := range s.watches {
		if len(s.exclusions[w.ID]) == 0 {
			continue
		}
		if err := s.attachExclusions(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *shardState) writeExclusions(ctx context.Context, tx *db.Tx) error {
	for _, x := range s.newExclusions {
		_, err := tx.Exec(ctx, `UPDATE exclusion SET shard = $2, line = $3 WHERE id = $1`, x.id, x.shard, x.series)
		if err != nil {
			return fmt.Errorf("exclusion %s: %w", x.id, err)
		}
	}
	return nil
}
