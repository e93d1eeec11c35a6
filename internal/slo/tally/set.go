package tally

import (
	"math"
	"slices"
)

// Ref names a chunk of a block, which is a row of the database.
type Ref struct {
	Level int
	Start int64
	Chunk uint32 // ids >> ChunkBits
}

// Set has the tallies of all series of a shard. It belongs to one goroutine.
type Set struct {
	// Load reads a stored chunk whose data was released. Without it, nothing is released.
	Load func(Ref) ([]byte, error)

	clock   int64 // end of the newest tick, Unix seconds; 0 = nothing was counted yet
	length  int
	pages   []*page
	wide    wideTable
	further furtherTable
	classes classTable
	history history
	merger  *merger
	parts   partition
	entries []Entry
	merged  []Entry
	work    Work
	fetched uint64 // keeps the reads of fetch
}

// Work counts entries since the set was made.
type Work struct {
	Added   int // to the windows of their lines
	Expired int // subtracted from one window
	Merged  int // decoded and encoded again: compaction, and batches of a block past the first
}

// Work returns the work that was done.
func (s *Set) Work() Work { return s.work }

// New makes an empty set.
func New() *Set {
	return &Set{
		classes: newClassTable(),
		history: history{changed: map[Ref]bool{}},
	}
}

// Clock is the end of the newest tick in Unix seconds; 0 when nothing was counted yet.
func (s *Set) Clock() int64 { return s.clock }

// SetClock sets the clock of a set that is empty, or that will be restored.
func (s *Set) SetClock(at int64) { s.clock = at }

// Len is the number of series.
func (s *Set) Len() int { return s.length }

// AddSeries adds a series and returns its id. Ids are dense. first is the time of its first count.
func (s *Set) AddSeries(first int64) uint32 {
	id := uint32(s.length)
	if s.length&chunkMask == 0 {
		p := &page{} // the first page grows
		if s.length > 0 {
			p = newPage()
		}
		s.pages = append(s.pages, p)
	}
	s.pages[id>>ChunkBits].add(firstTick(first), 0)
	s.length++
	return id
}

// firstTick is a time as a number of ticks, as a page stores it. Times past the year 3300 become the last one.
func firstTick(at int64) uint32 { return uint32(min(max(at/Tick, 0), math.MaxUint32)) }

// First is the time of a series' first count, in Unix seconds and whole ticks.
func (s *Set) First(id uint32) int64 {
	p, i := s.at(id)
	return int64(p.first[i]) * Tick
}

// SetFirst sets the time of a series' first count.
func (s *Set) SetFirst(id uint32, at int64) {
	p, i := s.at(id)
	p.first[i] = firstTick(at)
}

func (s *Set) at(id uint32) (*page, uint32) { return s.pages[id>>ChunkBits], id & chunkMask }

// Mark marks a series as changed.
func (s *Set) Mark(id uint32) {
	p, i := s.at(id)
	p.mark(i)
}

// Touched appends the series to list, ascending, that changed since ClearTouched.
func (s *Set) Touched(list []uint32) []uint32 {
	for n, p := range s.pages {
		list = p.touched.appendTo(list, uint32(n)<<ChunkBits)
	}
	return list
}

// ClearTouched begins a new set of touched series.
func (s *Set) ClearTouched() {
	for _, p := range s.pages {
		clear(p.touched)
	}
}

// ClearDirty removes the marks that Suspects would read.
func (s *Set) ClearDirty() {
	for _, p := range s.pages {
		clear(p.dirty)
	}
}

// Sums are the tallies of a series in the short windows, by window, and last in one period.
type Sums [short + 1]Tally

// Budget is the tally of the period.
func (s Sums) Budget() Tally { return s[short] }

// Subtract subtracts the tallies of a part of the series.
func (s *Sums) Subtract(o *Sums) {
	for w := range s {
		s[w].Subtract(o[w])
	}
}

// Sums returns the tallies of a series, with one of the periods of its objectives (28 days without an objective); that
// of another period is zero.
func (s *Set) Sums(id uint32, budget Window) (sums Sums) {
	p, i := s.at(id)
	l := &p.lines[i]
	if l[period] == wideMark {
		sums = *s.wide.of(l)
	} else {
		for k, v := range l {
			sums[k] = unpack(v)
		}
	}
	if s.classes.periods[p.class[i]] != budget {
		sums[short] = Tally{}
		if further := s.further.find(id, budget); further != nil {
			sums[short] = *further
		}
	}
	return sums
}

