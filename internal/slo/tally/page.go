package tally

import (
	"math/bits"
	"unsafe"
)

// page has the lines of one chunk of ids. Its slices have the same length, the number of series. The pages of a set are
// full except for the last one.
type page struct {
	lines []line
	first []uint32 // tick of the series' first count; see Set.First
	class []uint8  // index into the set's classes

	dirty   bitset // lines that changed since Suspects
	touched bitset // lines that changed since DrainTouched
	active  bitset // lines that Suspects always returns

	memory *region // of a page with a fixed capacity
}

// pageBytes is the memory of a full page: 69 bytes and three bits a line.
const pageBytes = chunkSize*(int(unsafe.Sizeof(line{}))+4+1) + 3*chunkSize/8

// newPage makes an empty page with the capacity for a whole chunk, outside of the collected heap.
func newPage() *page {
	memory := newRegion(pageBytes)
	p := &page{memory: memory}
	at := 0
	p.lines = carve[line](memory, &at, chunkSize)[:0]
	p.first = carve[uint32](memory, &at, chunkSize)[:0]
	p.dirty = carve[uint64](memory, &at, chunkSize/64)
	p.touched = carve[uint64](memory, &at, chunkSize/64)
	p.active = carve[uint64](memory, &at, chunkSize/64)
	p.class = carve[uint8](memory, &at, chunkSize)[:0]
	return p
}

// add adds a line to the page.
func (p *page) add(first uint32, class uint8) {
	p.lines = append(p.lines, line{})
	p.first = append(p.first, first)
	p.class = append(p.class, class)
	for _, b := range []*bitset{&p.dirty, &p.touched, &p.active} {
		if len(*b)*64 < len(p.lines) {
			*b = append(*b, 0)
		}
	}
}

// mark marks a line as changed.
func (p *page) mark(i uint32) {
	p.dirty.set(i)
	p.touched.set(i)
}

// bytes is the memory of the page's slices.
func (p *page) bytes() int {
	return cap(p.lines)*int(unsafe.Sizeof(line{})) + 4*cap(p.first) + cap(p.class) +
		8*(cap(p.dirty)+cap(p.touched)+cap(p.active))
}

// bitset is a set of lines of a page.
type bitset []uint64

func (b bitset) set(i uint32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) clear(i uint32)    { b[i>>6] &^= 1 << (i & 63) }
func (b bitset) has(i uint32) bool { return b[i>>6]>>(i&63)&1 != 0 }

// appendTo appends the set, ascending, each number plus base.
func (b bitset) appendTo(list []uint32, base uint32) []uint32 {
	for i, word := range b {
		for ; word != 0; word &= word - 1 {
			list = append(list, base+uint32(i)<<6+uint32(bits.TrailingZeros64(word)))
		}
	}
	return list
}
