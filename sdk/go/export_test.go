package belfry

import (
	"net/http"
	"time"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
	"github.com/belfryhq/belfry/sdk/go/internal/rules"
)

// CheckText lets the vectors run against the check of Audit.
func CheckText(text []byte, now time.Time, producer bool) error {
	return checkText(new(rawjson.Doc), text, rules.Options{Now: now, Producer: producer})
}

// ValidateAt is Validate with a clock.
func ValidateAt(e Event, now time.Time) error { return e.validateAt(now) }

// Verdict is decide's result.
type Verdict struct {
	Do      string
	Results []Result
	After   time.Duration
}

// Decide reads an answer.
func Decide(status int, header http.Header, body []byte, n int, now time.Time) Verdict {
	v := decide(status, header, body, n, now)
	return Verdict{v.what.String(), v.results, v.after}
}

// Jitter is the backoff.
func Jitter(least time.Duration, times int, most time.Duration) time.Duration {
	return jitter(least, times, most)
}

// RedactText applies Config.Redact to an event.
func RedactText(patterns []string, text []byte) ([]byte, error) {
	r, err := newRedactor(patterns)
	if err != nil {
		return nil, err
	}
	var doc rawjson.Doc
	if err := doc.Parse(text, 32); err != nil {
		return nil, err
	}
	if out, changed := r.apply(nil, &doc); changed {
		return out, nil
	}
	return text, nil
}
