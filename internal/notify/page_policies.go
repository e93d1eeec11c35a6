package notify

import (
	"cmp"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addPolicies() {
	const base = "/accounts/{account_id}/notifications"
	p.Get(base, account.NotificationsRead, p.showNotifications)
	p.Get(base+"/policies/new", account.NotificationsWrite, p.showNewPolicy)
	p.Post(base+"/policies", account.NotificationsWrite, p.submitPolicy(p.parsePolicy))
	p.Post(base+"/policies/try", account.NotificationsWrite, p.tryPolicy)
	p.Post(base+"/policies/chosen", account.NotificationsWrite, p.actOnPolicies)
	p.Get(base+"/policies/{policy_id}", account.NotificationsRead, p.showPolicy)
	p.Get(base+"/policies/{policy_id}/edit", account.NotificationsWrite, p.showPolicyForm)
	p.Post(base+"/policies/{policy_id}", account.NotificationsWrite, p.submitPolicy(p.parsePolicyChange))
	p.Post(base+"/policies/{policy_id}/enable", account.NotificationsWrite, p.enablePolicy)
	p.Post(base+"/policies/{policy_id}/disable", account.NotificationsWrite, p.disablePolicy)
	p.Confirm(base+"/policies/{policy_id}/test", account.NotificationsWrite, p.confirmTestPolicy, p.testPolicy)
	p.Confirm(base+"/policies/{policy_id}/delete", account.NotificationsWrite, p.confirmDeletePolicy, p.deletePolicy)
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
	Selection  ui.Selection
	Sent       string // list of all deliveries
}

func (p *pages) showNotifications(v *page.Visit) error {
	out := notificationsPage{
		Path:   NotificationsPath(v.Account),
		May:    v.Can(account.NotificationsWrite),
		Alerts: AlertsPath(v.Account),
		Sent:   deliveriesPath(v.Account),
	}
	out.Selection = ui.Selection{
		Form:   "chosen",
		Action: out.Path + "/policies/chosen",
		Noun:   "policies",
		Acts: []ui.BulkAct{
			{Label: "Turn on", Icon: "toggle-right", Value: "enable"},
			{Label: "Turn off", Icon: "toggle-left", Value: "disable"},
			{Label: "Delete…", Icon: "trash-2", Value: "ask", Danger: true},
		},
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

// policiesAsk is the data of the template "policies-delete".
type policiesAsk struct {
	Back, Action string
	Policies     []Policy
}

// actOnPolicies enables, disables or deletes chosen policies; it asks before it
// deletes.
func (p *pages) actOnPolicies(v *page.Visit) error {
	ids := v.Values("id", 64)
	ids = ids[:min(len(ids), mostChosen)]
	back := NotificationsPath(v.Account)
	act := v.Field("act", 16)
	if act == "ask" {
		out := policiesAsk{Back: back, Action: back + "/policies/chosen"}
		for _, id := range ids {
			one, err := p.Policy(v.Context(), v.Account, id)
			if err != nil {
				return err
			}
			out.Policies = append(out.Policies, one)
		}
		return v.Show(page.View{
			Section:  "notifications",
			Title:    "Delete policies?",
			Template: "policies-delete",
			Data:     out,
		})
	}
	for _, id := range ids {
		var err error
		switch act {
		case "enable", "disable":
			_, err = p.UpdatePolicy(v.Context(), v.Who, v.Account, id, func(one *Policy) { one.Enabled = act == "enable" })
		case "delete":
			err = p.DeletePolicy(v.Context(), v.Who, v.Account, id)
		default:
			err = errs.At(errs.CodeInvalid, "act", "act is enable, disable or delete")
		}
		if err != nil {
			return err
		}
	}
	return v.Redirect(back, "policies-changed")
}
