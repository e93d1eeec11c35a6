package audit

import (
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Limits of the columns of a summary.
const (
	dayLength   = 24 * time.Hour
	mostDays    = 190     // with a column each; of a longer time each week has one
	mostColumns = 3 * 366 // of weeks: some twenty years
)

// fillDays draws the events of each day of the range that the audit log covers: from its first day, at the earliest,
// to today. A day without events between them is an empty column.
func (s *summaryPage) fillDays(q summaryQuery, counts []ledger.SummaryRow, begins time.Time) {
	byDay := map[string]int64{}
	for _, c := range counts {
		byDay[c.Key] = c.Count
		s.Total += c.Count
	}
	if len(counts) == 0 {
		return
	}
	first := q.since.UTC().Truncate(dayLength)
	if begins.After(first) {
		if q.Request.URL.Query().Has("since") || q.period.Label != "" {
			s.Short = "The audit log begins on " + begins.Format("2 January 2006") + "."
		}
		first = begins
	}
	last := q.before.Add(-time.Microsecond).UTC().Truncate(dayLength)
	if latest, err := time.Parse(time.DateOnly, counts[len(counts)-1].Key); err == nil && q.before.After(q.now) {
		last = q.now.UTC().Truncate(dayLength) // days to come have no events, but for a clock that is ahead
		if latest.After(last) {
			last = latest
		}
	}
	days := int(last.Sub(first)/dayLength) + 1
	text, _ := ui.Plural(days, "day", "days") // an integer is a number
	s.Span = spanWords(first, last) + ", " + text

	step := 1
	s.Columns = ui.Columns{
		Label: "Events by day",
		Head:  "Day (UTC)",
		From:  first.Format("2 Jan 2006"),
		To:    last.Format("2 Jan 2006"),
		Tall:  true,
	}
	if days > mostDays {
		step = 7
		s.Columns.Label = "Events by week"
		s.Columns.Head = "Week from (UTC)"
	}
	var top, busiest int64
	for day := first; !day.After(last) && len(s.Columns.Columns) < mostColumns; day = day.AddDate(0, 0, step) {
		var n int64
		for i := range step {
			one := day.AddDate(0, 0, i)
			count := byDay[one.Format(time.DateOnly)]
			n += count
			if count > busiest {
				busiest = count
				s.Busiest = "busiest day " + one.Format("2 Jan") + " (" + grouped(uint64(count)) + ")"
			}
		}
		top = max(top, n)
		s.Columns.Columns = append(s.Columns.Columns, dayColumn(q, day, day.AddDate(0, 0, step), n))
	}
	s.Columns.Top = grouped(uint64(top))
}

// dayColumn is the column of the days from since to before, with a link to their events.
func dayColumn(q summaryQuery, since, before time.Time, n int64) ui.Column {
	events, _ := ui.Plural(n, "event", "events") // an integer is a number
	c := ui.Column{
		Title: spanWords(since, before.AddDate(0, 0, -1)) + ": " + events,
		Name:  since.Format("2 Jan 2006"),
		Count: float64(n),
	}
	if n > 0 {
		c.Href = q.base() + query(url.Values{
			"since":  {since.Format(time.RFC3339)},
			"before": {before.Format(time.RFC3339)},
		})
	}
	return c
}

// spanWords are the days from first to last.
func spanWords(first, last time.Time) string {
	switch {
	case !first.Before(last):
		return first.Format("2 Jan 2006")
	case first.Year() == last.Year():
		return first.Format("2 Jan") + " to " + last.Format("2 Jan 2006")
	}
	return first.Format("2 Jan 2006") + " to " + last.Format("2 Jan 2006")
}
