package tally

import "slices"

// Step moves the clock by one tick: it subtracts the blocks that leave a window, then compacts those that no finer
// window needs.
func (s *Set) Step() error {
	s.clock += Tick
	for w := range Window(short) {
		if err := s.leave(w, shortLevel[w]); err != nil {
			return err
		}
	}
	for _, w := range s.classes.rolling {
		if err := s.leave(w, w.Level()); err != nil {
			return err
		}
	}
	if begun := s.clock - Tick; begun%day == 0 {
		for i, from := range edgesOf(s.clock).from {
			if from == begun {
				s.restart(calendar[i])
			}
		}
	}
	for k := range LevelCount - 1 {
		if err := s.compactLevel(k, s.clock-Levels[k].Keep); err != nil {
			return err
		}
	}
	last := LevelCount - 1
	n := 0
	for n < len(s.history.blocks[last]) &&
		s.history.blocks[last][n].start+Levels[last].Size <= s.clock-Levels[last].Keep {
		n++
	}
	s.history.remove(last, n)
	return nil
}

// leave subtracts the block that leaves a window now, if there is one.
func (s *Set) leave(w Window, level int) error {
	size := Levels[level].Size
	end := s.clock - windowSeconds[w]
	if end%size != 0 {
		return nil
	}
	i, found := s.history.find(level, end-size)
	if !found {
		return nil
	}
	return s.expire(level, &s.history.blocks[level][i], w)
}

// Idle moves the clock to a time before which every block has left every window: no tick in between changes anything.
// ok is false when there are later blocks.
func (s *Set) Idle(to int64) (ok bool) {
	for level := range s.history.blocks {
		if len(s.history.blocks[level]) > 0 {
			return false
		}
	}
	s.clock = max(s.clock, to)
	return true
}

// expire subtracts a block from a window.
func (s *Set) expire(level int, c *block, w Window) error {
	for k := range c.chunks {
		data, err := s.dataOf(level, c.start, &c.chunks[k])
		if err != nil {
			return err
		}
		var buffer [bufferSize]Entry
		r := NewReader(data)
		p := s.pages[c.chunks[k].index]
		for {
			n, err := r.Read(buffer[:])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			s.work.Expired += n
			s.fetch(p, buffer[:n])
			if w < D28 {
				s.expireShort(p, buffer[:n], int(w))
			} else {
				s.expirePeriod(p, buffer[:n], w)
			}
		}
	}
	return nil
}

// expireShort subtracts entries of one page from a short window.
func (s *Set) expireShort(p *page, entries []Entry, w int) {
	for i := range entries {
		e := &entries[i]
		k := e.ID & chunkMask
		l := &p.lines[k]
		if l[period] == wideMark {
			s.wide.subtract(l, w, e.Tally)
		} else {
			l[w&period] -= pack(e.Tally)
		}
		p.mark(k)
	}
}

// expirePeriod subtracts entries of one page from a period, for the series that have it.
func (s *Set) expirePeriod(p *page, entries []Entry, w Window) {
	for i := range entries {
		e := &entries[i]
		k := e.ID & chunkMask
		if s.classes.periods[p.class[k]] != w {
			if len(s.further.rows) > 0 {
				s.further.subtract(e.ID, w, e.Tally)
				p.mark(k)
			}
			continue
		}
		l := &p.lines[k]
		if l[period] == wideMark {
			s.wide.subtract(l, period, e.Tally)
		} else {
			l[period] -= pack(e.Tally)
		}
		p.mark(k)
	}
}

// restart empties a period of the calendar for all series that have it.
func (s *Set) restart(budget Window) {
	for _, p := range s.pages {
		for i, class := range p.class {
			if s.classes.periods[class] != budget {
				continue
			}
			l := &p.lines[i]
			switch {
			case l[period] == wideMark:
				s.wide.of(l)[period] = Tally{}
				s.wide.narrow(l)
			case l[period] == 0:
				continue
			default:
				l[period] = 0
			}
			p.mark(uint32(i))
		}
	}
	for id := range s.further.rows {
		if sum := s.further.find(id, budget); sum != nil && sum.Total > 0 {
			*sum = Tally{}
			s.Mark(id)
		}
	}
}

// compactLevel merges the blocks of level k up to end into one block of the next level, if such a block ends there.
// The merged blocks are the oldest of their level.
func (s *Set) compactLevel(k int, end int64) error {
	size := Levels[k+1].Size
	if end%size != 0 {
		return nil
	}
	h := &s.history
	n := 0
	for n < len(h.blocks[k]) && h.blocks[k][n].start < end {
		n++
	}
	if n == 0 {
		return nil
	}
	indices := chunkIndices(h.blocks[k][:n])
	for _, index := range indices {
		if err := s.compactChunk(k, n, Ref{k + 1, end - size, index}); err != nil {
			return err
		}
	}
	h.remove(k, n)
	return nil
}

// chunkIndices are the indices of the chunks of some blocks, ascending.
func chunkIndices(blocks []block) []uint32 {
	var list []uint32
	for i := range blocks {
		for k := range blocks[i].chunks {
			list = append(list, blocks[i].chunks[k].index)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// compactChunk merges one chunk of the first n blocks of level k into a chunk of the next level.
func (s *Set) compactChunk(k, n int, to Ref) error {
	h := &s.history
	var parts [][]byte
	for i := range h.blocks[k][:n] {
		c := &h.blocks[k][i]
		at, found := findIndex(c.chunks, to.Chunk)
		if !found {
			continue
		}
		data, err := s.dataOf(k, c.start, &c.chunks[at])
		if err != nil {
			return err
		}
		parts = append(parts, data)
	}
	present := h.findChunk(to)
	if present != nil {
		data, err := s.dataOf(to.Level, to.Start, present)
		if err != nil {
			return err
		}
		parts = append(parts, data)
	}
	h.change(to, present)
	if len(parts) == 1 {
		h.put(to, parts[0])
		return nil
	}
	m := s.mergerOf()
	for _, data := range parts {
		if err := m.addChunk(data); err != nil {
			m.reset()
			return err
		}
	}
	s.merged = m.drain(to.Chunk, s.merged[:0])
	s.work.Merged += len(s.merged)
	h.put(to, h.encode(s.merged))
	return nil
}
