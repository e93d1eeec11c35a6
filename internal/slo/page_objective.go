package slo

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const (
	marksOfChanges = 8
	marksOfAlerts  = 8
	pastRows       = 20
)

// shownPair is a row of the table of windows.
type shownPair struct {
	PairStatus
	SinceAt         time.Time
	LongOn, ShortOn bool // above the factor
}

// Tone of a pair's state.
func (p PairStatus) Tone() ui.Tone {
	switch p.State {
	case "firing", "no_data":
		if p.Severity == Page {
			return ui.Bad
		}
		return ui.Warn
	case "covered", "held":
		return ui.Info
	}
	return ui.Good
}

// Word is the state of a pair.
func (p PairStatus) Word() string {
	return map[string]string{"firing": "Fires", "no_data": "Fires, no data", "covered": "Covered", "held": "Could be chance", "quiet": "Quiet"}[p.State]
}

// objectivePage answers: does it burn? And then: since when, why, what changed?
type objectivePage struct {
	*Objective
	Status         Status
	Zone, ZoneHref string
	Path, Back     string
	May            bool
	Pairs          []shownPair
	Headline, Rest string // the status' sentence: its first part, and what follows
	Achieved       string
	Since          time.Time // of the oldest alert that stands
	Fastest        string    // "pages at 14.4×"
	Ranges         []ui.Link
	Live           string // URL of the fragments
	Budget, Burn   ui.Chart
	Past           []Past
	Older          string // URL of older transitions
	Record         string // changes of the objective itself
}

func (p *pages) showOne(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	o, s, err := p.Status(v.ctx, v.account, r.PathValue("slo_id"))
	if err != nil {
		return err
	}
	rg, _ := RangeOf(r.URL.Query().Get("range"))
	path := objectivePath(v.account, o.ID)
	page := objectivePage{Objective: o, Status: s, Path: path, Back: objectivesPath(v.account), May: v.can(account.SLOWrite),
		Live: path + "?" + url.Values{"range": {rg.Name}}.Encode()}
	if _, page.Zone, err = p.cfg.Zone(v.ctx, v.account, o.Match.Zone); err != nil {
		return err
	}
	page.Headline, page.Rest = cutSentence(s.Sentence)
	page.Achieved = "–"
	if s.Budget.Total > 0 {
		page.Achieved = strconv.FormatFloat(math.Floor(s.Budget.Achieved*1000)/1000, 'f', 3, 64) + " %"
	}
	page.Zone = cmp.Or(page.Zone, "a deleted property")
	if v.can(account.AuditRead) {
		page.ZoneHref = account.RecordPath(v.account) + "?" + url.Values{"zone": {o.Match.Zone}}.Encode()
		page.Record = account.RecordPath(v.account) + "?" + url.Values{"resource_id": {o.ID}}.Encode()
	}
	for i, one := range s.Pairs {
		shown := shownPair{PairStatus: one, LongOn: one.Long.Burn > one.Factor, ShortOn: one.Short.Burn > one.Factor}
		if one.Since != nil {
			shown.SinceAt = one.Since.Time
			if page.Since.IsZero() || shown.SinceAt.Before(page.Since) {
				page.Since = shown.SinceAt
			}
		}
		if i == 0 {
			page.Fastest = map[Severity]string{Page: "pages", Ticket: "opens a ticket"}[one.Severity] + " at " + factorWords(one.Factor)
		}
		page.Pairs = append(page.Pairs, shown)
	}
	for _, one := range Ranges {
		page.Ranges = append(page.Ranges, ui.Link{Label: one.Name, Href: path + "?" + url.Values{"range": {one.Name}}.Encode(), Current: one.Name == rg.Name})
	}
	if target := ui.Target(r); !ui.Fragment(r) || target == "objective-charts" {
		if err := p.charts(v, &page, rg); err != nil {
			return err
		}
	}
	list, err := p.pastPage(v.ctx, p.Cursors, o, web.Paging{Cursor: r.URL.Query().Get("cursor"), Limit: pastRows})
	if err != nil {
		return err
	}
	page.Past = list.Items
	if list.Cursor != "" {
		page.Older = path + "?" + url.Values{"cursor": {list.Cursor}, "range": {rg.Name}}.Encode()
	}
	return p.show(w, v, o.Name, "objective", 0, page)
}

// cutSentence gives the first sentence, and what follows.
func cutSentence(s string) (first, rest string) {
	first, rest, found := strings.Cut(s, ". ")
	if found {
		first += "."
	}
	return first, rest
}

func factorWords(f float64) string { return fmt.Sprintf("%.4g×", f) }

