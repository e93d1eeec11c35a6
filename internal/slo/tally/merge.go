package tally

import "math/bits"

// Chunks: the ids of a chunk differ in the lower ChunkBits bits only.
const (
	ChunkBits = 17
	chunkSize = 1 << ChunkBits
	chunkMask = chunkSize - 1
)

// merger adds up tallies of one chunk in any order and returns them by ascending id: it sorts a batch, merges a late
// sample into a block and compacts blocks. It has 2 MB, and is empty between two uses.
type merger struct {
	sums  [chunkSize]Tally
	used  [chunkSize / 64]uint64      // ids with a tally
	words [chunkSize / 64 / 64]uint64 // words of used that are not zero
}

// add adds a tally of a series, whose id is taken within the chunk.
func (m *merger) add(id uint32, t Tally) {
	id &= chunkMask
	m.used[id>>6] |= 1 << (id & 63)
	m.words[id>>12] |= 1 << (id >> 6 & 63)
	s := &m.sums[id]
	s.Total += t.Total
	s.Bad += t.Bad
}

// addChunk adds an encoded chunk.
func (m *merger) addChunk(data []byte) error {
	var buffer [bufferSize]Entry
	r := NewReader(data)
	for {
		n, err := r.Read(buffer[:])
		for i := range buffer[:n] {
			m.add(buffer[i].ID, buffer[i].Tally)
		}
		if n == 0 || err != nil {
			return err
		}
	}
}

// drain appends the sums to to, by ascending id, and empties the merger.
func (m *merger) drain(chunk uint32, to []Entry) []Entry {
	base := chunk << ChunkBits
	for i, words := range m.words {
		if words == 0 {
			continue
		}
		m.words[i] = 0
		for ; words != 0; words &= words - 1 {
			j := uint32(i)<<6 + uint32(bits.TrailingZeros64(words))
			used := m.used[j]
			m.used[j] = 0
			for ; used != 0; used &= used - 1 {
				k := j<<6 + uint32(bits.TrailingZeros64(used))
				to = append(to, Entry{base + k, m.sums[k]})
				m.sums[k] = Tally{}
			}
		}
	}
	return to
}

// reset empties the merger after an error.
func (m *merger) reset() { *m = merger{} }
