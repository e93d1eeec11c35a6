package spool

import (
	"fmt"
	"io"
	"os"
)

// Batch is a run of records of one segment in the order in which they were
// appended. Its bytes belong to the spool and are valid until the next call of
// Next.
type Batch struct {
	Tag     string
	Records [][]byte
	segment uint64
	ends    []int64 // offset behind each record
	begin   int64   // offset of the first record
}

// reader keeps what Next needs between calls.
type reader struct {
	f       *os.File
	number  uint64
	buf     []byte
	records [][]byte
	ends    []int64
}

func (r *reader) close() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

func (r *reader) open(path string, number uint64) error {
	if r.f != nil && r.number == number {
		return nil
	}
	r.close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	r.f, r.number = f, number
	return nil
}

// Next returns the oldest records that are not settled, at most maxRecords
// with maxBytes of payload together, and at least one if there is any. Without
// Settle it returns the same again.
func (s *Spool) Next(maxRecords, maxBytes int) (Batch, error) {
	for {
		seg, at, ok := s.front()
		if !ok {
			return Batch{}, nil
		}
		b, err := s.readBatch(seg, at, maxRecords, maxBytes)
		if err != nil || len(b.Records) > 0 {
			return b, err
		}
		// Committed bytes that are no record: the disk changed them.
		if err := s.examine(seg, at); err != nil {
			return Batch{}, err
		}
	}
}

// front is the segment and offset where the oldest unsettled record begins.
func (s *Spool) front() (segment, int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		at := seg.start
		if s.settled.Segment == seg.number {
			at = max(at, s.settled.Offset)
		} else if s.settled.Segment > seg.number {
			continue
		}
		if at = seg.over(at); at < seg.end {
			return seg, at, true
		}
	}
	return segment{}, 0, false
}

func (s *Spool) readBatch(seg segment, at int64, maxRecords, maxBytes int) (Batch, error) {
	r := &s.reader
	if err := r.open(s.path(seg.number), seg.number); err != nil {
		return Batch{}, err
	}
	want := min(seg.end-at, int64(max(maxBytes, recordHeader+MaxPayload)))
	if int64(cap(r.buf)) < want {
		r.buf = make([]byte, want)
	}
	chunk := r.buf[:want]
	if n, err := r.f.ReadAt(chunk, at); err == io.EOF {
		chunk = chunk[:n] // the file lost its end; examine reports it
	} else if err != nil {
		return Batch{}, err
	}
	r.records, r.ends = r.records[:0], r.ends[:0]
	sum, off := 0, 0
	for len(r.records) < maxRecords && off < len(chunk) {
		payload, size, err := next(chunk[off:])
		if err != nil || len(r.records) > 0 && sum+len(payload)+1 > maxBytes {
			break
		}
		sum += len(payload) + 1
		off += size
		r.records = append(r.records, payload)
		r.ends = append(r.ends, at+int64(off))
	}
	return Batch{Tag: seg.tag, Records: r.records, segment: seg.number, ends: r.ends, begin: at}, nil
}

// Settle says that the first n records of b need not be delivered again. An
// error means only that a crash now would make them come back.
func (s *Spool) Settle(b Batch, n int) error {
	if n <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = Position{b.segment, b.ends[n-1]}
	for i := range s.segments {
		if seg := &s.segments[i]; seg.number == b.segment {
			size := b.ends[n-1] - b.begin
			seg.records, s.records = seg.records-int64(n), s.records-int64(n)
			seg.bytes, s.bytes = seg.bytes-size, s.bytes-size
			s.settled.Offset = seg.over(s.settled.Offset)
		}
	}
	return s.persist()
}

// over is the offset behind the gaps that begin at offset at.
func (seg *segment) over(at int64) int64 {
	for to, gap := seg.gaps[at]; gap; to, gap = seg.gaps[at] {
		at = to
	}
	return at
}

// persist writes the position and removes what lies before it. The caller
// holds mu and is the reader.
func (s *Spool) persist() error {
	err := s.pos.write(s.settled)
	if len(s.segments) > 0 && s.segments[0].number == s.reader.number && s.segments[0].sealed {
		s.reader.close() // Windows removes no open file
	}
	s.dropSettled()
	return err
}

// examine reads the rest of a segment again after damage was met at offset at,
// sets the damaged parts aside and corrects the counts.
func (s *Spool) examine(seg segment, at int64) error {
	data, err := os.ReadFile(s.path(seg.number))
	if err != nil {
		return err
	}
	data = data[:min(int64(len(data)), seg.end)]
	have := int64(len(data))
	f := scan(data, int(min(at, have)))
	lost := f.damage
	if f.end < have { // committed bytes cannot be torn
		lost = append(lost, span{f.end, have})
	}
	if have < seg.end {
		lost = append(lost, span{have, seg.end})
	}
	if len(lost) == 0 {
		return fmt.Errorf("%s reads differently each time", s.path(seg.number))
	}
	s.setAside(seg.number, data, lost)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.segments {
		if live := &s.segments[i]; live.number == seg.number { // it may have grown meanwhile
			live.gaps = gaps(live.gaps, lost)
			live.records, s.records = live.records+f.records-seg.records, s.records+f.records-seg.records
			live.bytes, s.bytes = live.bytes+f.bytes-seg.bytes, s.bytes+f.bytes-seg.bytes
			s.settled = Position{seg.number, live.over(at)}
		}
	}
	return s.persist()
}
