// Package poll waits in tests for a condition that another goroutine or process makes true.
package poll

import (
	"testing"
	"time"
)

// Patience is the time after which Until fails the test: long enough for a machine with other work.
const Patience = time.Minute

// The pauses between two looks: short at first, so that a fast test stays fast, then longer, so that the test does not
// use the CPU that the condition needs.
const (
	firstPause   = time.Millisecond
	longestPause = 50 * time.Millisecond
)

// Until returns when the condition holds, and ends the test after [Patience]. what completes the sentence "it does not
// become true that ...".
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	UntilFor(t, Patience, what, holds)
}

// UntilFor is [Until] with another limit. Its condition is always looked at once more after the limit.
func UntilFor(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for pause := firstPause; !holds(); pause = min(2*pause, longestPause) {
		if time.Now().After(deadline) && !holds() {
			t.Fatalf("within %v it does not become true that %s", limit, what)
		}
		time.Sleep(pause)
	}
}
