//go:build linux

package belfry_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

// fillDisk is a child whose files may not grow beyond a limit, as on a full
// disk. It says which events were taken and which were not.
func fillDisk() {
	signal.Ignore(syscall.SIGXFSZ) // write answers EFBIG then
	limit := syscall.Rlimit{Cur: 4000, Max: 4000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("fault", err)
		return
	}
	c, err := belfry.New(belfry.Config{
		URL: os.Getenv(childURL), Token: belfrytest.TestToken, AccountID: belfrytest.AccountID, SpoolDir: os.Getenv(childDir),
	})
	if err != nil {
		fmt.Println("fault", err)
		return
	}
	for range 40 {
		id := belfry.NewID()
		if err := c.Audit(context.Background(), crashEvent(id)); err != nil {
			fmt.Println("failed", id, err)
		} else {
			fmt.Println("took", id)
		}
	}
}

func TestADiskThatTakesNoMoreFailsTheCallAndLosesNothing(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childMode+"=disk", childDir+"="+dir, childURL+"=http://127.0.0.1:1")
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var taken []string
	for line := range strings.Lines(string(out)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		counts[word]++
		if word == "took" {
			taken = append(taken, rest)
		}
		if word == "failed" && !strings.Contains(line, "file too large") {
			t.Error(line)
		}
	}
	if counts["took"] < 10 || counts["failed"] < 2 || counts["took"]+counts["failed"] != 40 {
		t.Fatalf("%v:\n%s", counts, out)
	}
	c := start(t, srv, dir, func(cfg *belfry.Config) { cfg.OnError = func(err error) { t.Error(err) } })
	closed(t, c)
	var stored []string
	for _, s := range srv.Events() {
		stored = append(stored, s.ID)
	}
	if !equal(stored, taken) {
		t.Errorf("stored %q\ntaken %q", stored, taken)
	}
}
