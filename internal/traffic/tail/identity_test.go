package tail_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/belfryhq/belfry/internal/traffic/tail"
)

// tailOnce runs a tail until it ends, and expects that the server has counted so many requests.
func tailOnce(t *testing.T, s *server, cfg tail.Config, want int64) tail.Summary {
	t.Helper()
	sum, err := tail.Run(t.Context(), cfg)
	if err != nil || s.counted() != want {
		t.Fatalf("%d requests are counted, want %d; %v", s.counted(), want, err)
	}
	return sum
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, data)
}

func TestLogsWithEqualLinesAreCountedOnEveryMachine(t *testing.T) {
	s := newServer(t)
	total := int64(0)
	for range 3 { // machines
		dir := t.TempDir()
		a := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 2)))
		b := write(t, filepath.Join(dir, "b.log"), []byte(lines(0, 2)))
		failed := strings.Replace(lines(0, 2), "/1 HTTP/1.1\" 200", "/1 HTTP/1.1\" 500", 1)
		c := write(t, filepath.Join(dir, "c.log"), []byte(failed))
		total += 6
		tailOnce(t, s, s.config(dir, a, b, c), total)
		tailOnce(t, s, s.config(dir, a, b, c), total)
	}
	if s.bad != 3 {
		t.Errorf("%d failures are counted, want 3", s.bad)
	}
}

func TestARangeThatIsRefusedForGoodEndsNothing(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	conflict := errors.New("409: the key was used for another request")
	file := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 3)))
	cfg := s.config(dir, file)
	var begin sync.Once
	refused := make(chan struct{})
	cfg.Send = func(ctx context.Context, key string, body []byte) (tail.Rejection, error) {
		isFirst := false
		begin.Do(func() {
			isFirst = true
			close(refused)
		})
		if isFirst {
			return tail.Rejection{}, conflict
		}
		return s.send(ctx, key, body)
	}
	cfg.Later = func(error) bool { return false }
	cfg.Refused = func(err error) bool { return errors.Is(err, conflict) }
	stop := following(t, cfg)
	<-refused
	appendTo(t, file, lines(3, 4))
	eventually(t, s, 4)
	if sum := stop(); sum.Rejected.Requests != 3 || sum.Rejected.Counts != 1 ||
		!strings.Contains(sum.Rejected.Why, "409") {
		t.Errorf("%+v", sum.Rejected)
	}
	tailOnce(t, s, cfg, 4)
}

func TestPositionsAreOfFilesAndNotOfListsOfFiles(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	e := write(t, filepath.Join(dir, "e.log"), []byte(lines(0, 3)))
	f := write(t, filepath.Join(dir, "f.log"), []byte(lines(50, 1)))
	link := filepath.Join(dir, "link.log")
	if err := os.Symlink(e, link); err != nil {
		t.Fatal(err)
	}
	scoped := func(scope string, files ...string) tail.Config {
		cfg := s.config(dir, files...)
		cfg.Scope = scope
		return cfg
	}
	tailOnce(t, s, scoped("http://belfry.example/client/v4\na", e), 3)
	appendTo(t, e, lines(3, 2))
	tailOnce(t, s, scoped("HTTP://Belfry.Example:80//client/v4/\na", e), 5)
	tailOnce(t, s, scoped("http://belfry.example./client/v4\na", e, f), 6)
	tailOnce(t, s, scoped("http://belfry.example/client/v4\na", f, link, e), 6)
	tailOnce(t, s, scoped("http://belfry.example/client/v4\nother account", e), 11)
}

func TestTwoRunsShareAStateForTwoLogs(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	a := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 3)))
	b := write(t, filepath.Join(dir, "b.log"), []byte(lines(0, 3)))
	stopA := following(t, s.config(dir, a))
	eventually(t, s, 3)
	stopB := following(t, s.config(dir, b))
	eventually(t, s, 6)
	for i := range 10 {
		appendTo(t, a, lines(3+i, 1))
		appendTo(t, b, lines(3+i, 1))
		eventually(t, s, int64(8+2*i))
	}
	stopA()
	stopB()
	tailOnce(t, s, s.config(dir, a, b), 26)
}

