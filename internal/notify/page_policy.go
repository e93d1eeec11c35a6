package notify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// policyForm is the input for a policy.
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
	preview                           bool    // try it on the last week, save nothing
	old                               *Policy // nil for a new one
}

type choice struct {
	ID, Name, URL string
	Checked       bool
}

// policyFields are the fields of the form that faults may name.
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

// byPolicyField assigns an error's faults to the fields of the form, each with one
// text for all of its faults.
func byPolicyField(err error) error {
	if kind := errs.KindOf(err); kind != errs.Invalid && kind != errs.Conflict {
		return err
	}
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
	return list.Or()
}

// parsePolicy reads the form of a new policy.
func (p *pages) parsePolicy(v *page.Visit) (policyForm, error) {
	f := policyForm{
		Name:        v.Field("name", 1024),
		Description: v.Field("description", 4096),
		Type:        v.Field("alert_type", 255),
		Interval:    v.Field("alert_interval", 20),
		Zones:       v.Field("zones", 32<<10),
		Except:      v.Field("except", 32<<10),
		Filters:     v.Field("filters", 32<<10),
		Mail:        v.Field("mail", 32<<10),
		Enabled:     v.Field("enabled", 8) != "",
		preview:     v.Field("do", 8) == "preview",
		chosen:      map[string]bool{},
	}
	for _, id := range v.Fields("webhook") {
		f.chosen[id] = true
	}
	return f, nil
}

// parsePolicyChange reads the form of the policy of the path.
func (p *pages) parsePolicyChange(v *page.Visit) (policyForm, error) {
	f, err := p.parsePolicy(v)
	if err != nil {
		return f, err
	}
	old, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	f.old = &old
	return f, err
}

