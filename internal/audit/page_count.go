package audit

import (
	"context"
	"strings"
	"time"
)

// Limits of counting the events that match the filters of the explorer.
const (
	mostMatched = 10_000
	matchTime   = 300 * time.Millisecond
	matchTTL    = 10 * time.Second // the head asks every five
	matchCache  = 500              // questions
)

// matched is the number of events that match, as far as they were counted.
type matched struct {
	N      int
	Hidden int  // reads that the list leaves out
	More   bool // there are more than were counted
}

// String is the number for people.
func (m matched) String() string {
	switch {
	case m.More && m.N >= mostMatched:
		return "more than " + grouped(mostMatched)
	case m.More:
		return "at least " + grouped(uint64(m.N))
	}
	return grouped(uint64(m.N))
}

// countMatched counts the events of a list that has more pages than the first. A count is kept for a few seconds.
func (p *pages) countMatched(s state) (matched, error) {
	q := withoutOpen(s.Request.URL.Query())
	return p.matches.Get(s.Context(), s.Account+"?"+q.Encode(), func(ctx context.Context) (matched, error) {
		return p.count(ctx, s)
	})
}

func (p *pages) count(ctx context.Context, s state) (m matched, err error) {
	keep, _ := p.keep(s)
	q := s.query()
	q.Limit = 1000
	started := time.Now()
	for {
		found, err := p.quick.List(ctx, s.Account, q)
		if narrow(err) {
			m.More = true
			return m, nil
		}
		if err != nil {
			return m, err
		}
		for _, r := range found.Records {
			if keep(r) {
				m.N++
			} else {
				m.Hidden++
			}
		}
		if found.Next == nil {
			return m, nil
		}
		if m.N+m.Hidden >= mostMatched || time.Since(started) > matchTime {
			m.More = true
			return m, nil
		}
		q.After = found.Next
	}
}

// exported names the events of an export by their number and the filters.
func (data *explorerPage) exported(s state, m *matched) string {
	if !s.filtered() {
		return "All " + grouped(uint64(data.Size)) + " events"
	}
	var words []string
	for _, c := range data.Filters.Chips {
		is := " is "
		if c.Not {
			is = " is not "
		}
		words = append(words, strings.ToLower(c.Label)+is+c.Value)
	}
	if !s.period.Since.IsZero() || !s.period.Before.IsZero() {
		words = append(words, "time is in the range")
	}
	where := ""
	if len(words) > 0 {
		where = " where " + clip(strings.Join(words, " and "))
	}
	if s.text != "" || m == nil || m.More || m.Hidden > 0 { // a file has reads, and no search for words
		return "Events" + where
	}
	if m.N == 1 {
		return "1 event" + where
	}
	return grouped(uint64(m.N)) + " events" + where
}
