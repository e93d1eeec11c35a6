package tail

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
)

// report informs the user about a run with Follow: faults when they first occur, and
// the numbers of each minute.
type report struct {
	every time.Duration
	since time.Time // of the numbers below

	shipped  int // lines
	odd      int // lines that are no requests
	first    string
	refused  Rejection
	saidOdd  bool // each fault is reported at once, and once
	saidNone bool // a quiet time is reported once
	saidBad  bool
	troubles map[string]time.Time // last report of each
}

// lines counts the lines of a range.
func (r *report) lines(t *tailer, one traffic.Summary, odd []Odd) {
	if !t.cfg.Follow {
		return
	}
	r.shipped += one.Lines
	r.odd += one.Refused
	if len(odd) > 0 && r.first == "" {
		r.first = odd[0].String()
	}
	if one.Refused > 0 && !r.saidOdd {
		r.saidOdd = true
		t.warn(fmt.Sprintf("%s not counted: no request in the format %s; the first: %s",
			lineCount(one.Refused), t.cfg.Format, r.first))
	}
	r.tick(t)
}

// rejected counts what the server refused.
func (r *report) rejected(t *tailer, one Rejection) {
	if !t.cfg.Follow {
		return
	}
	r.refused.Counts += one.Counts
	r.refused.Requests += one.Requests
	if r.refused.Why == "" {
		r.refused.Why = one.Why
	}
	if !r.saidBad {
		r.saidBad = true
		t.warn("the server refused " + one.String())
	}
}

// trouble reports a failure that is retried: at once, and then with each report.
func (r *report) trouble(t *tailer, about, what string) {
	now := time.Now()
	if last, ok := r.troubles[about]; ok && now.Sub(last) < r.every {
		return
	}
	if r.troubles == nil {
		r.troubles = map[string]time.Time{}
	}
	r.troubles[about] = now
	t.warn(what)
}

// over ends a trouble, so that the next one is reported at once.
func (r *report) over(about string) { delete(r.troubles, about) }

// tick reports the numbers since the last report, when it is time.
func (r *report) tick(t *tailer) {
	now := time.Now()
	if r.since.IsZero() {
		r.since = now
	}
	took := now.Sub(r.since)
	if took < r.every {
		return
	}
	r.since = now
	if r.shipped+r.odd+r.refused.Counts == 0 {
		if !r.saidNone {
			t.warn("no new lines for " + took.Round(time.Second).String())
		}
		r.saidNone = true
		return
	}
	r.saidNone = false
	parts := []string{fmt.Sprintf("%s counted in %s", lineCount(r.shipped), took.Round(time.Second))}
	if r.odd > 0 {
		parts = append(parts, fmt.Sprintf("%s not counted, the first: %s", lineCount(r.odd), r.first))
	}
	if r.refused.Counts > 0 {
		parts = append(parts, "the server refused "+r.refused.String())
	}
	t.warn(strings.Join(parts, "; "))
	r.shipped = 0
	r.odd = 0
	r.first = ""
	r.refused = Rejection{}
}

func lineCount(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}

// String describes the rejection for users.
func (r Rejection) String() string {
	unit := "counts"
	if r.Counts == 1 {
		unit = "count"
	}
	lines := ""
	if r.Requests > 0 {
		lines = " of " + lineCount(int(r.Requests))
	}
	return fmt.Sprintf("%d %s%s; the first: %s", r.Counts, unit, lines, r.Why)
}

func (t *tailer) warn(what string) {
	if t.cfg.Warn != nil {
		t.cfg.Warn(what)
	}
}
