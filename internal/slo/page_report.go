package slo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// reportPath is the path of the monthly report of an account's objectives.
func reportPath(accountID string) string { return objectivesPath(accountID) + "/report" }

// reportPage is the data of the template "objectives-report".
type reportPage struct {
	Report
	Title   string
	Back    string
	Months  []ui.Link
	Missing string // what the report lacks; ""
	Metrics []ui.Metric
	Rows    []reportRow
	Curl    string
	Mail    *reportMailPart
}

// reportRow is an objective in the report.
type reportRow struct {
	ReportedLine
	Href     string
	ZoneName string
	Part     string
	Percent  string
	Good     string
	Spent    string
	Bar      float64
	Tone     ui.Tone
	Word     string
	Paged    string
	Worst    string
	WorstBad string
}

func (p *pages) showReport(v *page.Visit) error {
	return p.renderReport(v, nil, ui.Faults{})
}

// renderReport shows the report of the month that the URL names. f is the input of the form for its mails; nil = what
// is stored.
func (p *pages) renderReport(v *page.Visit, f *reportMailForm, faults ui.Faults) error {
	r, err := p.MonthlyReport(v.Context(), v.Account, v.Query("month"))
	if err != nil {
		return err
	}
	first := r.From.UTC()
	data := reportPage{
		Report:  r,
		Title:   first.Format("January 2006"),
		Back:    objectivesPath(v.Account),
		Missing: r.missing(),
	}
	now := p.now().UTC()
	present := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	oldest := now.Add(-time.Duration(kept) * time.Second)
	for i := 0; ; i++ {
		at := present.AddDate(0, -i, 0)
		if i > 0 && at.AddDate(0, 1, 0).Before(oldest) {
			break // of this month no count is kept
		}
		data.Months = append(data.Months, ui.Link{
			Label:   at.Format("January 2006"),
			Href:    ui.With(v.Request.URL, "month", at.Format(monthLayout)),
			Current: at.Equal(first),
		})
	}
	data.Curl = "curl -fsS '" + p.URL() + "/client/v4/accounts/" + v.Account + "/slos/report?month=" + r.Month + "' \\\n" +
		"  -H \"Authorization: Bearer $BELFRY_TOKEN\""
	names := p.zoneNames(v.Account)
	for _, line := range r.Objectives {
		row, err := reportRowOf(v.Context(), v.Account, line, names)
		if err != nil {
			return err
		}
		data.Rows = append(data.Rows, row)
	}
	data.setMetrics()
	if data.Mail, err = p.reportMailPart(v, f, faults); err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  section,
		Title:    "Objectives in " + data.Title,
		Template: "objectives-report",
		Status:   faults.Status,
		Data:     data,
	})
}

// missing says which part of the month the report lacks.
func (r *Report) missing() string {
	var parts []string
	if r.CountsFrom.After(r.From.Time) {
		text := keptText() + ": the report begins on " +
			r.CountsFrom.UTC().Format("2 January 2006, 15:04") + " UTC."
		if !r.CountsFrom.Before(r.Until.Time) {
			text = keptText() + ": those of this month are no longer there."
		}
		parts = append(parts, text)
	}
	if r.Until.Before(r.From.AddDate(0, 1, 0)) {
		until := r.Until.UTC().Format("2 January 2006, 15:04")
		parts = append(parts, "The month is not over: the report ends on "+until+" UTC.")
	}
	return strings.Join(parts, " ")
}

func reportRowOf(
	ctx context.Context, accountID string, line ReportedLine, names func(context.Context, string) (string, error),
) (reportRow, error) {
	row := reportRow{
		ReportedLine: line,
		Href:         objectivePath(accountID, line.ID),
		Part:         line.objective.Part(),
		Percent:      line.objective.Percent(),
		Good:         "–",
		Spent:        "–",
		Word:         "No requests",
		Paged:        "none",
		Worst:        "–",
	}
	zone, err := names(ctx, line.Zone)
	row.ZoneName = cmp.Or(zone, deletedZone)
	var alerts []string
	if n := line.Alerts.Page; n > 0 {
		alerts = append(alerts, countText(uint64(n), "page", "pages"))
	}
	if n := line.Alerts.Ticket; n > 0 {
		alerts = append(alerts, countText(uint64(n), "ticket", "tickets"))
	}
	if len(alerts) > 0 {
		row.Paged = strings.Join(alerts, ", ")
	}
	if line.Reached == nil {
		return row, err
	}
	row.Good = reachedText(*line.Reached)
	row.Spent = shareOfBudget(line.BudgetSpent)
	row.Bar = 100 * min(1, line.BudgetSpent)
	row.Word = "Reached"
	row.Tone = ui.Good
	if !line.Met {
		row.Word = "Missed"
		row.Tone = ui.Bad
	}
	if w := line.WorstDay; w != nil {
		row.Worst = w.Start.UTC().Format("Mon 2 Jan")
		row.WorstBad = grouped(w.Bad) + " failed, " + shareOfBudget(w.Spent) + " of the budget"
	}
	return row, err
}

func (d *reportPage) setMetrics() {
	met := 0
	active := 0
	var alerts AlertCounts
	for _, r := range d.Rows {
		if r.Reached != nil {
			active++
		}
		if r.Met {
			met++
		}
		alerts.Page += r.Alerts.Page
		alerts.Ticket += r.Alerts.Ticket
	}
	reached := ui.Metric{Label: "Targets reached", Icon: "target", Tone: ui.Good}
	reached.Value = fmt.Sprintf("%d of %d", met, active)
	if met < active {
		reached.Tone = ui.Bad
	}
	if active == 0 {
		reached.Value = "–"
		reached.Tone = ""
	}
	if silent := len(d.Rows) - active; silent > 0 {
		reached.Note = countText(uint64(silent), "objective", "objectives") + " without requests"
	}
	paged := ui.Metric{Label: "Pages", Icon: "siren", Value: fmt.Sprint(alerts.Page)}
	tickets := ui.Metric{Label: "Tickets", Icon: "tag", Value: fmt.Sprint(alerts.Ticket)}
	d.Metrics = []ui.Metric{reached, paged, tickets}
	if len(d.Rows) > 0 && d.Rows[0].Reached != nil {
		most := d.Rows[0]
		worst := ui.Metric{Label: "Most budget spent", Icon: "flame", Value: most.Spent, Note: most.Name, Tone: most.Tone}
		d.Metrics = append(d.Metrics, worst)
	}
}

// sortReport sorts the lines by the budget that they spent.
func sortReport(lines []ReportedLine) {
	slices.SortStableFunc(lines, func(a, b ReportedLine) int {
		if (a.Total == 0) != (b.Total == 0) {
			return cmp.Compare(b.Total, a.Total)
		}
		return cmp.Or(cmp.Compare(b.BudgetSpent, a.BudgetSpent), cmp.Compare(a.Name, b.Name))
	})
}
