package tally

import "unsafe"

// Size is the memory of a set in bytes.
type Size struct {
	Lines    int // lines, first counts, classes and marks of all series
	Side     int // lines past 32 bits, and series with several periods
	Chunks   int // descriptions of the stored chunks
	Resident int // encoded chunks in memory
	Encoded  int // all encoded chunks, in memory or not
	Scratch  int // buffers of the current batch
}

// Size measures the set.
func (s *Set) Size() Size {
	size := Size{
		Side: cap(s.wide.rows)*int(unsafe.Sizeof(s.wide.rows[0])) +
			len(s.further.rows)*int(2*unsafe.Sizeof(furtherSum{})+40),
		Resident: s.history.resident,
		Encoded:  s.history.bytes,
		Scratch: (cap(s.entries)+cap(s.merged))*int(unsafe.Sizeof(Entry{})) +
			cap(s.parts.out)*int(unsafe.Sizeof(compact{})) + cap(s.history.scratch),
	}
	for _, p := range s.pages {
		size.Lines += p.bytes()
	}
	for level := range s.history.blocks {
		for i := range s.history.blocks[level] {
			size.Chunks += cap(s.history.blocks[level][i].chunks) * int(unsafe.Sizeof(blockChunk{}))
		}
	}
	if s.merger != nil {
		size.Scratch += int(unsafe.Sizeof(merger{}))
	}
	return size
}
