package tally

import (
	"math/rand/v2"
	"testing"
)

// TestAClearedSeriesLeavesNothing compares a set from which a series was removed with one that never had its counts.
func TestAClearedSeriesLeavesNothing(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := New()
		without := New()
		for range 4 {
			s.AddSeries(epoch)
			without.AddSeries(epoch)
		}
		const cleared = 3
		at := int64(epoch)
		for range 300 {
			at += Tick * (1 + rng.Int64N(200))
			batch := randomSamples(rng, at, []uint32{0, 1, cleared}, seed%2 == 1)
			var rest []Sample
			for _, p := range batch {
				if p.ID != cleared {
					rest = append(rest, p)
				}
			}
			process(t, s, batch)
			if without.Clock() == 0 {
				without.SetClock(s.Clock())
			}
			process(t, without, rest)
			for without.Clock() < s.Clock() {
				if err := without.Step(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Clear(cleared); err != nil {
			t.Fatal(err)
		}
		mustEqual(t, without, s)
		if n := len(s.wide.rows) - len(s.wide.free); n != len(without.wide.rows)-len(without.wide.free) {
			t.Errorf("%d wide rows are used", n)
		}
		// The id counts again from nothing.
		process(t, s, []Sample{{At: at + Tick, ID: cleared, Tally: Tally{Total: 5, Bad: 1}}})
		if got := s.Sums(cleared, D28)[D3]; got != (Tally{5, 1}) {
			t.Errorf("%+v", got)
		}
	}
}
