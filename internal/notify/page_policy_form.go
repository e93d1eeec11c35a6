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
	Mail, Webhooks              ui.Picker
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
	preview bool    // try it on the last week, save nothing
	old     *Policy // nil for a new one
}

const (
	filterField = "filter." // begins the names of the fields of filters
	modeField   = "mode."   // and of their choice "is" or "is not"
)

// faultFields are the fields of the form that faults may name.
func (f *policyForm) faultFields(kind *AlertType) []string {
	list := []string{"name", "description", "alert_type", "alert_interval", "mail", "webhook", "mechanisms"}
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

// fillPolicyForm sets the pickers of the form and what surrounds them.
func (p *pages) fillPolicyForm(v *page.Visit, f *policyForm) error {
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return err
	}
	hooks, err := p.Webhooks(v.Context(), v.Account)
	if err != nil {
		return err
	}
	f.Path = NotificationsPath(v.Account)
	f.PreviewPath = f.Path + "/policies/try"
	f.Tried = f.Tried || f.kind == "" || f.Preview != nil
	f.New = f.old == nil
	f.AlertsHref = AlertsPath(v.Account)
	f.Action = f.Path + "/policies"
	f.Back = f.Path
	if !f.New {
		f.Action = policyPath(v.Account, f.old.ID)
		f.Back = f.Action
	}
	kind := f.fillType(types)
	find := "/accounts/" + v.Account + "/find"
	if err := p.fillFilters(v, f, kind, find); err != nil {
		return err
	}
	f.Intervals = slices.Clone(intervals)
	if !slices.ContainsFunc(intervals, func(i [2]string) bool { return i[0] == f.Interval }) {
		f.Intervals = append(f.Intervals, [2]string{f.Interval, "at most every " + f.Interval})
	}
	f.Mail = ui.Picker{
		Name:        "mail",
		Label:       "By mail",
		Hint:        "Members of this account.",
		Placeholder: "Name or address of a member",
		Error:       f.Faults.Of("mail"),
		Kind:        "member",
		Source:      find,
		Use:         "detail",
		Multiple:    true,
		AllowOther:  true,
		Selected:    f.mail,
	}
	f.Webhooks = ui.Picker{
		Name:        "webhook",
		Label:       "By webhook",
		Placeholder: "Choose webhooks",
		Error:       f.Faults.Of("webhook"),
		Multiple:    true,
		Options:     []ui.Choice{},
	}
	for _, h := range hooks {
		s := shownWebhookOf(v.Account, h)
		choice := ui.Choice{Value: h.ID, Label: h.Name, Detail: hostOf(h.URL), Icon: "webhook"}
		if s.Tone == ui.Warn || s.Tone == ui.Bad {
			choice.Detail = s.Health
			choice.Tone = s.Tone
		}
		f.Webhooks.Options = append(f.Webhooks.Options, choice)
	}
	f.Webhooks.Selected = labelled(f.hooks, f.Webhooks.Options)
	var addresses []string
	for _, c := range f.mail {
		addresses = append(addresses, c.Value)
	}
	f.Unconfirmed, err = p.unconfirmed(v.Context(), v.Account, addresses)
	return err
}

// labelled are the chosen values as the options show them.
func labelled(chosen, options []ui.Choice) []ui.Choice {
	list := slices.Clone(chosen)
	for i, c := range list {
		if j := slices.IndexFunc(options, func(o ui.Choice) bool { return o.Value == c.Value }); j >= 0 {
			list[i] = options[j]
		}
	}
	return list
}

// fillType sets the picker of the alert type, and returns the type that is chosen;
// nil when there is none.
func (f *policyForm) fillType(types []*AlertType) (kind *AlertType) {
	f.Type = ui.Picker{
		Name:        "alert_type",
		Label:       "Type of alert",
		Placeholder: "Search the alert types",
		Error:       f.Faults.Of("alert_type"),
		Required:    true,
	}
	for _, t := range types {
		choice := ui.Choice{Value: t.Type, Label: t.Title, Detail: t.Category, Icon: "siren"}
		f.Type.Options = append(f.Type.Options, choice)
		if t.Type == f.kind {
			kind = t
			f.Type.Selected = []ui.Choice{choice}
			f.TypeText = t.Description
		}
	}
	if kind == nil && f.kind != "" {
		unknown := ui.Choice{Value: f.kind, Detail: "no catalogue has it", Tone: ui.Warn}
		f.Type.Options = append(f.Type.Options, unknown)
		f.Type.Selected = []ui.Choice{unknown}
	}
	return kind
}

