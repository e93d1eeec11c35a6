package notify

import (
	"net/http"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

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
	Nowhere                           string // properties that it names and the account does not have
	Unconfirmed                       []unconfirmed
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
var policyFields = []string{
	"name", "description", "alert_type", "alert_interval", "zones", "except", "further", "mail", "webhook", "mechanisms",
}

// policyField is the form's field of a pointer into a policy.
func policyField(pointer string) string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	switch {
	case len(parts) > 1 && parts[0] == "filters" && parts[1] == zonesKey:
		return "zones"
	case len(parts) > 1 && parts[0] == "filters" && parts[1] == zonesKey+notSuffix:
		return "except"
	case parts[0] == "filters":
		return "further"
	case len(parts) > 1 && parts[0] == "mechanisms" && parts[1] == KindEmail:
		return "mail"
	case len(parts) > 1 && parts[0] == "mechanisms" && parts[1] == "webhooks":
		return "webhook"
	}
	return parts[0]
}

// faultsOf sorts an error by the form's fields: each has a sentence for all
// that is wrong with it.
func faultsOf(err error) (ui.Faults, bool) {
	var list errs.List
	for _, e := range errs.All(err) {
		at := *e
		at.Pointer = "/" + policyField(e.Pointer)
		i := slices.IndexFunc(list, func(before *errs.Error) bool { return before.Pointer == at.Pointer })
		if i < 0 {
			list = append(list, &at)
			continue
		}
		list[i].Message = ui.FullSentence(list[i].Message) + " " + ui.FullSentence(at.Message)
	}
	return ui.FaultsOf(list, policyFields...)
}

func typedPolicy(r *http.Request) policyForm {
	_ = r.ParseForm() // what cannot be read is empty, and the check says so
	f := policyForm{
		Name:        strings.TrimSpace(clip(r.PostFormValue("name"), 1024)),
		Description: clip(r.PostFormValue("description"), 4096),
		Type:        clip(r.PostFormValue("alert_type"), 255),
		Interval:    clip(r.PostFormValue("alert_interval"), 20),
		Zones:       clip(r.PostFormValue("zones"), 32<<10),
		Except:      clip(r.PostFormValue("except"), 32<<10),
		Filters:     clip(r.PostFormValue("filters"), 32<<10),
		Mail:        clip(r.PostFormValue("mail"), 32<<10),
		Enabled:     r.PostFormValue("enabled") != "",
		chosen:      map[string]bool{},
	}
	for _, id := range r.PostForm["webhook"] {
		f.chosen[id] = true
	}
	return f
}

// policy is the form as the feature takes it, and what cannot be read of it.
func (f *policyForm) policy() (Policy, errs.List) {
	var faults errs.List
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
			faults = append(faults, errs.At(errs.CodeInvalid, "/filters",
				"a further filter is a line such as severity: critical, or severity.not: warning; this is not: %s", quoted(line)))
			continue
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
	return p, faults
}

// readPolicy reads the form and checks all of it. The references to properties
// that stay the same are kept as they were written: the form shows names.
func (p *pages) readPolicy(v visit, f *policyForm, old *Policy, draft bool) (Policy, error) {
	one, faults := f.policy()
	if old != nil {
		if err := p.resolveZones(v.ctx, old); err != nil {
			return one, err
		}
		for _, key := range []string{zonesKey, zonesKey + notSuffix} {
			for i, name := range one.Filters[key] {
				for _, ref := range old.Filters[key] {
					if old.zoneNames[ref] == name {
						one.Filters[key][i] = ref
					}
				}
			}
		}
	}
	if draft {
		rest, err := p.checkDraft(v.ctx, v.account, &one)
		return one, or(err, append(faults, rest...).Or())
	}
	if err := p.checkPolicy(v.ctx, v.account, &one); err != nil {
		if errs.KindOf(err) != errs.Invalid {
			return one, err
		}
		faults = append(faults, errs.All(err)...)
	}
	return one, faults.Or()
}

