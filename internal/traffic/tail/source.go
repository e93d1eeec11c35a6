package tail

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// source is one open file and how far it was read. Positions count decompressed
// bytes.
type source struct {
	path string
	key  string // in the state; empty while the file has no whole line
	file *os.File
	r    io.Reader

	at   int64     // bytes that were handed out and shipped
	kept []byte    // read behind at, not handed out yet
	tail []byte    // the last bytes before at
	gone time.Time // when another file was first seen under the path
}

func openSource(name string) (*source, error) {
	s := &source{path: name}
	return s, s.reopen()
}

// reopen begins at the file's start.
func (s *source) reopen() error {
	s.close()
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		file.Close()
		return fmt.Errorf("%s is a folder", s.path)
	}
	s.file, s.r, s.at, s.kept, s.tail = file, file, 0, nil, nil
	if strings.HasSuffix(s.path, ".gz") {
		if s.r, err = gzip.NewReader(file); err != nil {
			s.close()
			return fmt.Errorf("%s: %w", s.path, err)
		}
	}
	return nil
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// size is the file's, 0 where it says nothing about positions.
func (s *source) size() int64 {
	info, err := s.file.Stat()
	if err != nil || s.r != io.Reader(s.file) {
		return 0
	}
	return info.Size()
}

// fill reads on until n bytes are kept or the file ends.
func (s *source) fill(n int) error {
	for len(s.kept) < n {
		if cap(s.kept)-len(s.kept) < 64<<10 {
			s.kept = append(make([]byte, 0, max(n, len(s.kept))+64<<10), s.kept...)
		}
		got, err := s.r.Read(s.kept[len(s.kept) : len(s.kept)+64<<10])
		s.kept = s.kept[:len(s.kept)+got]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// identify gives the file's first line as its name in the state; empty while it
// has none. With whole, an unfinished line is one.
func (s *source) identify(whole bool) (string, error) {
	if err := s.fill(fingerprint); err != nil {
		return "", err
	}
	end := bytes.IndexByte(s.kept[:min(len(s.kept), fingerprint)], '\n')
	if end < 0 && len(s.kept) >= fingerprint {
		end = fingerprint
	}
	if end < 0 && whole {
		end = len(s.kept)
	}
	if end <= 0 {
		return "", nil
	}
	return string(s.kept[:end]), nil
}

// seek goes to a position, if what stands before it is what stood there.
func (s *source) seek(at int64, check string) (same bool, err error) {
	if at == 0 {
		return true, nil
	}
	for s.at < at {
		if err := s.fill(int(min(at-s.at, chunk))); err != nil {
			return false, err
		}
		if len(s.kept) == 0 {
			return false, nil // shorter than it was
		}
		s.remember(s.kept[:min(int64(len(s.kept)), at-s.at)])
	}
	return s.check() == check, nil
}

// remember moves past data, which is the beginning of what is kept.
func (s *source) remember(data []byte) {
	s.at += int64(len(data))
	s.tail = append(s.tail, data[max(0, len(data)-checkBytes):]...)
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-checkBytes):]...)
	s.kept = s.kept[len(data):]
}

// check is by what a position is known again.
func (s *source) check() string {
	sum := sha256.Sum256(s.tail)
	return hex.EncodeToString(sum[:12])
}

// lines gives the whole lines that come next, about a chunk of them; with whole,
// an unfinished last one too. Empty: there is nothing now.
func (s *source) lines(whole bool) ([]byte, error) {
	if err := s.fill(chunk); err != nil {
		return nil, err
	}
	data := s.kept[:min(len(s.kept), chunk)]
	switch end := bytes.LastIndexByte(data, '\n') + 1; {
	case end > 0:
		return data[:end], nil
	case whole || len(data) == chunk: // no line is that long
		return data, nil
	}
	return nil, nil
}

// exactly gives the next n bytes.
func (s *source) exactly(n int64) ([]byte, error) {
	if n > chunk {
		return nil, fmt.Errorf("the state names a range of %d bytes, more than is ever sent at once", n)
	}
	if err := s.fill(int(n)); err != nil {
		return nil, err
	}
	if int64(len(s.kept)) < n {
		return nil, fmt.Errorf("the file is shorter than when it was read before")
	}
	return s.kept[:n], nil
}

// span is one line and where it begins in its range.
type span struct {
	text []byte
	at   int
}

// splitLines gives the lines that are not empty, without their ends.
func splitLines(data []byte) (list []span) {
	at := 0
	for line := range bytes.Lines(data) {
		if text := bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(text)) > 0 {
			list = append(list, span{text, at})
		}
		at += len(line)
	}
	return list
}
