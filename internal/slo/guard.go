package slo

import (
	"math"
	"slices"
	"sync"
)

// Guard suppresses alerts by chance. At little traffic one failed request exceeds any factor (at 99.9 % and 69 requests
// an hour it burns 14.4 times), so a pair fires only when its long window has at least k failures: the smallest number
// that a service which just meets its objective shows with a probability of at most Alpha.
type Guard struct {
	Alpha    float64 `json:"alpha,omitempty" doc:"Highest probability that a pair fires by chance; 0.000001 when left out" minimum:"0" maximum:"0.1"`
	MinTotal int64   `json:"min_total,omitempty" doc:"Fewest requests in the long window for a pair to fire" minimum:"0" maximum:"1000000000"`
	MinBad   int64   `json:"min_bad,omitempty" doc:"Fewest failed requests in the long window for a pair to fire" minimum:"0" maximum:"1000000000"`
}

// DefaultAlpha is the guard's alpha when none is given.
const DefaultAlpha = 1e-6

// guardMean bounds the table. When a service that just meets its objective would show this many failures, the burn rate
// is significant by itself.
const guardMean = 32

// thresholds[k] is the largest number of requests for which k failures are not explained by chance; it grows with k.
type thresholds []uint64

// need is the smallest number of failures in n requests that is not explained by chance; 0 past the table's end.
func (t thresholds) need(n uint64) uint64 {
	k, _ := slices.BinarySearch(t, n)
	if k == len(t) {
		return 0
	}
	return uint64(k)
}

// tables caches the thresholds of targets. It is the one mutable variable of the package: computing a table is a pure
// function that takes milliseconds, and objectives are compiled each time that they are read.
var tables = tableCache{known: map[tableKey]thresholds{}}

type tableKey struct {
	allowed share
	alpha   float64
}

type tableCache struct {
	mu    sync.Mutex // guards known
	known map[tableKey]thresholds
}

// maxTables bounds the cache, because customers choose the keys.
const maxTables = 4096

// of returns the table of a target: about 80 integers.
func (c *tableCache) of(allowed share, alpha float64) thresholds {
	key := tableKey{allowed, alpha}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.known[key]; ok {
		return t
	}
	if len(c.known) >= maxTables {
		clear(c.known)
	}
	t := computeThresholds(allowed, alpha)
	c.known[key] = t
	return t
}

func computeThresholds(allowed share, alpha float64) thresholds {
	p := allowed.ratio()
	most := uint64(math.Ceil(guardMean / p))
	t := thresholds{0} // zero failures never exceed
	for k := uint64(1); t[k-1] < most; k++ {
		lo := t[k-1]
		hi := most
		for lo < hi { // the largest n with tail(n, k) <= alpha
			mid := lo + (hi-lo+1)/2
			if tail(mid, k, p) <= alpha {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		t = append(t, lo)
	}
	return t
}

// tail is P(Bin(n, p) >= k), summed until its terms become negligible.
func tail(n, k uint64, p float64) float64 {
	switch {
	case k == 0:
		return 1
	case k > n:
		return 0
	case p >= 1:
		return 1
	}
	fn := float64(n)
	fk := float64(k)
	ln, _ := math.Lgamma(fn + 1)
	lk, _ := math.Lgamma(fk + 1)
	lr, _ := math.Lgamma(fn - fk + 1)
	term := math.Exp(ln - lk - lr + fk*math.Log(p) + (fn-fk)*math.Log1p(-p))
	sum := 0.0
	for j := k; j <= n; j++ {
		sum += term
		next := term * float64(n-j) / float64(j+1) * p / (1 - p)
		if next < sum*1e-12 && next <= term {
			break
		}
		term = next
	}
	return sum
}
