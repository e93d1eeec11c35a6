package tail_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
	"github.com/belfryhq/belfry/internal/traffic/tail"
)

const patience = 30 * time.Second

var errBoom = errors.New("no connection")

// server counts what it is sent, each key once.
type server struct {
	t *testing.T

	mu     sync.Mutex // guards what follows
	seen   map[string]string
	total  int64
	bad    int64
	last   int64          // newest ts
	zones  map[string]int // requests by zone
	faults int            // of twenty requests, so many fail before they are counted, and so many after it
	asked  int            // requests so far: they say which one fails, and the first does
}

func newServer(t *testing.T) *server {
	return &server{t: t, seen: map[string]string{}, zones: map[string]int{}}
}

func (s *server) send(_ context.Context, key string, body []byte) (tail.Rejection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dice := s.asked * 7 % 20
	s.asked++
	if dice < s.faults {
		return tail.Rejection{}, errBoom
	}
	if before, known := s.seen[key]; known {
		if before != string(body) {
			s.t.Errorf("key %s has two contents", key)
		}
	} else {
		s.seen[key] = string(body)
		var list []struct {
			Zone           string
			TS, Total, Bad int64
		}
		if err := json.Unmarshal(body, &list); err != nil {
			s.t.Error(err)
		}
		for _, c := range list {
			s.total += c.Total
			s.bad += c.Bad
			s.last = max(s.last, c.TS)
			s.zones[c.Zone] += int(c.Total)
		}
	}
	if dice < 2*s.faults {
		return tail.Rejection{}, errBoom // the answer was lost
	}
	return tail.Rejection{}, nil
}

func (s *server) counted() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *server) config(dir string, files ...string) tail.Config {
	return tail.Config{Files: files, Format: traffic.Combined, Zone: "site.example",
		State: filepath.Join(dir, "state.json"), Scope: "test", Send: s.send,
		Later: func(error) bool { return true }, Poll: 5 * time.Millisecond}
}

