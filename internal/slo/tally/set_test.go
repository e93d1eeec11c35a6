package tally

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

const epoch = 1_764_028_800 // a midnight in UTC

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
		if x, y := a.Sums(uint32(id)), b.Sums(uint32(id)); x != y {
			t.Fatalf("the sums of series %d differ: %+v, %+v", id, x, y)
		}
	}
}

var rules = []Rule{{H1, M5, 144_000_000}, {D3, H6, 10_000_000}}

// watchAll gives the series all periods: one each, then all three, and the default.
func watchAll(s *Set) {
	s.Watch(0, D28, rules)
	s.Watch(1, D30, rules)
	s.Watch(2, Month, rules)
	s.Watch(3, Month, rules)
	s.Watch(3, D28, rules[:1])
	s.Watch(3, D30, rules[1:])
}

// periodsOf are the periods that watchAll gives a series.
var periodsOf = map[uint32][]Window{0: {D28}, 1: {D30}, 2: {Month}, 3: {D28, D30, Month}, 4: {D28}}

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
			at += Tick * (1 + rng.Int64N(30)*rng.Int64N(20))
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
		sums := s.Sums(id)
		for w := range Window(sliding) {
			if w >= D28 && !slices.Contains(periodsOf[id], w) {
				if sums[w] != (Tally{}) {
					t.Fatalf("series %d has no period %s, but %+v", id, w, sums[w])
				}
				continue
			}
			g := Levels[windowLevel[w]].Size
			from := s.clock - w.Seconds()
			got := sums[w]
			exact := all.sum(id, from, s.clock)
			wide := all.sum(id, from-g, s.clock)
			if s.clock%g == 0 && got != exact {
				t.Fatalf("series %d, %s at %d: %+v, exact %+v", id, w, s.clock, got, exact)
			}
			if got.Total < exact.Total || got.Bad < exact.Bad || got.Total > wide.Total || got.Bad > wide.Bad {
				t.Fatalf("series %d, %s at %d: %+v, not between %+v and %+v", id, w, s.clock, got, exact, wide)
			}
		}
		if !slices.Contains(periodsOf[id], Month) {
			continue
		}
		if from, _ := MonthOf(s.clock); sums[Month] != all.sum(id, from, s.clock) {
			t.Fatalf("month of %d: %+v, want %+v", id, sums[Month], all.sum(id, from, s.clock))
		}
	}
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
		if got := s.Sums(id); got[H1] != sum || got[D28] != sum {
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
	if got := s.Sums(id); got[M5] != (Tally{1 << 32, 1 << 32}) || len(s.wide.rows) != 1 {
		t.Fatalf("%+v in %d rows", got, len(s.wide.rows))
	}
	if got := s.Sums(id + 1); got[M5] != (Tally{most, 0}) {
		t.Fatalf("the neighbour: %+v", got)
	}
	process(t, s, []Sample{{epoch + 29*86_400, id, Tally{1, 0}}})
	if got := s.Sums(id); got[D28] != (Tally{1, 0}) || len(s.wide.free) != 1 {
		t.Fatalf("after a month %+v, %d free", got, len(s.wide.free))
	}
	process(t, s, []Sample{{epoch + 29*86_400, id, Tally{1 << 60, 1 << 50}}})
	if got := s.Sums(id); got[D28] != (Tally{1<<60 + 1, 1 << 50}) || len(s.wide.rows) != 1 {
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
			s.Watch(id, D28+Window(rng.IntN(periodCount)), own)
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
			sums := s.Sums(id)
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

func TestAMonthOfSilenceEmptiesEveryWindow(t *testing.T) {
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
		if got := s.Sums(id); got != ([WindowCount]Tally{}) {
			t.Errorf("series %d: %+v", id, got)
		}
	}
	if _, ok, err := s.Add(s.Clock()-40*86_400, []Sample{{0, 0, Tally{1, 0}}}); ok || err != nil {
		t.Error("a count older than every block was added", err)
	}
}

func TestTheMemoryOfALineIsThatOfItsStructs(t *testing.T) {
	if n := unsafe.Sizeof(line{}); n != 64 {
		t.Errorf("a line has %d bytes", n)
	}
	if n := unsafe.Sizeof(slot{}); n != 16 {
		t.Errorf("a slot of the index has %d bytes", n)
	}
	if n := unsafe.Sizeof(compact{}); n != 16 {
		t.Errorf("a compact sample has %d bytes", n)
	}
	const million = 1 << 20
	s := New()
	x := NewIndex()
	for i := range million {
		id := s.AddSeries(epoch)
		s.Watch(id, D30, rules)
		x.Put(x.Key("account", fmt.Sprint(i)), id)
	}
	perLine := float64(s.Size().Lines) / million
	if want := 64 + 4 + 1 + 3./8; perLine > want+0.2 || perLine < want {
		t.Errorf("%.3f bytes a line, want %.3f", perLine, want)
	}
	if n := s.Size(); n.Side != 0 || n.Chunks != 0 || n.Resident != 0 {
		t.Errorf("%+v", n)
	}
	if perLine += float64(x.Bytes()) / million; perLine > 112 {
		t.Errorf("%.1f bytes a line with the index", perLine)
	}
	if uintptr(unsafe.Pointer(&s.pages[1].lines[0]))%64 != 0 {
		t.Error("a line spans two cache lines")
	}
}

func TestTheIndexFindsWhatWasPut(t *testing.T) {
	x := NewIndex()
	const n = 200_000
	for i := range n {
		k := x.Key("zone", fmt.Sprint(i))
		if _, ok := x.Get(k); ok {
			t.Fatal("found before it was put")
		}
		x.Put(k, uint32(i))
	}
	for i := range n {
		if id, ok := x.Get(x.Key("zone", fmt.Sprint(i))); !ok || id != uint32(i) {
			t.Fatalf("%d is %d, %v", i, id, ok)
		}
	}
	for _, parts := range [][]string{{"zone1"}, {"zon", "e1"}, {"", "zone", "1"}, {"zone", "1", ""}} {
		if _, ok := x.Get(x.Key(parts...)); ok {
			t.Errorf("%q is found", parts)
		}
	}
}

func FuzzChunk(f *testing.F) {
	f.Add(Encode(nil, []Entry{{0, Tally{1, 0}}, {7, Tally{300, 2}}, {1<<32 - 1, Tally{1 << 40, 1}}}))
	f.Add([]byte{0x80, 0x00, 0x01})
	f.Add([]byte{0x03, 0x01, 0x02})
	f.Add([]byte{0x02, 0x00})
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x1f, 0x01, 0x00, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []Entry
		err := Each(b, func(e Entry) { list = append(list, e) })
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again := Encode(nil, list); !bytes.Equal(again, b) {
			t.Fatalf("%x is decoded to %+v, which is %x", b, list, again)
		}
		if !slices.IsSortedFunc(list, func(a, b Entry) int { return int(int64(a.ID) - int64(b.ID)) }) {
			t.Fatalf("%+v is not sorted", list)
		}
		// Merging a chunk with itself doubles it, where the sums fit.
		m := &merger{}
		for range 2 {
			if err := m.addChunk(b); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range list {
			if e.ID>>ChunkBits != 0 || e.Total > 1<<62 {
				return
			}
		}
		for i, e := range m.drain(0, nil) {
			if e.ID != list[i].ID || e.Total != 2*list[i].Total || e.Bad != 2*list[i].Bad {
				t.Fatalf("%+v doubled is %+v", list[i], e)
			}
		}
	})
}

func TestABatchKeepsCountsOfAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var p partition
	var samples []Sample
	want := map[uint32]Tally{}
	for range 500 {
		x := Tally{Total: 1 + rng.Uint64()>>(8+rng.IntN(56))}
		x.Bad = rng.Uint64N(x.Total + 1)
		id := uint32(rng.IntN(5) << ChunkBits)
		samples = append(samples, Sample{epoch, id, x})
		sum := want[id]
		sum.Add(x)
		want[id] = sum
	}
	err := p.each(samples, func(chunk uint32, list []compact) error {
		var sum Tally
		for i := range list {
			if list[i].id>>ChunkBits != chunk {
				t.Errorf("id %d in chunk %d", list[i].id, chunk)
			}
			sum.Add(list[i].tally())
		}
		if id := chunk << ChunkBits; sum != want[id] {
			t.Errorf("chunk %d: %+v, want %+v", chunk, sum, want[id])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
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
		sums := Sum(s.Clock(), list)
		for w, got := range s.Sums(id) {
			if (got != Tally{} || slices.Contains(periodsOf[id], Window(w)) || w < short) && got != sums[w] {
				t.Errorf("series %d, %s: %+v, the blocks have %+v", id, Window(w), got, sums[w])
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
