package app

import (
	"net/http"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
)

// overviewPage answers: is anything wrong? And then: what happened?
type overviewPage struct {
	Name, Base string
	Alerts     *notify.Glance // nil: the visitor may not see alerts
	Watched    bool           // the visitor may see objectives
	Objectives []slo.Summary   // the worst first
	Burning    int            // of them
	Recovering int            // of them
	Record     *audit.Glance  // nil: the visitor may not read the record
	Rejected   int64          // events that were refused in the last 24 hours
	Faults     []producer.FaultCount
	Rejects    string // path of their page
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	who, id := web.CurrentPrincipal(ctx), web.Account(ctx).ID
	shell := p.Shell(r, who, id, "overview")
	shell.Title = "Overview"
	shell.Modules = append(shell.Modules, "x/audit/page_record.js")
	base := pathIn(accountPath, id)
	page := overviewPage{Name: shell.Account.Name, Base: base, Rejects: pathIn(producer.AccountRejectsPath, id)}
	if who.Can(id, account.NotificationsRead) {
		glance, err := p.app.Notify.Glance(ctx, id)
		if err != nil {
			return err
		}
		page.Alerts = &glance
	}
	if page.Watched = who.Can(id, account.SLORead); page.Watched {
		var err error
		if page.Objectives, err = p.app.SLO.Summaries(ctx, id); err != nil {
			return err
		}
		for _, o := range page.Objectives {
			switch o.State {
			case slo.Burning:
				page.Burning++
			case slo.Recovering:
				page.Recovering++
			}
		}
		page.sayLive()
	}
	// The two fragments are asked for again at different intervals.
	if who.Can(id, account.AuditRead) && (!ui.Fragment(r) || ui.Target(r) != "now") {
		var err error
		if page.Record, err = p.record.Glance(r); err != nil {
			return err
		}
		refused, err := p.app.Producer.SummariseRejects(ctx, producer.Rejects{Account: id})
		if err != nil {
			return err
		}
		page.Rejected, page.Faults = refused.Rejected, refused.Faults[:min(len(refused.Faults), 8)]
	}
	return p.set.Render(w, r, shell, "overview", page)
}

// sayLive replaces the sentence of an alert about an objective, which has the
// numbers of the moment at which it began, by the objective's present one: the
// banner and the card beside it come from one computation.
func (p *overviewPage) sayLive() {
	if p.Alerts == nil {
		return
	}
	for i := range p.Alerts.Firing {
		a := &p.Alerts.Firing[i]
		for _, o := range p.Objectives {
			if a.Objective == o.ID && (o.State == slo.Burning || o.State == slo.Recovering) {
				a.Sentence, a.Recovering = o.Sentence, o.State == slo.Recovering
			}
		}
	}
}

// Rising is the sentence of an objective whose failures rise before an alert
// fires; "" when there is none.
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
			c.Unit, c.Note = "", "No requests yet"
		case o.State == slo.Recovering:
			c.Note = "recovering, " + c.Note
		case o.State == slo.NoData:
			c.Note = "no requests lately"
		}
		list = append(list, c)
	}
	return list
}
