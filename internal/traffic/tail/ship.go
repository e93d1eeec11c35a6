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

// stretch is a range of a log that is counted.
type stretch struct {
	name   string
	at     int64 // its position
	lines  int64 // before it; -1 = not known
	data   []byte
	parser *traffic.Parser

	// used are the rules by which it is counted, by zone, where they are not the default
	// ones. With again they are given: the range must make the same counts as before.
	used  map[string]traffic.CountingRules
	again bool
	given map[string]*traffic.Counting // compiled
}

// of names a line of the range for people.
func (r *stretch) of(line span) string {
	if r.lines < 0 {
		return fmt.Sprintf("%s, byte %d", r.name, r.at+int64(line.at))
	}
	return fmt.Sprintf("%s, line %d", r.name, r.lines+int64(line.number)+1)
}

// count counts the lines of a range. The same range makes the same counts: the parser
// is as it was at its position, and the rules are given when it is counted again.
func (t *tailer) count(
	ctx context.Context, r *stretch,
) (counts []traffic.Count, one traffic.Summary, odd []Odd, err error) {
	logCounts := traffic.NewLogCounts(countsOfRange)
	one.Statuses = map[int]int{}
	for _, line := range splitLines(r.data) {
		e, fault := r.parser.Parse(line.text)
		if len(line.text) > traffic.MaxLine {
			fault = fmt.Errorf("the line is longer than %d bytes", traffic.MaxLine)
		}
		if traffic.IsHeader(fault) {
			continue
		}
		if fault == nil {
			e.At += t.shift
			how, err := t.rulesOf(ctx, r, e.ZoneOf(t.cfg.Zone))
			if err != nil {
				return nil, one, nil, err
			}
			how.Rules.Classify(t.cfg.Format, &e)
			fault = logCounts.Add(t.cfg.Zone, e, how.Latency)
		}
		if fault != nil {
			if one.Refuse(line.number, line.text, fault); len(one.Reasons) > len(odd) {
				odd = append(odd, Odd{Where: r.of(line)})
			}
			continue
		}
		one.Lines++
		one.Statuses[e.Status]++
		if e.Ignored {
			one.Ignored++
		}
	}
	for i := range odd {
		odd[i].Reason = one.Reasons[i]
	}
	return logCounts.Counts(), one, odd, nil
}

// countsOfRange is more than the lines of a range can make.
const countsOfRange = 64 * chunk

// ship sends the counts of a range, under keys that begin with one.
func (t *tailer) ship(ctx context.Context, key string, counts []traffic.Count) error {
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
	return nil
}

// counted adds the lines of a range that was sent to the summary.
func (t *tailer) counted(one traffic.Summary, odd []Odd) {
	t.sum.Lines += one.Lines
	t.sum.Refused += one.Refused
	t.sum.Ignored += one.Ignored
	if t.sum.First == nil {
		t.sum.First = one.First
	}
	t.sum.addOdd(odd)
	for status, n := range one.Statuses {
		t.sum.Statuses[status] += n
	}
	t.report.lines(t, one, odd)
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
	SLI         string `json:"sli,omitempty"`
	At          int64  `json:"ts"`
	Seconds     int64  `json:"seconds"`
	Total       int64  `json:"total"`
	Bad         int64  `json:"bad"`
	Unreachable int64  `json:"unreachable,omitempty"`
}

func wire(list []traffic.Count) []count {
	out := make([]count, len(list))
	for i, c := range list {
		out[i] = count{c.Zone, c.Hostname, c.Origin, c.SLI, c.At, c.Seconds, c.Total, c.Bad, c.Unreachable}
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