func TestWhatWasRotatedBetweenTwoRunsIsFinished(t *testing.T) {
	for name, rotate := range map[string]func(dir, file string) []string{
		"renamed": func(_, file string) []string {
			rename(t, file, file+".1")
			return nil
		},
		"renamed and compressed": func(_, file string) []string {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file+"-20261122.gz", zipped(t, data))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"dated before its extension": func(dir, file string) []string {
			rename(t, file, filepath.Join(dir, "g-20261122.log"))
			return nil
		},
		"several times": func(_, file string) []string {
			rename(t, file, file+".2")
			write(t, file+".1", []byte(lines(600, 7)))
			return []string{file + ".1"}
		},
		"copied and truncated": func(_, file string) []string {
			copyFile(t, file, file+".1")
			return nil
		},
		"copied and truncated twice": func(_, file string) []string {
			copyFile(t, file, file+".2")
			write(t, file+".1", []byte(lines(600, 7)))
			return []string{file + ".1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newServer(t), t.TempDir()
			file := write(t, filepath.Join(dir, "g.log"), []byte(lines(0, 2)))
			write(t, file+".7", []byte(lines(-100, 50))) // history
			tailOnce(t, s, s.config(dir, file), 2)
			appendTo(t, file, lines(2, 1)+strings.Replace(lines(3, 1), "\" 200", "\" 500", 1))
			want := int64(4)
			want += 7 * int64(len(rotate(dir, file)))
			if _, err := os.Stat(file); err != nil { // nothing was written since
				tailOnce(t, s, s.config(dir, file), want)
			}
			write(t, file, []byte(lines(1000, 1)))
			want++
			tailOnce(t, s, s.config(dir, file), want)
			if s.bad != 1 {
				t.Errorf("%d failures, want 1", s.bad)
			}
			tailOnce(t, s, s.config(dir, file), want)
			all, err := filepath.Glob(filepath.Join(dir, "g*"))
			if err != nil {
				t.Fatal(err)
			}
			tailOnce(t, s, s.config(dir, all...), want+50) // history is shipped when it is named
		})
	}
}

func TestALineThatIsNotFinishedIsLeftForTheNextRun(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	failed := strings.Replace(lines(1, 1), "\" 200", "\" 500", 1)
	file := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 1)+failed[:len(failed)-25]))
	cfg := s.config(dir, file)
	said := ""
	cfg.Warn = func(what string) { said += what }
	if sum := tailOnce(t, s, cfg, 1); sum.Refused != 0 || !strings.Contains(said, "has no end yet") {
		t.Errorf("%+v; said: %s", sum, said)
	}
	appendTo(t, file, failed[len(failed)-25:])
	tailOnce(t, s, cfg, 2)
	if s.bad != 1 {
		t.Errorf("%d failures, want 1", s.bad)
	}
	appendTo(t, file, strings.TrimSuffix(lines(2, 1), "\n"))
	cfg.Quiet = 1 // as if it had not been written for long
	tailOnce(t, s, cfg, 3)
}

func TestAPartOfACompressedFileIsShippedAndNamed(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	data := zipped(t, site(t))
	file := write(t, filepath.Join(dir, "cut.gz"), data[:len(data)/2])
	// no suffix; a byte order mark
	whole := write(t, filepath.Join(dir, "packed.log"), zipped(t, []byte("\ufeff"+lines(0, 5))))
	sum, err := tail.Run(t.Context(), s.config(dir, file, whole))
	if err == nil || !strings.Contains(err.Error(), "cut.gz: unexpected EOF") {
		t.Errorf("%v", err)
	}
	if sum.Lines < 1000 || sum.Lines > 9000 || s.counted() != int64(sum.Lines) || sum.Refused != 0 {
		t.Errorf("%+v; %d are counted", sum, s.counted())
	}
	before := s.counted()
	if _, err := tail.Run(t.Context(), s.config(dir, file, whole)); err == nil || s.counted() != before {
		t.Errorf("again: %v, %d more", err, s.counted()-before)
	}
	write(t, file, data) // the rest came
	tailOnce(t, s, s.config(dir, file, whole), 10_005)
}

