package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type span struct{ from, to int64 }

// found is the result of scan.
type found struct {
	records int64
	bytes   int64  // of the records, with their headers
	end     int64  // behind the last record; what follows is torn
	damage  []span // parts that are neither records nor a torn tail
}

// scan walks the records of data from offset at on. A tail is torn when a
// record's beginning is there and its end is not, or when only zeros follow
// (a file that grew before its data reached the disk); anything else that is
// no record is damage.
func scan(data []byte, at int) (f found) {
	for f.end = int64(at); at < len(data); f.end = int64(at) {
		_, size, err := next(data[at:])
		switch {
		case err == nil:
			f.records++
			f.bytes += int64(size)
			at += size
			continue
		case errors.Is(err, errTorn):
			return f
		}
		if zeros(data[at:]) {
			return f
		}
		to := resync(data, at+1)
		if to < 0 {
			to = len(data)
		}
		f.damage = append(f.damage, span{int64(at), int64(to)})
		at = to
	}
	return f
}

func zeros(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// recover reads the directory as an earlier process left it.
func (s *Spool) recover() error {
	pos, at, err := openPosition(s.opt.Dir)
	if err != nil {
		return err
	}
	s.pos = pos
	s.settled = at
	s.last = at.Segment
	names, err := filepath.Glob(filepath.Join(s.opt.Dir, "*.seg"))
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, name := range names {
		n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".seg"), 10, 64)
		if err == nil && s.path(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		s.last = max(s.last, n)
		if n < at.Segment {
			if err := os.Remove(s.path(n)); err != nil {
				return err
			}
			continue
		}
		if err := s.recoverSegment(n); err != nil {
			return err
		}
	}
	s.dropSettled() // no other goroutine has s yet
	if len(s.segments) > 0 {
		signal(s.more)
	}
	return nil
}

func (s *Spool) recoverSegment(number uint64) error {
	path := s.path(number)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tag, size, err := parseHeader(data)
	switch {
	case err == nil:
	case errors.Is(err, errTorn) || errors.Is(err, errDamaged) && zeros(data):
		return os.Remove(path) // died while making it: no record was in it yet
	case errors.Is(err, errDamaged):
		// Whom the records belong to is lost, so they cannot be delivered.
		// The file stays when the move fails; the callback gets the error.
		_ = s.quarantine(number, 0, data, func(to string) error { return os.Rename(path, to) })
		return nil
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
	seg := segment{number: number, tag: tag, start: int64(size), sealed: true}
	from := seg.start
	if s.settled.Segment == number {
		from = min(max(from, s.settled.Offset), int64(len(data)))
	}
	f := scan(data, int(from))
	seg.end = f.end
	seg.records = f.records
	seg.bytes = f.bytes
	kept := s.setAside(number, data, f.damage)
	if f.records == 0 && kept {
		return os.Remove(path) // settled, torn or set aside: nothing is left to deliver
	}
	seg.gaps = gaps(nil, f.damage)
	if f.end < int64(len(data)) {
		if err := os.Truncate(path, f.end); err != nil {
			return err
		}
	}
	s.segments = append(s.segments, seg)
	s.records += f.records
	s.bytes += f.bytes
	return nil
}

// setAside copies damaged parts of a segment into files of their own and tells
// the owner; false when a copy failed.
func (s *Spool) setAside(number uint64, data []byte, damage []span) bool {
	kept := true
	for _, d := range damage {
		part := data[min(d.from, int64(len(data))):min(d.to, int64(len(data)))]
		err := s.quarantine(number, d.from, part, func(to string) error { return os.WriteFile(to, part, 0o600) })
		kept = kept && err == nil
	}
	return kept
}

// gaps adds damaged parts to those that the reader steps over.
func gaps(known map[int64]int64, damage []span) map[int64]int64 {
	if known == nil && len(damage) > 0 {
		known = make(map[int64]int64, len(damage))
	}
	for _, d := range damage {
		known[d.from] = d.to
	}
	return known
}

// quarantine names a file for lost bytes, has keep put them there and reports.
func (s *Spool) quarantine(number uint64, offset int64, part []byte, keep func(to string) error) error {
	dir := filepath.Join(s.opt.Dir, "quarantine")
	c := Corruption{
		Segment: s.path(number), Offset: offset, Bytes: int64(len(part)),
		Copy: filepath.Join(dir, fmt.Sprintf("%016d-%d.bin", number, offset)),
	}
	if c.Err = os.MkdirAll(dir, 0o700); c.Err == nil {
		c.Err = keep(c.Copy)
	}
	if s.opt.Corrupt != nil {
		s.opt.Corrupt(c)
	}
	return c.Err
}
