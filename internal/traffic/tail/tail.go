// Package tail counts access logs and ships the counts to a Belfry server.
//
//	file (growing, rotated, .gz) -> whole lines of a byte range -> counts -> state: pending -> Send -> state: done
//
// Counts are sent, not lines: they are a hundredth of the size, and addresses
// and paths of visitors stay on the machine where they were logged.
//
// Nothing is lost or counted twice by a kill -9: before a range of bytes is sent
// it is in the state file, and after a restart the same range is read again,
// makes the same counts and is sent under the same Idempotency-Key. The key holds
// an id that was made for this file and this state file, so that no other file
// and no other machine has it, however much their lines are alike.
//
// A file is known by its inode and by the bytes before its position, not by its
// name: one that was rotated, copied or compressed goes on where it was left.
package tail

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/traffic"
)

// Config has the files to ship, and the settings.
type Config struct {
	Files  []string // - is standard input; .gz is decompressed
	Format traffic.Format
	Zone   string // of all lines; empty = the zone in each line

	// TimeZone is that of times in the log that name none; nil = that of this machine.
	TimeZone *time.Location

	Follow bool   // continue at the end of the files, over rotation, until ctx ends
	Shift  bool   // move all times as a whole, so that the last line is now
	State  string // file that stores positions; empty = none
	Scope  string // owner of the positions: server, account and so on
	Stdin  io.Reader

	// Older are state files of the first version, one for each list of files, whose
	// positions are taken over.
	Older []string

	// Send sends counts, a JSON array, under a key, and returns the refused ones.
	Send func(ctx context.Context, key string, counts []byte) (Rejection, error)
	// Counting says how the requests of a zone are counted: by rules of the account. Nil =
	// by the default rules.
	Counting func(ctx context.Context, zone string) (traffic.CountingRules, error)
	// Later reports whether an error of Send may pass by itself: with Follow, Send
	// is tried again then.
	Later func(error) bool
	// Refused reports whether an error of Send refuses this range only: it is counted as
	// rejected and skipped. Any other error ends the run, and the next run sends the
	// range.
	Refused  func(error) bool
	Progress func(Progress)   // called after each range; may be nil
	Warn     func(string)     // gets messages for the user; may be nil
	Now      func() time.Time // nil = time.Now
	Poll     time.Duration    // interval of reading files that grow; 0 = 2 s
	Quiet    time.Duration    // after which a renamed file gets no more lines; 0 = 10 min
	Every    time.Duration    // between two reports of a run with Follow; 0 = 1 min
}

// Rejection is the part of a request that was refused permanently.
type Rejection struct {
	Counts   int
	Requests int64  // in these counts
	Why      string // reason of the first refusal
	// Other is the number of requests counted for the zone other, because the account
	// had no room for new zones.
	Other int64
}

// Progress is the progress of one file.
type Progress struct {
	File        string
	Done, Total int64 // bytes; of a .gz, decompressed and 0
	Summary     *Summary
}

// Summary is the result of a run.
type Summary struct {
	traffic.Summary       // of the lines; First, Line and Reasons are empty
	Odd             []Odd // the first different reasons why lines are no requests
	Counts          int
	Rejected        Rejection // what the server refused
}

// Odd describes lines that are no requests, by a reason. Where is the first of them: FILE,
// line N.
type Odd struct {
	traffic.Reason
	Where string
}

const (
	chunk       = 1 << 20 // bytes of a range
	sendCounts  = 5000    // in one request
	fingerprint = 4096    // bytes of a file's first line that identify it, at most
	maxRotated  = 100     // files in the folder of a log that are inspected
	maxOdd      = 3       // reasons of a summary
	maxRetired  = 16      // renamed files of one log that are still watched
	checkBytes  = 1024    // before a position, which must be unchanged when it is used again
)

// tailer is a run.
type tailer struct {
	cfg   Config
	state *state
	shift int64 // seconds
	sum   Summary
	run   string             // part of the keys of standard input
	open  map[string]*source // by the id of their entries
	rules map[string]*rules  // by zone

	report report
}

