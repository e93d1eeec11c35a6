package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment file is a header and records.
//
//	header  "BELFRYSP" | u16 version | u16 length of tag | tag | u32 CRC32C of all before
//	record  u32 magic | u32 length of payload | u32 CRC32C of payload | u32 CRC32C of the 12 bytes before | payload
//
// The layout of the header is the same in every version. Integers are little endian. The record's header has a checksum
// of its own, so that a damaged length is not mistaken for a torn tail.
const (
	segmentMagic   = "BELFRYSP"
	segmentVersion = 1
	maxTag         = 1024

	recordMagic  = 0x9c4c4542 // begins with "BEL", ends with a byte that no UTF-8 text has there
	recordHeader = 16
	// MaxPayload is the largest record that is accepted or read, in bytes.
	MaxPayload = 1 << 20
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once inside hash/crc32

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// Reserve appends room for a record's header. The caller appends the payload
// behind it and passes the whole to Append, which fills the header.
func Reserve(dst []byte) []byte { return append(dst, make([]byte, recordHeader)...) }

// frame fills the header of a record whose payload is behind it already.
func frame(rec []byte) {
	payload := rec[recordHeader:]
	binary.LittleEndian.PutUint32(rec[0:], recordMagic)
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(rec[8:], checksum(payload))
	binary.LittleEndian.PutUint32(rec[12:], checksum(rec[:12]))
}

var (
	errTorn    = errors.New("record is not complete")
	errDamaged = errors.New("record is damaged")
)

// next reads the record at the beginning of b: its payload and its size with
// the header. errTorn says that b ends before the record does, errDamaged that
// the bytes are none.
func next(b []byte) (payload []byte, size int, err error) {
	if len(b) < recordHeader {
		return nil, 0, errTorn
	}
	if binary.LittleEndian.Uint32(b) != recordMagic || binary.LittleEndian.Uint32(b[12:]) != checksum(b[:12]) {
		return nil, 0, errDamaged
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n > MaxPayload {
		return nil, 0, errDamaged
	}
	size = recordHeader + int(n)
	if len(b) < size {
		return nil, size, errTorn
	}
	payload = b[recordHeader:size]
	if binary.LittleEndian.Uint32(b[8:]) != checksum(payload) {
		return nil, size, errDamaged
	}
	return payload, size, nil
}

// resync finds the next place in b, from offset from on, where a whole and
// undamaged record begins; -1 when there is none.
func resync(b []byte, from int) int {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], recordMagic)
	for from < len(b) {
		k := bytes.Index(b[from:], magic[:])
		if k < 0 {
			return -1
		}
		from += k
		if _, _, err := next(b[from:]); err == nil {
			return from
		}
		from++
	}
	return -1
}

func appendHeader(dst []byte, tag string) []byte {
	from := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.LittleEndian.AppendUint16(dst, segmentVersion)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(tag)))
	dst = append(dst, tag...)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[from:]))
}

// parseHeader reads a segment's header: its tag and its size.
func parseHeader(b []byte) (tag string, size int, err error) {
	const fixed = len(segmentMagic) + 4
	if len(b) < fixed {
		return "", 0, errTorn
	}
	if string(b[:len(segmentMagic)]) != segmentMagic {
		return "", 0, errDamaged
	}
	n := int(binary.LittleEndian.Uint16(b[10:]))
	if n > maxTag {
		return "", 0, errDamaged
	}
	size = fixed + n + 4
	if len(b) < size {
		return "", 0, errTorn
	}
	if binary.LittleEndian.Uint32(b[size-4:]) != checksum(b[:size-4]) {
		return "", 0, errDamaged
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != segmentVersion {
		return "", 0, fmt.Errorf("segment has format version %d, this program reads %d", v, segmentVersion)
	}
	return string(b[fixed : fixed+n]), size, nil
}
