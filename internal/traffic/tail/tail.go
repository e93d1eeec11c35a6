// Package tail counts access logs and ships the counts to a Belfry server.
//
//	file (growing, rotated, .gz) -> whole lines of a byte range -> counts -> state: pending -> Send -> state: done
//
// Counts are sent, not lines: they are a hundredth of the size, and addresses
// and paths of visitors stay on the machine where they were logged.
//
// Nothing is lost or counted twice by a kill -9: before a range of bytes is sent
// it is in the state file, and after a restart the same range is read again,
// makes the same counts and is sent under the same Idempotency-Key. A file is
// known by its content, not its name: a rotated or compressed one goes on where
// it was left.
package tail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/traffic"
)

// Config says what to ship and how.
type Config struct {
	Files  []string // - is standard input; .gz is read too
	Format traffic.Format
	Zone   string // of all lines; empty = what each line says
	Follow bool   // go on at the end of the files, over rotation, until ctx ends
	Shift  bool   // move all times as a whole, so that the last line is now
	State  string // file that remembers positions; empty = none
	Scope  string // what the positions belong to: server, account and so on
	Stdin  io.Reader

	// Send ships counts, a JSON array, under a key. rejected of them were refused
	// for good, and why says the first reason.
	Send func(ctx context.Context, key string, counts []byte) (rejected int, why string, err error)
	// Later reports whether an error of Send may pass by itself: with Follow, Send
	// is tried again then.
	Later    func(error) bool
	Progress func(Progress)   // told after each range; may be nil
	Warn     func(string)     // told what a person should know; may be nil
	Now      func() time.Time // nil = time.Now
	Poll     time.Duration    // between two looks at files that grow; 0 = 2 s
}

// Progress is how far one file is.
type Progress struct {
	File        string
	Done, Total int64 // bytes; of a .gz, decompressed and 0
	Summary     *Summary
}

// Summary is what was shipped.
type Summary struct {
	traffic.Summary        // of the lines; Line is 0
	Where           string // the first refused line: FILE, byte N
	Counts          int
	Rejected        int    // counts that the server refused
	Why             string // the first of them
}

const (
	chunk       = 1 << 20 // bytes of a range
	sendCounts  = 5000    // in one request
	fingerprint = 4096    // most bytes of a file's first line by which it is known
	maxRotated  = 100     // files beside one that are looked into
	checkBytes  = 1024    // before a position, that must be the same when it is used again
)

// tailer is a run.
type tailer struct {
	cfg   Config
	state *state
	shift int64 // seconds
	sum   Summary
	run   string // part of the keys of what has no identity
}

// Run ships the files, in their order, and says what was shipped, also when it
// fails half-way: another run goes on from there.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	if cfg.Shift {
		cfg.Scope += "\nshift"
	}
	t := &tailer{cfg: cfg, run: id.New(), sum: Summary{Summary: traffic.Summary{Statuses: map[int]int{}}}}
	if t.cfg.Now == nil {
		t.cfg.Now = time.Now
	}
	if t.cfg.Poll == 0 {
		t.cfg.Poll = 2 * time.Second
	}
	if cfg.Follow && cfg.Shift {
		return t.sum, errors.New("a log whose times are shifted is not followed: its last line is not known")
	}
	if slices.Contains(cfg.Files, "-") && (cfg.Follow || cfg.Shift || len(cfg.Files) > 1) {
		return t.sum, errors.New("standard input is read alone, once, and without a shift of times")
	}
	if cfg.Files[0] == "-" {
		return t.sum, t.stdin(ctx)
	}
	var err error
	if t.state, err = openState(cfg.State); err != nil {
		return t.sum, err
	}
	defer t.state.close()
	if cfg.Shift {
		if err := t.findShift(); err != nil {
			return t.sum, err
		}
	}
	var open []*source
	defer func() {
		for _, s := range open {
			s.close()
		}
	}()
	for _, name := range cfg.Files {
		if cfg.Follow {
			if err := t.leftovers(ctx, name); err != nil {
				return t.sum, err
			}
		}
		s, err := t.open(name)
		if errors.Is(err, fs.ErrNotExist) && cfg.Follow {
			s, err = &source{path: name}, nil // it will come
		}
		if err != nil {
			return t.sum, err
		}
		open = append(open, s)
		if err := t.drain(ctx, s, !cfg.Follow); err != nil {
			return t.sum, err
		}
	}
	if cfg.Shift { // another run is another replay
		for _, s := range open {
			t.state.forget(s.key)
		}
		return t.sum, t.state.save()
	}
	for cfg.Follow && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(t.cfg.Poll):
		}
		for _, s := range open {
			if err := t.follow(ctx, s); err != nil && ctx.Err() == nil {
				return t.sum, err
			}
		}
	}
	return t.sum, nil
}

