package tail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
)

// source is one open file and how far it was shipped. Positions count
// decompressed bytes.
type source struct {
	path  string // absolute
	name  string // as a person named it
	entry *entry // nil while the file has no whole line
	file  *os.File
	// stream reads compressed files and standard input; a plain file has none and
	// is read by its positions, so that the bytes before them can be compared.
	stream io.Reader

	at    int64     // bytes that were handed out and shipped
	kept  []byte    // read at the position, not shipped yet
	buf   []byte    // what a plain file is read into
	fault error     // that ended a stream
	pipe  bool      // it is read once and has no identity
	tail  []byte    // the last bytes before at
	first string    // the first line; empty while there is none
	grown time.Time // when data came last
}

// errChanged means that the bytes before the position differ from those that were read.
var errChanged = errors.New("the file was truncated or rewritten")

// openSource opens a file at its start. It gives the source, without a file, also
// with an error.
func openSource(name string) (*source, error) {
	s := &source{name: name, path: absolute(name), grown: time.Now()}
	file, err := os.Open(s.path)
	if err != nil {
		return s, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &folderError{s.name}
	}
	if err != nil {
		file.Close()
		return s, err
	}
	s.file = file
	if s.pipe = !info.Mode().IsRegular(); s.pipe {
		s.stream, err = traffic.Unpacked(file)
	} else {
		err = s.rewind()
	}
	if err != nil {
		s.close()
		return s, fmt.Errorf("%s: %w", s.name, err)
	}
	return s, nil
}

// rewind goes to the start of a file, which may have another name by now.
func (s *source) rewind() error {
	s.at = 0
	s.kept = nil
	s.tail = nil
	s.stream = nil
	s.fault = nil
	zipped, err := startsZipped(s.file)
	if err == nil && zipped {
		if _, err = s.file.Seek(0, io.SeekStart); err == nil {
			s.stream, err = gzip.NewReader(s.file)
		}
	}
	return err
}

// folderError is of a folder in place of a log: no waiting makes it one.
type folderError struct{ name string }

func (e *folderError) Error() string { return e.name + " is a folder" }

