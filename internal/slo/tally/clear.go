package tally

import "slices"

// Clear removes all counts of a series, and its objectives. The id may be given to another series.
func (s *Set) Clear(id uint32) error {
	for level := range s.history.blocks {
		for i := len(s.history.blocks[level]) - 1; i >= 0; i-- {
			if err := s.clearIn(level, i, id); err != nil {
				return err
			}
		}
	}
	p, i := s.at(id)
	if l := &p.lines[i]; l[period] == wideMark {
		s.wide.rows[l[0]] = Sums{}
		s.wide.free = append(s.wide.free, uint32(l[0]))
	}
	p.lines[i] = line{}
	p.class[i] = 0
	delete(s.further.rows, id)
	p.dirty.clear(i)
	p.touched.clear(i)
	p.active.clear(i)
	return nil
}

// clearIn removes the counts of a series from one block, with the chunk and the block if nothing else is in them.
func (s *Set) clearIn(level, i int, id uint32) error {
	h := &s.history
	b := &h.blocks[level][i]
	k, found := findIndex(b.chunks, id>>ChunkBits)
	if !found {
		return nil
	}
	c := &b.chunks[k]
	data, err := s.dataOf(level, b.start, c)
	if err != nil {
		return err
	}
	list := s.entries[:0]
	has := false
	err = Each(data, func(e Entry) {
		if e.ID == id {
			has = true
		} else {
			list = append(list, e)
		}
	})
	s.entries = list
	if err != nil || !has {
		return err
	}
	ref := Ref{level, b.start, c.index}
	h.change(ref, c)
	if len(list) > 0 {
		h.put(ref, h.encode(list))
		return nil
	}
	h.drop(c)
	b.chunks = slices.Delete(b.chunks, k, k+1)
	if len(b.chunks) == 0 {
		h.blocks[level] = slices.Delete(h.blocks[level], i, i+1)
	}
	return nil
}
