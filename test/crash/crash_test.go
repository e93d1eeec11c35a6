// Package crash_test looks for what Belfry loses. It runs the real server as a process of
// its own, takes note in the test's process of everything that the server acknowledges,
// and then does to it what machines do: kill -9, a full disk, a database or a broker that
// goes away in mid-batch, a process that freezes and comes back, a backup put back.
//
// What was acknowledged must be in the record exactly once, with the content that was sent
// and, where the answer named a place, at that place. Every checkpoint that was ever handed
// out must describe a prefix of every later one. A verifier that shares no code with Belfry
// judges both.
//
// BELFRY_TEST_KILLS is the number of kills of the main test: 5 by default, 100 where
// BELFRY_TEST_ALL=1, 1,000 with "make crash".
//
// Not tested: writes that the disk had confirmed but not kept when the power failed. That
// needs a block device or a file system that drops what was not fsynced (dm-flakey,
// LazyFS); kill -9 leaves the kernel's cache as it is.
package crash_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen. It is long: the machine may
// be loaded, and a member of a consumer group that died is missed only after 15 s.
const patience = 2 * time.Minute

var (
	scratch string // for the binary; deleted at the end
	binary  = sync.OnceValues(build)
)

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "belfry-crash-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// build compiles the server once for all tests.
func build() (string, error) {
	file := filepath.Join(scratch, "belfry")
	out, err := exec.Command("go", "build", "-o", file, "github.com/belfryhq/belfry/cmd/belfry").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
}

// kills is the number of kills of the main test.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("BELFRY_TEST_KILLS")
	switch {
	case text == "" && os.Getenv("BELFRY_TEST_ALL") == "1":
		return 100
	case text == "":
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("BELFRY_TEST_KILLS is %q, want a number from 1", text)
	}
	return n
}
