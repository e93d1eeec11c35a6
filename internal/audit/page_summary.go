package audit

import (
	"cmp"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// summaryPage is the quarter: how much, of which product, by whom.
type summaryPage struct {
	Back    string
	Tabs    []ui.Link
	Framed  bool
	Range   ui.Range
	Total   int64
	Days    int
	Busiest string
	Chart   ui.Chart
	Groups  []group
	Exports []ui.Link
	Curl    string
	Lesson  *lesson
	Reset   string
}

// group is one table of counts.
type group struct {
	Title, Empty string
	Rows         []share
	More         int // groups that are not shown
}

// share is one group's part of all.
type share struct {
	Label, Href, Kind string
	Count             int64
	Percent           float64
}

// maxShares is how many rows a table of counts has.
const maxShares = 12

func (p *pages) quarter(pv *page.Visit) error {
	v := p.visit(pv)
	period := ui.ParseRange(v.Request.URL, v.now, "90d")
	if period.Since.IsZero() {
		period.Since = time.Unix(0, 0).UTC()
	}
	before := period.Before
	if before.IsZero() {
		before = v.now
	}
	data := &summaryPage{
		Back:   v.base(),
		Tabs:   p.tabs(v, "Summary"),
		Framed: v.Framed(),
		Range:  period,
		Reset:  v.base() + "/summary",
	}
	since := max(0, period.Since.UnixMicro())
	until := max(1, before.UnixMicro())
	days, err := p.reader.Summary(v.Context(), v.Account, "day", since, until)
	if err != nil {
		return err
	}
	data.fillDays(days, period.Since, before)
	span := func(key, val string) string {
		q := url.Values{key: {val}}
		for _, side := range []string{"since", "before"} {
			if s := v.Request.URL.Query().Get(side); s != "" {
				q.Set(side, s)
			} else if side == "since" && period.Label != "" {
				q.Set(side, "90d")
			}
		}
		return v.base() + query(q)
	}
	for _, g := range []struct{ by, key, title string }{
		{"product", "resource_product", "By product"},
		{"action", "action_type", "By action"},
		{"actor", "actor_id", "By actor"},
		{"interface", "interface", "By interface"},
	} {
		one := group{Title: g.title, Empty: "Nothing in this time"}
		var counts []ledger.SummaryRow
		if g.by == "actor" || g.by == "interface" {
			counts, err = p.reader.CountBy(v.Context(), v.Account, g.by, since, until)
		} else {
			counts, err = p.reader.Summary(v.Context(), v.Account, g.by, since, until)
		}
		if narrow(err) {
			one.Empty = "Counting " + g.by + "s reads every event of this time; choose a shorter one."
			counts, err = nil, nil
		}
		if err != nil {
			return err
		}
		one.fill(counts, func(key string) string { return span(g.key, key) })
		data.Groups = append(data.Groups, one)
	}
	asked := url.Values{"since": {period.Since.UTC().Format(time.RFC3339)}, "before": {before.UTC().Format(time.RFC3339)}}
	if v.mayExport() {
		data.Exports = exports(v, asked, "Events of this time")
	}
	data.Curl = p.curl(v.api() + "/audit/summary" +
		query(url.Values{"group_by": {"product"}, "since": asked["since"], "before": asked["before"]}))
	if len(data.Groups[0].Rows) == 0 {
		if size, err := p.reader.Size(v.Context(), v.Account); err == nil && size == 0 {
			data.Lesson = p.lesson(v)
		}
	}
	return v.Show(page.View{Section: "summary", Title: "Summary", Template: "summary", Data: data})
}

// fill takes the largest groups.
func (g *group) fill(counts []ledger.SummaryRow, href func(key string) string) {
	var total int64
	for _, c := range counts {
		total += c.Count
	}
	for i, c := range counts {
		if i == maxShares {
			g.More = len(counts) - maxShares
			return
		}
		s := share{
			Label:   visible(cmp.Or(c.Label, c.Key, "erased")),
			Count:   c.Count,
			Percent: 100 * float64(c.Count) / float64(total),
		}
		if c.Key != "" {
			s.Href = href(c.Key)
		}
		if name := interfaces[c.Key]; name != "" {
			s.Label = name
		}
		g.Rows = append(g.Rows, s)
	}
}

// maxDays bounds a chart; a longer time begins with its first event.
const maxDays = 3 * 366

// fillDays draws the events of each day, with a zero for a day without any.
func (s *summaryPage) fillDays(counts []ledger.SummaryRow, since, before time.Time) {
	byDay := map[string]int64{}
	var top ledger.SummaryRow
	for _, c := range counts {
		byDay[c.Key] = c.Count
		s.Total += c.Count
		if c.Count > top.Count {
			top = c
		}
	}
	s.Chart = ui.Chart{Label: "Events by day (UTC)", Empty: "No events in this time"}
	if len(counts) == 0 {
		return
	}
	first, err1 := time.Parse(time.DateOnly, counts[0].Key)
	last, err2 := time.Parse(time.DateOnly, counts[len(counts)-1].Key)
	if err1 != nil || err2 != nil {
		return
	}
	if from := since.UTC().Truncate(24 * time.Hour); from.Before(first) && before.Sub(from) < maxDays*24*time.Hour {
		first = from
	}
	if to := before.UTC().Truncate(24 * time.Hour); to.After(last) && to.Sub(first) < maxDays*24*time.Hour {
		last = to
	}
	zero := 0.0
	series := ui.ChartSeries{Name: "Events", Tone: ui.Accent, Fill: true}
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		n := float64(byDay[day.Format(time.DateOnly)])
		s.Chart.X = append(s.Chart.X, day.Unix())
		series.Y = append(series.Y, &n)
		s.Days++
		if s.Days > 20_000 {
			break
		}
	}
	s.Chart.Series = []ui.ChartSeries{series}
	s.Chart.Min = &zero
	if day, err := time.Parse(time.DateOnly, top.Key); err == nil {
		n, _ := ui.Num(top.Count) // an integer is a number
		s.Busiest = "busiest day " + day.Format("2 Jan 2006") + " (" + n + ")"
		events, _ := ui.Plural(top.Count, "event", "events")
		s.Chart.Summary = "The busiest day was " + day.Format("2 January 2006") + ", with " + events + "."
	}
}
