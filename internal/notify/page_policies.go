package notify

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountPolicies() {
	const base = "/accounts/{account_id}/notifications"
	p.Mount("GET "+base, account.NotificationsRead, false, p.showNotifications)
	p.Mount("GET "+base+"/policies/new", account.NotificationsWrite, false, p.showNewPolicy)
	p.Mount("POST "+base+"/policies", account.NotificationsWrite, false, p.createPolicy)
	p.Mount("GET "+base+"/policies/{policy_id}", account.NotificationsRead, false, p.showPolicy)
	p.Mount("POST "+base+"/policies/{policy_id}", account.NotificationsWrite, false, p.changePolicy)
	p.Mount("POST "+base+"/policies/{policy_id}/test", account.NotificationsWrite, false, p.testPolicy)
	p.Mount("GET "+base+"/policies/{policy_id}/delete", account.NotificationsWrite, false, p.askDeletePolicy)
	p.Mount("POST "+base+"/policies/{policy_id}/delete", account.NotificationsWrite, false, p.deletePolicy)
	p.Mount("GET "+base+"/deliveries/{delivery_id}", account.NotificationsRead, false, p.showDelivery)
	p.Mount("POST "+base+"/deliveries/{delivery_id}/replay", account.DeliveriesReplay, false, p.replayDelivery)
}

// shownPolicy is a policy in the list, with its sentence.
type shownPolicy struct {
	Policy
	Href, What, Which, To string
	Unknown               bool // no catalogue declares its type any more
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
		if h.State != destinationOK {
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
			used[e.ID] = true
		}
	}
	for _, m := range mail {
		if used[m.URL] {
			out.Mail = append(out.Mail, shownWebhookOf(v.account, m))
		}
	}
	list, _, err := p.history(v.ctx, v.account, time.Time{}, time.Time{}, 0, 20)
	if err != nil {
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
	var to, which []string
	for _, e := range one.Mechanisms.Email {
		to = append(to, e.ID)
	}
	for _, h := range one.Mechanisms.Webhooks {
		to = append(to, firstOf(names[h.ID], "a webhook that was deleted"))
	}
	s.To = few(to)
	s.Which = "for all properties"
	for _, key := range sortedKeys(one.Filters) {
		values := one.Filters[key]
		switch {
		case len(values) == 0:
		case key == zonesKey:
			s.Which = "for " + few(values)
		case key == zonesKey+notSuffix:
			s.Which = "for all properties except " + few(values)
		case strings.HasSuffix(key, notSuffix):
			which = append(which, strings.TrimSuffix(key, notSuffix)+" not "+few(values))
		default:
			which = append(which, key+" "+few(values))
		}
	}
	if len(which) > 0 {
		s.Which += ", " + strings.Join(which, ", ")
	}
	return s, nil
}

// policyForm is what was typed about a policy.
type policyForm struct {
	Path, Action, Href                string
	New                               bool
	Name, Description, Type, Interval string
	Zones, Except, Filters, Mail      string
	Enabled, May                      bool
	Types, Intervals                  [][2]string
	Webhooks                          []choice
	Keys                              string // further filter keys of the type
	Preview                           *Preview
	Faults                            ui.Faults
	AlertsHref                        string
	chosen                            map[string]bool
}

type choice struct {
	ID, Name, URL string
	Checked       bool
}

// policyFields are those to which faults belong.
var policyFields = []string{"name", "description", "alert_type", "alert_interval", "filters", "mechanisms"}

func typedPolicy(r *http.Request) policyForm {
	_ = r.ParseForm() // what cannot be read is empty, and the check says so
	f := policyForm{Name: clip(r.PostFormValue("name"), 1024), Description: clip(r.PostFormValue("description"), 4096), Type: clip(r.PostFormValue("alert_type"), 255), Interval: clip(r.PostFormValue("alert_interval"), 20),
		Zones: clip(r.PostFormValue("zones"), 32<<10), Except: clip(r.PostFormValue("except"), 32<<10), Filters: clip(r.PostFormValue("filters"), 32<<10), Mail: clip(r.PostFormValue("mail"), 32<<10),
		Enabled: r.PostFormValue("enabled") != "", chosen: map[string]bool{}}
	for _, id := range r.PostForm["webhook"] {
		f.chosen[id] = true
	}
	return f
}

