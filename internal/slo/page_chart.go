package slo

import (
	"cmp"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// charts draws the budget and the burn rates, with changes and alerts as marks.
func (p *pages) charts(v *page.Visit, data *objectivePage, rg Range) error {
	o := data.Objective
	series, err := p.Series(v.Context(), o, rg)
	if err != nil {
		return err
	}
	const empty = "Nothing has been counted in this time"
	data.Budget = ui.Chart{Label: "Error budget left", Unit: "%", Empty: empty}
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
	drawBudget(&data.Budget, series, rg)
	drawBurn(&data.Burn, series, rg, o.rules)
	data.Burn.Marks, err = p.marks(v, o, x)
	return err
}

func drawBudget(c *ui.Chart, series Series, rg Range) {
	left := ui.ChartSeries{Name: "Budget left", Fill: true}
	low := 100.0
	for _, point := range series.Points {
		y := percent(point.BudgetLeft)
		left.Y = append(left.Y, y)
		if y != nil {
			low = min(low, *y)
		}
	}
	c.Series = []ui.ChartSeries{left}
	if rg.Seconds > 86400 || low < 60 {
		low = min(0, max(low, -100))
	} else {
		low = low - (100-low)*0.2 - 0.5
	}
	high := 100.0
	c.Min = &low
	c.Max = &high
	if low <= 0 {
		c.Levels = []ui.ChartLevel{{Y: 0, Label: "spent", Tone: ui.Bad}}
	}
}

func drawBurn(c *ui.Chart, series Series, rg Range, rules []Pair) {
	most := 0.0
	tones := [...]ui.Tone{ui.Accent, ui.Warn, ui.Info}
	for i, w := range rg.Burns {
		one := ui.ChartSeries{Name: "over " + w.String(), Tone: tones[i]}
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
		tone := ui.Bad
		if pair.Severity == Ticket {
			tone = ui.Warn
		}
		label := pair.String() + " fires at " + factorText(pair.Factor)
		c.Levels = append(c.Levels, ui.ChartLevel{Y: pair.Factor, Label: label, Tone: tone})
		top = max(top, pair.Factor)
	}
	// In an outage the budget burns a thousand times too fast. Without this limit of three times the highest level, the
	// rest of the chart would be a line on its axis.
	limit := max(top*1.2, min(most*1.05, top*3))
	c.Max = &limit
	if most > limit {
		c.Summary = "The axis is cut: the highest rate is " + times(most) + "×."
	}
}

func percent(left *float64) *float64 {
	if left == nil {
		return nil
	}
	y := 100 * *left
	return &y
}

// marks lists the changes of the zone, and the starts and ends of firing, in the time of a chart.
func (p *pages) marks(v *page.Visit, o *Objective, x []int64) ([]ui.ChartMark, error) {
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
	slices.SortStableFunc(marks, func(a, b ui.ChartMark) int { return cmp.Compare(a.At, b.At) })
	return marks, nil
}
