package poll_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

// failing is a test that records its failure.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestUntilReturnsWhenTheConditionHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var holds atomic.Bool
		time.AfterFunc(3*time.Second, func() { holds.Store(true) })
		began := time.Now()
		poll.Until(t, "three seconds have passed", holds.Load)
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestUntilForEndsTheTestAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{TB: t}
		ended := make(chan time.Time)
		began := time.Now()
		go func() {
			defer func() { ended <- time.Now() }()
			poll.UntilFor(f, time.Second, "pigs fly", func() bool { return false })
		}()
		if took := (<-ended).Sub(began); took < time.Second || took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if !strings.Contains(f.message, "1s") || !strings.Contains(f.message, "pigs fly") {
			t.Errorf("message %q", f.message)
		}
	})
}
