package tail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
)

// sendError is of a server that takes nothing: it ends the run.
type sendError struct{ error }

func (e *sendError) Unwrap() error { return e.error }

func isSendError(err error) bool {
	var e *sendError
	return errors.As(err, &e)
}

// ship counts the lines of a range and sends the counts. The same range gives
// the same requests: at is its position, and the parser is as it was there.
func (t *tailer) ship(ctx context.Context, at whereabouts, key string, data []byte, p *traffic.Parser) error {
	logCounts := traffic.NewLogCounts(chunk) // as many as a range has bytes: never full
	one := traffic.Summary{Statuses: map[int]int{}}
	var where []string // the first line of each reason
	for _, line := range splitLines(data) {
		e, fault := p.Parse(line.text)
		if len(line.text) > traffic.MaxLine {
			fault = fmt.Errorf("the line is longer than %d bytes", traffic.MaxLine)
		}
		if traffic.IsHeader(fault) {
			continue
		}
		if fault == nil {
			e.At += t.shift
			fault = logCounts.Add(t.cfg.Zone, e, nil)
		}
		if fault != nil {
			if one.Refuse(line.number, line.text, fault); len(one.Reasons) > len(where) {
				where = append(where, at.of(line))
			}
			continue
		}
		one.Lines++
		one.Statuses[e.Status]++
		if e.Ignored {
			one.Ignored++
		}
	}
	counts := logCounts.Counts()
	for part := 0; len(counts) > 0; part++ {
		n := min(len(counts), sendCounts)
		body, err := json.Marshal(wire(counts[:n]))
		if err != nil {
			return err
		}
		if err := t.send(ctx, fmt.Sprintf("%s-%d", key, part), body, counts[:n]); err != nil {
			return err
		}
		t.sum.Counts += n
		counts = counts[n:]
	}
	t.sum.Lines += one.Lines
	t.sum.Refused += one.Refused
	t.sum.Ignored += one.Ignored
	odd := make([]Odd, len(where))
	for i := range odd {
		odd[i] = Odd{one.Reasons[i], where[i]}
	}
	t.sum.addOdd(odd)
	for status, n := range one.Statuses {
		t.sum.Statuses[status] += n
	}
	t.report.lines(t, one, odd)
	return nil
}

// send sends one request, with Follow for as long as it takes. What is refused
// for good is counted and left behind.
func (t *tailer) send(ctx context.Context, key string, body []byte, counts []traffic.Count) error {
	wait := 250 * time.Millisecond
	for {
		rejected, err := t.call(ctx, key, body)
		if err != nil && t.cfg.Refused != nil && t.cfg.Refused(err) {
			rejected = Rejection{Counts: len(counts), Why: err.Error()}
			for _, c := range counts {
				rejected.Requests += c.Total
			}
			err = nil
		}
		if err == nil {
			t.rejected(rejected)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !t.cfg.Follow || t.cfg.Later == nil || !t.cfg.Later(err) {
			return &sendError{err}
		}
		t.report.trouble(t, "server", fmt.Sprintf("not sent, will be tried again: %v", err))
		select {
		case <-time.After(wait):
			wait = min(2*wait, 30*time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// slow is the duration of a request after which the user is informed.
const slow = 5 * time.Second

// call calls Send, and says meanwhile that it takes long.
func (t *tailer) call(ctx context.Context, key string, body []byte) (Rejection, error) {
	type answer struct {
		rejected Rejection
		err      error
	}
	done := make(chan answer, 1)
	go func() {
		rejected, err := t.cfg.Send(ctx, key, body)
		done <- answer{rejected, err}
	}()
	late := time.NewTicker(slow)
	defer late.Stop()
	for {
		select {
		case a := <-done:
			return a.rejected, a.err
		case <-late.C:
			if t.cfg.Follow {
				t.report.trouble(t, "server", "the server has not taken the counts yet; they are tried again until it does")
			}
		}
	}
}

func (t *tailer) rejected(r Rejection) {
	if r.Other > 0 && t.sum.Rejected.Other == 0 {
		t.warn("some hosts are counted for the property other: " +
			"traffic showed more new names than become properties by themselves")
	}
	t.sum.Rejected.Other += r.Other
	if r.Counts == 0 {
		return
	}
	t.sum.Rejected.Counts += r.Counts
	t.sum.Rejected.Requests += r.Requests
	if t.sum.Rejected.Why == "" {
		t.sum.Rejected.Why = r.Why
	}
	t.report.rejected(t, r)
}

// count is a count as it is sent.
type count struct {
	Zone        string `json:"zone"`
	Hostname    string `json:"hostname,omitempty"`
	Origin      string `json:"origin,omitempty"`
	At          int64  `json:"ts"`
	Seconds     int64  `json:"seconds"`
	Total       int64  `json:"total"`
	Bad         int64  `json:"bad"`
	Unreachable int64  `json:"unreachable,omitempty"`
}

func wire(list []traffic.Count) []count {
	out := make([]count, len(list))
	for i, c := range list {
		out[i] = count{c.Zone, c.Hostname, c.Origin, c.At, c.Seconds, c.Total, c.Bad, c.Unreachable}
	}
	return out
}

// ByStatus writes the lines by status, for people: 200 9126, 304 445.
func (s *Summary) ByStatus() string {
	keys := slices.SortedFunc(maps.Keys(s.Statuses), func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Statuses[b], s.Statuses[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%d %d", k, s.Statuses[k]))
	}
	return strings.Join(parts, ", ")
}

// addOdd adds the reasons of a range to those of the run.
func (s *Summary) addOdd(list []Odd) {
	for _, one := range list {
		i := slices.IndexFunc(s.Odd, func(o Odd) bool { return o.Message == one.Message })
		switch {
		case i >= 0:
			s.Odd[i].Lines += one.Lines
		case len(s.Odd) < maxOdd:
			s.Odd = append(s.Odd, one)
		}
	}
}

// String describes the lines for people: where the first is, why it is no request, and
// what it says.
func (o Odd) String() string {
	text := fmt.Sprintf("%s: %s: %q", o.Where, o.Message, o.Text)
	if o.Lines > 1 {
		text += fmt.Sprintf(" (%d such lines)", o.Lines)
	}
	return text
}
