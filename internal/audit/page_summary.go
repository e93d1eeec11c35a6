package audit

import (
	"cmp"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// summaryPage is the data of the template "summary": how much, when, of which product, by whom.
type summaryPage struct {
	Back    string
	Tabs    []ui.Link
	Framed  bool
	Range   ui.Range
	Total   int64
	Span    string // the days that are shown: "31 Oct to 28 Nov 2026, 29 days"
	Short   string // why the days are fewer than the range; "" = they are not
	Busiest string
	Columns ui.Columns
	Groups  []group
	Export  string // page of exports; "" = the visitor may not
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
	Note              string
}

// maxShares is how many rows a table of counts has.
const maxShares = 12

// summaryRange is the time that the page shows when the URL has none.
const summaryRange = "90d"

// summaryQuery is the time of a summary. The parameters are those of the explorer.
type summaryQuery struct {
	visit
	period        ui.Range
	since, before time.Time
}

func (p *pages) summaryQuery(v visit) summaryQuery {
	q := summaryQuery{visit: v, period: ui.ParseRange(v.Request.URL, v.now, summaryRange)}
	q.since = q.period.Since
	q.before = q.period.Before
	if q.since.IsZero() {
		q.since = time.Unix(0, 0).UTC()
	}
	if q.before.IsZero() {
		q.before = v.now
	}
	return q
}

// from and to are the time in microseconds.
func (q summaryQuery) from() int64 { return max(0, q.since.UnixMicro()) }
func (q summaryQuery) to() int64   { return max(1, q.before.UnixMicro()) }

// asked is the time as parameters of the API, which wants both ends.
func (q summaryQuery) asked() url.Values {
	return url.Values{
		"since":  {q.since.UTC().Format(time.RFC3339)},
		"before": {q.before.UTC().Format(time.RFC3339)},
	}
}

// explorer is the URL of the explorer with a filter and the time of the page.
func (q summaryQuery) explorer(key string, values ...string) string {
	list := url.Values{key: values}
	for _, side := range []string{"since", "before"} {
		if s := q.Request.URL.Query().Get(side); s != "" {
			list.Set(side, s)
		} else if side == "since" && q.period.Label != "" {
			list.Set(side, summaryRange)
		}
	}
	return q.base() + query(list)
}

func (p *pages) summaryOf(pv *page.Visit) error {
	q := p.summaryQuery(p.visit(pv))
	data := &summaryPage{
		Back:   q.base(),
		Tabs:   p.tabs(q.visit, "Summary"),
		Framed: q.Framed(),
		Range:  q.period,
		Reset:  q.base() + "/summary",
	}
	days, err := p.reader.Summary(q.Context(), q.Account, "day", q.from(), q.to())
	if err != nil {
		return err
	}
	first, err := p.reader.FirstDay(q.Context(), q.Account)
	if err != nil {
		return err
	}
	data.fillDays(q, days, first)
	if err := p.fillGroups(q, data); err != nil {
		return err
	}
	asked := q.asked()
	if q.mayExport() {
		data.Export = q.base() + "/export" + query(asked)
	}
	asked.Set("group_by", "product")
	data.Curl = p.curl(q.api() + "/audit/summary" + query(asked))
	if data.Total == 0 {
		if size, err := p.reader.Size(q.Context(), q.Account); err == nil && size == 0 {
			data.Lesson = p.lesson(q.visit)
		}
	}
	return q.Show(page.View{Section: "summary", Title: "Summary", Template: "summary", Data: data})
}

// fillGroups counts by product, action, person and interface. People and interfaces are not in the roll-ups: their
// events are read, within the budget of a search.
func (p *pages) fillGroups(q summaryQuery, data *summaryPage) error {
	for _, g := range []struct{ by, key, title string }{
		{"product", "resource_product", "By product"},
		{"action", "action_type", "By action"},
		{"person", "actor_id", "By actor"},
		{"interface", "interface", "By interface"},
	} {
		one := group{Title: g.title, Empty: "Nothing in this time"}
		counts, err := p.countBy(q, g.by)
		if narrow(err) {
			one.Empty = "Counting by " + g.by + " reads every event of this time; choose a shorter one."
			err = nil
		}
		if err != nil {
			return err
		}
		one.fill(counts, func(row ledger.SummaryRow) string { return q.explorer(g.key, row.Values()...) })
		data.Groups = append(data.Groups, one)
	}
	return nil
}

func (p *pages) countBy(q summaryQuery, by string) ([]ledger.SummaryRow, error) {
	switch by {
	case "person":
		return p.countPeople(q.Context(), q.Account, q.from(), q.to())
	case "interface":
		return p.reader.CountBy(q.Context(), q.Account, by, q.from(), q.to())
	}
	return p.reader.Summary(q.Context(), q.Account, by, q.from(), q.to())
}

// fill takes the largest groups.
func (g *group) fill(counts []ledger.SummaryRow, href func(ledger.SummaryRow) string) {
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
			s.Href = href(c)
		}
		if n := len(c.IDs); n > 1 {
			s.Note, _ = ui.Plural(n, "id", "ids")
		}
		if name := interfaces[c.Key]; name != "" {
			s.Label = name
		}
		g.Rows = append(g.Rows, s)
	}
}