// formOf is a policy as it is edited; properties have their names.
func formOf(p *Policy) policyForm {
	f := policyForm{Name: p.Name, Description: p.Description, Type: p.AlertType, Interval: p.AlertInterval, Enabled: p.Enabled, chosen: map[string]bool{}}
	var lines, mail []string
	for _, key := range sortedKeys(p.Filters) {
		switch values := p.Filters[key]; {
		case len(values) == 0:
		case key == zonesKey:
			f.Zones = strings.Join(p.spoken(zonesKey, values), "\n")
		case key == zonesKey+notSuffix:
			f.Except = strings.Join(p.spoken(zonesKey, values), "\n")
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
	f.Filters, f.Mail, f.Nowhere = strings.Join(lines, "\n"), strings.Join(mail, "\n"), few(p.unknownZones())
	return f
}

var intervals = [][2]string{
	{"", "every time"},
	{"5m", "at most every 5 minutes"},
	{"30m", "at most every 30 minutes"},
	{"1h", "at most once an hour"},
	{"4h", "at most every 4 hours"},
	{"24h", "at most once a day"},
}

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
		f.Intervals = append(f.Intervals, [2]string{f.Interval, "at most every " + f.Interval})
	}
	for _, h := range hooks {
		f.Webhooks = append(f.Webhooks, choice{h.ID, h.Name, h.URL, f.chosen[h.ID]})
	}
	if f.Unconfirmed, err = p.unconfirmed(v.ctx, v.account, f.Mail); err != nil {
		return err
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
	if f.Faults, ok = faultsOf(err); !ok {
		return err
	}
	return p.renderPolicy(w, v, f, policyID)
}

func (p *pages) createPolicy(w http.ResponseWriter, r *http.Request) error {
	v, f := visitOf(r), typedPolicy(r)
	preview := r.PostFormValue("do") == "preview"
	one, err := p.readPolicy(v, &f, nil, preview)
	if err != nil {
		return p.refused(w, v, f, "", err)
	}
	if preview {
		return p.tried(w, v, f, one, "")
	}
	if _, err := p.CreatePolicy(v.ctx, v.who, v.account, one); err != nil {
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
	if err := p.resolveZones(v.ctx, &one); err != nil {
		return err
	}
	return p.renderPolicy(w, v, formOf(&one), one.ID)
}

func (p *pages) changePolicy(w http.ResponseWriter, r *http.Request) error {
	v, f, policyID := visitOf(r), typedPolicy(r), r.PathValue("policy_id")
	old, err := p.Policy(v.ctx, v.account, policyID)
	if err != nil {
		return err
	}
	preview := r.PostFormValue("do") == "preview"
	one, err := p.readPolicy(v, &f, &old, preview)
	if err != nil {
		return p.refused(w, v, f, policyID, err)
	}
	if preview {
		return p.tried(w, v, f, one, policyID)
	}
	_, err = p.UpdatePolicy(v.ctx, v.who, v.account, policyID, func(changed *Policy) {
		changed.Name, changed.Description, changed.Enabled = one.Name, one.Description, one.Enabled
		changed.AlertType, changed.AlertInterval = one.AlertType, one.AlertInterval
		changed.Filters, changed.Mechanisms = one.Filters, one.Mechanisms
	})
	if err != nil {
		return p.refused(w, v, f, policyID, err)
	}
	return goTo(w, r, NotificationsPath(v.account), "policy-changed")
}

// askTestPolicy says who would get a test message.
func (p *pages) askTestPolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	one, err := p.Policy(v.ctx, v.account, r.PathValue("policy_id"))
	if err != nil {
		return err
	}
	to, err := p.destinationsOf(v, &one, nil)
	if err != nil {
		return err
	}
	back := NotificationsPath(v.account) + "/policies/" + one.ID
	return p.ask(w, v, "notifications", question{
		Title:  "Send test messages?",
		Text:   "A test message is sent at once to " + strings.Join(to, ", ") + ".",
		Action: back + "/test",
		Label:  "Send test messages",
		Back:   back,
	})
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
	return p.ask(w, v, "notifications", question{
		Title:  "Delete " + one.Name + "?",
		Text:   "It sends no more messages. Its past decisions stay with the alerts.",
		Action: back + "/delete",
		Label:  "Delete policy",
		Back:   back,
		Danger: true,
	})
}

func (p *pages) deletePolicy(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if err := p.DeletePolicy(v.ctx, v.who, v.account, r.PathValue("policy_id")); err != nil {
		return err
	}
	return goTo(w, r, NotificationsPath(v.account), "policy-deleted")
}