// Run ships the files, in their order, and returns the summary, also when it
// fails half-way: another run goes on from there. A file that cannot be read does
// not keep the others from being shipped.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	cfg.Scope = canonicalScope(cfg.Scope)
	if cfg.Shift {
		cfg.Scope += "\nshift"
	}
	t := &tailer{cfg: cfg, run: id.New(), open: map[string]*source{}, rules: map[string]*rules{}}
	t.sum.Statuses = map[int]int{}
	if t.cfg.Now == nil {
		t.cfg.Now = time.Now
	}
	t.cfg.Poll = cmp.Or(cfg.Poll, 2*time.Second)
	t.cfg.Quiet = cmp.Or(cfg.Quiet, 10*time.Minute)
	t.report.every = cmp.Or(cfg.Every, time.Minute)
	if cfg.Follow && cfg.Shift {
		return t.sum, errors.New("a log whose times are shifted is not followed: its last line is not known")
	}
	if slices.Contains(cfg.Files, "-") && (cfg.Follow || cfg.Shift || len(cfg.Files) > 1) {
		return t.sum, errors.New("standard input is read alone, once, and without a shift of times")
	}
	if cfg.Files[0] == "-" {
		return t.sum, t.stdin(ctx)
	}
	var logs []string
	for _, name := range cfg.Files {
		logs = append(logs, absolute(name))
	}
	var err error
	if t.state, err = openState(cfg.State, cfg.Older, logs); err != nil {
		return t.sum, err
	}
	defer t.state.close()
	defer func() {
		for _, s := range t.open {
			s.close()
		}
	}()
	if cfg.Follow {
		return t.sum, t.follow(ctx)
	}
	if cfg.Shift {
		if err := t.findShift(); err != nil {
			return t.sum, err
		}
	}
	return t.sum, t.once(ctx)
}

// once ships what the files have now.
func (t *tailer) once(ctx context.Context) error {
	var failed error
	var shipped []*entry
	for _, name := range t.cfg.Files {
		s, err := t.shipLog(ctx, name)
		if s.entry != nil {
			shipped = append(shipped, s.entry)
		}
		t.release(s)
		if isSendError(err) || ctx.Err() != nil {
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, err)
	}
	if t.cfg.Shift && failed == nil { // another run is another replay
		for _, e := range shipped {
			t.state.drop(e)
		}
		return t.state.save()
	}
	return failed
}