// site is the log of a real site, decompressed.
func site(t *testing.T) []byte {
	t.Helper()
	file, err := os.Open("../../demo/data/apache_combined_2015-05.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, file string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func appendTo(t *testing.T, file string, data string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(data)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lines are n lines of a log, numbered from first.
func lines(first, n int) string {
	var b strings.Builder
	for i := range n {
		at := time.Date(2026, 11, 22, 10, 0, first+i, 0, time.UTC).Format("02/Jan/2006:15:04:05 -0700")
		fmt.Fprintf(&b, "192.0.2.7 - - [%s] \"GET /%d HTTP/1.1\" 200 1 \"-\" \"-\"\n", at, first+i)
	}
	return b.String()
}

func TestAWholeLogIsCountedWithItsStatuses(t *testing.T) {
	for _, name := range []string{"access.log", "access.log.gz"} {
		s, dir := newServer(t), t.TempDir()
		data := append(site(t), "odd\n"...)
		if strings.HasSuffix(name, ".gz") {
			data = zipped(t, data)
		}
		file := write(t, filepath.Join(dir, name), data)
		sum, err := tail.Run(t.Context(), s.config(dir, file))
		want := map[int]int{200: 9126, 304: 445, 404: 213, 301: 164, 206: 45, 500: 3, 416: 2, 403: 2}
		if err != nil || sum.Lines != 10_000 || !maps.Equal(sum.Statuses, want) || sum.Refused != 1 || s.total != 10_000 ||
			s.bad != 3 {
			t.Fatalf("%s: %+v, %v; the server counted %d", name, sum, err, s.total)
		}
		if got := sum.ByStatus(); !strings.HasPrefix(got, "200 9126, 304 445, 404 213") {
			t.Error(got)
		}
		if len(sum.Odd) != 1 || sum.Odd[0].Text != "odd" ||
			!strings.HasSuffix(sum.Odd[0].Where, fmt.Sprintf(", line %d", bytes.Count(site(t), []byte("\n"))+1)) ||
			!strings.HasPrefix(sum.Odd[0].Message, "there is no time") {
			t.Errorf("%+v", sum.Odd)
		}
		sum, err = tail.Run(t.Context(), s.config(dir, file))
		if err != nil || sum.Lines+sum.Refused != 0 || s.total != 10_000 {
			t.Errorf("%s, the second time: %+v, %v", name, sum, err)
		}
	}
}

func TestEveryLineCountsOnceHoweverOftenTheRunBreaksOff(t *testing.T) {
	for _, name := range []string{"access.log", "access.log.gz"} {
		s, dir := newServer(t), t.TempDir()
		s.faults = 8 // of 20 requests before, 8 after they are counted
		data := site(t)
		if strings.HasSuffix(name, ".gz") {
			data = zipped(t, data)
		}
		file := write(t, filepath.Join(dir, name), data)
		broken := 0
		for {
			// The file grows between the attempts: the range must not.
			_, err := tail.Run(t.Context(), s.config(dir, file))
			if err == nil {
				break
			}
			if !errors.Is(err, errBoom) {
				t.Fatal(err)
			}
			if broken++; name == "access.log" && broken <= 3 {
				appendTo(t, file, lines(broken*10, 10))
			}
		}
		want := int64(10_000)
		if name == "access.log" {
			want += int64(10 * min(broken, 3))
		}
		if s.total != want || broken == 0 {
			t.Errorf("%s: %d requests are counted, want %d; %d runs broke off", name, s.total, want, broken)
		}
	}
}

// following runs a tail that follows until the function that it gives is called.
func following(t *testing.T, cfg tail.Config) func() tail.Summary {
	t.Helper()
	cfg.Follow = true
	ctx, cancel := context.WithCancel(context.Background())
	type end struct {
		sum tail.Summary
		err error
	}
	done := make(chan end, 1)
	go func() {
		sum, err := tail.Run(ctx, cfg)
		done <- end{sum, err}
	}()
	var once sync.Once
	var sum tail.Summary
	stop := func() tail.Summary {
		once.Do(func() {
			cancel()
			e := <-done
			if sum = e.sum; e.err != nil && !errors.Is(e.err, context.Canceled) {
				t.Error(e.err)
			}
		})
		return sum
	}
	t.Cleanup(func() { stop() })
	return stop
}

func eventually(t *testing.T, s *server, want int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.counted() != want; time.Sleep(2 * time.Millisecond) {
		if s.counted() > want || time.Now().After(deadline) {
			t.Fatalf("%d requests are counted, want %d", s.counted(), want)
		}
	}
}

func TestAGrowingFileIsFollowedOverRotation(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	s.faults = 3
	file := filepath.Join(dir, "access.log")
	cfg := s.config(dir, file)
	var told atomic.Int64 // lines of the ranges whose answer has come back
	cfg.Progress = func(p tail.Progress) { told.Store(int64(p.Summary.Lines)) }
	stop := following(t, cfg) // it is not there yet
	appendTo(t, file, lines(0, 10)+"192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] \"GET /half")
	eventually(t, s, 10)
	appendTo(t, file, "-a-line HTTP/1.1\" 500 1\n")
	eventually(t, s, 11)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file+".1", lines(20, 5)) // by a server that was not told yet
	appendTo(t, file, lines(100, 7))
	eventually(t, s, 23)
	if err := os.Truncate(file, 0); err != nil { // copytruncate
		t.Fatal(err)
	}
	appendTo(t, file, lines(200, 3))
	eventually(t, s, 26)
	for deadline := time.Now().Add(patience); told.Load() != 26; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lines are told, want 26", told.Load())
		}
	}
	if sum := stop(); sum.Lines != 26 || sum.Refused != 0 || s.bad != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestAFileThatWasRotatedWhileNobodyLookedIsFinished(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	file := write(t, filepath.Join(dir, "access.log"), []byte(lines(0, 10)))
	stop := following(t, s.config(dir, file))
	eventually(t, s, 10)
	stop()
	write(t, file+".2.gz", zipped(t, []byte(lines(0, 15)))) // it grew, and was rotated twice
	write(t, file+".3", []byte(lines(-500, 100)))           // older than what was seen first: history
	write(t, file+"-errors", []byte(lines(20, 100)))        // another log
	write(t, file+".1", []byte(lines(15, 3)))               // came and went meanwhile
	write(t, file, []byte(lines(20, 4)))
	stop = following(t, s.config(dir, file))
	eventually(t, s, 22)
	stop()
	if sum, err := tail.Run(t.Context(), s.config(dir, file)); err != nil || sum.Lines+sum.Refused != 0 {
		t.Errorf("another run: %+v, %v", sum, err)
	}
}