// Add adds the samples of one tick, in any order, to the block that covers it and to the windows that contain this
// block. The tick is not in the future. It returns the number of series that were counted; ok is false, and nothing was
// counted, when the block has been dropped.
func (s *Set) Add(at int64, samples []Sample) (series int, ok bool, err error) {
	level, start, ok := blockAt(s.clock, at)
	now := edgesOf(s.clock)
	in := now.windowsOf(start, start+Levels[level].Size)
	err = s.parts.each(samples, func(chunk uint32, samples []compact) error {
		m := s.mergerOf()
		for i := range samples {
			m.add(samples[i].id, samples[i].tally())
		}
		s.entries = m.drain(chunk, s.entries[:0])
		series += len(s.entries)
		if !ok {
			return nil
		}
		if err := s.addToBlock(Ref{level, start, chunk}, s.entries); err != nil {
			return err
		}
		s.addEntries(s.pages[chunk], s.entries, &in)
		return nil
	})
	return series, ok, err
}

// addEntries adds the entries of one chunk to some windows of their lines.
func (s *Set) addEntries(p *page, entries []Entry, in *windowSet) {
	s.work.Added += len(entries)
	if len(s.further.rows) > 0 {
		for i := range entries {
			s.further.count(entries[i].ID, in, entries[i].Tally)
		}
	}
	for group := range slices.Chunk(entries, groupSize) {
		s.fetch(p, group)
		switch {
		case in.every:
			s.addNewest(p, group)
		case in.short == 0:
			s.addOldest(p, group, in)
		default:
			s.addOlder(p, group, in)
		}
	}
}

// groupSize is the number of lines that are fetched together.
const groupSize = 32

// fetch reads the lines of some entries, so that the memory is asked for all of them at once: the loops that follow
// would wait for one line after the other.
func (s *Set) fetch(p *page, entries []Entry) {
	var sum uint64
	for i := range entries {
		sum ^= p.lines[entries[i].ID&chunkMask][period]
	}
	s.fetched = sum
}

// addNewest adds entries to every window: the common case, the newest tick.
func (s *Set) addNewest(p *page, entries []Entry) {
	for i := range entries {
		e := &entries[i]
		k := e.ID & chunkMask
		l := &p.lines[k]
		if l[period] == wideMark || !fits(e.Tally) || !l.addAll(pack(e.Tally)) {
			s.wide.add(l, everyPlace, e.Tally)
		}
		p.mark(k)
	}
}

// addOldest adds entries to periods only: most of what a restart reads.
func (s *Set) addOldest(p *page, entries []Entry, in *windowSet) {
	for i := range entries {
		e := &entries[i]
		k := e.ID & chunkMask
		if !in.has(s.classes.periods[p.class[k]]) {
			continue
		}
		l := &p.lines[k]
		old := l[period]
		x := pack(e.Tally)
		if old == wideMark || !fits(e.Tally) || (old^x^(old+x))&carryBit != 0 {
			s.wide.add(l, 1<<period, e.Tally)
		} else {
			l[period] = old + x
		}
		p.mark(k)
	}
}

func (s *Set) addOlder(p *page, entries []Entry, in *windowSet) {
	for i := range entries {
		e := &entries[i]
		k := e.ID & chunkMask
		l := &p.lines[k]
		places := in.short
		if in.has(s.classes.periods[p.class[k]]) {
			places |= 1 << period
		}
		if l[period] == wideMark || !fits(e.Tally) || !l.addTo(places, pack(e.Tally)) {
			s.wide.add(l, places, e.Tally)
		}
		p.mark(k)
	}
}

func (s *Set) mergerOf() *merger {
	if s.merger == nil {
		s.merger = &merger{}
	}
	return s.merger
}

// blockAt is the inverse of compaction: the level and start of the block that contains a tick at a clock. ok is false
// when that block has been dropped.
func blockAt(clock, at int64) (level int, start int64, ok bool) {
	for k := range LevelCount - 1 {
		up := Levels[k+1].Size
		if AlignDown(at, up)+up > clock-Levels[k].Keep {
			return k, AlignDown(at, Levels[k].Size), true
		}
	}
	last := Levels[LevelCount-1]
	start = AlignDown(at, last.Size)
	return LevelCount - 1, start, start+last.Size > clock-last.Keep
}
