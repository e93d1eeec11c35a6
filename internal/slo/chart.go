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
	{"28d", 28 * 86_400, 7200, []Window{H6, D1, D3}},
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

// seriesOf reads several objectives of one account at once, and decodes each block once for all of a shard's series.
func (f *Feature) seriesOf(ctx context.Context, objectives []*Objective, rg Range) ([]Series, error) {
	out := make([]Series, len(objectives))
	err := f.db.View(ctx, func(tx *db.Tx) error {
		type member struct {
			at int
			r  reading
		}
		shards := map[int64][]member{}
		if len(objectives) == 0 {
			return nil
		}
		readings, err := readingsOf(ctx, tx, objectives[0].account, objectives)
		if err != nil {
			return err
		}
		for i, r := range readings {
			out[i] = Series{Range: rg.Name, Step: rg.Step, Points: []SeriesPoint{}, burns: rg.Burns}
			if r.counted {
				shards[r.shard] = append(shards[r.shard], member{i, r})
			}
		}
		for id, members := range shards {
			var clock int64
			if err := tx.QueryRow(ctx, `SELECT clock FROM shard WHERE id = $1`, id).Scan(&clock); err != nil {
				return err
			}
			series := map[uint32][]bucket{}
			for _, m := range members {
				m.r.want(series)
			}
			if err := readHistory(ctx, tx, id, 0, series); err != nil {
				return err
			}
			for _, m := range members {
				out[m.at].Points = points(objectives[m.at], series[m.r.series], m.r.corrected(series), clock, rg)
			}
		}
		return nil
	})
	return out, err
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
