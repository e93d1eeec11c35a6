package slo

import (
	"math"
	"math/bits"

	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Window is a stretch of time over which each series is summed.
type Window = tally.Window

// The windows: those of the pairs (Google SRE workbook, chapter 5), and some periods of budgets.
const (
	M5    = tally.M5
	M30   = tally.M30
	H1    = tally.H1
	H2    = tally.H2
	H6    = tally.H6
	D1    = tally.D1
	D3    = tally.D3
	D28   = tally.D28
	D30   = tally.D30
	Month = tally.Month
)

// Tally counts requests: Bad of Total failed.
type Tally = tally.Tally

// extrapolated is the tally of a series of that age (in seconds) over a whole window, assuming the same traffic without
// failures before its first count.
func extrapolated(t Tally, age, window int64) Tally {
	if age <= 0 || age >= window {
		return t
	}
	hi, lo := bits.Mul64(t.Total, uint64(window))
	if hi >= uint64(age) {
		return Tally{Total: math.MaxUint64, Bad: t.Bad}
	}
	t.Total, _ = bits.Div64(hi, lo, uint64(age))
	return t
}

// share is a share of requests in parts of ten million: a target of 99.95 % allows 5,000 to fail. Decisions compare
// these integers, never floats.
type share uint64

const whole share = 10_000_000

// shareOf is the share that a target in percent allows to fail.
func shareOf(target float64) share { return share(math.Round((100 - target) * 100_000)) }

func (s share) ratio() float64 { return float64(s) / float64(whole) }

// milli is a factor in thousandths: 14.4 is 14,400.
type milli uint64

func (f milli) times() float64 { return float64(f) / 1000 }

// above reports whether the tally burns faster than factor times the allowed share: bad/total > factor x allowed, in
// 128-bit integers. A tally without requests is not above.
func above(t Tally, factor milli, allowed share) bool {
	return tally.Above(t, burnLimit(factor, allowed))
}

// burnLimit is the product of factor and allowed share, in the unit of the tallies: whole x 1000 = tally.Unit.
func burnLimit(factor milli, allowed share) uint64 { return uint64(factor) * uint64(allowed) }

// burnRate returns the burn rate for display: 1 is exactly sustainable, 0 means no request.
func burnRate(t Tally, allowed share) float64 {
	if t.Total == 0 {
		return 0
	}
	return float64(t.Bad) / float64(t.Total) / allowed.ratio()
}

// budget is the state of an error budget.
type budget struct {
	Left   float64 // the part that is left: 1 = untouched, 0 = spent, below = overspent
	Period int64   // seconds that the whole budget covers
}

// budgetOf computes the budget by requests: the failures that the window's requests allow, minus those that happened.
// The budget of a period of the calendar covers the whole period, so the spending so far is weighed by the part of it
// that has passed, assuming even traffic.
func budgetOf(w Window, t Tally, allowed share, clock int64) budget {
	spent := burnRate(t, allowed)
	if !w.IsCalendar() {
		return budget{1 - spent, w.Seconds()}
	}
	from, to := w.PeriodOf(clock)
	return budget{1 - spent*float64(clock-from)/float64(to-from), to - from}
}

// exhaustion is the number of seconds until the budget is spent at the present rate: left x period / burn. ok is false
// when it does not shrink.
func (b budget) exhaustion(rate float64) (seconds int64, ok bool) {
	switch {
	case b.Left <= 0:
		return 0, true
	case rate <= 0:
		return 0, false
	}
	s := b.Left * float64(b.Period) / rate
	if s > 100*365*86400 {
		return 0, false
	}
	return int64(s), true
}

// detection is the number of seconds after which a constant error ratio e, from a healthy start and at even traffic,
// fires a pair: factor x W x (1-SLO) / e. ok is false when the pair never fires, because that exceeds the window.
func detection(p Pair, allowed share, e float64) (seconds float64, ok bool) {
	s := p.factor().times() * float64(p.Long.Seconds()) * allowed.ratio() / e
	return s, s <= float64(p.Long.Seconds())
}

// resolvesIn is the number of seconds after which a pair ends if no further request fails and the traffic of its short
// window continues. For a short window S with a constant ratio e that is S x (1 - factor x (1-SLO) / e); the function
// simulates the general case tick by tick.
func resolvesIn(list []bucket, p Pair, allowed share, clock int64) int64 {
	short := p.Short.Seconds()
	from := 0
	var t Tally // of the buckets from list[from] on
	for _, b := range list {
		t.Add(b.Tally)
	}
	drop := func(until int64) {
		for from < len(list) && list[from].End <= until {
			t.Subtract(list[from].Tally)
			from++
		}
	}
	drop(clock - short)
	traffic := t.Total
	for in := int64(0); ; in += Tick {
		drop(clock + in - short)
		now := t
		now.Total += scaled(traffic, uint64(min(in, short)), uint64(short))
		if in >= short || !above(now, p.factor(), allowed) {
			return in
		}
	}
}

// scaled is v x i / n, rounded down, for i <= n.
func scaled(v, i, n uint64) uint64 {
	hi, lo := bits.Mul64(v, i)
	q, _ := bits.Div64(hi, lo, n)
	return q
}
