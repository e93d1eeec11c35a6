package notify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// policyForm is the input for a policy.
type policyForm struct {
	Path, Action, Back          string
	PreviewPath                 string
	New                         bool
	Name, Description, Interval string
	Enabled                     bool
	Type                        ui.Picker
	TypeText                    string      // description of the type
	Filters                     []ui.Picker // those that the type has
	Mail, Inboxes, Webhooks     ui.Picker
	Intervals                   [][2]string
	Unconfirmed                 []unconfirmed
	Preview                     *Preview
	PreviewFaults               []string // why there is no preview
	Tried                       bool     // the preview is up to date
	Faults                      ui.Faults
	AlertsHref                  string

	kind    string                 // alert type
	filters map[string][]ui.Choice // by filter key, such as zones.not
	mail    []ui.Choice
	hooks   []ui.Choice
	inbox   []ui.Choice
	preview bool    // try it on the last week, save nothing
	old     *Policy // nil for a new one
}

const (
	filterField = "filter." // begins the names of the fields of filters
	modeField   = "mode."   // and of their choice "is" or "is not"
)

// faultFields are the fields of the form that faults may name.
func (f *policyForm) faultFields(kind *AlertType) []string {
	list := []string{"name", "description", "alert_type", "alert_interval", "mail", "inbox", "webhook", "mechanisms"}
	for _, one := range f.filterKeys(kind) {
		list = append(list, filterField+one.Key, filterField+one.Key+notSuffix)
	}
	return list
}