// policy is the form as the feature takes it.
func (f *policyForm) policy() (Policy, error) {
	p := Policy{Name: f.Name, Description: f.Description, Enabled: f.Enabled, AlertType: f.Type, AlertInterval: f.Interval, Filters: map[string][]string{}}
	for key, text := range map[string]string{zonesKey: f.Zones, zonesKey + notSuffix: f.Except} {
		if list := ui.Entries(text); len(list) > 0 {
			p.Filters[key] = list
		}
	}
	for line := range strings.Lines(f.Filters) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, values, ok := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.HasPrefix(key, zonesKey) {
			return p, errs.At(errs.CodeInvalid, "/filters", "a further filter is a line such as severity: critical, or severity.not: warning")
		}
		for one := range strings.SplitSeq(values, ",") {
			if one = strings.TrimSpace(one); one != "" {
				p.Filters[key] = append(p.Filters[key], one)
			}
		}
	}
	for _, address := range ui.Entries(f.Mail) {
		p.Mechanisms.Email = append(p.Mechanisms.Email, Mechanism{address})
	}
	for id := range f.chosen {
		p.Mechanisms.Webhooks = append(p.Mechanisms.Webhooks, Mechanism{id})
	}
	slices.SortFunc(p.Mechanisms.Webhooks, func(a, b Mechanism) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

// formOf is a policy as it is edited.
func formOf(p *Policy) policyForm {
	f := policyForm{Name: p.Name, Description: p.Description, Type: p.AlertType, Interval: p.AlertInterval, Enabled: p.Enabled, chosen: map[string]bool{}}
	var lines, mail []string
	for _, key := range sortedKeys(p.Filters) {
		switch values := p.Filters[key]; {
		case len(values) == 0:
		case key == zonesKey:
			f.Zones = strings.Join(values, "\n")
		case key == zonesKey+notSuffix:
			f.Except = strings.Join(values, "\n")
		default:
			lines = append(lines, key+": "+strings.Join(values, ", "))
		}
	}
	for _, e := range p.Mechanisms.Email {
		mail = append(mail, e.ID)
	}
	for _, h := range p.Mechanisms.Webhooks {
		f.chosen[h.ID] = true
	}
	f.Filters, f.Mail = strings.Join(lines, "\n"), strings.Join(mail, "\n")
	return f
}

var intervals = [][2]string{{"", "every time"}, {"5m", "once in 5 minutes"}, {"30m", "once in 30 minutes"}, {"1h", "once an hour"}, {"4h", "once in 4 hours"}, {"24h", "once a day"}}

func (p *pages) renderPolicy(w http.ResponseWriter, v visit, f policyForm, policyID string) error {
	types, err := p.AlertTypes(v.ctx)
	if err != nil {
		return err
	}
	hooks, err := p.Webhooks(v.ctx, v.account)
	if err != nil {
		return err
	}
	f.Path, f.May, f.New, f.AlertsHref = NotificationsPath(v.account), v.can(account.NotificationsWrite), policyID == "", AlertsPath(v.account)
	f.Action = f.Path + "/policies"
	title := "Create a policy"
	if !f.New {
		f.Action += "/" + policyID
		f.Href, title = f.Action, firstOf(f.Name, "Policy")
	}
	known := f.Type == ""
	for _, t := range types {
		f.Types = append(f.Types, [2]string{t.Type, t.Title + " (" + t.Category + ")"})
		if known = known || t.Type == f.Type; t.Type == f.Type {
			var keys []string
			for _, k := range t.Filters {
				if k.Key != zonesKey {
					keys = append(keys, k.Key)
				}
			}
			f.Keys = few(keys)
		}
	}
	if !known {
		f.Types = append(f.Types, [2]string{f.Type, f.Type + " (no catalogue has it)"})
	}
	f.Intervals = slices.Clone(intervals)
	if !slices.ContainsFunc(intervals, func(i [2]string) bool { return i[0] == f.Interval }) {
		f.Intervals = append(f.Intervals, [2]string{f.Interval, "once in " + f.Interval})
	}
	for _, h := range hooks {
		f.Webhooks = append(f.Webhooks, choice{h.ID, h.Name, h.URL, f.chosen[h.ID]})
	}
	return p.show(w, v, "policy", view{section: "notifications", title: title, status: f.Faults.Status, data: f})
}

func (p *pages) showNewPolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	f := policyForm{Enabled: true, Type: clip(r.URL.Query().Get("type"), 255), Mail: v.who.Email, chosen: map[string]bool{}}
	if ok, err := p.Member(v.ctx, v.account, f.Mail); err != nil || !ok {
		f.Mail = ""
	}
	return p.renderPolicy(w, v, f, "")
}

