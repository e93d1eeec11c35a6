package tail

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

// report tells a person how a run with Follow goes: faults when they are first
// seen, and what came in each minute.
type report struct {
	every time.Duration
	since time.Time // of the numbers below

	shipped  int // lines
	odd      int // lines that are no requests
	first    string
	refused  Rejection
	toldOdd  bool // a fault is told at once, once
	toldNone bool // a quiet time is told once
	toldBad  bool
	troubles map[string]time.Time // when each was told last
}

// lines counts what a range held.
func (r *report) lines(t *tailer, one traffic.Summary, where string) {
	if !t.cfg.Follow {
		return
	}
	r.shipped += one.Lines
	r.odd += one.Refused
	if one.First != nil && r.first == "" {
		r.first = fmt.Sprintf("%s: %s", where, errs.All(one.First)[0].Message)
	}
	if one.Refused > 0 && !r.toldOdd {
		r.toldOdd = true
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
	if !r.toldBad {
		r.toldBad = true
		t.warn("the server refused " + one.String())
	}
}

// trouble tells of something that is tried again: at once, and then with each
// report.
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

// over ends a trouble, so that the next one is told at once.
func (r *report) over(about string) { delete(r.troubles, about) }

// tick tells what came since the last report, when it is time.
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
		if !r.toldNone {
			t.warn("no new lines for " + took.Round(time.Second).String())
		}
		r.toldNone = true
		return
	}
	r.toldNone = false
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

// String says what was refused, for people.
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