// policyField is the form's field of a pointer into a policy.
func policyField(pointer string) string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	switch {
	case len(parts) > 1 && parts[0] == "filters":
		return filterField + strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[1])
	case len(parts) > 1 && parts[0] == "mechanisms" && parts[1] == KindEmail:
		return "mail"
	case len(parts) > 1 && parts[0] == "mechanisms" && parts[1] == KindInbox:
		return "inbox"
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
		Interval:    v.Field("alert_interval", 20),
		Enabled:     v.Field("enabled", 8) != "",
		kind:        v.Field("alert_type", 255),
		filters:     map[string][]ui.Choice{},
		mail:        v.Choices("mail", 1024),
		hooks:       v.Choices("webhook", 64),
		inbox:       v.Choices("inbox", maxName),
		preview:     v.Field("do", 8) == "preview",
	}
	for name := range v.Request.PostForm {
		key, ok := strings.CutPrefix(name, filterField)
		if !ok || strings.HasSuffix(key, ".chosen") || len(f.filters) > maxFilters {
			continue
		}
		if choices := v.Choices(name, maxName+1); len(choices) > 0 {
			if v.Excludes(modeField + key) {
				key += notSuffix
			}
			f.filters[key] = append(f.filters[key], choices...)
		}
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

// policy converts the form.
func (f *policyForm) policy() Policy {
	p := Policy{
		Name:          f.Name,
		Description:   f.Description,
		Enabled:       f.Enabled,
		AlertType:     f.kind,
		AlertInterval: f.Interval,
		Filters:       map[string][]string{},
	}
	for key, choices := range f.filters {
		for _, c := range choices {
			p.Filters[key] = append(p.Filters[key], c.Value)
		}
	}
	for _, c := range f.mail {
		p.Mechanisms.Email = append(p.Mechanisms.Email, Mechanism{c.Value})
	}
	for _, c := range f.hooks {
		p.Mechanisms.Webhooks = append(p.Mechanisms.Webhooks, Mechanism{c.Value})
	}
	for _, c := range f.inbox {
		p.Mechanisms.Inbox = append(p.Mechanisms.Inbox, Mechanism{c.Value})
	}
	if f.old != nil { // the form does not show them, and keeps them
		p.Mechanisms.PagerDuty = f.old.Mechanisms.PagerDuty
	}
	return p
}

// formOf is a policy as it is edited; its zones are resolved.
func formOf(p *Policy) policyForm {
	f := policyForm{
		Name:        p.Name,
		Description: p.Description,
		Interval:    p.AlertInterval,
		Enabled:     p.Enabled,
		kind:        p.AlertType,
		filters:     map[string][]ui.Choice{},
		old:         p,
	}
	for key, values := range p.Filters {
		for _, value := range values {
			f.filters[key] = append(f.filters[key], ui.Choice{Value: value})
		}
	}
	for _, e := range p.Mechanisms.Email {
		f.mail = append(f.mail, ui.Choice{Value: e.ID, Icon: "mail"})
	}
	for _, m := range p.Mechanisms.Inbox {
		f.inbox = append(f.inbox, ui.Choice{Value: m.ID})
	}
	for _, h := range p.Mechanisms.Webhooks {
		f.hooks = append(f.hooks, ui.Choice{Value: h.ID})
	}
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
	if err := p.fillPolicyForm(v, f); err != nil {
		return err
	}
	title := "Create a policy"
	if !f.New {
		title = "Edit " + cmp.Or(f.Name, "policy")
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    title,
		Template: "policy-form",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *pages) showNewPolicy(v *page.Visit) error {
	f := policyForm{
		Enabled: true,
		kind:    page.Cut(v.Query("type"), 255),
		filters: map[string][]ui.Choice{},
	}
	if zone := page.Cut(v.Query("zone"), 255); zone != "" {
		f.filters[zonesKey] = []ui.Choice{{Value: zone}}
	}
	if hook := page.Cut(v.Query("webhook"), 64); hook != "" {
		f.hooks = []ui.Choice{{Value: hook}}
		return p.renderPolicy(v, &f, ui.Faults{})
	}
	ok, err := p.Member(v.Context(), v.Account, v.Who.Email)
	if err == nil && ok {
		f.mail = []ui.Choice{{Value: v.Who.Email, Label: cmp.Or(v.Who.Name, v.Who.Email), Icon: "mail"}}
	}
	return p.renderPolicy(v, &f, ui.Faults{})
}

func (p *pages) showPolicyForm(v *page.Visit) error {
	one, err := p.Policy(v.Context(), v.Account, v.PathValue("policy_id"))
	if err != nil {
		return err
	}
	f := formOf(&one)
	return p.renderPolicy(v, &f, ui.Faults{})
}

// submitPolicy answers a form of which a policy is made or changed.
func (p *pages) submitPolicy(parse func(*page.Visit) (policyForm, error)) page.Handler {
	return func(v *page.Visit) error {
		f, err := parse(v)
		if err != nil {
			return err
		}
		saved, err := p.savePolicy(v, &f)
		err = byPolicyField(err)
		if err == nil && f.preview {
			return p.renderPolicy(v, &f, ui.Faults{})
		}
		if err == nil && f.old == nil {
			return v.Redirect(policyPath(v.Account, saved.ID), "policy-created")
		}
		if err == nil {
			return v.Redirect(policyPath(v.Account, saved.ID), "policy-changed")
		}
		kind, kindErr := p.AlertType(v.Context(), f.kind)
		if kindErr != nil {
			return kindErr
		}
		faults, ok := ui.FaultsOf(err, f.faultFields(kind)...)
		if !ok {
			return err
		}
		ui.RetryAfter(v.Writer, err)
		return p.renderPolicy(v, &f, faults)
	}
}

// savePolicy creates or changes the policy, or tries it on the last week.
func (p *pages) savePolicy(v *page.Visit, f *policyForm) (Policy, error) {
	one := f.policy()
	switch {
	case f.preview:
		out, err := p.Feature.Preview(v.Context(), v.Account, one)
		if err == nil {
			f.Preview = &out
		}
		return one, err
	case f.old == nil:
		return p.CreatePolicy(v.Context(), v.Who, v.Account, one)
	}
	return p.UpdatePolicy(v.Context(), v.Who, v.Account, f.old.ID, func(changed *Policy) {
		changed.Name = one.Name
		changed.Description = one.Description
		changed.Enabled = one.Enabled
		changed.AlertType = one.AlertType
		changed.AlertInterval = one.AlertInterval
		changed.Filters = one.Filters
		changed.Mechanisms = one.Mechanisms
	})
}

// tryPolicy answers the editor while the policy is being written: with the filters
// of the chosen type, and with what the policy would have matched.
func (p *pages) tryPolicy(v *page.Visit) error {
	f, err := p.parsePolicy(v)
	if err != nil {
		return err
	}
	kind, err := p.AlertType(v.Context(), f.kind)
	if err != nil {
		return err
	}
	f.keepFilters(kind)
	f.Tried = true
	if f.kind == "" {
		return p.renderPolicy(v, &f, ui.Faults{})
	}
	out, err := p.Feature.Preview(v.Context(), v.Account, f.policy())
	if faults := errs.All(byPolicyField(err)); err != nil {
		if kind := errs.KindOf(err); kind != errs.Invalid && kind != errs.Conflict {
			return err
		}
		for _, fault := range faults {
			f.PreviewFaults = append(f.PreviewFaults, ui.FullSentence(fault.Message))
		}
	} else {
		f.Preview = &out
	}
	return p.renderPolicy(v, &f, ui.Faults{})
}

// keepFilters drops the filters that a type does not have: they belonged to the
// type that was chosen before.
func (f *policyForm) keepFilters(kind *AlertType) {
	if kind == nil {
		return
	}
	for key := range f.filters {
		base := strings.TrimSuffix(key, notSuffix)
		declared := slices.ContainsFunc(kind.Filters, func(one Filter) bool { return one.Key == base })
		if !declared && base != zonesKey && base != severityKey {
			delete(f.filters, key)
		}
	}
}
