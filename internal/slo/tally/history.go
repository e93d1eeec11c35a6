package tally

import (
	"cmp"
	"slices"
)

// history holds the blocks by level, each list by ascending start.
type history struct {
	blocks   [LevelCount][]block
	changed  map[Ref]bool // chunks that changed since they were stored; true = the database has a row of it
	bytes    int          // encoded size of all chunks
	resident int          // the part that is in memory
	scratch  []byte
}

// block holds the tallies of all series from start on, in chunks by ascending index.
type block struct {
	start  int64
	chunks []blockChunk
}

// blockChunk is the encoded tallies of one chunk of ids. Data is replaced, never changed in place; nil when it was
// released.
type blockChunk struct {
	index  uint32
	size   int32
	stored bool // the database has a row of it
	data   []byte
}

func (h *history) find(level int, start int64) (int, bool) {
	return slices.BinarySearchFunc(h.blocks[level], start, func(c block, start int64) int {
		return cmp.Compare(c.start, start)
	})
}

// findChunk finds a chunk; nil when there is none.
func (h *history) findChunk(ref Ref) *blockChunk {
	i, found := h.find(ref.Level, ref.Start)
	if !found {
		return nil
	}
	chunks := h.blocks[ref.Level][i].chunks
	k, found := findIndex(chunks, ref.Chunk)
	if !found {
		return nil
	}
	return &chunks[k]
}

func findIndex(chunks []blockChunk, index uint32) (int, bool) {
	if n := len(chunks); n == 0 || chunks[n-1].index < index {
		return n, false
	}
	return slices.BinarySearchFunc(chunks, index, func(c blockChunk, index uint32) int {
		return cmp.Compare(c.index, index)
	})
}

// put sets the data of a chunk.
func (h *history) put(ref Ref, data []byte) {
	i, found := h.find(ref.Level, ref.Start)
	list := &h.blocks[ref.Level]
	if !found {
		*list = slices.Insert(*list, i, block{start: ref.Start})
	}
	c := &(*list)[i]
	k, found := findIndex(c.chunks, ref.Chunk)
	if found {
		h.drop(&c.chunks[k])
		c.chunks[k].size = int32(len(data))
		c.chunks[k].data = data
	} else {
		c.chunks = slices.Insert(c.chunks, k, blockChunk{index: ref.Chunk, size: int32(len(data)), data: data})
	}
	h.bytes += len(data)
	h.resident += len(data)
}

// drop subtracts a chunk that is replaced or removed from the sizes.
func (h *history) drop(c *blockChunk) {
	h.bytes -= int(c.size)
	h.resident -= len(c.data)
}

// change marks a chunk as changed; c is nil when it is new.
func (h *history) change(ref Ref, c *blockChunk) {
	if _, known := h.changed[ref]; !known {
		h.changed[ref] = c != nil && c.stored
	}
}

// remove removes the first n blocks of a level.
func (h *history) remove(level, n int) {
	for i := range h.blocks[level][:n] {
		c := &h.blocks[level][i]
		for k := range c.chunks {
			h.change(Ref{level, c.start, c.chunks[k].index}, &c.chunks[k])
			h.drop(&c.chunks[k])
		}
	}
	h.blocks[level] = slices.Delete(h.blocks[level], 0, n)
}

// encode encodes entries in memory of exactly the size that is needed.
func (h *history) encode(entries []Entry) []byte {
	h.scratch = Encode(h.scratch[:0], entries)
	return slices.Clone(h.scratch)
}

// dataOf is the data of a chunk, read from the database when it was released.
func (s *Set) dataOf(level int, start int64, c *blockChunk) ([]byte, error) {
	if c.data != nil || c.size == 0 {
		return c.data, nil
	}
	return s.Load(Ref{level, start, c.index})
}

// addToBlock adds entries, sorted by id, to a chunk.
func (s *Set) addToBlock(ref Ref, entries []Entry) error {
	h := &s.history
	c := h.findChunk(ref)
	h.change(ref, c)
	if c == nil {
		h.put(ref, h.encode(entries))
		return nil
	}
	data, err := s.dataOf(ref.Level, ref.Start, c)
	if err != nil {
		return err
	}
	m := s.mergerOf()
	for i := range entries {
		m.add(entries[i].ID, entries[i].Tally)
	}
	if err := m.addChunk(data); err != nil {
		m.reset()
		return err
	}
	s.merged = m.drain(ref.Chunk, s.merged[:0])
	s.work.Merged += len(s.merged)
	h.put(ref, h.encode(s.merged))
	return nil
}

