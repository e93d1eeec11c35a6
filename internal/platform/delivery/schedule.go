package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// StandardSchedule is the schedule that Standard Webhooks 1.0.0 suggests: the
// waits before each attempt, 75 h 35 min in all.
var StandardSchedule = []time.Duration{
	0,
	5 * time.Second,
	5 * time.Minute,
	30 * time.Minute,
	2 * time.Hour,
	5 * time.Hour,
	10 * time.Hour,
	14 * time.Hour,
	20 * time.Hour,
	24 * time.Hour,
}

const (
	authAttempts = 3              // attempts after which a refused credential is final
	longestPause = 24 * time.Hour // longest Retry-After that is honoured
	gracePeriod  = time.Hour      // age of a delivery up to which a 429 counts as no failure
)

// Fault is why an attempt brought no answer.
type Fault uint8

// The faults.
const (
	NoFault   Fault = iota
	Temporary       // connection refused or lost, a mail server busy
	Timeout         // the deadline of the attempt passed
	NoName          // the name does not resolve
	BadTLS          // certificate or handshake
	Blocked         // the address is in a network that must not be reached
	Permanent       // cannot succeed as it is
	Kept            // no transport is configured: the message stays on its page
)

// Result is one attempt, as it is stored. Headers hold no secrets.
type Result struct {
	Status     int           // of HTTP or SMTP; 0 = no answer
	RetryAfter time.Duration // asked for by the receiver; 0 = none
	Fault      Fault
	Error      string // a sentence for people; "" when the answer says it all
	Request    []Header
	Body       []byte // that was sent
	Response   []Header
	Answer     []byte // the beginning of the response's body
}

// Header is a line of a request or response.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The states of a destination that a verdict may name.
const (
	DestinationOK       = "ok"
	DestinationBroken   = "broken"   // it refuses the credential; deliveries are still tried
	DestinationDisabled = "disabled" // it is gone (410); nothing is sent until it is enabled
)

// Verdict is the decision after an attempt: the next state and, if there is one, the next attempt.
type Verdict struct {
	State    string        // StateWaiting: another attempt after Wait
	Why      string        // for people
	Wait     time.Duration // when waiting
	Counts   bool          // a failure: the schedule moves on
	Pause    time.Duration // of the whole destination; 0 = none
	Mark     string        // the destination's new state; "" = unchanged
	Overload bool          // fewer attempts at once for the destination
	Fallback *Item         // where it goes instead: Destination, Kind, Labels and Data; ID is optional. nil = nowhere
	made     bool          // an attempt was made
}

// Made reports whether an attempt was made: Compose may decide without one.
func (v *Verdict) Made() bool { return v.made }

// Judge reads the table of answers: what follows from an attempt at a delivery
// of this age, after so many failures. jitter is in [0, 1).
func Judge(r Result, failures int, age time.Duration, waits []time.Duration, jitter float64) Verdict {
	switch {
	case r.Fault == Kept:
		return Verdict{State: StateKept, Why: r.Error}
	case r.Fault == Blocked, r.Fault == Permanent:
		return Verdict{State: StateFailed, Why: r.Error}
	case r.Fault != NoFault:
		v := retry(r.Error, failures, len(waits), waits, jitter)
		v.Overload = r.Fault == Timeout || r.Fault == Temporary
		return v
	case r.Status >= 200 && r.Status < 300:
		return Verdict{State: StateDelivered, Mark: DestinationOK}
	}
	answered := fmt.Sprintf("the receiver answered %d", r.Status)
	if text := http.StatusText(r.Status); text != "" {
		answered += " " + text
	}
	switch s := r.Status; {
	case s == http.StatusGone:
		return Verdict{State: StateFailed, Why: answered + ": the destination is disabled", Mark: DestinationDisabled}
	case s == 400, s == 413, s == 415, s == 422:
		return Verdict{State: StateFailed, Why: answered + ": it does not accept this message; it can be replayed"}
	case s == 401, s == 403:
		v := retry(answered+": it refuses the credential", failures, authAttempts, waits, jitter)
		if v.State == StateFailed {
			v.Mark = DestinationBroken
		}
		return v
	case s == 429, s == 503 && r.RetryAfter > 0:
		v := retry(answered+" and asks to wait", failures, len(waits), waits, jitter)
		if age < gracePeriod {
			v = retryAfterFailure(answered+" and asks to wait", failures, waits, jitter)
		}
		v.Pause = min(max(r.RetryAfter, v.Wait), longestPause)
		v.Wait = v.Pause
		return v
	case s >= 300 && s < 400:
		return retry(answered+": "+Redirect(r), failures, len(waits), waits, jitter)
	default:
		v := retry(answered, failures, len(waits), waits, jitter)
		v.Overload = s >= 500
		return v
	}
}

// Redirect returns the advice for an answer that points to another URL.
func Redirect(r Result) string {
	s := "redirects are not followed; update the URL"
	for _, h := range r.Response {
		if h.Name == "Location" && h.Value != "" {
			return s + " to " + strings.Map(printable, clean(h.Value, 300))
		}
	}
	return s
}

// printable drops control characters and the marks that reverse the direction
// of writing.
func printable(r rune) rune {
	if unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return -1
	}
	return r
}

// retry is the next attempt of a series, or its end.
func retry(why string, failures, series int, waits []time.Duration, jitter float64) Verdict {
	next := failures + 1
	if next >= min(series, len(waits)) {
		return Verdict{State: StateFailed, Why: why + fmt.Sprintf("; given up after %d attempts", next), Counts: true}
	}
	v := retryAfterFailure(why, failures, waits, jitter)
	v.Counts = true
	return v
}

// retryAfterFailure postpones a delivery without counting a failure. The jitter adds up to a
// fifth, so that deliveries that failed together do not come back together.
func retryAfterFailure(why string, failures int, waits []time.Duration, jitter float64) Verdict {
	next := waits[min(failures+1, len(waits)-1)]
	return Verdict{State: StateWaiting, Why: why, Wait: next + time.Duration(jitter*float64(next)/5)}
}