// charts draws the budget and the burn, with what happened as marks.
func (p *pages) charts(v visit, page *objectivePage, rg Range) error {
	o := page.Objective
	series, err := p.Series(v.ctx, o, rg)
	if err != nil {
		return err
	}
	page.Budget = ui.Chart{Label: "Error budget left", Unit: "%", Empty: "Nothing has been counted in this time",
		Levels: []ui.ChartLevel{{Y: 0, Label: "spent", Tone: ui.Bad}}}
	page.Burn = ui.Chart{Label: "Burn rate", Unit: "×", Empty: page.Budget.Empty, Min: new(float64)}
	if len(series.Points) == 0 {
		return nil
	}
	left := ui.ChartSeries{Name: "Budget left", Fill: true}
	burns := make([]ui.ChartSeries, len(rg.Burns))
	most := 0.0
	for _, point := range series.Points {
		at := point.At.Unix()
		page.Budget.X, page.Burn.X = append(page.Budget.X, at), append(page.Burn.X, at)
		left.Y = append(left.Y, percent(point.BudgetLeft))
		for i, w := range rg.Burns {
			var y *float64
			if rate, ok := point.Burn[w.String()]; ok {
				y, most = &rate, max(most, rate)
			}
			burns[i].Y = append(burns[i].Y, y)
		}
	}
	for i, w := range rg.Burns {
		burns[i].Name = "over " + w.String()
		burns[i].Tone = [...]ui.Tone{ui.Accent, ui.Warn, ui.Info}[i]
	}
	// A pair's level belongs to the chart that shows its long window.
	top := 0.0
	for _, pair := range o.rules {
		if slices.Contains(rg.Burns, pair.Long) || len(page.Burn.Levels) == 0 {
			page.Burn.Levels = append(page.Burn.Levels, ui.ChartLevel{Y: pair.Factor, Label: pair.String() + " fires at " + factorWords(pair.Factor),
				Tone: map[Severity]ui.Tone{Page: ui.Bad, Ticket: ui.Warn}[pair.Severity]})
			top = max(top, pair.Factor)
		}
	}
	// An outage burns a thousand times too fast: beyond three times the highest
	// level the rest of the chart would be a line on its axis.
	limit := max(top*1.2, min(most*1.05, top*3))
	page.Burn.Max = &limit
	if most > limit {
		page.Burn.Summary = "The axis is cut: the highest rate is " + times(most) + "×."
	}
	page.Budget.Series, page.Burn.Series = []ui.ChartSeries{left}, burns
	low, high := lowest(left.Y), 100.0
	if rg.Seconds > 86400 || low < 60 {
		low = min(0, max(low, -100))
	} else {
		low = low - (100-low)*0.2 - 0.5
	}
	page.Budget.Min, page.Budget.Max = &low, &high
	if low > 0 {
		page.Budget.Levels = nil
	}
	marks, err := p.marks(v, o, page.Budget.X)
	page.Budget.Marks, page.Burn.Marks = nil, marks
	return err
}

func percent(left *float64) *float64 {
	if left == nil {
		return nil
	}
	y := 100 * *left
	return &y
}

func lowest(list []*float64) float64 {
	low := 100.0
	for _, y := range list {
		if y != nil {
			low = min(low, *y)
		}
	}
	return low
}

// marks are what happened in the time of a chart: changes to the zone, and what
// began and ceased to fire.
func (p *pages) marks(v visit, o *Objective, x []int64) ([]ui.ChartMark, error) {
	since, until := x[0], x[len(x)-1]
	var marks []ui.ChartMark
	if p.Changes != nil && v.can(account.AuditRead) {
		changes, err := p.Changes(v.ctx, v.account, o.Match.Zone, time.Unix(since, 0), time.Unix(until, 0), marksOfChanges)
		if err != nil {
			p.log.WarnContext(v.ctx, "a chart has no marks of changes", "error", err)
		}
		for _, c := range changes {
			marks = append(marks, ui.ChartMark{At: c.At.Unix(), Label: c.Label, Href: c.Href, Tone: ui.Info})
		}
	}
	past, err := p.Transitions(v.ctx, o, since, newestPast, marksOfAlerts)
	if err != nil {
		return nil, err
	}
	for _, t := range past {
		mark := ui.ChartMark{At: t.At.Unix(), Label: t.Pair.String() + " fired", Tone: ui.Bad}
		if t.Event == End {
			mark.Label, mark.Tone = t.Pair.String()+" ended", ui.Good
		}
		marks = append(marks, mark)
	}
	slices.SortStableFunc(marks, func(a, b ui.ChartMark) int { return cmp.Compare(a.At, b.At) })
	return marks, nil
}
