package notify

import (
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

func (p *pages) mountPolicies() {
	const base = "/accounts/{account_id}/notifications"
	p.Mount("GET "+base, account.NotificationsRead, false, p.showNotifications)
	p.Mount("GET "+base+"/policies/new", account.NotificationsWrite, false, p.showNewPolicy)
	p.Mount("POST "+base+"/policies", account.NotificationsWrite, false, p.createPolicy)
	p.Mount("GET "+base+"/policies/{policy_id}", account.NotificationsRead, false, p.showPolicy)
	p.Mount("POST "+base+"/policies/{policy_id}", account.NotificationsWrite, false, p.changePolicy)
	p.Mount("GET "+base+"/policies/{policy_id}/test", account.NotificationsWrite, false, p.askTestPolicy)
	p.Mount("POST "+base+"/policies/{policy_id}/test", account.NotificationsWrite, false, p.testPolicy)
	p.Mount("GET "+base+"/policies/{policy_id}/delete", account.NotificationsWrite, false, p.askDeletePolicy)
	p.Mount("POST "+base+"/policies/{policy_id}/delete", account.NotificationsWrite, false, p.deletePolicy)
	p.Mount("GET "+base+"/deliveries/{delivery_id}", account.NotificationsRead, false, p.showDelivery)
	p.Mount("GET "+base+"/deliveries/{delivery_id}/replay", account.DeliveriesReplay, false, p.askReplayDelivery)
	p.Mount("POST "+base+"/deliveries/{delivery_id}/replay", account.DeliveriesReplay, false, p.replayDelivery)
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

func (p *pages) showNotifications(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	out := notificationsPage{Path: NotificationsPath(v.account), May: v.can(account.NotificationsWrite), Alerts: AlertsPath(v.account)}
	hooks, err := p.Webhooks(v.ctx, v.account)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, h := range hooks {
		names[h.ID] = h.Name
		s := shownWebhookOf(v.account, h)
		out.Webhooks = append(out.Webhooks, s)
		if h.State != delivery.DestinationOK {
			out.Broken = append(out.Broken, s)
		}
	}
	mail, err := p.destinations(v.ctx, v.account, KindEmail)
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.ctx, v.account)
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
			s := shownWebhookOf(v.account, m)
			if s.Unconfirmed, err = p.unconfirmed(v.ctx, v.account, m.URL); err != nil {
				return err
			}
			out.Mail = append(out.Mail, s)
		}
	}
	list, _, err := p.history(v.ctx, v.account, time.Time{}, time.Time{}, 0, 20)
	if err != nil {
		return err
	}
	if err := p.entitle(v.ctx, v.account, list); err != nil {
		return err
	}
	for _, d := range list {
		row := rowOf(v.account, d)
		out.Deliveries = append(out.Deliveries, row)
	}
	if out.Failed, err = p.failures(v.ctx, v.account); err != nil {
		return err
	}
	return p.show(w, v, "notifications", view{section: "notifications", title: "Notifications", data: out})
}

// Summary is what the delivery's message was about.
func (d Delivery) Summary() string { return d.summary }

func (p *pages) shownPolicy(v visit, one Policy, names map[string]string) (shownPolicy, error) {
	s := shownPolicy{Policy: one, Href: NotificationsPath(v.account) + "/policies/" + one.ID, What: one.AlertType}
	kind, err := p.AlertType(v.ctx, one.AlertType)
	if err != nil {
		return s, err
	}
	if s.Unknown = kind == nil; !s.Unknown {
		s.What = kind.Title
	}
	if err := p.resolveZones(v.ctx, &one); err != nil {
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

// destinationsOf are a policy's destinations as people know them. names are
// those of the webhooks; nil = to be read.
func (p *pages) destinationsOf(v visit, one *Policy, names map[string]string) (to []string, err error) {
	if names == nil {
		hooks, err := p.Webhooks(v.ctx, v.account)
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
		to = append(to, firstOf(names[h.ID], "a webhook that was deleted"))
	}
	return to, nil
}

type deliveryPage struct {
	Row       deliveryRow
	Self      string // asked for again; "" when nothing changes any more
	Back      string
	Alert     string
	MayReplay bool
}

func (p *pages) showDelivery(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	d, err := p.Delivery(v.ctx, v.account, r.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	out := deliveryPage{Row: rowOf(v.account, d), Back: NotificationsPath(v.account), MayReplay: v.can(account.DeliveriesReplay) && d.State != delivery.StateWaiting}
	out.Row.Alone = true
	if d.State == delivery.StateWaiting || p.Now().Sub(d.CreatedAt.Time) < 10*time.Minute {
		out.Self = out.Row.Href
	}
	if d.AlertID != "" {
		out.Alert = alertPath(v.account, d.AlertID)
	}
	return p.show(w, v, "delivery", view{section: "notifications", title: "Message to " + d.Mechanism, data: out})
}

// askReplayDelivery says who would get the message again.
func (p *pages) askReplayDelivery(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	d, err := p.Delivery(v.ctx, v.account, r.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	back := deliveryPath(v.account, d.ID)
	return p.ask(w, v, "notifications", question{
		Title:  "Send again?",
		Text:   "The message goes out again at once, to " + d.Mechanism + ".",
		Action: back + "/replay",
		Label:  "Send again",
		Back:   back,
	})
}

func (p *pages) replayDelivery(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	out, err := p.ReplayDelivery(v.ctx, v.who, v.account, r.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	return goTo(w, r, deliveryPath(v.account, out.Deliveries[0]), "replayed")
}
