package slo

import (
	"encoding/binary"
	"errors"
	"slices"
)

// entry is the tally of one series in one block.
type entry struct {
	series uint32
	Tally
}

// A block holds the tallies of all series in one stretch of time, by ascending series. Series without a request are
// left out:
//
//	varint(gap to the series before << 1 | hasBad)  varint(total)  [varint(bad)]
//
// This takes about two bytes for each active series. A block has exactly one encoding; any other is refused.

var errBlock = errors.New("slo: a column is damaged")

// encodeBlock encodes entries, which must be sorted by series and have a total each.
func encodeBlock(entries []entry) []byte {
	b := make([]byte, 0, 3*len(entries))
	next := uint64(0)
	for _, e := range entries {
		gap := (uint64(e.series) - next) << 1
		if e.Bad > 0 {
			gap |= 1
		}
		b = binary.AppendUvarint(b, gap)
		b = binary.AppendUvarint(b, e.Total)
		if e.Bad > 0 {
			b = binary.AppendUvarint(b, e.Bad)
		}
		next = uint64(e.series) + 1
	}
	return b
}

// decodeBlock calls each for every entry, in order.
func decodeBlock(b []byte, each func(entry)) error {
	next := uint64(0)
	for len(b) > 0 {
		var gap, total, bad uint64
		var ok bool
		if gap, b, ok = takeUvarint(b); !ok {
			return errBlock
		}
		if total, b, ok = takeUvarint(b); !ok || total == 0 {
			return errBlock
		}
		if gap&1 != 0 {
			if bad, b, ok = takeUvarint(b); !ok || bad == 0 || bad > total {
				return errBlock
			}
		}
		series := next + gap>>1
		if series > 1<<32-1 || series < next {
			return errBlock
		}
		each(entry{uint32(series), Tally{total, bad}})
		next = series + 1
	}
	return nil
}

// takeUvarint reads a varint in its shortest form; ok is false for any other.
func takeUvarint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	v, n := binary.Uvarint(b)
	if n <= 0 || b[n-1] == 0 {
		return 0, b, false
	}
	return v, b[n:], true
}

// mergeBlocks adds up encoded blocks and some entries, which must be sorted by series.
func mergeBlocks(entries []entry, encoded ...[]byte) ([]byte, error) {
	sum := slices.Clone(entries)
	for _, b := range encoded {
		var other []entry
		if err := decodeBlock(b, func(e entry) { other = append(other, e) }); err != nil {
			return nil, err
		}
		sum = mergeEntries(sum, other)
	}
	return encodeBlock(sum), nil
}

func mergeEntries(a, b []entry) []entry {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].series < b[0].series:
			out = append(out, a[0])
			a = a[1:]
		case a[0].series > b[0].series:
			out = append(out, b[0])
			b = b[1:]
		default:
			e := a[0]
			e.add(b[0].Tally)
			out = append(out, e)
			a = a[1:]
			b = b[1:]
		}
	}
	return append(append(out, a...), b...)
}
