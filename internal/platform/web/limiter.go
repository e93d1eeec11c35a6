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

// maxBuckets limits the limiter's memory. Full buckets are evicted first, because a new
// bucket is full as well.
const maxBuckets = 100_000

// limiter keeps one bucket for each key.
type limiter struct {
	rate Rate

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // of the last update of tokens
}

func newLimiter(r Rate) *limiter { return &limiter{rate: r, buckets: map[string]bucket{}} }

// take takes a token; the result is 0, or the time until there is one.
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
		l.evict(now)
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

// evict makes room when the map is full: it removes all buckets that have refilled by
// now, or, if there are none, an arbitrary tenth.
func (l *limiter) evict(now time.Time) {
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
