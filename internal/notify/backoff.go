package notify

import (
	"fmt"
	"net/http"
	"time"
)

// schedule is the one that Standard Webhooks 1.0.0 suggests: waits before each
// attempt, 75 h 35 min in all.
var schedule = []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
	5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

const (
	authSeries   = 3              // attempts that a refused credential gets
	longestPause = 24 * time.Hour // that a receiver may ask for
	patience     = time.Hour      // in which asking for patience counts as no failure
)

// verdict is what follows from an attempt.
type verdict struct {
	state  string        // waiting: again after wait
	why    string        // for people
	wait   time.Duration // when waiting
	counts bool          // the schedule moves on
	pause  time.Duration // of the whole destination; 0 = none
	mark   string        // the destination's new state: ok, broken, disabled; "" = as it is
	slow   bool          // the destination gets less at once
	made   bool          // something was sent: the attempt counts
}

// judge reads the table of answers: what a delivery does after an attempt.
// failures are those before it, age is the delivery's, jitter is in [0, 1).
func judge(r Result, failures int, age time.Duration, waits []time.Duration, jitter float64) verdict {
	switch {
	case r.Fault == Kept:
		return verdict{state: stateKept, why: r.Error}
	case r.Fault == Blocked, r.Fault == Permanent:
		return verdict{state: stateFailed, why: r.Error}
	case r.Fault != NoFault:
		v := again(r.Error, failures, len(waits), waits, jitter)
		v.slow = r.Fault == Timeout
		return v
	case r.Status >= 200 && r.Status < 300:
		return verdict{state: stateDelivered, mark: destinationOK}
	}
	said := fmt.Sprintf("the receiver answered %d", r.Status)
	if text := http.StatusText(r.Status); text != "" {
		said += " " + text
	}
	switch s := r.Status; {
	case s == http.StatusGone:
		return verdict{state: stateFailed, why: said + ": the destination is disabled", mark: destinationDisabled}
	case s == 400, s == 413, s == 415, s == 422:
		return verdict{state: stateFailed, why: said + ": it does not take this message; it can be replayed"}
	case s == 401, s == 403:
		v := again(said+": it refuses the credential", failures, authSeries, waits, jitter)
		if v.state == stateFailed {
			v.mark = destinationBroken
		}
		return v
	case s == 429, s == 503 && r.RetryAfter > 0:
		v := again(said+" and asks for patience", failures, len(waits), waits, jitter)
		v.counts = age >= patience
		v.pause = min(max(r.RetryAfter, v.wait), longestPause)
		v.wait = v.pause
		return v
	case s >= 300 && s < 400:
		return again(said+": "+redirect(r), failures, len(waits), waits, jitter)
	default:
		v := again(said, failures, len(waits), waits, jitter)
		v.slow = s == 502 || s == 504
		return v
	}
}

// redirect is what to do about an answer that leads elsewhere.
func redirect(r Result) string {
	s := "redirects are not followed; update the URL"
	for _, h := range r.Response {
		if h.Name == "Location" && h.Value != "" {
			return s + " to " + plainText(clean(h.Value, 300))
		}
	}
	return s
}

// again is the next attempt of a series, or its end. The jitter adds up to a
// fifth, so that what failed together does not come back together.
func again(why string, failures, series int, waits []time.Duration, jitter float64) verdict {
	next := failures + 1
	if next >= min(series, len(waits)) {
		return verdict{state: stateFailed, why: why + fmt.Sprintf("; given up after %d attempts", next), counts: true}
	}
	return verdict{state: stateWaiting, why: why, counts: true, wait: waits[next] + time.Duration(jitter*float64(waits[next])/5)}
}
