package notify

import (
	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addPagerDuty() {
	const base = "/accounts/{account_id}/notifications/pagerduty"
	p.Get(base+"/new", account.NotificationsWrite, p.showPagerDuty)
	p.Post(base, account.NotificationsWrite, page.Form[pagerDutyForm]{
		Parse:  parsePagerDuty,
		Do:     p.connectPagerDuty,
		Fields: []string{"name", "routing_key", "url"},
		Render: p.renderPagerDuty,
		Then:   p.pagerDutyConnected,
	}.Handle)
}

// pagerDutyForm is the input for a PagerDuty service.
type pagerDutyForm struct {
	Path, Action string
	Faults       ui.Faults
	Spec         PagerDutyCreate
}

// showPagerDuty keeps the id of a connection that the API began.
func (p *pages) showPagerDuty(v *page.Visit) error {
	f := pagerDutyForm{Spec: PagerDutyCreate{ConnectID: page.Cut(v.Query("connect"), 64)}}
	return p.renderPagerDuty(v, &f, ui.Faults{})
}

func parsePagerDuty(v *page.Visit) (pagerDutyForm, error) {
	return pagerDutyForm{Spec: PagerDutyCreate{
		Name:       v.Field("name", 1024),
		RoutingKey: v.Field("routing_key", 256),
		URL:        v.Field("url", 4096),
		ConnectID:  v.Field("connect", 64),
	}}, nil
}

func (p *pages) connectPagerDuty(v *page.Visit, f *pagerDutyForm) error {
	_, err := p.CreatePagerDuty(v.Context(), v.Who, v.Account, f.Spec)
	return err
}

func (p *pages) renderPagerDuty(v *page.Visit, f *pagerDutyForm, faults ui.Faults) error {
	f.Faults = faults
	f.Path = NotificationsPath(v.Account)
	f.Action = f.Path + "/pagerduty"
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Connect a PagerDuty service",
		Template: "pagerduty-form",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *pages) pagerDutyConnected(v *page.Visit, _ *pagerDutyForm) error {
	return v.Redirect(NotificationsPath(v.Account), "pagerduty-connected")
}