// findShift looks for the last line's time in all files. A replay that was
// broken off goes on with the shift that it had.
func (t *tailer) findShift() error {
	if s, ok := t.state.shift(t.cfg.Scope); ok {
		t.shift = s
		return nil
	}
	last := int64(-1)
	for _, name := range t.cfg.Files {
		s, err := openSource(name)
		if err != nil {
			return err
		}
		err = t.cfg.Format.Read(s.r, func(_ int, e traffic.Entry, fault error) error {
			if fault == nil {
				last = max(last, e.At)
			}
			return nil
		})
		s.close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if last < 0 {
		return fmt.Errorf("no line is one of the format %s: there is no time to shift", t.cfg.Format)
	}
	t.shift = t.cfg.Now().Unix() - last
	return nil
}

// open opens a file at the position that the state has for it.
func (t *tailer) open(name string) (*source, error) {
	s, err := openSource(name)
	if err != nil {
		return nil, err
	}
	return s, t.place(s, !t.cfg.Follow)
}

// place finds a file's entry in the state by its content, and goes to its
// position.
func (t *tailer) place(s *source, whole bool) error {
	first, err := s.identify(whole)
	if err != nil || first == "" {
		return err // nothing in it yet
	}
	base := digest(t.cfg.Scope, first)
	for n := 0; ; n++ {
		s.key = base
		if n > 0 {
			s.key = fmt.Sprintf("%s-%d", base, n)
		}
		e := t.state.entry(s.key)
		if e == nil {
			t.state.put(s.key, &entry{Path: absolute(s.path), Shift: t.shift, Scope: t.cfg.Scope, Shifted: t.cfg.Shift})
			return nil
		}
		same, err := s.seek(e.At, e.Check)
		if err != nil {
			return err
		}
		if same {
			e.Path = absolute(s.path)
			return nil
		}
		// Another file that begins with the same line.
		if err := s.reopen(); err != nil {
			return err
		}
	}
}

func absolute(name string) string {
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

// leftovers finishes a file that was rotated away while nobody looked.
func (t *tailer) leftovers(ctx context.Context, name string) error {
	var rotated []string
	for _, suffix := range []string{".*", "-*"} { // access.log.1, access.log-20261122.gz
		found, err := filepath.Glob(escapeGlob(name) + suffix)
		if err != nil {
			return err
		}
		rotated = append(rotated, found...)
	}
	rotated = rotated[:min(len(rotated), maxRotated)]
	for _, old := range rotated {
		s, err := openSource(old)
		if err != nil {
			continue // not a log
		}
		first, err := s.identify(true)
		e := t.state.entry(digest(t.cfg.Scope, first))
		if err != nil || first == "" || e == nil || e.Path != absolute(name) {
			s.close()
			continue
		}
		if err = t.place(s, true); err == nil {
			err = t.drain(ctx, s, true)
		}
		s.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// follow looks whether a file has grown, was rotated or truncated.
func (t *tailer) follow(ctx context.Context, s *source) error {
	if s.file != nil {
		if err := t.drain(ctx, s, false); err != nil {
			return err
		}
	}
	there, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // between two names
	}
	if err != nil {
		return err
	}
	if s.file != nil {
		mine, err := s.file.Stat()
		if err != nil {
			return err
		}
		same := os.SameFile(mine, there)
		if same && there.Size() >= s.at {
			return nil
		}
		// A server writes into the renamed file until it is told of the new one.
		if s.gone.IsZero() {
			s.gone = time.Now()
		}
		if !same && time.Since(s.gone) < 5*t.cfg.Poll {
			return nil
		}
		if !same {
			if err := t.drain(ctx, s, true); err != nil { // what came until the rename
				return err
			}
		}
		s.close()
	}
	next, err := t.open(s.path)
	if err != nil {
		return err
	}
	*s = *next
	return t.drain(ctx, s, false)
}

// drain ships what a file has now; whole: an unfinished last line too.
func (t *tailer) drain(ctx context.Context, s *source, whole bool) error {
	if s.file == nil {
		return nil
	}
	if s.key == "" { // it was empty
		if err := t.place(s, whole); err != nil || s.key == "" {
			return err
		}
	}
	e := t.state.entry(s.key)
	for ctx.Err() == nil {
		var data []byte
		var err error
		if e.Pending > e.At { // begun by a process that ended
			data, err = s.exactly(e.Pending - e.At)
		} else {
			data, err = s.lines(whole)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		if len(data) == 0 {
			return nil
		}
		e.Pending = e.At + int64(len(data))
		if err := t.state.save(); err != nil {
			return err
		}
		key := fmt.Sprintf("tail-%s-%d-%d", s.key, e.At, e.Pending)
		if t.cfg.Shift {
			key += fmt.Sprintf("%+d", e.Shift)
		}
		if err := t.ship(ctx, s.path, e.At, key, data); err != nil {
			return err
		}
		s.remember(data)
		e.At, e.Check = e.Pending, s.check()
		if err := t.state.save(); err != nil {
			return err
		}
		if t.cfg.Progress != nil {
			t.cfg.Progress(Progress{s.path, e.At, s.size(), &t.sum})
		}
	}
	return ctx.Err()
}

// stdin ships a stream. It has no identity, so that a broken run is not resumed.
func (t *tailer) stdin(ctx context.Context) error {
	s := &source{path: "-", r: t.cfg.Stdin}
	for ctx.Err() == nil {
		data, err := s.lines(true)
		if err != nil || len(data) == 0 {
			return err
		}
		if err := t.ship(ctx, "standard input", s.at, fmt.Sprintf("tail-%s-%d", t.run, s.at), data); err != nil {
			return err
		}
		s.remember(data)
		if t.cfg.Progress != nil {
			t.cfg.Progress(Progress{"-", s.at, 0, &t.sum})
		}
	}
	return ctx.Err()
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
