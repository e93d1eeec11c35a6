package bus

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces repetitions out: full jitter over a limit that doubles from
// Min to Max, so that many clients of one failed part do not return together.
// It belongs to one goroutine.
type Backoff struct {
	Min, Max time.Duration // 0 = 100 ms and 30 s
	attempt  int
}

// Next is the time to wait before the next repetition: at least 1 ms, at most Max.
func (b *Backoff) Next() time.Duration {
	low, high := b.Min, b.Max
	if low <= 0 {
		low = 100 * time.Millisecond
	}
	if high <= 0 {
		high = 30 * time.Second
	}
	limit := high
	if b.attempt < 30 && low<<b.attempt < high {
		limit = low << b.attempt
	}
	b.attempt++
	return max(time.Millisecond, rand.N(limit))
}

// Wait sleeps for Next; it returns the context's error if that ends first.
func (b *Backoff) Wait(ctx context.Context) error {
	timer := time.NewTimer(b.Next())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reset begins again at Min, after a success.
func (b *Backoff) Reset() { b.attempt = 0 }
