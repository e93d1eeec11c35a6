package spool

import (
	"encoding/binary"
	"os"
	"path/filepath"
)

// Position is a place in the spool: a byte offset in a segment.
type Position struct {
	Segment uint64
	Offset  int64
}

// Before reports whether p lies before q.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// positionFile keeps how far the records are settled, in 20 bytes that are
// written in place: u64 segment | u64 offset | u32 CRC32C. It is not synced: a
// lost or stale position only makes records be delivered again.
type positionFile struct{ f *os.File }

func openPosition(dir string) (positionFile, Position, error) {
	f, err := os.OpenFile(filepath.Join(dir, "position"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return positionFile{}, Position{}, err
	}
	var b [20]byte
	if n, _ := f.ReadAt(b[:], 0); n == len(b) && binary.LittleEndian.Uint32(b[16:]) == checksum(b[:16]) {
		return positionFile{f}, Position{binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))}, nil
	}
	return positionFile{f}, Position{}, nil
}

func (p positionFile) write(at Position) error {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], at.Segment)
	binary.LittleEndian.PutUint64(b[8:], uint64(at.Offset))
	binary.LittleEndian.PutUint32(b[16:], checksum(b[:16]))
	_, err := p.f.WriteAt(b[:], 0)
	return err
}
