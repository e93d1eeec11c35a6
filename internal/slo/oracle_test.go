package slo

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// oracle keeps every sample and adds up from the beginning.
type oracle []sample

func (o oracle) sum(series uint32, from, to int64) (t Tally) {
	for _, p := range o {
		if p.series == series && p.at+Tick > from && p.at+Tick <= to {
			t.add(p.Tally)
		}
	}
	return t
}

// TestWindowsHoldWhatTheOracleCounts compares with an oracle that keeps every
// event: equal where the clock is a multiple of the level that reaches the
// window, and otherwise between the window and the window and one block.
func TestWindowsHoldWhatTheOracleCounts(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 9))
		e := newEngine()
		const lines = 5
		for range lines {
			e.addSeries(epoch)
		}
		var all oracle
		at := int64(epoch)
		for range 700 {
			var batch []sample
			at += Tick * (1 + rng.Int64N(30)*rng.Int64N(20))
			for range 1 + rng.IntN(4) {
				p := sample{at - at%Tick, uint32(rng.IntN(lines)), Tally{1 + rng.Uint64N(40), 0}}
				if rng.IntN(4) == 0 { // late, up to 30 days
					p.at -= Tick * rng.Int64N(Longest/Tick>>rng.IntN(16))
				}
				p.Bad = rng.Uint64N(p.Total + 1)
				batch = append(batch, p)
			}
			all = append(all, batch...)
			if err := e.process(batch); err != nil {
				t.Fatal(err)
			}
			for w := range Window(sliding) {
				g := levels[windowLevel[w]].Size
				from := e.clock - w.Seconds()
				for series := range uint32(lines) {
					got := e.sums[series][w]
					exact := all.sum(series, from, e.clock)
					wide := all.sum(series, from-g, e.clock)
					if e.clock%g == 0 && got != exact {
						t.Fatalf("seed %d, line %d, %s at %d: %+v, exact %+v", seed, series, w, e.clock, got, exact)
					}
					if got.Total < exact.Total || got.Bad < exact.Bad || got.Total > wide.Total || got.Bad > wide.Bad {
						t.Fatalf("seed %d, line %d, %s at %d: %+v, not between %+v and %+v", seed, series, w, e.clock, got, exact, wide)
					}
				}
			}
			if from, _ := monthOf(e.clock); e.sums[0][Month] != all.sum(0, from, e.clock) {
				t.Fatalf("seed %d: month %+v, want %+v", seed, e.sums[0][Month], all.sum(0, from, e.clock))
			}
		}
		if e.refused > 0 {
			t.Errorf("%d refused", e.refused)
		}
		// The blocks read back equal the blocks in memory.
		back := newEngine()
		back.clock = e.clock
		back.blocks = e.blocks
		back.first = e.first
		if err := back.restore(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.sums, e.sums) {
			t.Errorf("seed %d: the sums of the columns differ from those that were kept", seed)
		}
	}
}

func TestTheOrderWithinABatchDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var samples []sample
	for i := range 3000 {
		samples = append(samples, sample{epoch + int64(i/3)*Tick, uint32(i % 3), Tally{uint64(1 + i%7), uint64(i % 2)}})
	}
	run := func(list []sample) *engine {
		e := newEngine()
		for range 3 {
			e.addSeries(epoch)
		}
		if err := e.process(slices.Clone(list)); err != nil {
			t.Fatal(err)
		}
		return e
	}
	one := run(samples)
	rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	two := run(samples)
	if !slices.Equal(one.sums, two.sums) || one.clock != two.clock {
		t.Error("the sums differ")
	}
	for level := range one.blocks {
		if !slices.EqualFunc(one.blocks[level], two.blocks[level], func(a, b block) bool {
			return a.start == b.start && bytes.Equal(a.data, b.data)
		}) {
			t.Errorf("level %d differs", level)
		}
	}
}

func TestAMonthOfSilenceEmptiesEveryWindow(t *testing.T) {
	r := newRig(t, ObjectiveSpec{Target: 99})
	r.run(3600, 10, 0.5)
	r.at += 400 * 86400
	r.run(Tick, 3, 0)
	for w, got := range r.sums[0] {
		if got != (Tally{3, 0}) {
			t.Errorf("%s: %+v", Window(w), got)
		}
	}
	if err := r.process([]sample{{r.at - 32*86400, 0, Tally{1, 0}}}); err != nil || r.refused != 1 {
		t.Errorf("older than anything kept: %v, refused %d", err, r.refused)
	}
}

func FuzzColumn(f *testing.F) {
	f.Add(encodeBlock([]entry{{0, Tally{1, 0}}, {7, Tally{300, 2}}, {1<<32 - 1, Tally{1 << 40, 1}}}))
	f.Add([]byte{0x80, 0x00, 0x01})
	f.Add([]byte{0x03, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []entry
		err := decodeBlock(b, func(e entry) { list = append(list, e) })
		if err != nil {
			if !errors.Is(err, errBlock) {
				t.Fatal(err)
			}
			return
		}
		if again := encodeBlock(list); !bytes.Equal(again, b) {
			t.Fatalf("%x is decoded to %+v, which is %x", b, list, again)
		}
		merged, err := mergeBlocks(list, b)
		if err != nil {
			t.Fatal(err)
		}
		_ = merged
	})
}
