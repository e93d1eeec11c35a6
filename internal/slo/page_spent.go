package slo

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// spentPage is the part "What spent the budget" of an objective's page.
type spentPage struct {
	Sentence string
	Days     ui.Columns
	Worst    []spentRow
	Weeks    []weekRow
	Parts    []partRow
	Whole    bool   // the objective applies to a whole property
	Kept     string // how long counts are kept
}

// spentRow is a day.
type spentRow struct {
	SpentTime
	Share   string // of the budget
	Chart   string // URL that shows the day on the charts
	Changes string // audit log of the day; "" = the visitor may not read it
}

// weekRow is a week or a window beside the one before it.
type weekRow struct {
	SpentTime
	Name   string
	Good   string // percent
	Share  string // of the budget
	Change string // in failures, against the week before
	Tone   ui.Tone
}

// partRow is a part of the property.
type partRow struct {
	SpentPart
	Name  string
	Text  string // share of the failures
	Width float64
}

// worstDays is how many days are listed.
const worstDays = 5

func spentPageOf(d *objectivePage, s Spending) *spentPage {
	out := &spentPage{Whole: d.seriesKey().kind == kindZone, Sentence: spentSentence(s)}
	out.Kept = keptText() + "."
	out.Days = ui.Columns{Label: "Failed requests by day", From: "", To: ""}
	for _, day := range s.Days {
		title := fmt.Sprintf("%s: %s of %s failed, %s of the budget",
			day.Start.UTC().Format("2 Jan"), grouped(day.Bad), grouped(day.Total), shareOfBudget(day.Spent))
		column := ui.Column{Title: title, Bad: float64(day.Bad)}
		out.Days.Columns = append(out.Days.Columns, column)
	}
	if n := len(s.Days); n > 0 {
		out.Days.From = s.Days[0].Start.UTC().Format("2 Jan")
		out.Days.To = s.Days[n-1].Start.UTC().Format("2 Jan")
	}
	worst := slices.Clone(s.Days)
	slices.SortStableFunc(worst, func(a, b SpentTime) int {
		return cmp.Or(cmp.Compare(b.Bad, a.Bad), b.Start.Compare(a.Start.Time))
	})
	for _, day := range worst[:min(len(worst), worstDays)] {
		if day.Bad > 0 {
			out.Worst = append(out.Worst, d.spentRow(day))
		}
	}
	if s.Before != nil {
		out.Weeks = windowRows(d, s)
	}
	for i, w := range s.Weeks {
		out.Weeks = append(out.Weeks, weekRowOf(s.Weeks, i, w))
	}
	names := map[string]string{kindHostname: "host", kindOrigin: "origin", kindPathClass: "paths"}
	for _, part := range s.Parts {
		out.Parts = append(out.Parts, partRow{
			SpentPart: part,
			Name:      names[part.Kind] + " " + part.Value,
			Text:      percentText(part.Share),
			Width:     100 * min(1, part.Share),
		})
	}
	return out
}

// keptText says how long counts are kept.
func keptText() string { return fmt.Sprintf("Counts are kept for %d days", kept/86_400) }

// spentSentence sums up the spending.
func spentSentence(s Spending) string {
	switch {
	case s.Total == 0:
		return "Nothing was counted in the window yet."
	case s.Failed == 0:
		return "No request failed in the window: nothing of the budget is spent."
	}
	text := fmt.Sprintf("%s of %s requests failed: %s of the budget is spent.",
		grouped(s.Failed), grouped(s.Total), shareOfBudget(s.Spent))
	most := SpentTime{}
	for _, day := range s.Days {
		if day.Bad > most.Bad {
			most = day
		}
	}
	if 2*most.Bad > s.Failed && len(s.Days) > 1 {
		text += " " + most.Start.UTC().Format("2 January") + " alone spent " + shareOfBudget(most.Spent) + "."
	}
	return text
}

