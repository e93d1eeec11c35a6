package tally

import "slices"

// Watched is the part of an objective that a set needs.
type Watched struct {
	Budget Window
	Rules  []Rule
}

// Rewatch replaces the objectives of a series that may have counts. It reports whether the series now has a period that
// was not summed before: Recount completes its sum. The series is not marked as changed.
func (s *Set) Rewatch(id uint32, list []Watched) (recount bool) {
	p, i := s.at(id)
	before := s.periodsOf(id)
	sums := make([]Tally, len(before))
	for k, w := range before {
		sums[k] = s.Sums(id, w).Budget()
	}
	p.class[i] = 0
	delete(s.further.rows, id)
	for _, o := range list {
		s.Watch(id, o.Budget, o.Rules)
	}
	for _, w := range s.periodsOf(id) {
		k := slices.Index(before, w)
		if k < 0 {
			recount = true
			s.setPeriod(id, w, Tally{})
			continue
		}
		s.setPeriod(id, w, sums[k])
	}
	return recount
}

// Recount adds up the periods of some series, which are ascending, from their blocks.
func (s *Set) Recount(ids []uint32) error {
	if len(ids) == 0 {
		return nil
	}
	lists, err := s.Histories(ids, 0)
	if err != nil {
		return err
	}
	for n, id := range ids {
		for _, w := range s.periodsOf(id) {
			s.setPeriod(id, w, Sum(s.clock, w, lists[n]).Budget())
		}
	}
	return nil
}

// periodsOf lists the periods that are summed for a series.
func (s *Set) periodsOf(id uint32) []Window {
	p, i := s.at(id)
	list := []Window{s.classes.periods[p.class[i]]}
	for _, f := range s.further.rows[id] {
		list = append(list, f.period)
	}
	return list
}

// setPeriod sets the sum of one of a series' periods.
func (s *Set) setPeriod(id uint32, w Window, sum Tally) {
	p, i := s.at(id)
	if s.classes.periods[p.class[i]] != w {
		*s.further.find(id, w) = sum
		return
	}
	l := &p.lines[i]
	if l[period] != wideMark && fits(sum) {
		l[period] = pack(sum)
		return
	}
	if l[period] != wideMark {
		s.wide.widen(l)
	}
	s.wide.of(l)[period] = sum
	s.wide.narrow(l)
}

// AddBuckets adds tallies of a series to blocks that exist, and to the windows that contain them.
func (s *Set) AddBuckets(id uint32, buckets []Bucket) error {
	now := edgesOf(s.clock)
	for _, b := range buckets {
		level := LevelOf(b.End - b.Start)
		if level < 0 || b.Total == 0 {
			continue
		}
		entries := []Entry{{ID: id, Tally: b.Tally}}
		if err := s.addToBlock(Ref{level, b.Start, id >> ChunkBits}, entries); err != nil {
			return err
		}
		in := now.windowsOf(b.Start, b.End)
		s.addEntries(s.pages[id>>ChunkBits], entries, &in)
	}
	return nil
}

// LevelOf is the level of the blocks of a size in seconds; -1 when there is none.
func LevelOf(size int64) int {
	return slices.IndexFunc(Levels[:], func(l struct{ Size, Keep int64 }) bool { return l.Size == size })
}

// BlockOf is the stretch of the block that contains a tick at a clock.
func BlockOf(clock, at int64) (start, end int64) {
	level, start, _ := blockAt(clock, at)
	return start, start + Levels[level].Size
}
