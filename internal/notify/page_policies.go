package notify

import (
	"cmp"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/page"
)

func (p *pages) addPolicies() {
	const base = "/accounts/{account_id}/notifications"
	p.Get(base, account.NotificationsRead, p.showNotifications)
	p.Get(base+"/policies/new", account.NotificationsWrite, p.showNewPolicy)
	p.Post(base+"/policies", account.NotificationsWrite, page.Form[policyForm]{
		Parse:  p.parsePolicy,
		Do:     p.savePolicy,
		Fields: policyFields,
		Render: p.renderPolicy,
		Then:   p.policySaved,
	}.Handle)
	p.Get(base+"/policies/{policy_id}", account.NotificationsRead, p.showPolicy)
	p.Post(base+"/policies/{policy_id}", account.NotificationsWrite, page.Form[policyForm]{
		Parse:  p.parsePolicyChange,
		Do:     p.savePolicy,
		Fields: policyFields,
		Render: p.renderPolicy,
		Then:   p.policySaved,
	}.Handle)
	p.Confirm(base+"/policies/{policy_id}/test", account.NotificationsWrite, p.confirmTestPolicy, p.testPolicy)
	p.Confirm(base+"/policies/{policy_id}/delete", account.NotificationsWrite, p.confirmDeletePolicy, p.deletePolicy)
	p.Get(base+"/deliveries/{delivery_id}", account.NotificationsRead, p.showDelivery)
	p.Confirm(base+"/deliveries/{delivery_id}/replay", account.DeliveriesReplay, p.confirmReplayDelivery, p.replayDelivery)
}

// shownPolicy is a policy in the list, with its sentence.
type shownPolicy struct {
	Policy
	Href, What, Which, To string
	Unknown               bool   // no catalogue declares its type any more
	Nowhere               string // properties that it names and the account does not have
}

type notificationsPage struct {
	Path       string
	May        bool
	Policies   []shownPolicy
	Webhooks   []shownWebhook
	Mail       []shownWebhook
	Deliveries []deliveryRow
	Failed     int
	Broken     []shownWebhook
	Alerts     string
}

func (p *pages) showNotifications(v *page.Visit) error {
	out := notificationsPage{
		Path:   NotificationsPath(v.Account),
		May:    v.Can(account.NotificationsWrite),
		Alerts: AlertsPath(v.Account),
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
	mail, err := p.destinations(v.Context(), v.Account, KindEmail)
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, one := range policies {
		s, err := p.shownPolicy(v, one, names)
		if err != nil {
			return err
		}
		out.Policies = append(out.Policies, s)
		for _, e := range one.Mechanisms.Email {
			used[foldAddress(e.ID)] = true
		}
	}
	for _, m := range mail {
		if used[m.URL] {
			s := shownWebhookOf(v.Account, m)
			if s.Unconfirmed, err = p.unconfirmed(v.Context(), v.Account, m.URL); err != nil {
				return err
			}
			out.Mail = append(out.Mail, s)
		}
	}
	list, _, err := p.history(v.Context(), v.Account, time.Time{}, time.Time{}, 0, 20)
	if err != nil {
		return err
	}
	if err := p.entitle(v.Context(), v.Account, list); err != nil {
		return err
	}
	for _, d := range list {
		row := rowOf(v.Account, d)
		out.Deliveries = append(out.Deliveries, row)
	}
	if out.Failed, err = p.failures(v.Context(), v.Account); err != nil {
		return err
	}
	return v.Show(page.View{Template: "notifications", Section: "notifications", Title: "Notifications", Data: out})
}

// Summary is the summary of the delivery's alert.
func (d Delivery) Summary() string { return d.summary }

func (p *pages) shownPolicy(v *page.Visit, one Policy, names map[string]string) (shownPolicy, error) {
	s := shownPolicy{Policy: one, Href: NotificationsPath(v.Account) + "/policies/" + one.ID, What: one.AlertType}
	kind, err := p.AlertType(v.Context(), one.AlertType)
	if err != nil {
		return s, err
	}
	if s.Unknown = kind == nil; !s.Unknown {
		s.What = kind.Title
	}
	if err := p.resolveZones(v.Context(), &one); err != nil {
		return s, err
	}
	s.Nowhere = few(one.unknownZones())
	var to, which []string
	if to, err = p.destinationsOf(v, &one, names); err != nil {
		return s, err
	}
	s.To = few(to)
	s.Which = "for all properties"
	for _, key := range sortedKeys(one.Filters) {
		values := one.Filters[key]
		switch {
		case len(values) == 0:
		case key == zonesKey:
			s.Which = "for " + few(one.spoken(zonesKey, values))
		case key == zonesKey+notSuffix:
			s.Which = "for all properties except " + few(one.spoken(zonesKey, values))
		case strings.HasSuffix(key, notSuffix):
			which = append(which, strings.TrimSuffix(key, notSuffix)+" is not "+few(values))
		default:
			which = append(which, key+" is "+few(values))
		}
	}
	if len(which) > 0 {
		s.Which += ", " + strings.Join(which, ", ")
	}
	return s, nil
}

// destinationsOf are the names of a policy's destinations. names has the names of
// the webhooks; nil = they are read.
func (p *pages) destinationsOf(v *page.Visit, one *Policy, names map[string]string) (to []string, err error) {
	if names == nil {
		hooks, err := p.Webhooks(v.Context(), v.Account)
		if err != nil {
			return nil, err
		}
		names = map[string]string{}
		for _, h := range hooks {
			names[h.ID] = h.Name
		}
	}
	for _, e := range one.Mechanisms.Email {
		to = append(to, e.ID)
	}
	for _, h := range one.Mechanisms.Webhooks {
		to = append(to, cmp.Or(names[h.ID], "a webhook that was deleted"))
	}
	return to, nil
}

type deliveryPage struct {
	Row       deliveryRow
	Self      string // URL of the live part; "" when nothing changes any more
	Back      string
	Alert     string
	MayReplay bool
}

func (p *pages) showDelivery(v *page.Visit) error {
	d, err := p.Delivery(v.Context(), v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	out := deliveryPage{
		Row:       rowOf(v.Account, d),
		Back:      NotificationsPath(v.Account),
		MayReplay: v.Can(account.DeliveriesReplay) && d.State != delivery.StateWaiting,
	}
	out.Row.Alone = true
	if d.State == delivery.StateWaiting || p.Now().Sub(d.CreatedAt.Time) < 10*time.Minute {
		out.Self = out.Row.Href
	}
	if d.AlertID != "" {
		out.Alert = alertPath(v.Account, d.AlertID)
	}
	return v.Show(page.View{Template: "delivery", Section: "notifications", Title: "Message to " + d.Mechanism, Data: out})
}

// confirmReplayDelivery names who would get the message again.
func (p *pages) confirmReplayDelivery(v *page.Visit) (page.Confirm, error) {
	d, err := p.Delivery(v.Context(), v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	back := deliveryPath(v.Account, d.ID)
	return page.Confirm{
		Section: "notifications",
		Title:   "Send again?",
		Text:    "The message is sent again now, to " + d.Mechanism + ".",
		Label:   "Send again",
		Back:    back,
	}, nil
}

func (p *pages) replayDelivery(v *page.Visit) error {
	out, err := p.ReplayDelivery(v.Context(), v.Who, v.Account, v.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	return v.Redirect(deliveryPath(v.Account, out.Deliveries[0]), "replayed")
}
