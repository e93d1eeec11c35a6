package slo

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// charts draws the burn rates and the budget, with changes and alerts as marks.
func (p *pages) charts(v *page.Visit, data *objectivePage, rg Range) error {
	o := data.Objective
	series := data.timeline.over(o, rg)
	const empty = "Nothing has been counted in this time"
	data.Budget = ui.Chart{Label: "Error budget left", Unit: "%", Empty: empty, Small: true}
	data.Burn = ui.Chart{Label: "Burn rate", Unit: "×", Empty: empty, Min: new(float64)}
	if len(series.Points) == 0 {
		return nil
	}
	x := make([]int64, len(series.Points))
	for i, point := range series.Points {
		x[i] = point.At.Unix()
	}
	data.Budget.X = x
	data.Burn.X = x
	if data.audit != "" {
		// The script replaces {from} and {to}, so they are not escaped.
		href := data.audit + "?" + url.Values{"zone": {o.Match.Zone}}.Encode() + "&since={from}&before={to}"
		data.Budget.AuditHref = href
		data.Burn.AuditHref = href
	}
	drawBudget(&data.Budget, series)
	drawBurn(&data.Burn, series, rg, o.rules)
	var err error
	data.Burn.Marks, err = p.marks(v, o, x, data.Status.Corrections)
	return err
}

// drawBudget draws the budget from zero. An overspent one is shown down to -100 %.
func drawBudget(c *ui.Chart, series Series) {
	left := ui.ChartSeries{Name: "Budget left", Fill: true}
	low := 0.0
	for _, point := range series.Points {
		y := percent(point.BudgetLeft)
		left.Y = append(left.Y, y)
		if y != nil {
			low = min(low, *y)
		}
	}
	c.Series = []ui.ChartSeries{left}
	low = max(low, -100)
	high := 100.0
	c.Min = &low
	c.Max = &high
	if low < 0 {
		c.Levels = []ui.ChartLevel{{Y: 0, Label: "spent", Tone: ui.Bad}}
	}
}

// drawBurn draws the burn rates. Extreme ones are drawn on a logarithmic axis, so that they and the levels are legible.
func drawBurn(c *ui.Chart, series Series, rg Range, rules []Pair) {
	most := 0.0
	tones := [...]ui.Tone{ui.Accent, ui.Warn, ui.Info}
	for i, w := range rg.Burns {
		one := ui.ChartSeries{Name: "over " + w.String(), Tone: tones[i%len(tones)]}
		for _, point := range series.Points {
			var y *float64
			if rate, ok := point.Burn[w.String()]; ok {
				y = &rate
				most = max(most, rate)
			}
			one.Y = append(one.Y, y)
		}
		c.Series = append(c.Series, one)
	}
	// A pair's level belongs to the chart that shows its long window.
	top := 0.0
	for _, pair := range rules {
		if !slices.Contains(rg.Burns, pair.Long) && len(c.Levels) > 0 {
			continue
		}
		factor := factorText(pair.Factor)
		level := ui.ChartLevel{Y: pair.Factor, Label: "pages at " + factor, Short: factor, Tone: ui.Bad}
		if pair.Severity == Ticket {
			level.Label = "ticket at " + factor
			level.Tone = ui.Warn
		}
		c.Levels = append(c.Levels, level)
		top = max(top, pair.Factor)
	}
	if most > 3*top {
		c.Log = true
		return
	}
	limit := max(top*1.2, most*1.05)
	c.Max = &limit
}

func percent(left *float64) *float64 {
	if left == nil {
		return nil
	}
	y := 100 * *left
	return &y
}

// marks lists the changes of the zone, the starts and ends of firing, and the corrections, in the time of a chart.
func (p *pages) marks(
	v *page.Visit, o *Objective, x []int64, corrections []ActiveCorrection,
) ([]ui.ChartMark, error) {
	since := x[0]
	until := x[len(x)-1]
	var marks []ui.ChartMark
	if p.cfg.Changes != nil && v.Can(account.AuditRead) {
		changes, err := p.cfg.Changes(v.Context(), ChangesQuery{
			Account: v.Account,
			Zone:    o.Match.Zone,
			Since:   time.Unix(since, 0),
			Until:   time.Unix(until, 0),
			Limit:   marksOfChanges,
		})
		if err != nil {
			p.log.WarnContext(v.Context(), "a chart has no marks of changes", "error", err)
		}
		for _, c := range changes {
			marks = append(marks, ui.ChartMark{At: c.At.Unix(), Label: c.Label, Href: c.Href, Tone: ui.Info})
		}
	}
	past, err := p.Transitions(v.Context(), o, since, newestPast, marksOfAlerts)
	if err != nil {
		return nil, err
	}
	for _, t := range past {
		mark := ui.ChartMark{At: t.At.Unix(), Label: t.Pair.String() + " fired", Tone: ui.Bad}
		if t.Event == End {
			mark.Label = t.Pair.String() + " ended"
			mark.Tone = ui.Good
		}
		marks = append(marks, mark)
	}
	marks = append(marks, correctionMarks(v.Account, corrections, since, until)...)
	slices.SortStableFunc(marks, func(a, b ui.ChartMark) int { return cmp.Compare(a.At, b.At) })
	return marks, nil
}

// correctionMarks are the beginnings of corrections in the time of a chart.
func correctionMarks(accountID string, list []ActiveCorrection, since, until int64) (marks []ui.ChartMark) {
	for _, c := range list {
		at := c.From.Unix()
		if c.Kind == Reset {
			at = c.To.Unix() // what it leaves out begins with the oldest counts
		}
		if at >= since && at <= until {
			marks = append(marks, ui.ChartMark{
				At:    at,
				Label: c.Kind.Word() + ": " + c.Reason,
				Href:  correctionPath(accountID, c.ID),
				Tone:  ui.Warn,
			})
		}
	}
	return marks
}
