package notify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

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
	find := account.AccountPath(v.Account) + "/find"
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
	inboxes, err := p.inboxChoices(v, f.inbox)
	if err != nil {
		return err
	}
	f.Inboxes = ui.Picker{
		Name:        "inbox",
		Label:       "In the inbox",
		Hint:        "Members, or all members of a role: role:admin.",
		Placeholder: "Name of a member, or role:ROLE",
		Error:       f.Faults.Of("inbox"),
		Kind:        "member",
		Source:      find,
		Multiple:    true,
		AllowOther:  true,
		Selected:    inboxes,
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
		case "affected_components":
			picker.Kind = "component"
			picker.Source = find
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
