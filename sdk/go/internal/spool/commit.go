package spool

import (
	"os"
	"runtime"
)

// commits writes group after group. While one is being synced the next one
// grows, so the cost of an fsync is shared by all who wait for it.
func (s *Spool) commits() {
	defer close(s.done)
	for {
		select {
		case <-s.kick:
			// The callers that the last commit released are about to append
			// again: let them join this group.
			runtime.Gosched()
			s.commit()
		case <-s.stop:
			s.commit()
			return
		}
	}
}

const maxSpare = 4 << 20

func (s *Spool) commit() {
	s.mu.Lock()
	g := s.group
	s.group = nil
	s.mu.Unlock()
	if g == nil {
		return
	}
	err := s.write(g.buf)
	s.mu.Lock()
	if err == nil {
		last := &s.segments[len(s.segments)-1]
		last.end += int64(len(g.buf))
		last.records += g.records
		last.bytes += int64(len(g.buf))
	} else {
		s.bytes -= int64(len(g.buf))
		s.records -= g.records
	}
	if s.spare == nil && cap(g.buf) <= maxSpare {
		s.spare = g.buf[:0]
	}
	s.mu.Unlock()
	g.err = err
	close(g.done)
	if err == nil {
		signal(s.more)
	}
}

// write puts b behind the committed part of the active segment. After a
// failed write or fsync the kernel's view of the file cannot be trusted: the
// segment is cut back to what was committed and never written again, and the
// next commit begins a new one. A failed fsync is never tried again.
func (s *Spool) write(b []byte) error {
	if err := s.roll(); err != nil {
		return err
	}
	s.mu.Lock()
	at := s.segments[len(s.segments)-1].end
	s.mu.Unlock()
	_, err := s.active.WriteAt(b, at)
	if err == nil && s.opt.Sync {
		err = s.active.Sync()
	}
	if err != nil {
		_ = s.active.Truncate(at) // at best; recovery copes with what stays
		s.seal()
	}
	return err
}

// roll makes sure that there is an active segment with room.
func (s *Spool) roll() error {
	if s.active != nil {
		s.mu.Lock()
		full := s.segments[len(s.segments)-1].end >= s.opt.SegmentBytes
		s.mu.Unlock()
		if !full {
			return nil
		}
		s.seal()
	}
	number := s.last + 1
	path := s.path(number)
	header := appendHeader(nil, s.opt.Tag)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(header)
	if err == nil && s.opt.Sync {
		if err = f.Sync(); err == nil {
			err = syncDir(s.opt.Dir)
		}
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return err
	}
	s.active, s.last = f, number
	s.mu.Lock()
	size := int64(len(header))
	s.segments = append(s.segments, segment{number: number, tag: s.opt.Tag, start: size, end: size})
	s.mu.Unlock()
	return nil
}

// seal ends the active segment; the reader removes it once it is settled.
func (s *Spool) seal() {
	s.active.Close() // its content is synced, or was given up
	s.active = nil
	s.mu.Lock()
	s.segments[len(s.segments)-1].sealed = true
	s.mu.Unlock()
}

// dropSettled removes the segments without unsettled events. The caller
// holds mu and is the reader, or alone.
func (s *Spool) dropSettled() {
	for len(s.segments) > 0 {
		first := s.segments[0]
		end := Position{first.number, first.end}
		empty := first.end == first.start
		if !first.sealed || s.settled.Before(end) && !empty {
			return
		}
		os.Remove(s.path(first.number)) // a file that stays is found settled at the next start
		s.segments = s.segments[1:]
	}
}