// tried answers the button that tries a policy on the last week.
func (p *pages) tried(w http.ResponseWriter, v visit, f policyForm, one Policy, policyID string) error {
	out, err := p.Feature.Preview(v.ctx, v.account, one)
	if err != nil {
		return p.refused(w, v, f, policyID, err)
	}
	f.Preview = &out
	return p.renderPolicy(w, v, f, policyID)
}

func (p *pages) refused(w http.ResponseWriter, v visit, f policyForm, policyID string, err error) error {
	var ok bool
	if f.Faults, ok = faultsOf(err, policyFields...); !ok {
		return err
	}
	return p.renderPolicy(w, v, f, policyID)
}

func (p *pages) createPolicy(w http.ResponseWriter, r *http.Request) error {
	v, f := visitOf(r), typedPolicy(r)
	one, err := f.policy()
	if err == nil && r.PostFormValue("do") == "preview" {
		return p.tried(w, v, f, one, "")
	}
	if err == nil {
		_, err = p.CreatePolicy(v.ctx, v.who, v.account, one)
	}
	if err != nil {
		return p.refused(w, v, f, "", err)
	}
	return goTo(w, r, NotificationsPath(v.account), "policy-created")
}

func (p *pages) showPolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	one, err := p.Policy(v.ctx, v.account, r.PathValue("policy_id"))
	if err != nil {
		return err
	}
	return p.renderPolicy(w, v, formOf(&one), one.ID)
}

func (p *pages) changePolicy(w http.ResponseWriter, r *http.Request) error {
	v, f, policyID := visitOf(r), typedPolicy(r), r.PathValue("policy_id")
	one, err := f.policy()
	if err == nil && r.PostFormValue("do") == "preview" {
		return p.tried(w, v, f, one, policyID)
	}
	if err == nil {
		_, err = p.UpdatePolicy(v.ctx, v.who, v.account, policyID, func(old *Policy) {
			old.Name, old.Description, old.Enabled, old.AlertType, old.AlertInterval, old.Filters, old.Mechanisms =
				one.Name, one.Description, one.Enabled, one.AlertType, one.AlertInterval, one.Filters, one.Mechanisms
		})
	}
	if err != nil {
		return p.refused(w, v, f, policyID, err)
	}
	return goTo(w, r, NotificationsPath(v.account), "policy-changed")
}

func (p *pages) testPolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if _, err := p.TestPolicy(v.ctx, v.who, v.account, r.PathValue("policy_id")); err != nil {
		return err
	}
	return goTo(w, r, NotificationsPath(v.account), "tested")
}

func (p *pages) askDeletePolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	one, err := p.Policy(v.ctx, v.account, r.PathValue("policy_id"))
	if err != nil {
		return err
	}
	back := NotificationsPath(v.account) + "/policies/" + one.ID
	return p.show(w, v, "notify-question", view{section: "notifications", title: "Delete a policy", data: question{
		Title: "Delete " + one.Name + "?", Text: "Nobody is told by it any more. What it decided stays with the alerts.", Action: back + "/delete", Label: "Delete the policy", Back: back}})
}

func (p *pages) deletePolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if err := p.DeletePolicy(v.ctx, v.who, v.account, r.PathValue("policy_id")); err != nil {
		return err
	}
	return goTo(w, r, NotificationsPath(v.account), "policy-deleted")
}

type deliveryPage struct {
	Row       deliveryRow
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
	out := deliveryPage{Row: rowOf(v.account, d), Back: NotificationsPath(v.account), MayReplay: v.can(account.DeliveriesReplay) && d.State != stateWaiting}
	if d.AlertID != "" {
		out.Alert = alertPath(v.account, d.AlertID)
	}
	return p.show(w, v, "delivery", view{section: "notifications", title: "Message to " + d.Mechanism, data: out})
}

func (p *pages) replayDelivery(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	out, err := p.ReplayDelivery(v.ctx, v.who, v.account, r.PathValue("delivery_id"))
	if err != nil {
		return err
	}
	return goTo(w, r, deliveryPath(v.account, out.Deliveries[0]), "replayed")
}