// startsZipped reports whether a file is compressed, whatever its name.
func startsZipped(file *os.File) (bool, error) {
	start := make([]byte, 2)
	n, err := file.ReadAt(start, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return traffic.Zipped(start[:n]), err
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// size is the file's; 0 where it says nothing about positions.
func (s *source) size() int64 {
	if s.stream != nil {
		return 0
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// inode is the identity of an open file.
func inode(info os.FileInfo) (device, number uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), st.Ino //nolint:unconvert // its type is another one elsewhere
	}
	return 0, 0
}

// fill reads until n bytes at the position are kept or the file ends.
func (s *source) fill(n int) error {
	if s.stream == nil {
		if len(s.buf) < n {
			s.buf = make([]byte, n)
		}
		got, err := s.file.ReadAt(s.buf[:n], s.at)
		s.kept = s.buf[:got]
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	}
	for len(s.kept) < n && s.fault == nil {
		if cap(s.kept)-len(s.kept) < 64<<10 {
			s.kept = append(make([]byte, 0, max(n, len(s.kept))+64<<10), s.kept...)
		}
		got, err := s.stream.Read(s.kept[len(s.kept) : len(s.kept)+64<<10])
		s.kept = s.kept[:len(s.kept)+got]
		if errors.Is(err, io.EOF) {
			return nil
		}
		s.fault = err
	}
	if len(s.kept) < n {
		return s.fault
	}
	return nil
}

// unchanged compares the bytes before the position of a plain file with those
// that were read there. It is asked after each reading, so that a truncation
// before that is not missed.
func (s *source) unchanged() error {
	if s.stream != nil {
		return nil
	}
	want := s.tail
	if s.at == 0 {
		want = []byte(s.first)
	}
	there := make([]byte, len(want))
	if _, err := s.file.ReadAt(there, max(0, s.at-int64(len(there)))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(there, want) {
		return errChanged
	}
	return nil
}

// reader reads a file from its start to its end.
func (s *source) reader() io.Reader {
	if s.stream != nil {
		return s.stream
	}
	return io.NewSectionReader(s.file, 0, 1<<62)
}

// firstLine gives the file's first line, by which it is known; empty while it has
// none. With whole, an unfinished line is one. The position is the file's start.
func (s *source) firstLine(whole bool) (string, error) {
	err := s.fill(fingerprint)
	start := s.kept[:min(len(s.kept), fingerprint)]
	end := bytes.IndexByte(start, '\n')
	switch {
	case end < 0 && err != nil:
		return "", err
	case end < 0 && (whole || len(start) == fingerprint):
		end = len(start)
	case end < 0:
		return "", nil
	}
	s.first = string(start[:end])
	return s.first, nil
}

// seek goes to the position of an entry, if the bytes before it are those that
// were read, and the pending ones too.
func (s *source) seek(e *entry) (same bool, err error) {
	if s.stream == nil {
		size := min(e.At, checkBytes)
		tail := make([]byte, size)
		if _, err := s.file.ReadAt(tail, e.At-size); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // shorter than it was
			}
			return false, err
		}
		s.at = e.At
		s.tail = tail
	}
	for s.at < e.At {
		if err := s.fill(int(min(e.At-s.at, chunk))); err != nil {
			return false, err
		}
		if len(s.kept) == 0 {
			return false, nil
		}
		s.remember(s.kept[:min(int64(len(s.kept)), e.At-s.at)])
	}
	if e.At > 0 && digestBytes(s.tail) != e.Check {
		return false, nil
	}
	if e.Pending > e.At {
		if _, err := s.exactly(e); err != nil {
			if errors.Is(err, errChanged) {
				err = nil
			}
			return false, err
		}
	}
	return true, nil
}

// remember moves past data, which is the beginning of the kept bytes.
func (s *source) remember(data []byte) {
	s.at += int64(len(data))
	s.tail = append(s.tail, data[max(0, len(data)-checkBytes):]...)
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-checkBytes):]...)
	s.kept = s.kept[len(data):]
}

// lines gives the whole lines that come next, about a chunk of them; with whole,
// an unfinished last one too. Empty: there is nothing now. An error of reading
// comes after the lines before it.
func (s *source) lines(whole bool) ([]byte, error) {
	err := s.fill(chunk)
	if changed := s.unchanged(); changed != nil {
		return nil, changed
	}
	data := s.kept[:min(len(s.kept), chunk)]
	switch end := bytes.LastIndexByte(data, '\n') + 1; {
	case end > 0:
		return data[:end], nil
	case err != nil:
		return nil, err
	case whole || len(data) == chunk: // no line is that long
		return data, nil
	}
	return nil, nil
}

// unfinished reports whether a line without an end begins at the position.
func (s *source) unfinished() bool { return len(s.kept) > 0 }

// exactly gives the range that an entry names as pending.
func (s *source) exactly(e *entry) ([]byte, error) {
	n := e.Pending - e.At
	if n > chunk {
		return nil, fmt.Errorf("the state names a range of %d bytes, more than is ever sent at once", n)
	}
	if err := s.fill(int(n)); err != nil {
		return nil, err
	}
	if int64(len(s.kept)) < n || e.Range != "" && digestBytes(s.kept[:n]) != e.Range {
		return nil, errChanged
	}
	return s.kept[:n], nil
}

// span is one line: where it begins in its range, and its number there.
type span struct {
	text   []byte
	at     int
	number int // from 0
}

// splitLines gives the lines that are not empty, without their ends.
func splitLines(data []byte) (list []span) {
	at := 0
	number := 0
	for line := range bytes.Lines(data) {
		if text := bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(text)) > 0 {
			list = append(list, span{text, at, number})
		}
		at += len(line)
		number++
	}
	return list
}

func absolute(name string) string {
	full, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	return full
}