// shareOfBudget is a part of a budget: 61 %, 0.4 %, 210 %.
func shareOfBudget(part float64) string {
	switch p := 100 * part; {
	case p <= 0:
		return "nothing"
	case p < 0.1:
		return "less than 0.1 %"
	case p < 10:
		return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + " %"
	default:
		return grouped(uint64(math.Round(p))) + " %"
	}
}

func (d *objectivePage) spentRow(day SpentTime) spentRow {
	from, to := day.Start.Unix(), day.End.Unix()
	row := spentRow{SpentTime: day, Share: shareOfBudget(day.Spent)}
	row.Chart = d.Path + "?" + url.Values{
		"range": {rangeWith(from, d.timeline.clock)},
		"from":  {strconv.FormatInt(from, 10)},
		"to":    {strconv.FormatInt(to, 10)},
	}.Encode()
	if d.audit != "" {
		row.Changes = d.audit + "?" + url.Values{
			"zone":   {d.Match.Zone},
			"since":  {day.Start.UTC().Format(time.RFC3339)},
			"before": {day.End.UTC().Format(time.RFC3339)},
		}.Encode()
	}
	return row
}

// rangeWith is the shortest range of the charts, of weeks, that reaches back to a time.
func rangeWith(from, clock int64) string {
	for _, rg := range Ranges {
		if rg.Seconds >= week && from >= clock-rg.Seconds {
			return rg.Name
		}
	}
	return Ranges[len(Ranges)-1].Name
}

// windowRows are the window and the one before it. One of the calendar that is not over has fewer requests, so its
// failures are not compared.
func windowRows(d *objectivePage, s Spending) []weekRow {
	begins := d.Window.Begins(s.AsOf.Unix())
	now := spentIn(begins, s.AsOf.Unix(), Tally{Total: s.Total, Bad: s.Failed}, 0)
	now.Spent = s.Spent
	rows := []weekRow{weekRowOf([]SpentTime{now, *s.Before}, 0, now), weekRowOf([]SpentTime{*s.Before}, 0, *s.Before)}
	if d.Window.IsCalendar() {
		rows[0].Name = "This " + d.Window.String() + " so far"
		rows[0].Change = "–"
		rows[0].Tone = ""
		rows[1].Name = "The " + d.Window.String() + " before"
		return rows
	}
	days := strconv.FormatInt(d.Window.Seconds()/86_400, 10)
	rows[0].Name = "Last " + days + " days"
	rows[1].Name = "The " + days + " days before"
	return rows
}

// weekRowOf compares a week with the one before it, which follows in the list.
func weekRowOf(weeks []SpentTime, i int, w SpentTime) weekRow {
	row := weekRow{SpentTime: w, Share: shareOfBudget(w.Spent), Good: "–", Change: "–"}
	row.Name = w.Start.UTC().Format("2 Jan") + " – " + w.End.UTC().Format("2 Jan")
	if i == 0 {
		row.Name = "Last 7 days"
	}
	if w.Reached != nil {
		row.Good = reachedText(*w.Reached)
	}
	if i+1 == len(weeks) {
		return row
	}
	before := weeks[i+1]
	switch {
	case before.Bad == w.Bad:
		row.Change = "as many failures"
	case before.Bad == 0:
		row.Change = "none the week before"
		row.Tone = ui.Bad
	case w.Bad >= 2*before.Bad:
		row.Change = times(float64(w.Bad)/float64(before.Bad)) + "× as many failures"
		row.Tone = ui.Bad
	case w.Bad > before.Bad:
		row.Change = changeText(w.Bad-before.Bad, before.Bad) + " more failures"
		row.Tone = ui.Bad
	case w.Bad == 0:
		row.Change = "no failures any more"
		row.Tone = ui.Good
	default:
		row.Change = changeText(before.Bad-w.Bad, before.Bad) + " fewer failures"
		row.Tone = ui.Good
	}
	return row
}

// changeText is a difference as a part of the value before.
func changeText(difference, before uint64) string {
	return strconv.FormatFloat(math.Round(100*float64(difference)/float64(before)), 'f', 0, 64) + " %"
}
