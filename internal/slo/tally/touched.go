package tally

import "math/bits"

// Touch marks a series as touched, and not as dirty: it is not evaluated.
func (s *Set) Touch(id uint32) {
	p, i := s.at(id)
	p.touched.set(i)
}

// TakeTouched removes up to limit touched series, of those that are wanted, and returns them. It begins at the series
// from, and goes around once; next is where another call continues, and more reports that wanted ones are left. Touched
// series that are not wanted are removed too.
func (s *Set) TakeTouched(from uint32, limit int, wanted func(id uint32) bool) (ids []uint32, next uint32, more bool) {
	if s.length == 0 {
		return nil, 0, false
	}
	words := (s.length + 63) / 64
	first := min(int(from/64), words-1)
	for n := range words {
		j := (first + n) % words
		word := &s.pages[j*64>>ChunkBits].touched[j&(chunkSize/64-1)]
		for w := *word; w != 0; w &= w - 1 {
			bit := bits.TrailingZeros64(w)
			id := uint32(j*64 + bit)
			if wanted(id) {
				if len(ids) == limit {
					return ids, id, true
				}
				ids = append(ids, id)
			}
			*word &^= 1 << bit
		}
	}
	return ids, 0, false
}

// Newest calls f with the end of the newest block that has a count of each wanted series.
func (s *Set) Newest(wanted func(id uint32) bool, f func(id uint32, end int64)) error {
	for index, p := range s.pages {
		missing := make(bitset, (len(p.lines)+63)/64)
		left := 0
		for i := range p.lines {
			if wanted(uint32(index)<<ChunkBits + uint32(i)) {
				missing.set(uint32(i))
				left++
			}
		}
		for level := 0; level < LevelCount && left > 0; level++ {
			blocks := s.history.blocks[level]
			for n := len(blocks) - 1; n >= 0 && left > 0; n-- {
				c := &blocks[n]
				k, found := findIndex(c.chunks, uint32(index))
				if !found {
					continue
				}
				data, err := s.dataOf(level, c.start, &c.chunks[k])
				if err != nil {
					return err
				}
				err = Each(data, func(e Entry) {
					if i := e.ID & chunkMask; missing.has(i) {
						missing.clear(i)
						left--
						f(e.ID, c.start+Levels[level].Size)
					}
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Sum adds up the buckets of one series by window at a clock.
func Sum(clock int64, budget Window, buckets []Bucket) (sums Sums) {
	begins := budget.Begins(clock)
	for _, b := range buckets {
		for w := range short {
			if b.End > clock-windowSeconds[w] {
				sums[w].Add(b.Tally)
			}
		}
		if b.End > begins {
			sums[short].Add(b.Tally)
		}
	}
	return sums
}