// shipLog ships one log: files rotated away from it since the last run, then
// itself. It gives the log's source, which may have no file, also with an error.
func (t *tailer) shipLog(ctx context.Context, name string) (*source, error) {
	s, missing := openSource(name)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return s, missing
	}
	if err := t.state.hold(s.path); err != nil {
		return s, err
	}
	last := t.newest(s.path)
	if missing != nil && last == nil {
		return s, missing
	}
	if missing == nil {
		err := t.place(s, s.path, t.complete(s))
		if errors.Is(err, errOpen) {
			return s, nil // it was named twice
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	rotated, failed := t.rotated(s.path, s, last)
	for _, r := range rotated {
		failed = errors.Join(failed, t.drain(ctx, r, t.complete(r)))
		t.release(r)
	}
	if missing != nil { // it was rotated, and nothing has been written since
		t.warn(name + " does not exist; the files rotated away from it are shipped")
		return s, failed
	}
	failed = errors.Join(failed, t.drain(ctx, s, t.complete(s)))
	if failed == nil && s.unfinished() {
		t.warn(fmt.Sprintf("the last line of %s has no end yet; it is left for the next run", s.name))
	}
	return s, failed
}

// complete reports whether no more of a file's last line will come: it is a
// stream that ends, or was not written for long.
func (t *tailer) complete(s *source) bool {
	if s.stream != nil || t.cfg.Shift {
		return true
	}
	info, err := s.file.Stat()
	return err == nil && time.Since(info.ModTime()) > t.cfg.Quiet
}

// release ends the use of a file.
func (t *tailer) release(s *source) {
	if s == nil {
		return
	}
	if s.entry != nil && t.open[s.entry.ID] == s {
		delete(t.open, s.entry.ID)
	}
	s.close()
}

// parser makes a parser of lines behind the header.
func (t *tailer) parser(header string) *traffic.Parser {
	zone := t.cfg.TimeZone
	if zone == nil {
		zone = time.Local
	}
	p := &traffic.Parser{Format: t.cfg.Format, Zone: zone}
	p.SetHeader(header)
	return p
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
		err = t.parser("").Read(s.reader(), func(_ int, _ []byte, e traffic.Entry, fault error) error {
			if fault == nil {
				last = max(last, e.At)
			}
			return nil
		})
		s.close()
		if err != nil && last < 0 {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if last < 0 {
		return fmt.Errorf("no line is one of the format %s: there is no time to shift", t.cfg.Format)
	}
	t.shift = t.cfg.Now().Unix() - last
	return nil
}

// drain ships what a file has now; whole: an unfinished last line too.
func (t *tailer) drain(ctx context.Context, s *source, whole bool) error {
	if s.entry == nil {
		if err := t.place(s, s.path, whole); err != nil || s.entry == nil {
			return err
		}
	}
	e := s.entry
	for ctx.Err() == nil {
		var data []byte
		var err error
		info, statErr := s.file.Stat() // before reading: later writes are seen the next time
		if e.Pending > e.At {          // begun by a process that ended
			data, err = s.exactly(e)
		} else {
			data, err = s.lines(whole)
		}
		if err = errors.Join(err, statErr); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if len(data) == 0 {
			if size := info.Size(); !s.unfinished() && (e.Size != size || e.Modified != info.ModTime().UnixNano()) {
				e.Size = size
				e.Modified = info.ModTime().UnixNano()
				return t.state.save()
			}
			return nil
		}
		s.grown = time.Now()
		if err := t.shipRange(ctx, s, data); err != nil {
			return err
		}
		if t.cfg.Progress != nil {
			t.cfg.Progress(Progress{s.name, e.At, s.size(), &t.sum})
		}
	}
	return ctx.Err()
}

// shipRange ships the next bytes of a file, and remembers before and after it
// that it does.
func (t *tailer) shipRange(ctx context.Context, s *source, data []byte) error {
	e := s.entry
	r := stretch{name: s.name, at: e.At, lines: e.Lines, data: data, parser: t.parser(e.Header)}
	if e.At > 0 && e.Lines == 0 {
		r.lines = -1 // an earlier version did not count them
	}
	if e.Pending > e.At { // begun by a process that ended: counted again as then
		r.used = e.Counting
		r.again = true
	}
	counts, one, odd, err := t.count(ctx, &r)
	if err != nil {
		return err
	}
	e.Pending = e.At + int64(len(data))
	e.Range = digestBytes(data)
	e.Counting = r.used
	e.Used = time.Now().Unix()
	if err := t.state.save(); err != nil {
		return err
	}
	key := fmt.Sprintf("%s-%d-%d", cmp.Or(e.Key, "tail-"+e.ID), e.At, e.Pending)
	if e.Shifted {
		key += fmt.Sprintf("%+d", e.Shift)
	}
	if err := t.ship(ctx, key, counts); err != nil {
		return err
	}
	t.counted(one, odd)
	s.remember(data)
	if r.lines >= 0 {
		e.Lines += int64(bytes.Count(data, []byte("\n")))
	}
	e.Header = r.parser.Header()
	e.At = e.Pending
	e.Check = digestBytes(s.tail)
	e.Key = ""
	e.Counting = nil
	return t.state.save()
}

// stdin ships a stream. It has no identity, so that a broken run is not resumed.
func (t *tailer) stdin(ctx context.Context) error {
	stream, err := traffic.Unpacked(t.cfg.Stdin)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	s := &source{path: "-", stream: stream}
	r := stretch{name: "standard input", parser: t.parser("")}
	for ctx.Err() == nil {
		data, err := s.lines(true)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(data) == 0 {
			return nil
		}
		r.data = data
		r.used = nil
		counts, one, odd, err := t.count(ctx, &r)
		if err != nil {
			return err
		}
		if err := t.ship(ctx, fmt.Sprintf("tail-%s-%d", t.run, s.at), counts); err != nil {
			return err
		}
		t.counted(one, odd)
		r.lines += int64(bytes.Count(data, []byte("\n")))
		s.remember(data)
		r.at = s.at
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

func digestBytes(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}
