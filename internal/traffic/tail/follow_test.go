package tail_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/traffic/tail"
)

// words are the texts that a run prints.
type words struct {
	mu  sync.Mutex // guards said
	out []string
}

func (w *words) say(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = append(w.out, what)
}

func (w *words) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.out, "\n")
}

func (w *words) wait(t *testing.T, part string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(w.said(), part); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never said %q, but: %s", part, w.said())
		}
	}
}

func TestARenamedFileIsWatchedWhileItsWriterGoesOn(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	file := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 2)))
	stop := following(t, s.config(dir, file))
	eventually(t, s, 2)
	for i := 1; i <= 3; i++ { // the old writers of three rotations go on
		for n := i; n > 1; n-- {
			rename(t, file+"."+string(rune('0'+n-1)), file+"."+string(rune('0'+n)))
		}
		rename(t, file, file+".1")
		appendTo(t, file, lines(1000*i, 1))
		eventually(t, s, int64(2+i))
	}
	for _, n := range []string{".1", ".2", ".3"} {
		appendTo(t, file+n, lines(10, 1))
	}
	eventually(t, s, 8)
	stop()
	// What comes while nothing looks is found by the next run.
	appendTo(t, file+".2", lines(20, 1))
	appendTo(t, file, lines(5000, 1))
	tailOnce(t, s, s.config(dir, file), 10)
}

func TestAFileThatIsWrittenAnewWithinOneLookIsSeen(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	file := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 3)))
	following(t, s.config(dir, file))
	eventually(t, s, 3)
	copyFile(t, file, file+".1")
	// In one write, so that no look finds the file shorter than it was.
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.ReplaceAll(lines(1000, 4), "\" 200", "\" 500")); err != nil {
		t.Fatal(err)
	}
	eventually(t, s, 7)
	if s.bad != 4 {
		t.Errorf("%d failures, want 4", s.bad)
	}
}

func TestWhatACopyHasMoreThanWasReadIsShipped(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	file := write(t, filepath.Join(dir, "a.log"), []byte(lines(0, 3)))
	stop := following(t, s.config(dir, file))
	eventually(t, s, 3)
	// The copy is complete before the file changes: with two more lines that no
	// look has seen in the log itself.
	write(t, file+".1", []byte(lines(0, 5)))
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, s, 5)
	appendTo(t, file, lines(1000, 2))
	eventually(t, s, 7)
	stop()
	// A copy of less than was read has nothing new.
	copyFile(t, file, file+".2")
	appendTo(t, file, lines(1002, 1))
	tailOnce(t, s, s.config(dir, file), 8)
	write(t, file, []byte(lines(2000, 1)))
	tailOnce(t, s, s.config(dir, file), 9)
}

func TestPassingErrorsOfFilesEndNoFollower(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	said := &words{}
	file := filepath.Join(dir, "a.log")
	cfg := s.config(dir, file)
	cfg.Warn = said.say
	stop := following(t, cfg)
	said.wait(t, "following "+file)
	said.wait(t, "no such file")
	appendTo(t, file, lines(0, 2))
	eventually(t, s, 2)
	rename(t, file, file+".1")
	if err := os.Symlink(file, file); err != nil { // cannot be opened by any user
		t.Fatal(err)
	}
	said.wait(t, "too many levels of symbolic links")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file+".1", lines(2, 1)) // the rest of the work goes on
	eventually(t, s, 3)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file, lines(10, 3))
	eventually(t, s, 6)
	stop()
}

func TestALongRunTellsHowItGoes(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	said := &words{}
	file := write(t, filepath.Join(dir, "a.log"), []byte(strings.Repeat("{\"status\":200}\n", 20)))
	cfg := s.config(dir, file)
	cfg.Warn = said.say
	cfg.Every = time.Hour
	stop := following(t, cfg)
	said.wait(t, "20 lines not counted: no request in the format combined; the first: "+file+", line 1: there is no time")
	stop()

	cfg.Every = time.Millisecond
	cfg.Send = func(context.Context, string, []byte) (tail.Rejection, error) {
		return tail.Rejection{Counts: 1, Requests: 4, Why: "zone is not a host name"}, nil
	}
	appendTo(t, file, lines(0, 4))
	stop = following(t, cfg)
	said.wait(t, "the server refused 1 count of 4 lines; the first: zone is not a host name")
	said.wait(t, "4 lines counted in ")
	said.wait(t, "no new lines for ")
	stop()
}

func TestPipesAreReadOnce(t *testing.T) {
	s := newServer(t)
	for _, packed := range []bool{false, true} {
		text := lines(0, 3)
		if packed {
			text = string(zipped(t, []byte(text)))
		}
		cfg := s.config(t.TempDir(), "-")
		cfg.State = ""
		cfg.Stdin = strings.NewReader(text)
		sum, err := tail.Run(t.Context(), cfg)
		if err != nil || sum.Lines != 3 {
			t.Errorf("%v: %+v, %v", packed, sum, err)
		}
	}
}
