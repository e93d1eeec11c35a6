package web

import (
	"sync"
	"time"
)

// Rate is a token bucket: Burst at once, refilled at PerSecond. A negative
// PerSecond means no limit.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// maxBuckets bounds the limiter's memory. Full buckets are forgotten first: a
// forgotten full bucket and a new one are the same.
const maxBuckets = 100_000

// limiter keeps one bucket for each key.
type limiter struct {
	rate Rate

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

func newLimiter(r Rate) *limiter { return &limiter{rate: r, buckets: map[string]bucket{}} }

// take takes a token; the result is 0, or how long to wait for one.
func (l *limiter) take(key string) time.Duration { return l.spend(key, 1) }

func (l *limiter) spend(key string, n float64) time.Duration {
	if l.rate.PerSecond <= 0 {
		return 0
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		if n == 0 {
			return 0
		}
		l.forget(now)
		b = bucket{tokens: l.rate.Burst, at: now}
	}
	b.tokens = min(l.rate.Burst, b.tokens+now.Sub(b.at).Seconds()*l.rate.PerSecond)
	b.at = now
	if b.tokens < 1 {
		l.buckets[key] = b
		return time.Duration((1 - b.tokens) / l.rate.PerSecond * float64(time.Second))
	}
	b.tokens -= n
	l.buckets[key] = b
	return 0
}

// forget makes room when the map is full: all buckets that have refilled by
// now, or, when none has, an arbitrary tenth.
func (l *limiter) forget(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for key, b := range l.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*l.rate.PerSecond >= l.rate.Burst {
			delete(l.buckets, key)
		}
	}
	for key := range l.buckets {
		if len(l.buckets) < maxBuckets*9/10 {
			return
		}
		delete(l.buckets, key)
	}
}
