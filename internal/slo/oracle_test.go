package slo

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// oracle keeps every piece and adds up from the beginning.
type oracle []piece

func (o oracle) sum(line uint32, from, to int64) (t Tally) {
	for _, p := range o {
		if p.line == line && p.at+Tick > from && p.at+Tick <= to {
			t.add(p.Tally)
		}
	}
	return t
}

// TestWindowsHoldWhatTheOracleCounts compares with an oracle that keeps every
// event: equal where the clock is a multiple of the level that reaches the
// window, and otherwise between the window and the window and one column.
func TestWindowsHoldWhatTheOracleCounts(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 9))
		e := newEngine()
		const lines = 5
		for range lines {
			e.newLine(epoch)
		}
		var all oracle
		at := int64(epoch)
		for range 700 {
			var batch []piece
			at += Tick * (1 + rng.Int64N(30)*rng.Int64N(20))
			for range 1 + rng.IntN(4) {
				p := piece{at - at%Tick, uint32(rng.IntN(lines)), Tally{1 + rng.Uint64N(40), 0}}
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
				for line := range uint32(lines) {
					got := e.sums[line][w]
					exact, wide := all.sum(line, from, e.clock), all.sum(line, from-g, e.clock)
					if e.clock%g == 0 && got != exact {
						t.Fatalf("seed %d, line %d, %s at %d: %+v, exact %+v", seed, line, w, e.clock, got, exact)
					}
					if got.Total < exact.Total || got.Bad < exact.Bad || got.Total > wide.Total || got.Bad > wide.Bad {
						t.Fatalf("seed %d, line %d, %s at %d: %+v, not between %+v and %+v", seed, line, w, e.clock, got, exact, wide)
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
		// What is read back is what was held.
		back := newEngine()
		back.clock, back.columns, back.first = e.clock, e.columns, e.first
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
	var pieces []piece
	for i := range 3000 {
		pieces = append(pieces, piece{epoch + int64(i/3)*Tick, uint32(i % 3), Tally{uint64(1 + i%7), uint64(i % 2)}})
	}
	run := func(list []piece) *engine {
		e := newEngine()
		for range 3 {
			e.newLine(epoch)
		}
		if err := e.process(slices.Clone(list)); err != nil {
			t.Fatal(err)
		}
		return e
	}
	one := run(pieces)
	rng.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	two := run(pieces)
	if !slices.Equal(one.sums, two.sums) || one.clock != two.clock {
		t.Error("the sums differ")
	}
	for level := range one.columns {
		if !slices.EqualFunc(one.columns[level], two.columns[level], func(a, b column) bool { return a.start == b.start && bytes.Equal(a.data, b.data) }) {
			t.Errorf("level %d differs", level)
		}
	}
}

func TestAMonthOfSilenceEmptiesEveryWindow(t *testing.T) {
	r := newRig(t, Spec{Target: 99})
	r.run(3600, 10, 0.5)
	r.at += 400 * 86400
	r.run(Tick, 3, 0)
	for w, got := range r.sums[0] {
		if got != (Tally{3, 0}) {
			t.Errorf("%s: %+v", Window(w), got)
		}
	}
	if err := r.process([]piece{{r.at - 32*86400, 0, Tally{1, 0}}}); err != nil || r.refused != 1 {
		t.Errorf("older than anything kept: %v, refused %d", err, r.refused)
	}
}

func FuzzColumn(f *testing.F) {
	f.Add(encodeColumn([]entry{{0, Tally{1, 0}}, {7, Tally{300, 2}}, {1<<32 - 1, Tally{1 << 40, 1}}}))
	f.Add([]byte{0x80, 0x00, 0x01})
	f.Add([]byte{0x03, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []entry
		err := decodeColumn(b, func(e entry) { list = append(list, e) })
		if err != nil {
			if !errors.Is(err, errColumn) {
				t.Fatal(err)
			}
			return
		}
		if again := encodeColumn(list); !bytes.Equal(again, b) {
			t.Fatalf("%x is decoded to %+v, which is %x", b, list, again)
		}
		merged, err := mergeColumns(list, b)
		if err != nil {
			t.Fatal(err)
		}
		_ = merged
	})
}
