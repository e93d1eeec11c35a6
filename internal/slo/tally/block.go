package tally

import (
	"encoding/binary"
	"errors"
)

// Entry is the tally of one series in one block.
type Entry struct {
	ID uint32
	Tally
}

// An encoded chunk holds the tallies of some series in one stretch of time, by ascending id. Series without a request
// are left out:
//
//	varint(gap to the id before << 1 | hasBad)  varint(total)  [varint(bad)]
//
// This takes about two bytes for each active series. A chunk has exactly one encoding; any other is refused.

// ErrDamaged reports a chunk that is not one that Encode makes.
var ErrDamaged = errors.New("slo: a column is damaged")

// Encode appends the encoding of entries to b. They must be sorted by id and have a total each.
func Encode(b []byte, entries []Entry) []byte {
	next := uint64(0)
	for i := range entries {
		e := &entries[i]
		gap := (uint64(e.ID) - next) << 1
		next = uint64(e.ID) + 1
		if e.Bad == 0 {
			if gap < 0x80 && e.Total < 0x80 { // the common case
				b = append(b, byte(gap), byte(e.Total))
				continue
			}
			b = binary.AppendUvarint(b, gap)
			b = binary.AppendUvarint(b, e.Total)
			continue
		}
		b = binary.AppendUvarint(b, gap|1)
		b = binary.AppendUvarint(b, e.Total)
		b = binary.AppendUvarint(b, e.Bad)
	}
	return b
}

// Reader decodes a chunk, a buffer of entries at a time.
type Reader struct {
	rest []byte
	next uint64 // lowest possible id of the next entry
}

// NewReader reads a chunk.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Read fills to with the next entries and returns their number: 0 at the end. The error is ErrDamaged.
func (r *Reader) Read(to []Entry) (n int, err error) {
	b := r.rest
	next := r.next
	for n < len(to) && len(b) > 0 {
		e := &to[n]
		if len(b) >= 2 && b[0]&0x81 == 0 && b[1]-1 < 0x7f { // no failures, two bytes
			next += uint64(b[0]) >> 1
			e.ID = uint32(next)
			e.Total = uint64(b[1])
			e.Bad = 0
			b = b[2:]
		} else {
			gap, size := uvarint(b)
			if size == 0 {
				return n, ErrDamaged
			}
			b = b[size:]
			if e.Total, size = uvarint(b); size == 0 || e.Total == 0 {
				return n, ErrDamaged
			}
			b = b[size:]
			e.Bad = 0
			if gap&1 != 0 {
				if e.Bad, size = uvarint(b); size == 0 || e.Bad == 0 || e.Bad > e.Total {
					return n, ErrDamaged
				}
				b = b[size:]
			}
			if next += gap >> 1; next > 1<<32-1 {
				return n, ErrDamaged
			}
			e.ID = uint32(next)
		}
		if next > 1<<32-1 {
			return n, ErrDamaged
		}
		next++
		n++
	}
	r.rest = b
	r.next = next
	return n, nil
}

// uvarint decodes a varint in its shortest form; size is 0 for any other.
func uvarint(b []byte) (v uint64, size int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	if len(b) > 1 && b[1]-1 < 0x7f {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	v, n := binary.Uvarint(b)
	if n <= 0 || b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

// bufferSize is the number of entries that are decoded together: 6 KB, which stay in the first cache.
const bufferSize = 256

// Each calls f for every entry of a chunk, in order.
func Each(chunk []byte, f func(Entry)) error {
	var buffer [bufferSize]Entry
	r := NewReader(chunk)
	for {
		n, err := r.Read(buffer[:])
		for _, e := range buffer[:n] {
			f(e)
		}
		if n == 0 || err != nil {
			return err
		}
	}
}

// Find is the tally of one series in a chunk; zero when it has none.
func Find(chunk []byte, id uint32) (Tally, error) {
	var buffer [bufferSize]Entry
	r := NewReader(chunk)
	for {
		n, err := r.Read(buffer[:])
		if n == 0 || err != nil {
			return Tally{}, err
		}
		if buffer[n-1].ID < id {
			continue
		}
		for _, e := range buffer[:n] {
			if e.ID == id {
				return e.Tally, nil
			}
		}
		return Tally{}, nil
	}
}
