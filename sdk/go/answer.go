package belfry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Status is the final answer to an event.
type Status string

// Statuses.
const (
	StatusAccepted  Status = "accepted"  // it is in the log
	StatusDuplicate Status = "duplicate" // it was there already, with the same content
	StatusConflict  Status = "conflict"  // another event has its id
	StatusRejected  Status = "rejected"  // its content breaks a rule; Errors say which
	// StatusRefused is the SDK's own: the server refused the request that held
	// this event alone, without an answer for the event.
	StatusRefused Status = "refused"
	// StatusUnknown is the SDK's own: AuditSync got no answer for this event. It
	// may be in the log; passing it again with the same ID is safe.
	StatusUnknown Status = ""
)

// Result is the answer to one event.
type Result struct {
	Index   int             `json:"index"` // of the event in the call or request
	ID      string          `json:"id"`
	Status  Status          `json:"status"`
	Seq     *uint64         `json:"seq,omitempty"`     // its place in the account's log, from 0
	Receipt json.RawMessage `json:"receipt,omitempty"` // signed, if the server gives any
	Errors  []FieldError    `json:"errors,omitempty"`
}

// what an answer means for the events of a request.
type what int

const (
	settle what = iota // every event has its result
	retry              // keep the events, try again after a backoff
	halve              // send fewer events at once
	refuse             // this request will never be accepted
	hold               // keep the events, a person has to act; try again rarely
)

func (w what) String() string { return [...]string{"settle", "retry", "halve", "refuse", "hold"}[w] }

// verdict is the decision after an attempt.
type verdict struct {
	what    what
	results []Result      // settle: one for each event, in order
	after   time.Duration // retry: at least this long, if the server said so
	http    int
	errors  []FieldError
	err     error
}

// maxRetryAfter bounds how long a server can make the SDK wait.
const maxRetryAfter = time.Hour

// decide reads the answer to a request with n events.
func decide(status int, header http.Header, body []byte, n int, now time.Time) verdict {
	var envelope struct {
		Errors []FieldError `json:"errors"`
		Result []Result     `json:"result"`
	}
	err := json.Unmarshal(body, &envelope)
	if typed := new(json.UnmarshalTypeError); errors.As(err, &typed) {
		err = nil // it is JSON of another shape: what fits was read, lists are checked below
	}
	v := verdict{http: status, errors: envelope.Errors, err: err}
	again := header.Get("X-Should-Retry")

	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		v.what = hold
	case status/100 == 2 || status == http.StatusBadRequest || status == http.StatusConflict:
		results, err := inOrder(envelope.Result, n)
		switch {
		case err == nil:
			return verdict{what: settle, http: status, results: results}
		case status/100 == 2:
			// Nothing that is not named was acknowledged.
			v.what = hold
			v.err = err
		case again == "true":
			v.what = retry
		default:
			v.what = refuse
		}
	case status == http.StatusRequestEntityTooLarge && n > 1:
		v.what = halve
	case status == http.StatusRequestEntityTooLarge || status == http.StatusUnprocessableEntity:
		v.what = refuse
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status == http.StatusTooEarly:
		v.what = retry
		if again == "false" {
			v.what = refuse
		}
	case again == "true":
		v.what = retry
	default: // a redirect, 404, 405: not the address of a server of this kind
		v.what = hold
	}
	if v.what == retry {
		v.after = retryAfter(header, now)
	}
	if v.err != nil && len(v.errors) > 0 {
		v.err = nil
	}
	return v
}

// inOrder checks that the list answers each of n events exactly once with a
// status that is known, and sorts it by index.
func inOrder(list []Result, n int) ([]Result, error) {
	if len(list) != n {
		return nil, fmt.Errorf("the answer has results for %d of %d events", len(list), n)
	}
	ordered := make([]Result, n)
	for _, r := range list {
		switch {
		case r.Index < 0 || r.Index >= n || ordered[r.Index].Status != StatusUnknown:
			return nil, fmt.Errorf("the answer has an index twice or out of range: %d", r.Index)
		case r.Status != StatusAccepted && r.Status != StatusDuplicate && r.Status != StatusConflict &&
			r.Status != StatusRejected:
			return nil, fmt.Errorf("the answer has an unknown status %q", r.Status)
		}
		ordered[r.Index] = r
	}
	return ordered, nil
}

// retryAfter reads Retry-After-Ms and Retry-After (RFC 9110, 10.2.3: seconds
// or a date).
func retryAfter(h http.Header, now time.Time) time.Duration {
	var d time.Duration
	if ms, err := strconv.ParseInt(h.Get("Retry-After-Ms"), 10, 64); err == nil {
		d = time.Duration(min(ms, maxRetryAfter.Milliseconds())) * time.Millisecond
	} else if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil {
		d = time.Duration(min(s, int64(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