// Changed returns the chunks that changed since MarkStored, by level, start and chunk.
func (s *Set) Changed() []Change {
	list := make([]Change, 0, len(s.history.changed))
	for ref, stored := range s.history.changed {
		c := s.history.findChunk(ref)
		switch {
		case c != nil:
			list = append(list, Change{ref, c.data})
		case stored:
			list = append(list, Change{ref, nil})
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return a.Ref.compare(b.Ref) })
	return list
}

// Change is a chunk to be stored, or to be removed when Data is nil.
type Change struct {
	Ref
	Data []byte
}

func (r Ref) compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Level, o.Level), cmp.Compare(r.Start, o.Start), cmp.Compare(r.Chunk, o.Chunk))
}

// MarkStored follows the commit of the changed chunks.
func (s *Set) MarkStored() {
	for ref := range s.history.changed {
		if c := s.history.findChunk(ref); c != nil {
			c.stored = true
		}
	}
	clear(s.history.changed)
}

// Resident is the number of bytes of encoded chunks in memory.
func (s *Set) Resident() int { return s.history.resident }

// Release drops the data of stored chunks until at most limit bytes are in memory, the coarsest levels first, which are
// needed least often. Load reads them again.
func (s *Set) Release(limit int) {
	h := &s.history
	if s.Load == nil {
		return
	}
	for level := LevelCount - 1; level >= 0 && h.resident > limit; level-- {
		for i := range h.blocks[level] {
			c := &h.blocks[level][i]
			for k := range c.chunks {
				if _, changed := h.changed[Ref{level, c.start, c.chunks[k].index}]; changed {
					continue
				}
				h.resident -= len(c.chunks[k].data)
				c.chunks[k].data = nil
			}
		}
	}
}

// Restore adds a stored chunk to the history, and its tallies to the windows that contain it at the set's clock. Chunks
// of one block come by ascending index. keep keeps the data in memory.
func (s *Set) Restore(ref Ref, data []byte, keep bool) error {
	if ref.Level < 0 || ref.Level >= LevelCount {
		return ErrDamaged
	}
	now := edgesOf(s.clock)
	in := now.windowsOf(ref.Start, ref.Start+Levels[ref.Level].Size)
	var buffer [bufferSize]Entry
	r := NewReader(data)
	for {
		n, err := r.Read(buffer[:])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if int(buffer[n-1].ID) >= s.length || buffer[0].ID>>ChunkBits != ref.Chunk ||
			buffer[n-1].ID>>ChunkBits != ref.Chunk {
			return ErrDamaged
		}
		s.addEntries(s.pages[ref.Chunk], buffer[:n], &in)
	}
	s.history.put(ref, data)
	c := s.history.findChunk(ref)
	c.stored = true
	if !keep {
		s.history.resident -= len(data)
		c.data = nil
	}
	return nil
}

// Bucket is the tally of one series from Start to End.
type Bucket struct {
	Start, End int64
	Tally
}

// History lists the buckets of one series since a time, oldest first, in the resolution of the blocks.
func (s *Set) History(id uint32, since int64) ([]Bucket, error) {
	lists, err := s.Histories([]uint32{id}, since)
	if err != nil {
		return nil, err
	}
	return lists[0], nil
}

// Histories lists the buckets of several series, which are ascending, in one pass over the blocks; see History.
func (s *Set) Histories(ids []uint32, since int64) ([][]Bucket, error) {
	lists := make([][]Bucket, len(ids))
	for level := LevelCount - 1; level >= 0; level-- {
		blocks := s.history.blocks[level]
		for i := range blocks {
			c := &blocks[i]
			if c.start+Levels[level].Size <= since {
				continue
			}
			if err := s.historiesIn(level, c, ids, lists); err != nil {
				return nil, err
			}
		}
	}
	return lists, nil
}

// historiesIn appends the buckets of one block to the lists of their series.
func (s *Set) historiesIn(level int, c *block, ids []uint32, lists [][]Bucket) error {
	for from := 0; from < len(ids); {
		index := ids[from] >> ChunkBits
		to := from
		for to < len(ids) && ids[to]>>ChunkBits == index {
			to++
		}
		k, found := findIndex(c.chunks, index)
		if found {
			data, err := s.dataOf(level, c.start, &c.chunks[k])
			if err != nil {
				return err
			}
			next := from
			err = Each(data, func(e Entry) {
				for next < to && ids[next] < e.ID {
					next++
				}
				if next < to && ids[next] == e.ID {
					lists[next] = append(lists[next], Bucket{c.start, c.start + Levels[level].Size, e.Tally})
				}
			})
			if err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}
