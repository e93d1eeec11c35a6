package account

import (
	"net/netip"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// attempts limits how often passwords and links are tried: per address, per
// person from one address, and per person from everywhere (looser, so that a
// stranger does not easily lock somebody out).
type attempts struct {
	now func() time.Time

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

// bucket is a token bucket.
type bucket struct {
	left float64
	at   time.Time
}

// allowance is a bucket's size and the time in which one attempt comes back.
type allowance struct {
	size  float64
	every time.Duration
}

var (
	perAddress       = allowance{30, 5 * time.Second}
	perPersonAddress = allowance{6, time.Minute}
	perPerson        = allowance{60, 30 * time.Second}
)

const maxAttempts = 100_000

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, buckets: map[string]bucket{}}
}

// take counts one attempt; CodeRateLimited when there were too many. person is
// empty for a link.
func (a *attempts) take(person string, addr netip.Addr) error {
	from := addr.String()
	if addr.Is6() { // a subscriber has at least a /64
		if p, err := addr.Prefix(64); err == nil {
			from = p.String()
		}
	}
	type one struct {
		key string
		allowance
	}
	list := []one{{"a " + from, perAddress}}
	if person != "" {
		list = append(list, one{"pa " + from + " " + person, perPersonAddress}, one{"p " + person, perPerson})
	}
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range list {
		b := a.fill(l.key, l.allowance, now)
		if b.left < 1 {
			wait := time.Duration((1 - b.left) * float64(l.every))
			return errs.New(errs.CodeRateLimited, "too many attempts to sign in").After(max(time.Second, wait))
		}
	}
	a.forget(now)
	for _, l := range list {
		b := a.fill(l.key, l.allowance, now)
		b.left--
		a.buckets[l.key] = b
	}
	return nil
}

func (a *attempts) fill(key string, l allowance, now time.Time) bucket {
	b, ok := a.buckets[key]
	if !ok {
		return bucket{l.size, now}
	}
	b.left = min(l.size, b.left+float64(now.Sub(b.at))/float64(l.every))
	b.at = now
	return b
}

// forget makes room: what was not touched for an hour is full again; when that
// is not enough, an arbitrary tenth goes.
func (a *attempts) forget(now time.Time) {
	if len(a.buckets) < maxAttempts {
		return
	}
	for key, b := range a.buckets {
		if now.Sub(b.at) > time.Hour {
			delete(a.buckets, key)
		}
	}
	for key := range a.buckets {
		if len(a.buckets) < maxAttempts*9/10 {
			return
		}
		delete(a.buckets, key)
	}
}