// filterKeys are the keys of a type's filters in their order, with those that the
// form has beside them.
func (f *policyForm) filterKeys(kind *AlertType) (list []Filter) {
	list = []Filter{{Key: zonesKey, Title: "Properties"}, {Key: severityKey, Title: "Severity"}}
	if kind != nil {
		list[1].Values = kind.Severities
		for _, one := range kind.Filters {
			i := slices.IndexFunc(list, func(known Filter) bool { return known.Key == one.Key })
			if i < 0 {
				list = append(list, one)
			} else if i == 0 {
				list[i].Required = one.Required
				list[i].Single = one.Single
			}
		}
	}
	for key := range f.filters {
		key = strings.TrimSuffix(key, notSuffix)
		if !slices.ContainsFunc(list, func(known Filter) bool { return known.Key == key }) {
			list = append(list, Filter{Key: key, Title: key})
		}
	}
	return list
}

// fillFilters sets the pickers of the filters that a type has.
func (p *pages) fillFilters(v *page.Visit, f *policyForm, kind *AlertType, find string) error {
	f.Filters = nil
	for _, one := range f.filterKeys(kind) {
		included := f.filters[one.Key]
		excluded := f.filters[one.Key+notSuffix]
		picker := ui.Picker{
			Name:        filterField + one.Key,
			Label:       one.Title,
			Placeholder: "Any",
			Error:       f.Faults.Of(filterField + one.Key),
			Multiple:    true,
			Required:    one.Required,
			Mode:        modeField + one.Key,
			AllowOther:  true,
			Selected:    included,
		}
		for _, value := range one.Values {
			picker.Options = append(picker.Options, ui.Choice{Value: value})
			picker.AllowOther = false
		}
		switch one.Key {
		case zonesKey:
			picker.Kind = "zone"
			picker.Source = find
			picker.Placeholder = "All except test environments"
		case "objectives":
			picker.Kind = "objective"
			picker.Source = find
		}
		if len(included) == 0 && len(excluded) > 0 {
			picker.Exclude = true
			picker.Selected = excluded
			picker.Error = cmp.Or(picker.Error, f.Faults.Of(filterField+one.Key+notSuffix))
			excluded = nil
		}
		pickers := []ui.Picker{picker}
		if len(excluded) > 0 { // both, as the API allows
			second := picker
			pickers[0].Mode = ""
			second.Mode = ""
			second.Name += notSuffix
			second.Label += ", except"
			second.Required = false
			second.Selected = excluded
			second.Error = f.Faults.Of(second.Name)
			pickers = append(pickers, second)
		}
		for _, picker := range pickers {
			if one.Key == zonesKey {
				var err error
				if picker.Selected, picker.Hint, err = p.namedZones(v, picker.Selected); err != nil {
					return err
				}
			}
			picker.Selected = labelled(picker.Selected, picker.Options)
			f.Filters = append(f.Filters, picker)
		}
	}
	return nil
}

// namedZones are chosen properties with their names, and a hint about those that
// the account does not have.
func (p *pages) namedZones(v *page.Visit, chosen []ui.Choice) (list []ui.Choice, hint string, err error) {
	var unknown []string
	for _, c := range chosen {
		z, err := p.Zone(v.Context(), v.Account, c.Value)
		if err != nil {
			return nil, "", err
		}
		c.Icon = "globe"
		if z.ID == "" {
			unknown = append(unknown, c.Value)
			c.Tone = ui.Warn
		} else {
			c.Label = z.Name
			c.Detail = z.Environment
		}
		list = append(list, c)
	}
	if len(unknown) > 0 {
		hint = "There is no such property yet: " + few(unknown) + "."
	}
	return list, hint, nil
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
		if err == nil {
			flash := "policy-changed"
			if f.old == nil {
				flash = "policy-created"
			}
			return v.Redirect(policyPath(v.Account, saved.ID), flash)
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