// oldDigest is how the first version named files and keys.
func oldDigest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func TestPositionsOfTheFirstVersionAreTakenOver(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	const scope = "http://Belfry.example:80/client/v4\na"
	text := lines(0, 20)
	file := write(t, filepath.Join(dir, "access.log"), []byte(text))
	first, _, _ := strings.Cut(text, "\n")
	line := len(first) + 1
	key := oldDigest(scope, first)
	at := 5 * len(lines(0, 1))
	if line*5 != at {
		t.Fatal("lines of one length are needed")
	}
	check := sha256.Sum256([]byte(text[max(0, at-1024):at]))
	old := map[string]any{key: map[string]any{
		"path": file, "scope": scope, "at": at, "check": hex.EncodeToString(check[:12]), "pending": at + 3*line, "used": 1,
	}}
	body, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	run := func(cfg tail.Config, want int64) {
		t.Helper()
		cfg.Scope = "http://belfry.example/client/v4\na"
		cfg.Send = func(ctx context.Context, key string, body []byte) (tail.Rejection, error) {
			keys = append(keys, key)
			return s.send(ctx, key, body)
		}
		tailOnce(t, s, cfg, want)
	}
	// A file of the name that is used today.
	write(t, filepath.Join(dir, "state.json"), body)
	run(s.config(dir, file), 15)
	if want := fmt.Sprintf("tail-%s-%d-%d-0", key, at, at+3*line); keys[0] != want {
		t.Errorf("the pending range has the key %s, want %s", keys[0], want)
	}
	if strings.Contains(keys[1], key) {
		t.Errorf("the next range has an old key: %s", keys[1])
	}
}

func TestStatesOfTheFirstVersionForEachListAreTakenOverOnce(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	line := len(lines(0, 1))
	// The lists [a] and [a b] had different positions in a, one of them with a range
	// that was being sent; the farther one holds.
	older := func(name, scope string, at map[string]int, pending int) string {
		list := map[string]any{}
		for file, at := range at {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			check := sha256.Sum256(text[max(0, at-1024):at])
			list[oldDigest(scope, first)] = map[string]any{
				"path": file, "scope": scope, "at": at, "check": hex.EncodeToString(check[:12]), "used": 1, "pending": at + pending,
			}
		}
		body, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return write(t, filepath.Join(dir, name), body)
	}
	a := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 10)))
	b := write(t, filepath.Join(dir, "b.log"), []byte(lines(100, 10)))
	one := older("tail-0000000000000001.json", "test", map[string]int{a: 6 * line}, 0)
	two := older("tail-0000000000000002.json", "test", map[string]int{a: 6 * line, b: 2 * line}, 2*line)
	lock, err := os.OpenFile(two+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cfg := s.config(dir, a, b)
	cfg.Older = []string{one, two}
	if _, err := tail.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "earlier version") {
		t.Errorf("beside an old process: %v", err)
	}
	lock.Close()
	send := cfg.Send
	old := 0
	cfg.Send = func(ctx context.Context, key string, body []byte) (tail.Rejection, error) {
		first, _, _ := strings.Cut(lines(0, 1), "\n")
		if strings.HasPrefix(key, "tail-"+oldDigest("test", first)) {
			old++
		}
		return send(ctx, key, body)
	}
	tailOnce(t, s, cfg, 4+8)
	if old != 1 {
		t.Errorf("%d ranges have an old key, want the one that was being sent", old)
	}
	tailOnce(t, s, cfg, 12)
	for _, file := range []string{one, two} {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s is still there", file)
		}
	}
}
