package merkle

import (
	"encoding/binary"
	"fmt"
)

// MaxEntrySize is the longest entry a bundle can hold, in bytes.
const MaxEntrySize = 1<<16 - 1

// AppendEntry appends an entry to a bundle: its length as a big-endian uint16,
// then its bytes (c2sp.org/tlog-tiles).
func AppendEntry(bundle, entry []byte) ([]byte, error) {
	if len(entry) > MaxEntrySize {
		return nil, fmt.Errorf("merkle: an entry of %d bytes is above the maximum of %d", len(entry), MaxEntrySize)
	}
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...), nil
}

// ParseBundle splits a bundle into exactly width entries, 1 to 256, with nothing
// after the last. The entries share the memory of bundle.
func ParseBundle(bundle []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, fmt.Errorf("merkle: a bundle has 1 to %d entries, not %d", TileWidth, width)
	}
	entries := make([][]byte, width)
	for i := range entries {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("%w: the bundle ends before entry %d of %d", ErrFormat, i, width)
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < end {
			return nil, fmt.Errorf("%w: the bundle ends within entry %d of %d", ErrFormat, i, width)
		}
		// The capacity is cut so that appending to one entry cannot write
		// into the next.
		entries[i] = bundle[2:end:end]
		bundle = bundle[end:]
	}
	if len(bundle) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last of %d entries", ErrFormat, len(bundle), width)
	}
	return entries, nil
}
