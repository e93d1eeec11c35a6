package app

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
)

// overviewPage is the data of the template "overview". The page answers first whether anything is wrong, since when,
// after which change and what to do, and then what happened.
type overviewPage struct {
	Name, Base string
	Alerts     *notify.AlertSummary // nil: the visitor may not see alerts
	Watched    bool                 // the visitor may see objectives
	Objectives []slo.Summary        // the worst first
	Sparks     map[string][]float64 // budget left over the last day, by objective
	Burning    int                  // of them
	Recovering int                  // of them
	Record     *audit.Overview      // nil: the visitor may not read the audit log
	Rejected   int64                // events that were rejected in the last 24 hours
	Faults     []producer.FaultCount
	Rejects    string     // path of their page
	Checklist  *checklist // nil: done or dismissed
	Steps      []paletteAction
}

// Limits of the overview.
const (
	overviewObjectives = 4 // cards
	overviewFaults     = 5
	overviewSteps      = 4
	sparksTTL          = time.Minute
)

func (p *pages) overview(v *page.Visit) error {
	ctx := v.Context()
	id := v.Account
	data := overviewPage{
		Name:    firstOf(p.app.accountName(ctx, id), "Account"),
		Base:    pathIn(accountPath, id),
		Rejects: pathIn(producer.AccountRejectsPath, id),
	}
	if v.Can(account.NotificationsRead) {
		alerts, err := p.app.Notify.AlertSummary(ctx, id)
		if err != nil {
			return err
		}
		data.Alerts = &alerts
	}
	if v.Can(account.SLORead) {
		list, err := p.app.SLO.Summaries(ctx, id)
		if err != nil {
			return err
		}
		data.setObjectives(list)
		if data.Sparks, err = p.sparksOf(ctx, id); err != nil {
			return err
		}
	}
	// The fragments are requested at different intervals.
	part := ""
	if ui.Fragment(v.Request) {
		part = ui.Target(v.Request)
	}
	if v.Can(account.AuditRead) && part != "now" && part != checklistID {
		if err := p.readRecord(v, &data); err != nil {
			return err
		}
	}
	if part == "" || part == checklistID {
		var err error
		if data.Checklist, err = p.checklist(v); err != nil {
			return err
		}
	}
	if part == "" {
		steps, err := p.actions(v)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if !s.Post && !strings.HasPrefix(s.Label, "See ") && len(data.Steps) < overviewSteps {
				data.Steps = append(data.Steps, s)
			}
		}
	}
	return v.Show(page.View{
		Section:  "overview",
		Title:    "Overview",
		Template: "overview",
		Data:     data,
		Modules:  []string{"x/audit/page_record.js"},
	})
}

// sparksOf reads the lines of the cards. They are kept for a minute: they read the history of the objectives.
func (p *pages) sparksOf(ctx context.Context, accountID string) (map[string][]float64, error) {
	return p.sparks.Get(ctx, accountID, func(ctx context.Context) (map[string][]float64, error) {
		return p.app.SLO.Sparks(ctx, accountID, overviewObjectives)
	})
}

// setObjectives fills the part of the page about objectives.
func (p *overviewPage) setObjectives(list []slo.Summary) {
	p.Watched = true
	p.Objectives = list
	for _, o := range list {
		switch o.State {
		case slo.Burning:
			p.Burning++
		case slo.Recovering:
			p.Recovering++
		}
	}
	p.sayLive()
}

// readRecord fills the part of the page about the audit log.
func (p *pages) readRecord(v *page.Visit, data *overviewPage) (err error) {
	if data.Record, err = p.app.Audit.Overview(v); err != nil {
		return err
	}
	rejected, err := p.app.Producer.SummariseRejects(v.Context(), producer.Rejects{Account: v.Account})
	if err != nil {
		return err
	}
	data.Rejected = rejected.Rejected
	data.Faults = rejected.Faults[:min(len(rejected.Faults), overviewFaults)]
	return nil
}

// sayLive replaces the sentence of an alert about an objective, which has the numbers of the moment at which it began,
// by the objective's present one: the banner and the card beside it come from one computation.
func (p *overviewPage) sayLive() {
	if p.Alerts == nil {
		return
	}
	for i := range p.Alerts.Firing {
		a := &p.Alerts.Firing[i]
		for _, o := range p.Objectives {
			if a.Objective == o.ID && (o.State == slo.Burning || o.State == slo.Recovering) {
				a.Sentence = o.Sentence
				a.Recovering = o.State == slo.Recovering
			}
		}
	}
}

// Rising is the sentence of an objective whose failures rise before an alert fires; "" when there is none.
func (p overviewPage) Rising() string {
	for _, o := range p.Objectives {
		if o.Rising {
			return o.Sentence
		}
	}
	return ""
}

// Calm says how things stand while nothing fires.
func (p overviewPage) Calm() string {
	for _, o := range p.Objectives {
		if o.Counted && o.State == slo.Healthy {
			return "The lowest error budget is that of " + o.Name + ": " + o.Left + " of it is left."
		}
	}
	return ""
}

// Silent is how many objectives have no data.
func (p overviewPage) Silent() (n int) {
	for _, o := range p.Objectives {
		if o.State == slo.NoData {
			n++
		}
	}
	return n
}

// Budgets are the cards of the objectives, the worst first.
func (p overviewPage) Budgets() []ui.Metric {
	var list []ui.Metric
	for _, o := range p.Objectives[:min(len(p.Objectives), overviewObjectives)] {
		c := ui.Metric{
			Label:    o.Name,
			Icon:     "target",
			Href:     o.Href,
			Value:    o.Left,
			Unit:     "of its budget",
			Tone:     o.Tone,
			Progress: o.Bar,
			Note:     "burn rate " + o.Burn,
			Spark:    p.Sparks[o.ID],
		}
		switch {
		case !o.Counted:
			c.Unit = ""
			c.Progress = 0
			c.NoData = true
			c.Note = "No requests yet"
		case o.State == slo.Recovering:
			c.Note = "recovering, " + c.Note
		case o.State == slo.NoData:
			c.Note = "no requests lately"
		}
		list = append(list, c)
	}
	return list
}
