package app

import (
	"fmt"
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
	Objectives []slo.Glance   // the worst first
	Burning    int            // of them
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
		if page.Objectives, err = p.app.SLO.Glance(ctx, id); err != nil {
			return err
		}
		for _, o := range page.Objectives {
			if o.State == slo.Burning {
				page.Burning++
			}
		}
	}
	// The fragment that is asked for again has nothing of the record.
	if who.Can(id, account.AuditRead) && !ui.Fragment(r) {
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

// Calm says how things stand while nothing fires.
func (p overviewPage) Calm() string {
	for _, o := range p.Objectives {
		if o.Counted {
			return fmt.Sprintf("%s has %s of its budget left.", o.Name, leftOf(o.BudgetLeft))
		}
	}
	return ""
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
		c := budgetCard{Name: o.Name, Href: o.Href, Value: leftOf(o.BudgetLeft), Unit: "of its budget", Progress: max(0, 100*o.BudgetLeft)}
		switch {
		case !o.Counted:
			c.Value, c.Unit, c.Progress, c.Note = "–", "", 0, "No requests yet"
		case o.State == slo.Burning:
			c.Tone, c.Note = ui.Bad, fmt.Sprintf("burns %.3g times too fast", o.Burn)
		case o.State == slo.NoData:
			c.Note = "no requests lately"
		case o.BudgetLeft < 0.25:
			c.Tone, c.Note = ui.Warn, fmt.Sprintf("burn rate %.2g× over the last hour", o.Burn)
		default:
			c.Note = fmt.Sprintf("burn rate %.2g× over the last hour", o.Burn)
		}
		list = append(list, c)
	}
	return list
}

// leftOf writes 91 %, 0.4 %, nothing.
func leftOf(left float64) string {
	switch p := 100 * left; {
	case p <= 0:
		return "nothing"
	case p < 1:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%d %%", int(p))
	}
}
