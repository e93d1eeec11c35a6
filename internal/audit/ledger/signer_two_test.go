package ledger_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/test/engines"
)

// Two processes sign one log while it grows. The later statement of one must not look to
// the other, which had read the head before, like a database that was rolled back.
func TestTwoProcessesThatSignOneLogAgree(t *testing.T) {
	w := newWorld(t, engines.Postgres(t))
	memory := w.Memory()
	const rounds = 150
	var wg sync.WaitGroup
	for range 2 {
		s := w.Signer(w.Open(), memory)
		wg.Go(func() {
			for range rounds {
				// No log is as large: it is signed again each time.
				if _, err := s.Covering(t.Context(), accountA, 1<<40); err != nil {
					t.Errorf("a checkpoint of a log that only grew: %v", err)
					return
				}
			}
			if err := s.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range rounds {
		w.Append(accountA, minimal(members{"id": fmt.Sprintf("two.%d", i)}))
	}
	wg.Wait()
}
