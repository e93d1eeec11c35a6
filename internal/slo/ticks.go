package slo

// maxPieces bounds into how many ticks one count is spread.
const maxSamples = 30

// spread places a count of [at, at+seconds) in ticks. One that lies in a tick is
// placed there. A wider one is spread evenly, over all its ticks or, when they
// are more than 30, over 30 of them at even distances; what was counted stays
// whole, and no sample has more failures than requests. A count that is not
// aligned counts in the ticks that its beginning and its last second lie in.
func spread(at, seconds int64, t Tally, series uint32, to []sample) []sample {
	if t.Total == 0 {
		return to
	}
	first := alignDown(at, Tick)
	ticks := (alignDown(at+max(1, seconds)-1, Tick)-first)/Tick + 1
	n := min(ticks, maxSamples)
	var done Tally
	for i := int64(1); i <= n; i++ {
		total := scaled(t.Total, uint64(i), uint64(n))
		bad := scaled(t.Bad, total, t.Total)
		p := sample{first + (i*ticks/n-1)*Tick, series, Tally{total - done.Total, bad - done.Bad}}
		if p.Total > 0 {
			to = append(to, p)
		}
		done = Tally{total, bad}
	}
	return to
}
