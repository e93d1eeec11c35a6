package slo

import (
	"math"
	"sync"
)

// Guard keeps chance from waking people. At little traffic one failed request
// exceeds any factor (at 99.9 % and 69 requests an hour it burns 14.4 times), so
// a pair fires only when its long window has at least k failures: the fewest
// that a service which just meets its objective shows with a probability of at
// most Alpha.
type Guard struct {
	Alpha    float64 `json:"alpha,omitempty" doc:"Highest probability that a pair fires by chance; 0.000001 when left out" minimum:"0" maximum:"0.1"`
	MinTotal int64   `json:"min_total,omitempty" doc:"Fewest requests in the long window for a pair to fire" minimum:"0" maximum:"1000000000"`
	MinBad   int64   `json:"min_bad,omitempty" doc:"Fewest failed requests in the long window for a pair to fire" minimum:"0" maximum:"1000000000"`
}

// DefaultAlpha is the guard's alpha when none is given.
const DefaultAlpha = 1e-6

// guardMean bounds the table: from so many failures on that are expected of a
// service which just meets its objective, the burn rate speaks for itself.
const guardMean = 32

// thresholds[k] is the largest n for which k failures are too many to be
// chance; it grows with k.
type thresholds []uint64

// need is the fewest failures of n requests that are not chance; 0 past the
// table's end.
func (t thresholds) need(n uint64) uint64 {
	lo, hi := 0, len(t)
	for lo < hi {
		mid := (lo + hi) / 2
		if t[mid] >= n {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == len(t) {
		return 0
	}
	return uint64(lo)
}

type guardKey struct {
	allowed share
	alpha   float64
}

var guards = struct {
	sync.Mutex
	known map[guardKey]thresholds
}{known: map[guardKey]thresholds{}}

// thresholdsOf makes the table for a target, once: about 80 integers.
func thresholdsOf(allowed share, alpha float64) thresholds {
	key := guardKey{allowed, alpha}
	guards.Lock()
	defer guards.Unlock()
	if t, ok := guards.known[key]; ok {
		return t
	}
	p := allowed.ratio()
	most := uint64(math.Ceil(guardMean / p))
	t := thresholds{0} // no failure is never too many
	for k := uint64(1); t[k-1] < most; k++ {
		lo, hi := t[k-1], most
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
	if len(guards.known) > 4096 {
		clear(guards.known) // customers choose the keys
	}
	guards.known[key] = t
	return t
}

// tail is P(Bin(n, p) >= k), summed until its terms no longer matter.
func tail(n, k uint64, p float64) float64 {
	switch {
	case k == 0:
		return 1
	case k > n:
		return 0
	case p >= 1:
		return 1
	}
	fn, fk := float64(n), float64(k)
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
