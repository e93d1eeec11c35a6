package notify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/page"
)

// notificationsPage is the data of the template "notifications".
type notificationsPage struct {
	Path       string
	May        bool
	Policies   []shownPolicy // the first by name
	Total      int           // policies
	All        string        // list of the policies
	Webhooks   []shownWebhook
	Mail       []shownWebhook
	Pagers     []shownWebhook // PagerDuty services
	Deliveries []deliveryRow
	Failed     int
	Broken     []shownWebhook
	Alerts     string
	Sent       string // list of all deliveries
}

func (p *pages) showNotifications(v *page.Visit) error {
	out := notificationsPage{
		Path:   NotificationsPath(v.Account),
		May:    v.Can(account.NotificationsWrite),
		Alerts: AlertsPath(v.Account),
		Sent:   deliveriesPath(v.Account),
		All:    policiesPath(v.Account),
	}
	hooks, err := p.Webhooks(v.Context(), v.Account)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, h := range hooks {
		names[h.ID] = h.Name
		s := shownWebhookOf(v.Account, h)
		out.Webhooks = append(out.Webhooks, s)
		if h.State != delivery.DestinationOK {
			out.Broken = append(out.Broken, s)
		}
	}
	pagers, err := p.destinations(v.Context(), v.Account, KindPagerDuty)
	if err != nil {
		return err
	}
	for _, d := range pagers {
		out.Pagers = append(out.Pagers, shownWebhookOf(v.Account, d))
	}
	mail, err := p.destinations(v.Context(), v.Account, KindEmail)
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	out.Total = len(policies)
	slices.SortFunc(policies, func(a, b Policy) int {
		return cmp.Or(strings.Compare(page.ByName(a.Name), page.ByName(b.Name)), strings.Compare(a.ID, b.ID))
	})
	used := map[string]bool{}
	for i, one := range policies {
		if i < hubRows {
			s, err := p.shownPolicy(v, one, names)
			if err != nil {
				return err
			}
			out.Policies = append(out.Policies, s)
		}
		for _, e := range one.Mechanisms.Email {
			used[foldAddress(e.ID)] = true
		}
	}
	for _, m := range mail {
		if used[m.URL] {
			s := shownWebhookOf(v.Account, m)
			if s.Unconfirmed, err = p.unconfirmed(v.Context(), v.Account, []string{m.URL}); err != nil {
				return err
			}
			out.Mail = append(out.Mail, s)
		}
	}
	list, err := p.deliveriesAfter(v.Context(), deliveryFilter{account: v.Account}, "", hubRows)
	if err != nil {
		return err
	}
	if out.Deliveries, err = p.deliveryRows(v, list); err != nil {
		return err
	}
	if out.Failed, err = p.failures(v.Context(), v.Account); err != nil {
		return err
	}
	return v.Show(page.View{Template: "notifications", Section: "notifications", Title: "Notifications", Data: out})
}
