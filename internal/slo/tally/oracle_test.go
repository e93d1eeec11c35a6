package tally

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// oracle keeps every sample and adds up from the beginning.
type oracle []Sample

func (o oracle) sum(id uint32, from, to int64) (t Tally) {
	for _, p := range o {
		if p.ID == id && p.At+Tick > from && p.At+Tick <= to {
			t.Add(p.Tally)
		}
	}
	return t
}

// TestWindowsEqualTheOracle compares with an oracle that keeps every sample: equal where the clock is a multiple of the
// level that reaches the window, and otherwise between the window and the window and one block. The set is replaced by
// a restored one now and then, and its chunks are released.
func TestWindowsEqualTheOracle(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 9))
		large := seed%2 == 1
		s := New()
		const series = 5
		for range series {
			s.AddSeries(epoch)
		}
		watchAll(s)
		ids := []uint32{0, 1, 2, 3, 4}
		var all oracle
		at := int64(epoch)
		step := int64(1 + 9*(seed%4/3)) // one seed in four covers more than the longest period
		stored := map[Ref][]byte{}
		load := func(ref Ref) ([]byte, error) {
			data, ok := stored[ref]
			if !ok {
				return nil, fmt.Errorf("%+v is not stored", ref)
			}
			return data, nil
		}
		s.Load = load
		for round := range 700 {
			at += Tick * (1 + rng.Int64N(30)*rng.Int64N(20)) * step
			batch := randomSamples(rng, at, ids, large)
			all = append(all, batch...)
			process(t, s, batch)
			for _, c := range s.Changed() {
				if c.Data == nil {
					delete(stored, c.Ref)
				} else {
					stored[c.Ref] = c.Data
				}
			}
			s.MarkStored()
			s.Release(rng.IntN(300))
			compareWithOracle(t, s, all)
			if round%50 == 33 {
				rewatch(t, rng, s)
			}
			if round%50 == 17 {
				back := restored(t, s, watchAll)
				mustEqual(t, s, back)
				s = back
				s.Load = load
			}
		}
		if large && len(s.wide.rows) == 0 {
			t.Error("no line exceeded 32 bits")
		}
	}
}

func compareWithOracle(t *testing.T, s *Set, all oracle) {
	t.Helper()
	for id := range uint32(s.Len()) {
		for w := range Window(short) {
			compareWindow(t, s, all, id, w, s.Sums(id, D28)[w])
		}
		for _, w := range rolling {
			if got := s.Sums(id, w).Budget(); slices.Contains(periodsOf[id], w) {
				compareWindow(t, s, all, id, w, got)
			} else if got != (Tally{}) {
				t.Fatalf("series %d has no period %s, but %+v", id, w, got)
			}
		}
		for _, w := range calendar {
			from, _ := w.PeriodOf(s.clock)
			want := Tally{}
			if slices.Contains(periodsOf[id], w) {
				want = all.sum(id, from, s.clock)
			}
			if got := s.Sums(id, w).Budget(); got != want {
				t.Fatalf("%s of series %d: %+v, want %+v", w, id, got, want)
			}
		}
	}
}

func compareWindow(t *testing.T, s *Set, all oracle, id uint32, w Window, got Tally) {
	t.Helper()
	g := Levels[w.Level()].Size
	from := s.clock - w.Seconds()
	exact := all.sum(id, from, s.clock)
	wide := all.sum(id, from-g, s.clock)
	if s.clock%g == 0 && got != exact {
		t.Fatalf("series %d, %s at %d: %+v, exact %+v", id, w, s.clock, got, exact)
	}
	if got.Total < exact.Total || got.Bad < exact.Bad || got.Total > wide.Total || got.Bad > wide.Bad {
		t.Fatalf("series %d, %s at %d: %+v, not between %+v and %+v", id, w, s.clock, got, exact, wide)
	}
}

// TestCompactionKeepsEveryCount compares the compacted blocks with the samples of each block.
func TestCompactionKeepsEveryCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	s := New()
	ids := []uint32{0, 1, 2}
	for range ids {
		s.AddSeries(epoch)
	}
	var all oracle
	for at := int64(epoch); at < epoch+2*86_400; at += Tick * (1 + rng.Int64N(9)) {
		batch := randomSamples(rng, at, ids, true)
		for i := range batch {
			batch[i].At = max(batch[i].At, epoch)
		}
		all = append(all, batch...)
		process(t, s, batch)
	}
	for level := range s.history.blocks {
		for _, c := range s.history.blocks[level] {
			for _, k := range c.chunks {
				var list []Entry
				if err := Each(k.data, func(e Entry) { list = append(list, e) }); err != nil {
					t.Fatal(err)
				}
				var want []Entry
				for _, id := range ids {
					if sum := all.sum(id, c.start, c.start+Levels[level].Size); sum.Total > 0 {
						want = append(want, Entry{id, sum})
					}
				}
				if !slices.Equal(list, want) {
					t.Fatalf("level %d at %d: %+v, want %+v", level, c.start, list, want)
				}
			}
		}
	}
}

// rewatch replaces the objectives of a series by others, and these by the first ones.
func rewatch(t *testing.T, rng *rand.Rand, s *Set) {
	t.Helper()
	id := uint32(rng.IntN(4))
	var list []Watched
	for i, w := range periodsOf[id] {
		list = append(list, Watched{w, testRules[i%2:]})
	}
	for _, objectives := range [][]Watched{nil, list[:1], list} {
		if s.Rewatch(id, objectives) {
			if err := s.Recount([]uint32{id}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
