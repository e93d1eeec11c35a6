package notify

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
)

func TestASuccessIsWrittenAtOnceAfterAFailureAndElseOnceASecond(t *testing.T) {
	h := &health{}
	now := time.Now()
	success := func() *destinationMark {
		return &destinationMark{success: now.UnixMicro(), state: delivery.DestinationOK}
	}
	failure := func() *destinationMark { return &destinationMark{failure: now.UnixMicro()} }
	// begin returns the marks that are to be written.
	begin := func(m *destinationMark) map[string]*destinationMark {
		marks := map[string]*destinationMark{"d": m}
		h.skip(marks, now)
		return marks
	}
	expect := func(step string, want int, m *destinationMark) {
		t.Helper()
		marks := begin(m)
		if len(marks) != want {
			t.Errorf("%s: %d marks are written, want %d", step, len(marks), want)
		}
		h.written(marks)
	}
	expect("the first success", 1, success())
	now = now.Add(healthLag / 2)
	expect("another within a second", 0, success())
	expect("a failure", 1, failure())
	expect("a success after a failure", 1, success())
	expect("another", 0, success())
	now = now.Add(2 * healthLag)
	expect("after more than a second", 1, success())

	// A batch with a failure begins while one with a success is being stored.
	now = now.Add(2 * healthLag)
	older := begin(success())
	failed := begin(failure())
	h.written(older)
	h.written(failed)
	expect("a success after both", 1, success())
}
