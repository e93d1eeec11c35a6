package tail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

// ship counts the lines of a range and sends the counts. The same range gives
// the same requests.
func (t *tailer) ship(ctx context.Context, name string, at int64, key string, data []byte) error {
	tally := traffic.NewTally(chunk) // as many as a range has bytes: never full
	one := traffic.Summary{Statuses: map[int]int{}}
	where := ""
	for _, line := range splitLines(data) {
		e, fault := t.cfg.Format.Parse(line.text)
		if len(line.text) > traffic.MaxLine {
			fault = fmt.Errorf("the line is longer than %d bytes", traffic.MaxLine)
		}
		if fault == nil {
			e.At += t.shift
			fault = tally.Add(t.cfg.Zone, e)
		}
		if fault != nil {
			if one.Refused++; one.First == nil {
				one.First, where = fault, fmt.Sprintf("%s, byte %d", name, at+int64(line.at))
			}
			continue
		}
		one.Lines++
		one.Statuses[e.Status]++
	}
	counts := tally.Counts()
	for part := 0; len(counts) > 0; part++ {
		n := min(len(counts), sendCounts)
		body, err := json.Marshal(wire(counts[:n]))
		if err != nil {
			return err
		}
		if err := t.send(ctx, fmt.Sprintf("%s-%d", key, part), body); err != nil {
			return err
		}
		t.sum.Counts += n
		counts = counts[n:]
	}
	t.sum.Lines += one.Lines
	t.sum.Refused += one.Refused
	if t.sum.First == nil {
		t.sum.First, t.sum.Where = one.First, where
	}
	for status, n := range one.Statuses {
		t.sum.Statuses[status] += n
	}
	return nil
}

// send sends one request, with Follow for as long as it takes.
func (t *tailer) send(ctx context.Context, key string, body []byte) error {
	wait, told := 250*time.Millisecond, false
	for {
		rejected, why, err := t.cfg.Send(ctx, key, body)
		if err == nil {
			if t.sum.Rejected += rejected; t.sum.Why == "" {
				t.sum.Why = why
			}
			return nil
		}
		if !t.cfg.Follow || t.cfg.Later == nil || !t.cfg.Later(err) {
			return err
		}
		if !told && t.cfg.Warn != nil {
			t.cfg.Warn(fmt.Sprintf("not sent, will be tried again: %v", err))
			told = true
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 30*time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count is what is sent of a count.
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

// Reason is why the first refused line is none.
func (s *Summary) Reason() string {
	if s.First == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s", s.Where, errs.All(s.First)[0].Message)
}
