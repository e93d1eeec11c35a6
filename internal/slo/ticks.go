package slo

import "github.com/belfryhq/belfry/internal/slo/tally"

// maxSamples bounds the number of ticks over which one count is spread.
const maxSamples = 30

// spread turns a count of [at, at+seconds) into samples and appends them to to. A count within one tick becomes one
// sample. A wider count is spread evenly over its ticks, or over 30 of them at even distances when there are more; the
// totals are kept, and no sample has more failures than requests. A count that is not aligned covers every tick from
// that of its beginning to that of its last second.
func spread(at, seconds int64, t Tally, series uint32, to []sample) []sample {
	if t.Total == 0 {
		return to
	}
	first := tally.AlignDown(at, Tick)
	ticks := (tally.AlignDown(at+max(1, seconds)-1, Tick)-first)/Tick + 1
	n := min(ticks, maxSamples)
	var done Tally
	for i := int64(1); i <= n; i++ {
		total := scaled(t.Total, uint64(i), uint64(n))
		bad := scaled(t.Bad, total, t.Total)
		p := sample{At: first + (i*ticks/n-1)*Tick, ID: series, Tally: Tally{Total: total - done.Total, Bad: bad - done.Bad}}
		if p.Total > 0 {
			to = append(to, p)
		}
		done = Tally{Total: total, Bad: bad}
	}
	return to
}
