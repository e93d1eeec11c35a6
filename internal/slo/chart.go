package slo

import (
	"context"
	"database/sql"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Range is the length of a series. Its step is the resolution of the oldest blocks that it needs.
type Range struct {
	Name    string
	Seconds int64
	Step    int64
	Burns   []Window // the windows whose burn rates are shown
}

// Ranges lists all ranges.
var Ranges = []Range{
	{"1h", 3600, 30, []Window{M5, H1}},
	{"6h", 21_600, 150, []Window{M5, H1, H6}},
	{"1d", 86_400, 600, []Window{M30, H1, H6}},
	{"7d", 7 * 86_400, 7200, []Window{H6, D1, D3}},
	{"28d", 28 * 86_400, 7200, []Window{H6, D1, D3}},
	{"90d", 90 * 86_400, 86_400, []Window{D3}},
}

// RangeOf finds a range by its name; ok is false when there is none.
func RangeOf(name string) (Range, bool) {
	i := slices.IndexFunc(Ranges, func(r Range) bool { return r.Name == name })
	if i < 0 {
		return Ranges[0], false
	}
	return Ranges[i], true
}

// Series is an objective over time.
type Series struct {
	Range  string        `json:"range"`
	Step   int64         `json:"step_seconds"`
	Points []SeriesPoint `json:"points"`

	Corrections []ActiveCorrection `json:"corrections,omitempty" doc:"Times in the range that are left out of burn rates and budget"`

	burns []Window
}

// SeriesPoint is one step of a series. Burn rates without a request are left out.
type SeriesPoint struct {
	At         web.Time           `json:"at" doc:"End of the step"`
	Total      uint64             `json:"total" doc:"Requests in the step"`
	Bad        uint64             `json:"bad"`
	Burn       map[string]float64 `json:"burn" doc:"Burn rates by window"`
	BudgetLeft *float64           `json:"budget_left,omitempty" doc:"1 = untouched, below 0 = overspent"`
}

// Series reads an objective over a range that ends with the newest counts.
func (f *Feature) Series(ctx context.Context, o *Objective, rg Range) (Series, error) {
	list, err := f.seriesOf(ctx, []*Objective{o}, rg)
	if err != nil {
		return Series{}, err
	}
	s := list[0]
	s.Corrections, err = f.activeCorrections(ctx, o, rg.Seconds)
	return s, err
}

// seriesOf reads several objectives of one account at once.
func (f *Feature) seriesOf(ctx context.Context, objectives []*Objective, rg Range) (out []Series, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err := timelinesOf(ctx, tx, objectives, 0)
		out = make([]Series, len(list))
		for i := range list {
			out[i] = list[i].over(objectives[i], rg)
		}
		return err
	})
	return out, err
}

// timeline is the stored counts of an objective's series, in buckets that are longer the older they are.
type timeline struct {
	reading reading
	clock   int64    // of the shard: the end of the newest tick; 0 = nothing was counted
	all     []bucket // oldest first
	list    []bucket // without what corrections exclude
}

// over is the part of the timeline that a range covers.
func (t *timeline) over(o *Objective, rg Range) Series {
	s := Series{Range: rg.Name, Step: rg.Step, Points: []SeriesPoint{}, burns: rg.Burns}
	if t.reading.counted {
		s.Points = points(o, t.all, t.list, t.clock, rg)
	}
	return s
}

// timelinesOf reads the counts of objectives of one account over the last length seconds; 0 = all that are stored.
func timelinesOf(ctx context.Context, tx *db.Tx, objectives []*Objective, length int64) ([]timeline, error) {
	if len(objectives) == 0 {
		return nil, nil
	}
	readings, err := readingsOf(ctx, tx, objectives[0].account, objectives)
	if err != nil {
		return nil, err
	}
	return readTimelines(ctx, tx, readings, length)
}

