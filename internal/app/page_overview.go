package app

import (
	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
)

// overviewPage is the data of the template "overview". The page answers first
// whether anything is wrong, and then what happened.
type overviewPage struct {
	Name, Base string
	Alerts     *notify.AlertSummary // nil: the visitor may not see alerts
	Watched    bool                 // the visitor may see objectives
	Objectives []slo.Summary        // the worst first
	Burning    int                  // of them
	Recovering int                  // of them
	Record     *audit.Overview      // nil: the visitor may not read the audit log
	Rejected   int64                // events that were rejected in the last 24 hours
	Faults     []producer.FaultCount
	Rejects    string // path of their page
}

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
	}
	// The two fragments are requested at different intervals.
	if v.Can(account.AuditRead) && (!ui.Fragment(v.Request) || ui.Target(v.Request) != "now") {
		if err := p.readRecord(v, &data); err != nil {
			return err
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
	p.useLiveSentences()
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
	data.Faults = rejected.Faults[:min(len(rejected.Faults), 8)]
	return nil
}

// useLiveSentences replaces the sentence of an alert about an objective, which has
// the numbers of its start, by the objective's current one, so that the banner and
// the objective's card have the same numbers.
func (p *overviewPage) useLiveSentences() {
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

// Rising is the sentence of an objective whose failures rise before an alert
// fires; "" if there is none.
func (p overviewPage) Rising() string {
	for _, o := range p.Objectives {
		if o.Rising {
			return o.Sentence
		}
	}
	return ""
}

// Calm describes the lowest error budget while no alert fires.
func (p overviewPage) Calm() string {
	for _, o := range p.Objectives {
		if o.Counted && o.State == slo.Healthy {
			return "The lowest error budget is that of " + o.Name + ": " + o.Left + " of it is left."
		}
	}
	return ""
}

// Silent is the number of objectives without data.
func (p overviewPage) Silent() (n int) {
	for _, o := range p.Objectives {
		if o.State == slo.NoData {
			n++
		}
	}
	return n
}

// budgetCard is an objective among the numbers.
type budgetCard struct {
	Name, Href, Value, Unit, Note string
	Tone                          ui.Tone
	Progress                      float64
}

// Budgets are the cards of the objectives, the worst first, at most four.
func (p overviewPage) Budgets() []budgetCard {
	var list []budgetCard
	for _, o := range p.Objectives[:min(len(p.Objectives), 4)] {
		c := budgetCard{
			Name:     o.Name,
			Href:     o.Href,
			Value:    o.Left,
			Unit:     "of its budget",
			Tone:     o.Tone,
			Progress: o.Bar,
			Note:     "burn rate " + o.Burn,
		}
		switch {
		case !o.Counted:
			c.Unit = ""
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
