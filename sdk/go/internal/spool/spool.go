// Package spool is a durable queue in a directory: many writers, one reader,
// one process. A record is in the queue when Append returned nil, and leaves
// it when the reader settled it.
//
//	Append -> group (in memory) -> commit: write + fsync -> segment file -> Next -> Settle -> segment removed
//
// Files: N.seg (segments, see record.go), position (how far settled), lock,
// quarantine/ (bytes that were no record any more). A process never appends to
// a segment of an earlier one, and a segment's number is never used again, so
// a stale position can only repeat records, not hide any.
package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Errors that callers tell apart.
var (
	ErrFull   = errors.New("spool is full")
	ErrClosed = errors.New("spool is closed")
	ErrLocked = errors.New("spool directory is in use by another process or client")
)

// Options of a spool.
type Options struct {
	Dir          string
	Tag          string // written to this process's segments and returned with their records
	MaxBytes     int64  // of records that are not settled; beyond it Append answers ErrFull
	SegmentBytes int64  // a segment that reached this size is followed by a new one
	Sync         bool   // fsync before Append returns
	// Corrupt is told of bytes that were set aside, from Open, Next or Settle.
	Corrupt func(Corruption)
	// Outside, if set, is asked for bytes elsewhere that count against MaxBytes.
	Outside func() int64
}

// Corruption is a part of a segment that is no record although records are
// behind it, or that is more than an unfinished write at its end.
type Corruption struct {
	Segment string // path of the segment
	Offset  int64
	Bytes   int64
	Copy    string // path of the file that has the bytes
	Err     error  // why they could not be copied, else nil
}

// Spool is the queue. Append is for any goroutine, Next and Settle for one.
type Spool struct {
	opt  Options
	lock *os.File

	mu       sync.Mutex // guards this group
	group    *group     // the records that the next commit will take, nil when none
	spare    []byte     // an empty buffer for the next group
	segments []segment  // ascending; the last one may be active
	bytes    int64      // sum of the records that are not settled, pending ones too
	records  int64      // their number
	settled  Position
	closed   bool

	kick chan struct{} // a group waits for the committer
	more chan struct{} // something was committed
	stop chan struct{} // the committer shall end
	done chan struct{} // the committer has ended

	active *os.File // the last segment; owned by the committer
	last   uint64   // the highest number ever used; owned by the committer
	pos    positionFile
	reader reader // owned by the goroutine that calls Next and Settle
}

// segment is a file and the part of it that holds committed records.
type segment struct {
	number  uint64
	tag     string
	start   int64           // offset of the first record
	end     int64           // committed up to here; nothing behind it is read
	records int64           // committed and not settled
	bytes   int64           // of those records
	gaps    map[int64]int64 // damaged parts: where they begin -> where the next record does
	sealed  bool            // end will not move any more
}

// group holds the records of one commit. Its fields are guarded by Spool.mu until
// the committer took it, and err is read only after done is closed.
type group struct {
	buf     []byte
	records int64
	done    chan struct{}
	err     error
}

// Open takes the directory (made with mode 0700 if it is not there), recovers
// what an earlier process left and starts the committer, which Close ends.
func Open(opt Options) (*Spool, error) {
	if len(opt.Tag) > maxTag {
		return nil, fmt.Errorf("tag is longer than %d bytes", maxTag)
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(opt.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Spool{
		opt: opt, lock: lock,
		kick: make(chan struct{}, 1), more: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := s.recover(); err != nil {
		if s.pos.f != nil {
			s.pos.f.Close()
		}
		lock.Close()
		return nil, err
	}
	go s.commits()
	return s, nil
}

// Append puts a record, made with Reserve, into the queue and returns when it
// is committed. The record's bytes are copied, the caller may use them again.
// After ErrFull and ErrClosed nothing was stored. When ctx ends first, or the
// disk fails, the record may or may not be stored.
func (s *Spool) Append(ctx context.Context, rec []byte) error {
	if len(rec) > recordHeader+MaxPayload {
		return fmt.Errorf("record of %d bytes, at most %d fit", len(rec)-recordHeader, MaxPayload)
	}
	frame(rec)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.bytes+int64(len(rec))+s.outside() > s.opt.MaxBytes {
		s.mu.Unlock()
		return ErrFull
	}
	g := s.group
	if g == nil {
		g = &group{buf: s.spare, done: make(chan struct{})}
		s.group, s.spare = g, nil
	}
	g.buf = append(g.buf, rec...)
	g.records++
	s.bytes += int64(len(rec))
	s.records++
	s.mu.Unlock()
	signal(s.kick)
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Spool) outside() int64 {
	if s.opt.Outside == nil {
		return 0
	}
	return s.opt.Outside()
}

// More is signalled after a commit; one signal may stand for several.
func (s *Spool) More() <-chan struct{} { return s.more }

// Backlog is how many records are not settled, and their bytes on disk.
func (s *Spool) Backlog() (records, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records, s.bytes
}

// End is the place behind the last committed record.
func (s *Spool) End() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return s.settled
	}
	last := s.segments[len(s.segments)-1]
	return Position{last.number, last.end}
}

// Settled is the place up to which all records are settled.
func (s *Spool) Settled() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// Stop refuses further records, commits those that wait and ends the
// committer. Next and Settle go on working.
func (s *Spool) Stop() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	<-s.done
}

// Close stops the spool, removes files without unsettled records and gives the
// directory back. No Next or Settle may run any more.
func (s *Spool) Close() error {
	s.Stop()
	s.reader.close()
	var err error
	if s.active != nil {
		err = s.active.Close()
		s.active = nil
	}
	s.mu.Lock()
	for i := range s.segments {
		s.segments[i].sealed = true
	}
	s.dropSettled()
	s.mu.Unlock()
	return errors.Join(err, s.pos.f.Close(), s.lock.Close())
}

func (s *Spool) path(number uint64) string {
	return filepath.Join(s.opt.Dir, fmt.Sprintf("%016d.seg", number))
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