// readTimelines reads the counts behind readings. It decodes each block once for all of a shard's series.
func readTimelines(ctx context.Context, tx *db.Tx, readings []reading, length int64) ([]timeline, error) {
	out := make([]timeline, len(readings))
	members := map[int64][]int{} // by shard
	for i, r := range readings {
		out[i].reading = r
		if r.composite != nil && r.counted {
			var err error
			if out[i], err = composedTimeline(ctx, tx, &r, length); err != nil {
				return nil, err
			}
			continue
		}
		if r.counted {
			members[r.shard] = append(members[r.shard], i)
		}
	}
	for shard, list := range members {
		clock, err := clockOf(ctx, tx, shard)
		if err != nil {
			return nil, err
		}
		series := map[uint32][]bucket{}
		for _, i := range list {
			out[i].reading.want(series)
		}
		since := int64(0)
		if length > 0 {
			since = clock - length
		}
		if err := readHistory(ctx, tx, shard, since, series); err != nil {
			return nil, err
		}
		for _, i := range list {
			out[i].clock = clock
			out[i].all = series[out[i].reading.series]
			out[i].list = out[i].reading.corrected(series)
		}
	}
	return out, nil
}

// clockOf is the end of a shard's newest tick.
func clockOf(ctx context.Context, tx *db.Tx, shard int64) (clock int64, err error) {
	err = tx.QueryRow(ctx, `SELECT clock FROM shard WHERE id = $1`, shard).Scan(&clock)
	return clock, err
}

// readHistory fills in the buckets of some series of a shard from a time on, oldest first. Blocks that start earlier
// are left out.
func readHistory(ctx context.Context, tx *db.Tx, shard, since int64, series map[uint32][]bucket) error {
	chunk := map[uint32]bool{}
	for series := range series {
		chunk[series>>tally.ChunkBits] = true
	}
	for c := range chunk {
		// The coarsest levels are the oldest.
		err := eachRow(ctx, tx, func(rows *sql.Rows) error {
			var level int
			var start int64
			var data []byte
			if err := rows.Scan(&level, &start, &data); err != nil {
				return err
			}
			if level < 0 || level >= tally.LevelCount {
				return tally.ErrDamaged
			}
			return tally.Each(data, func(e tally.Entry) {
				if list, ok := series[e.ID]; ok {
					series[e.ID] = append(list, bucket{Start: start, End: start + tally.Levels[level].Size, Tally: e.Tally})
				}
			})
		}, `SELECT level, start, data
			FROM slo_column WHERE shard = $1 AND chunk = $2 AND start >= $3 ORDER BY level DESC, start`,
			shard, int64(c), since)
		if err != nil {
			return err
		}
	}
	return nil
}

// sumsBetween returns a function that sums the buckets that end after from, up to to.
func sumsBetween(list []bucket) func(from, to int64) Tally {
	before := make([]Tally, len(list)+1) // sums of the buckets before each
	for i, b := range list {
		before[i+1] = before[i]
		before[i+1].Add(b.Tally)
	}
	return func(from, to int64) Tally {
		i, _ := slices.BinarySearchFunc(list, from+1, func(b bucket, t int64) int { return int(b.End - t) })
		j, _ := slices.BinarySearchFunc(list, to+1, func(b bucket, t int64) int { return int(b.End - t) })
		t := before[max(i, j)]
		t.Subtract(before[i])
		return t
	}
}

// points makes the points of a range from the buckets of a series: the requests from all of them, burn rates and budget
// from those without what corrections exclude.
func points(o *Objective, all, list []bucket, clock int64, rg Range) []SeriesPoint {
	within := sumsBetween(list)
	requests := sumsBetween(all)
	last := tally.AlignDown(clock, rg.Step)
	if last < clock {
		last += rg.Step
	}
	out := []SeriesPoint{}
	for at := last - rg.Seconds + rg.Step; at <= last; at += rg.Step {
		step := requests(at-rg.Step, at)
		p := SeriesPoint{At: timeOf(at), Total: step.Total, Bad: step.Bad, Burn: map[string]float64{}}
		for _, w := range rg.Burns {
			if t := within(at-w.Seconds(), at); t.Total > 0 {
				p.Burn[w.String()] = burnRate(t, o.allowed)
			}
		}
		if t := within(o.Window.Begins(at), at); t.Total > 0 {
			left := budgetOf(o.Window, t, o.allowed, at).Left
			p.BudgetLeft = &left
		}
		out = append(out, p)
	}
	return out
}
