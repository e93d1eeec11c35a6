package tally

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

const epoch = 1_764_028_800 // a midnight in UTC

// process advances the set tick by tick and adds the samples, as the engine does.
func process(t testing.TB, s *Set, samples []Sample) {
	t.Helper()
	samples = slices.Clone(samples)
	slices.SortStableFunc(samples, func(a, b Sample) int { return int(a.At - b.At) })
	for i := 0; i < len(samples); {
		j := i
		for j < len(samples) && samples[j].At == samples[i].At {
			j++
		}
		at := samples[i].At
		if s.Clock() == 0 {
			s.SetClock(at + Tick)
		}
		for s.Clock() < at+Tick {
			if err := s.Step(); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok, err := s.Add(at, samples[i:j]); err != nil || !ok {
			t.Fatal("not counted", ok, err)
		}
		i = j
	}
}

// restored is a set that is made from the stored state of another: its clock, blocks, first counts and classes.
func restored(t testing.TB, s *Set, watch func(*Set)) *Set {
	t.Helper()
	back := New()
	back.SetClock(s.clock)
	for id := range s.Len() {
		back.AddSeries(s.First(uint32(id)))
	}
	watch(back)
	for level := range s.history.blocks {
		for _, c := range s.history.blocks[level] {
			for _, k := range c.chunks {
				data, err := s.dataOf(level, c.start, &k)
				if err != nil {
					t.Fatal(err)
				}
				if err := back.Restore(Ref{level, c.start, k.index}, data, true); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return back
}

// dump is the blocks of a set.
func dump(t testing.TB, s *Set) string {
	t.Helper()
	out := fmt.Sprintln(s.clock)
	for level := range s.history.blocks {
		for _, c := range s.history.blocks[level] {
			for _, k := range c.chunks {
				data, err := s.dataOf(level, c.start, &k)
				if err != nil {
					t.Fatal(err)
				}
				out += fmt.Sprintf("%d %d %d %x\n", level, c.start, k.index, data)
			}
		}
	}
	return out
}

func mustEqual(t testing.TB, a, b *Set) {
	t.Helper()
	if x, y := dump(t, a), dump(t, b); x != y {
		t.Fatalf("the blocks differ:\n%s\n%s", x, y)
	}
	for id := range a.Len() {
		for _, w := range append(slices.Clone(rolling), calendar[:]...) {
			if x, y := a.Sums(uint32(id), w), b.Sums(uint32(id), w); x != y {
				t.Fatalf("the sums of series %d differ: %+v, %+v", id, x, y)
			}
		}
	}
}

var testRules = []Rule{{H1, M5, 144_000_000}, {D3, H6, 10_000_000}}

// watchAll gives the series the periods of periodsOf: one each, then several, and the default.
func watchAll(s *Set) {
	for id := range uint32(4) {
		for i, w := range periodsOf[id] {
			s.Watch(id, w, testRules[i%2:])
		}
	}
}

func days(n int) Window {
	w, _ := Days(n)
	return w
}

// periodsOf are the periods that watchAll gives a series.
var periodsOf = map[uint32][]Window{
	0: {D28},
	1: {days(90), days(31), days(32)},
	2: {Month, Quarter},
	3: {Week, D28, D30, Month, days(7), days(45)},
	4: {D28},
}

// randomSamples are samples of a batch at a time, some of them up to 30 days late, some past 32 bits.
func randomSamples(rng *rand.Rand, at int64, ids []uint32, large bool) (batch []Sample) {
	for range 1 + rng.IntN(4) {
		p := Sample{AlignDown(at, Tick), ids[rng.IntN(len(ids))], Tally{Total: 1 + rng.Uint64N(40)}}
		if large && rng.IntN(5) == 0 {
			p.Total = rng.Uint64N(1 << (20 + rng.IntN(30)))
			p.Total = max(1, p.Total)
		}
		if rng.IntN(4) == 0 {
			p.At -= Tick * rng.Int64N(30*86_400/Tick>>rng.IntN(16))
		}
		p.Bad = rng.Uint64N(p.Total + 1)
		if rng.IntN(3) == 0 {
			p.Bad = 0
		}
		batch = append(batch, p)
	}
	return batch
}

func TestTheOrderOfSamplesDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var samples []Sample
	for i := range 3000 {
		samples = append(samples, Sample{epoch + int64(i/3)*Tick, uint32(i % 3), Tally{uint64(1 + i%7), uint64(i % 2)}})
	}
	run := func(list []Sample) *Set {
		s := New()
		for range 3 {
			s.AddSeries(epoch)
		}
		process(t, s, list)
		return s
	}
	one := run(samples)
	rng.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	mustEqual(t, one, run(samples))
}

// TestSeveralChunks counts series of several chunks and pages, in batches of any order, and compares with sums.
func TestSeveralChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	s := New()
	const series = 3*chunkSize + 77
	for range series {
		s.AddSeries(epoch)
	}
	none := func(*Set) {}
	want := map[uint32]Tally{}
	at := int64(epoch)
	for range 40 {
		var batch []Sample
		for range 500 {
			id := uint32(rng.IntN(series))
			if rng.IntN(2) == 0 {
				id = []uint32{0, chunkSize - 1, chunkSize, 2*chunkSize + 5, series - 1}[rng.IntN(5)]
			}
			x := Tally{1 + rng.Uint64N(1000), rng.Uint64N(2)}
			batch = append(batch, Sample{at, id, x})
			sum := want[id]
			sum.Add(x)
			want[id] = sum
		}
		process(t, s, batch)
		at += Tick
	}
	for id, sum := range want {
		if got := s.Sums(id, D28); got[H1] != sum || got.Budget() != sum {
			t.Fatalf("series %d: %+v, want %+v", id, got, sum)
		}
	}
	mustEqual(t, s, restored(t, s, none))
	for _, id := range []uint32{0, chunkSize, series - 1} {
		list, err := s.History(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		var sum Tally
		for _, b := range list {
			sum.Add(b.Tally)
		}
		if sum != want[id] {
			t.Errorf("history of %d: %+v, want %+v", id, sum, want[id])
		}
	}
}

func TestLinesPast32BitsComeBack(t *testing.T) {
	s := New()
	id := s.AddSeries(epoch)
	s.AddSeries(epoch)
	const most = 1<<32 - 1
	process(t, s, []Sample{{epoch, id, Tally{most, most}}, {epoch, id + 1, Tally{most, 0}}})
	if len(s.wide.rows) != 0 {
		t.Fatal("a tally of 32 bits is in the side table")
	}
	process(t, s, []Sample{{epoch + Tick, id, Tally{1, 1}}})
	if got := s.Sums(id, D28); got[M5] != (Tally{1 << 32, 1 << 32}) || len(s.wide.rows) != 1 {
		t.Fatalf("%+v in %d rows", got, len(s.wide.rows))
	}
	if got := s.Sums(id+1, D28); got[M5] != (Tally{most, 0}) {
		t.Fatalf("the neighbour: %+v", got)
	}
	process(t, s, []Sample{{epoch + 29*86_400, id, Tally{1, 0}}})
	if got := s.Sums(id, D28); got.Budget() != (Tally{1, 0}) || len(s.wide.free) != 1 {
		t.Fatalf("after a month %+v, %d free", got, len(s.wide.free))
	}
	process(t, s, []Sample{{epoch + 29*86_400, id, Tally{1 << 60, 1 << 50}}})
	if got := s.Sums(id, D28); got.Budget() != (Tally{1<<60 + 1, 1 << 50}) || len(s.wide.rows) != 1 {
		t.Fatalf("%+v in %d rows", got, len(s.wide.rows))
	}
}

// TestSuspectsAreThoseAboveARule compares with every rule on every sum.
func TestSuspectsAreThoseAboveARule(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	s := New()
	const series = 300
	many := map[uint32][]Rule{}
	for range series {
		id := s.AddSeries(epoch)
		if id%7 == 3 {
			continue
		}
		for range 1 + rng.IntN(2) { // more classes than a byte has
			own := []Rule{{H1, M5, 1 + rng.Uint64N(Unit)}, {Window(1 + rng.IntN(5)), M5, 1 + rng.Uint64N(Unit)}}
			s.Watch(id, rolling[rng.IntN(len(rolling))], own)
			many[id] = append(many[id], own...)
		}
	}
	at := int64(epoch)
	for range 50 {
		var batch []Sample
		for id := range uint32(series) {
			if rng.IntN(3) == 0 {
				total := 1 + rng.Uint64N(1<<rng.IntN(40))
				batch = append(batch, Sample{at, id, Tally{total, rng.Uint64N(total+1) >> rng.IntN(20)}})
			}
		}
		s.SetActive(3, rng.IntN(2) == 0)
		s.ClearTouched()
		process(t, s, batch)
		at += Tick
		changed := s.Touched(nil)
		active := s.pages[0].active.has(3)
		got := s.Suspects(nil)
		if again := s.Suspects(nil); again != nil {
			t.Fatalf("suspects twice: %v", again)
		}
		for _, id := range changed {
			sums := s.Sums(id, D28)
			want := id == 3 && active
			for _, r := range many[id] {
				want = want || Above(sums[r.Long], r.Limit) && Above(sums[r.Short], r.Limit)
			}
			known := !s.classes.list[s.pages[0].class[id]].any
			if is := slices.Contains(got, id); want && !is || known && is && !want {
				t.Fatalf("series %d is suspect: %v, want %v (%+v)", id, is, want, sums)
			}
		}
		if !slices.IsSorted(got) {
			t.Fatal("not ascending")
		}
	}
}

func TestAQuarterOfSilenceEmptiesEveryWindow(t *testing.T) {
	s := New()
	for range 5 {
		s.AddSeries(epoch)
	}
	watchAll(s)
	for id := range uint32(5) {
		process(t, s, []Sample{{epoch, id, Tally{1 << 33, 5}}, {epoch + 3600, id, Tally{1, 1}}})
	}
	if s.Idle(epoch) {
		t.Error("idle with blocks")
	}
	for s.history.bytes > 0 {
		if err := s.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if !s.Idle(epoch+400*86_400) || s.Clock() != epoch+400*86_400 {
		t.Error("not idle without blocks")
	}
	for id := range uint32(5) {
		for _, w := range append(slices.Clone(rolling), calendar[:]...) {
			if got := s.Sums(id, w); got != (Sums{}) {
				t.Errorf("series %d: %+v", id, got)
			}
		}
	}
	if _, ok, err := s.Add(s.Clock()-100*86_400, []Sample{{0, 0, Tally{1, 0}}}); ok || err != nil {
		t.Error("a count older than every block was added", err)
	}
}

func TestTouchedSeriesAreTakenInPortions(t *testing.T) {
	s := New()
	const series = chunkSize + 500
	for range series {
		s.AddSeries(epoch)
	}
	want := map[uint32]bool{}
	for _, id := range []uint32{0, 63, 64, 1000, chunkSize - 1, chunkSize, chunkSize + 77, series - 1} {
		s.Touch(id)
		want[id] = true
	}
	s.Touch(5) // not wanted
	wanted := func(id uint32) bool { return id != 5 }
	from := uint32(70)
	var taken []uint32
	for more := true; more; {
		var ids []uint32
		ids, from, more = s.TakeTouched(from, 3, wanted)
		taken = append(taken, ids...)
		if len(ids) > 3 {
			t.Fatalf("%d taken", len(ids))
		}
	}
	if len(taken) != len(want) || taken[0] != 64 && taken[0] != 1000 {
		t.Fatalf("taken %v", taken)
	}
	for _, id := range taken {
		if !want[id] {
			t.Errorf("%d was taken twice, or never touched", id)
		}
		delete(want, id)
	}
	if s.Touched(nil) != nil {
		t.Errorf("left: %v", s.Touched(nil))
	}
}

func TestSumAndNewestAreThoseOfTheColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	s := New()
	for range 5 {
		s.AddSeries(epoch)
	}
	watchAll(s)
	newest := map[uint32]int64{}
	at := int64(epoch)
	for range 300 {
		at += Tick * (1 + rng.Int64N(40)*rng.Int64N(40))
		batch := randomSamples(rng, at, []uint32{0, 1, 2, 3}, true)
		process(t, s, batch)
	}
	for id := range uint32(5) {
		list, err := s.History(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range periodsOf[id] {
			if got, sums := s.Sums(id, w), Sum(s.Clock(), w, list); got != sums {
				t.Errorf("series %d with %s: %+v, the blocks have %+v", id, w, got, sums)
			}
		}
		if n := len(list); n > 0 {
			newest[id] = list[n-1].End
		}
	}
	err := s.Newest(func(id uint32) bool { return id != 2 }, func(id uint32, end int64) {
		if end != newest[id] || id == 2 {
			t.Errorf("newest of %d: %d, want %d", id, end, newest[id])
		}
		delete(newest, id)
	})
	if err != nil || len(newest) != 1 {
		t.Errorf("not found: %v %v", newest, err)
	}
}
