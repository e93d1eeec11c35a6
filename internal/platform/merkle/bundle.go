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