// policy converts the form, and returns the faults of lines that cannot be read.
func (f *policyForm) policy() (Policy, errs.List) {
	var faults errs.List
	p := Policy{
		Name:          f.Name,
		Description:   f.Description,
		Enabled:       f.Enabled,
		AlertType:     f.Type,
		AlertInterval: f.Interval,
		Filters:       map[string][]string{},
	}
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
func (p *pages) readPolicy(v *page.Visit, f *policyForm) (Policy, error) {
	one, faults := f.policy()
	old := f.old
	if old != nil {
		if err := p.resolveZones(v.Context(), old); err != nil {
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
	if f.preview {
		rest, err := p.checkDraft(v.Context(), v.Account, &one)
		return one, or(err, append(faults, rest...).Or())
	}
	if err := p.checkPolicy(v.Context(), v.Account, &one); err != nil {
		if errs.KindOf(err) != errs.Invalid {
			return one, err
		}
		faults = append(faults, errs.All(err)...)
	}
	return one, faults.Or()
}

// formOf is a policy as it is edited; properties have their names.
func formOf(p *Policy) policyForm {
	f := policyForm{
		Name:        p.Name,
		Description: p.Description,
		Type:        p.AlertType,
		Interval:    p.AlertInterval,
		Enabled:     p.Enabled,
		chosen:      map[string]bool{},
	}
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
	f.Filters = strings.Join(lines, "\n")
	f.Mail = strings.Join(mail, "\n")
	f.Nowhere = few(p.unknownZones())
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

func (p *pages) renderPolicy(v *page.Visit, f *policyForm, faults ui.Faults) error {
	f.Faults = faults
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return err
	}
	hooks, err := p.Webhooks(v.Context(), v.Account)
	if err != nil {
		return err
	}
	f.Path = NotificationsPath(v.Account)
	f.May = v.Can(account.NotificationsWrite)
	f.New = f.old == nil
	f.AlertsHref = AlertsPath(v.Account)
	f.Action = f.Path + "/policies"
	title := "Create a policy"
	if !f.New {
		f.Action += "/" + f.old.ID
		f.Href = f.Action
		title = cmp.Or(f.Name, "Policy")
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
	if f.Unconfirmed, err = p.unconfirmed(v.Context(), v.Account, f.Mail); err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    title,
		Template: "policy",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *pages) showNewPolicy(v *page.Visit) error {
	f := policyForm{
		Enabled: true,
		Type:    page.Cut(v.Query("type"), 255),
		Mail:    v.Who.Email,
		chosen:  map[string]bool{},
	}
	if ok, err := p.Member(v.Context(), v.Account, f.Mail); err != nil || !ok {
		f.Mail = ""
	}
	return p.renderPolicy(v, &f, ui.Faults{})
}

// savePolicy creates or changes the policy, or tries it on the last week.
func (p *pages) savePolicy(v *page.Visit, f *policyForm) error {
	return byPolicyField(p.trySave(v, f))
}

func (p *pages) trySave(v *page.Visit, f *policyForm) error {
	one, err := p.readPolicy(v, f)
	switch {
	case err != nil:
		return err
	case f.preview:
		out, err := p.Feature.Preview(v.Context(), v.Account, one)
		f.Preview = &out
		if err != nil {
			f.Preview = nil
		}
		return err
	case f.old == nil:
		_, err := p.CreatePolicy(v.Context(), v.Who, v.Account, one)
		return err
	}
	_, err = p.UpdatePolicy(v.Context(), v.Who, v.Account, f.old.ID, func(changed *Policy) {
		changed.Name = one.Name
		changed.Description = one.Description
		changed.Enabled = one.Enabled
		changed.AlertType = one.AlertType
		changed.AlertInterval = one.AlertInterval
		changed.Filters = one.Filters
		changed.Mechanisms = one.Mechanisms
	})
	return err
}

// policySaved answers the form: with the preview where that was asked for.
func (p *pages) policySaved(v *page.Visit, f *policyForm) error {
	switch {
	case f.preview:
		return p.renderPolicy(v, f, ui.Faults{})
	case f.old == nil:
		return v.Redirect(NotificationsPath(v.Account), "policy-created")
	}
	return v.Redirect(NotificationsPath(v.Account), "policy-changed")
}

func (p *pages) showPolicy(v *page.Visit) error {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return err
	}
	if err := p.resolveZones(v.Context(), &one); err != nil {
		return err
	}
	f := formOf(&one)
	f.old = &one
	return p.renderPolicy(v, &f, ui.Faults{})
}

// confirmTestPolicy names who would get a test message.
func (p *pages) confirmTestPolicy(v *page.Visit) (page.Confirm, error) {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	to, err := p.destinationsOf(v, &one, nil)
	if err != nil {
		return page.Confirm{}, err
	}
	back := NotificationsPath(v.Account) + "/policies/" + one.ID
	return page.Confirm{
		Section: "notifications",
		Title:   "Send test messages?",
		Text:    "A test message is sent at once to " + strings.Join(to, ", ") + ".",
		Label:   "Send test messages",
		Back:    back,
	}, nil
}

func (p *pages) testPolicy(v *page.Visit) error {
	if _, err := p.TestPolicy(v.Context(), v.Who, v.Account, v.PathValue("policy_id")); err != nil {
		return err
	}
	return v.Redirect(NotificationsPath(v.Account), "tested")
}

func (p *pages) confirmDeletePolicy(v *page.Visit) (page.Confirm, error) {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	back := NotificationsPath(v.Account) + "/policies/" + one.ID
	return page.Confirm{
		Section: "notifications",
		Title:   "Delete " + one.Name + "?",
		Text:    "It sends no more messages. Its past decisions stay with the alerts.",
		Label:   "Delete policy",
		Back:    back,
		Danger:  true,
	}, nil
}

func (p *pages) deletePolicy(v *page.Visit) error {
	if err := p.DeletePolicy(v.Context(), v.Who, v.Account, v.PathValue("policy_id")); err != nil {
		return err
	}
	return v.Redirect(NotificationsPath(v.Account), "policy-deleted")
}
