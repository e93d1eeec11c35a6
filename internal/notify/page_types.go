package notify

import (
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addTypes() {
	const base = "/accounts/{account_id}/notifications/types"
	p.Get(base, account.NotificationsRead, p.showTypes)
	p.Get(base+"/{alert_type}", account.NotificationsRead, p.showType)
}

// typesPath is the list of the alert types.
func typesPath(accountID string) string { return NotificationsPath(accountID) + "/types" }

func typePath(accountID, kind string) string { return typesPath(accountID) + "/" + pathEscape(kind) }

// typesPage is the data of the template "alert-types".
type typesPage struct {
	Back  string
	Types []shownType
}

// shownType is an alert type in the list.
type shownType struct {
	*AlertType
	Href     string
	Policies int
	Unsent   bool // the account has no alert of it, and no producer is known
}

func (p *pages) showTypes(v *page.Visit) error {
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	unsent, err := p.unsent(v.Context(), v.Account, types)
	if err != nil {
		return err
	}
	out := typesPage{Back: NotificationsPath(v.Account)}
	for _, t := range types {
		s := shownType{AlertType: t, Href: typePath(v.Account, t.Type), Unsent: unsent[t.Type]}
		for _, one := range policies {
			if one.AlertType == t.Type && one.Enabled {
				s.Policies++
			}
		}
		out.Types = append(out.Types, s)
	}
	return v.Show(page.View{Section: "notifications", Title: "Alert types", Template: "alert-types", Data: out})
}

// typePage is the data of the template "alert-type".
type typePage struct {
	Hub      ui.Hub
	Type     *AlertType
	Filters  []Filter
	Messages []SampleMessage
	Sample   string
	Policies []shownPolicy
	Alerts   string // list of the alerts of this type
}

func (p *pages) showType(v *page.Visit) error {
	kind, err := p.AlertType(v.Context(), v.PathValue("alert_type"))
	if err != nil {
		return err
	}
	if kind == nil {
		return errs.New(errs.CodeNotFound, "no catalogue declares this alert type")
	}
	out := typePage{
		Type:    kind,
		Filters: kind.Filters,
		Alerts:  AlertsPath(v.Account) + "?" + url.Values{"type": {kind.Type}}.Encode(),
	}
	if len(kind.Sample) > 0 {
		out.Sample = indented(string(kind.Sample))
	}
	draft := Policy{AlertType: kind.Type, Name: "Your policy", account: v.Account}
	if out.Messages, err = p.sampleMessages(v.Context(), &draft); err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	for _, one := range policies {
		if one.AlertType != kind.Type || len(out.Policies) == hubRows {
			continue
		}
		s, err := p.shownPolicy(v, one, nil)
		if err != nil {
			return err
		}
		out.Policies = append(out.Policies, s)
	}
	unsent, err := p.unsent(v.Context(), v.Account, []*AlertType{kind})
	if err != nil {
		return err
	}
	out.Hub = ui.Hub{
		Back:     ui.Link{Label: "Alert types", Href: typesPath(v.Account)},
		Icon:     "siren",
		Title:    kind.Title,
		Subtitle: ui.Sentence{{Text: kind.Description}},
		Properties: []ui.PropertyGroup{{Properties: []ui.Property{
			{Label: "Type", Copy: kind.Type},
			{Label: "Product", Text: kind.Product},
			{Label: "Category", Text: kind.Category},
			{Label: "Severities", Text: strings.Join(kind.Severities, ", ")},
		}}},
	}
	if unsent[kind.Type] {
		out.Hub.Status = ui.Status{Label: "no producer yet"}
	}
	if v.Can(account.NotificationsWrite) {
		create := NotificationsPath(v.Account) + "/policies/new?" + url.Values{"type": {kind.Type}}.Encode()
		out.Hub.Actions = []ui.Link{{Label: "Create a policy", Icon: "plus", Href: create, Primary: true, Key: "c"}}
	}
	return v.Show(page.View{Section: "notifications", Title: kind.Title, Template: "alert-type", Data: out})
}