func TestFilesThatBeginAlikeAreTwoFiles(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	first := lines(0, 1)
	a := write(t, filepath.Join(dir, "a.log"), []byte(first+lines(10, 5)))
	b := write(t, filepath.Join(dir, "b.log"), []byte(first+lines(30, 7)))
	for range 2 {
		if _, err := tail.Run(t.Context(), s.config(dir, a, b)); err != nil {
			t.Fatal(err)
		}
		if s.total != 14 {
			t.Fatalf("%d requests are counted, want 14", s.total)
		}
	}
	// A file that was replaced by one that begins alike.
	write(t, a, []byte(first+lines(40, 2)))
	if _, err := tail.Run(t.Context(), s.config(dir, a, b)); err != nil || s.total != 17 {
		t.Errorf("%d requests are counted, want 17; %v", s.total, err)
	}
}

func TestTimesAreShiftedAsAWhole(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	file := write(t, filepath.Join(dir, "old.log.gz"), zipped(t, site(t)))
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	cfg := s.config(dir, file)
	cfg.Shift = true
	cfg.Now = func() time.Time { return now }
	s.faults = 6
	runs := 0
	for ; ; runs++ {
		now = now.Add(time.Hour) // a replay that breaks off keeps its shift
		if _, err := tail.Run(t.Context(), cfg); err == nil {
			break
		}
	}
	if first := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC).Unix(); s.total != 10_000 || s.last != first {
		t.Errorf("%d requests, the last at %d, want %d; %d runs broke off", s.total, s.last, first, runs)
	}
	s.faults = 0
	now = now.Add(time.Hour)
	if _, err := tail.Run(t.Context(), cfg); err != nil || s.total != 20_000 || s.last != now.Unix() {
		t.Errorf("the second replay: %d requests, the last at %d, want %d; %v", s.total, s.last, now.Unix(), err)
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	s := newServer(t)
	cfg := s.config(t.TempDir(), "-")
	cfg.State, cfg.Zone = "", ""
	cfg.Stdin = strings.NewReader("a.example:80 " +
		strings.TrimSuffix(strings.ReplaceAll(lines(0, 3), "\n192", "\nb.example:80 192"), "\n") + "\n" + lines(0, 1))
	sum, err := tail.Run(t.Context(), cfg)
	if err != nil || s.zones["a.example"] != 1 || s.zones["b.example"] != 2 || sum.Refused != 1 ||
		!strings.Contains(sum.Odd[0].String(), "names no zone") {
		t.Errorf("%+v %v %v", sum, s.zones, err)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	for _, c := range []struct {
		cfg tail.Config
		say string
	}{
		{s.config(dir, filepath.Join(dir, "nothing.log")), "nothing.log"},
		{s.config(dir, dir), "is a folder"},
		{s.config(dir, write(t, filepath.Join(dir, "x.gz"), []byte("\x1f\x8bplain"))), "x.gz"},
		{tail.Config{Files: []string{"-", "b"}}, "alone"},
		{tail.Config{Files: []string{"b"}, Follow: true, Shift: true}, "not followed"},
		{tail.Config{
			Files:  []string{write(t, filepath.Join(dir, "y"), []byte("odd\n"))},
			Shift:  true,
			Format: traffic.Combined,
		}, "no time to shift"},
	} {
		if _, err := tail.Run(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
	cfg := s.config(dir, write(t, filepath.Join(dir, "z.log"), []byte(lines(0, 1))))
	stop := following(t, cfg)
	eventually(t, s, 1)
	if _, err := tail.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("two runs use one state: %v", err)
	}
	stop()
}

// A range that was broken off is counted again by the rules that it had, whatever they
// are now: its requests would else have two contents under one key.
func TestARangeKeepsItsRulesUntilItIsSent(t *testing.T) {
	dir := t.TempDir()
	s := newServer(t)
	file := write(t, filepath.Join(dir, "access.log"), []byte(lines(0, 20)))
	is := traffic.IsBad
	cfg := s.config(dir, file)
	cfg.Counting = func(_ context.Context, zone string) (traffic.CountingRules, error) {
		if zone != "site.example" {
			t.Errorf("rules of %q", zone)
		}
		when := traffic.Condition{Edge: "200"}
		return traffic.CountingRules{Rules: []traffic.Rule{{When: when, Is: is}}, Latency: []string{"1s"}}, nil
	}
	send := cfg.Send
	cfg.Send = func(ctx context.Context, key string, counts []byte) (tail.Rejection, error) {
		if _, err := send(ctx, key, counts); err != nil {
			return tail.Rejection{}, err
		}
		return tail.Rejection{}, errBoom // the answer is lost
	}
	if _, err := tail.Run(t.Context(), cfg); err == nil {
		t.Fatal("a lost answer is no success")
	}
	is = traffic.IsIgnored
	cfg.Send = send
	if sum, err := tail.Run(t.Context(), cfg); err != nil || sum.Lines != 20 || s.total != 20 || s.bad != 20 {
		t.Fatalf("%+v, %v; %d requests, %d bad", sum, err, s.total, s.bad)
	}
	appendTo(t, file, lines(20, 10))
	if sum, err := tail.Run(t.Context(), cfg); err != nil || sum.Lines != 10 || sum.Ignored != 10 || s.total != 20 {
		t.Errorf("%+v, %v; %d requests", sum, err, s.total)
	}
}

// The header of a log is known behind a position, in a run of its own.
func TestTheHeaderOfALogIsRememberedWithThePosition(t *testing.T) {
	for _, name := range []string{"cloudfront.log", "cloudfront.log.gz"} {
		dir := t.TempDir()
		s := newServer(t)
		text := "#Version: 1.0\n#Fields: sc-status date time x-host-header time-taken\n"
		put := func() string {
			data := []byte(text)
			if strings.HasSuffix(name, ".gz") {
				data = zipped(t, data)
			}
			return write(t, filepath.Join(dir, name), data)
		}
		line := "503\t2026-11-22\t10:00:0%d\ta.example\t0.5\n"
		text += fmt.Sprintf(line, 1) + "odd\n"
		cfg := s.config(dir, put())
		cfg.Format = traffic.CloudFront
		sum, err := tail.Run(t.Context(), cfg)
		if err != nil || sum.Lines != 1 || sum.Refused != 1 || !strings.HasSuffix(sum.Odd[0].Where, ", line 4") {
			t.Fatalf("%s: %+v, %v", name, sum, err)
		}
		text += fmt.Sprintf(line, 2) + "odd again\n"
		put()
		sum, err = tail.Run(t.Context(), cfg)
		if err != nil || sum.Lines != 1 || s.total != 2 || s.bad != 2 || !strings.HasSuffix(sum.Odd[0].Where, ", line 6") {
			t.Errorf("%s: %+v, %v; %d requests, %d bad", name, sum, err, s.total, s.bad)
		}
	}
}
