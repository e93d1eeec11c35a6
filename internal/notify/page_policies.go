package notify

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addPolicies() {
	const base = "/accounts/{account_id}/notifications"
	p.Get(base, account.NotificationsRead, p.showNotifications)
	p.Get(base+"/policies", account.NotificationsRead, p.showPolicies)
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

func policiesPath(accountID string) string { return NotificationsPath(accountID) + "/policies" }

// policiesPage is the data of the template "policies".
type policiesPage struct {
	Path      string
	Back      string
	May       bool
	Rows      []shownPolicy
	Next      string
	Total     int // policies of the account
	On        int // of them
	Shown     int // that the filters select
	Filters   ui.Filters
	Selection ui.Selection
}

var policySorts = []ui.Choice{
	{Value: "name", Label: "By name"},
	{Value: "type", Label: "By alert type"},
	{Value: "changed", Label: "Changed last first"},
	{Value: "newest", Label: "Newest first"},
}

const (
	policyOn  = "on"
	policyOff = "off"

	// policiesAtOnce is how many policies a part of the list has.
	policiesAtOnce = 50
)

func (p *pages) showPolicies(v *page.Visit) error {
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	names, err := p.webhookNames(v)
	if err != nil {
		return err
	}
	titles, err := p.typeTitles(v.Context())
	if err != nil {
		return err
	}
	list := policyList{pages: p, visit: v, names: names, titles: titles}
	rows, err := list.filter(policies)
	if err != nil {
		return err
	}
	sort := ui.SortOf(v.Request.URL, policySorts...)
	part, err := page.SortedList(v, policiesAtOnce, rows, func(one Policy) (key, id string) {
		switch sort {
		case "type":
			return page.ByName(titles.of(one.AlertType)) + "\x00" + page.ByName(one.Name), one.ID
		case "changed":
			return page.NewestFirst(one.Modified.Time), one.ID
		case "newest":
			return page.NewestFirst(one.Created.Time), one.ID
		}
		return page.ByName(one.Name), one.ID
	})
	if err != nil {
		return err
	}
	out := policiesPage{
		Path:      policiesPath(v.Account),
		Back:      NotificationsPath(v.Account),
		May:       v.Can(account.NotificationsWrite),
		Next:      part.Next,
		Total:     len(policies),
		Shown:     len(rows),
		Filters:   list.bar(policies),
		Selection: policySelection(v.Account),
	}
	if err := v.Views("notifications/policies", &out.Filters); err != nil {
		return err
	}
	for _, one := range policies {
		if one.Enabled {
			out.On++
		}
	}
	for _, one := range part.Items {
		shown, err := p.shownPolicy(v, one, names)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, shown)
	}
	return v.Show(page.View{Section: "notifications", Title: "Policies", Template: "policies", Data: out})
}

func policySelection(accountID string) ui.Selection {
	return ui.Selection{
		Form:   "chosen",
		Action: policiesPath(accountID) + "/chosen",
		Noun:   "policies",
		Acts: []ui.BulkAct{
			{Label: "Turn on", Icon: "toggle-right", Value: "enable"},
			{Label: "Turn off", Icon: "toggle-left", Value: "disable"},
			{Label: "Delete…", Icon: "trash-2", Value: "delete", Danger: true},
		},
	}
}

// typeTitles are the titles of the alert types that a catalogue declares.
type typeTitles map[string]string

func (t typeTitles) of(alertType string) string { return cmp.Or(t[alertType], alertType) }

func (p *pages) typeTitles(ctx context.Context) (typeTitles, error) {
	types, err := p.AlertTypes(ctx)
	titles := typeTitles{}
	for _, kind := range types {
		titles[kind.Type] = kind.Title
	}
	return titles, err
}

// webhookNames are the names of the account's webhooks, by id.
func (p *pages) webhookNames(v *page.Visit) (map[string]string, error) {
	hooks, err := p.Webhooks(v.Context(), v.Account)
	names := map[string]string{}
	for _, h := range hooks {
		names[h.ID] = h.Name
	}
	return names, err
}

// policyList filters the policies of an account, and makes the bar above them.
type policyList struct {
	*pages
	visit  *page.Visit
	names  map[string]string // of the webhooks, by id
	titles typeTitles

	zones map[string]Zone // that policies name, by the name
}

// filter are the policies that the filters of the URL select.
func (l *policyList) filter(policies []Policy) ([]Policy, error) {
	v := l.visit
	query := v.Request.URL.Query()
	ids := ui.FilterValues(query, "zone", mostValues)
	ids = append(ids, ui.FilterValues(query, "zone.not", mostValues)...)
	properties, err := l.properties(ids)
	if err != nil {
		return nil, err
	}
	var rows []Policy
	for _, one := range policies {
		reached, err := l.reached(&one, properties)
		if err != nil {
			return nil, err
		}
		texts := append(l.toNames(&one), one.Description, one.AlertType, l.titles.of(one.AlertType))
		if v.Passes("state", policyState(&one)) && v.Passes("type", one.AlertType) &&
			v.Passes("to", destinationIDs(&one)...) &&
			v.Passes("zone", reached...) && feature.Searched(v.Query("q"), one.ID, one.Name, texts...) {
			rows = append(rows, one)
		}
	}
	return rows, nil
}

func policyState(one *Policy) string {
	if one.Enabled {
		return policyOn
	}
	return policyOff
}

// destinationIDs are the ids of a policy's webhooks and its mail addresses.
func destinationIDs(one *Policy) (ids []string) {
	for _, w := range one.Mechanisms.Webhooks {
		ids = append(ids, w.ID)
	}
	for _, m := range one.Mechanisms.Email {
		ids = append(ids, foldAddress(m.ID))
	}
	return ids
}

func (l *policyList) toNames(one *Policy) (names []string) {
	for _, id := range destinationIDs(one) {
		names = append(names, cmp.Or(l.names[id], id))
	}
	return names
}

// properties finds the properties that filters name by their ids.
func (l *policyList) properties(ids []string) (list []Zone, err error) {
	for _, id := range ids {
		z, err := l.zone(id)
		if err != nil {
			return nil, err
		}
		if z.ID == "" {
			z.ID = id // of a property that was deleted
		}
		list = append(list, z)
	}
	return list, nil
}

// zone finds the property that a policy or a filter names. A page looks each name up once.
func (l *policyList) zone(ref string) (Zone, error) {
	if z, known := l.zones[ref]; known {
		return z, nil
	}
	z, err := l.Zone(l.visit.Context(), l.visit.Account, ref)
	if err != nil {
		return z, err
	}
	if l.zones == nil {
		l.zones = map[string]Zone{}
	}
	l.zones[ref] = z
	return z, nil
}

// reached are the ids of those properties about which a policy sends alerts.
func (l *policyList) reached(one *Policy, properties []Zone) (ids []string, err error) {
	for _, z := range properties {
		named, err := l.named(one.Filters[zonesKey], z)
		if err != nil {
			return nil, err
		}
		excluded, err := l.named(one.Filters[zonesKey+notSuffix], z)
		if err != nil {
			return nil, err
		}
		if (named || len(one.Filters[zonesKey]) == 0) && !excluded {
			ids = append(ids, z.ID)
		}
	}
	return ids, nil
}

// named reports whether one of a policy's names for properties is that of z: its id, its name or an alias.
func (l *policyList) named(refs []string, z Zone) (bool, error) {
	for _, ref := range refs {
		if ref == z.ID || strings.EqualFold(ref, z.Name) {
			return true, nil
		}
	}
	for _, ref := range refs {
		found, err := l.zone(ref)
		if err != nil || found.ID == z.ID {
			return err == nil, err
		}
	}
	return false, nil
}

// bar is the bar above the list. Its choices are those that policies have, with the numbers of policies.
func (l *policyList) bar(policies []Policy) ui.Filters {
	u := l.visit.Request.URL
	byType := map[string]int{}
	byDestination := map[string]int{}
	byState := map[string]int{}
	for _, one := range policies {
		byType[one.AlertType]++
		byState[policyState(&one)]++
		for _, id := range destinationIDs(&one) {
			byDestination[id]++
		}
	}
	kinds := countedChoices(byType, func(id string) ui.Choice { return ui.Choice{Label: l.titles.of(id), Icon: "siren"} })
	destinations := countedChoices(byDestination, func(id string) ui.Choice {
		switch {
		case strings.Contains(id, "@"):
			return ui.Choice{Label: id, Icon: "mail"}
		case l.names[id] == "":
			return ui.Choice{Label: "a webhook that was deleted", Icon: "webhook"}
		}
		return ui.Choice{Label: l.names[id], Icon: "webhook"}
	})
	states := countedChoices(byState, func(id string) ui.Choice { return ui.Choice{Label: id} })
	f := ui.NewFilters(u, "Search policies",
		ui.FilterKey{Key: "type", Label: "Alert type", Icon: "tag", Options: kinds, Only: true},
		ui.FilterKey{Key: "to", Label: "Sends to", Icon: "send", Options: destinations, Only: true},
		l.zoneKey(l.visit),
		ui.FilterKey{Key: "state", Label: "State", Icon: "circle-dot", Options: states, Only: true})
	f.Sort = ui.Sorts(u, policySorts...)
	f.Display = &ui.Display{Name: "policies", Columns: []ui.ListColumn{
		{Key: "alerts", Label: "Alerts"},
		{Key: "to", Label: "Sends to"},
		{Key: "interval", Label: "At most every"},
		{Key: "changed", Label: "Changed"},
		{Key: "state", Label: "State"},
	}}
	return f
}

// zoneKey is the filter of a list by property.
func (p *pages) zoneKey(v *page.Visit) ui.FilterKey {
	return ui.FilterKey{
		Key:    "zone",
		Label:  "Property",
		Icon:   "globe",
		Kind:   "zone",
		Source: account.AccountPath(v.Account) + "/find",
		Only:   true,
		Name: func(id string) string {
			z, err := p.Zone(v.Context(), v.Account, id)
			if err != nil {
				return ""
			}
			return z.Name
		},
	}
}

// countedChoices are values with the numbers of policies that have them, by label.
func countedChoices(counts map[string]int, choice func(value string) ui.Choice) (list []ui.Choice) {
	for value, n := range counts {
		c := choice(value)
		c.Value = value
		c.Detail = strconv.Itoa(n)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b ui.Choice) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), strings.Compare(a.Value, b.Value))
	})
	return list
}

// actOnPolicies turns chosen policies on or off, or deletes them after a question. Policies that another request has
// deleted are passed over.
func (p *pages) actOnPolicies(v *page.Visit) error {
	ids := v.Values("id", 64)
	act := v.Field("act", 16)
	back := policiesPath(v.Account)
	switch {
	case !slices.Contains([]string{"enable", "disable", "delete"}, act):
		return errs.At(errs.CodeInvalid, "act", "act is enable, disable or delete")
	case len(ids) == 0 || len(ids) > mostChosen:
		return v.Redirect(back, "nothing-chosen")
	case act == "delete" && !v.Confirmed():
		return p.askDeletePolicies(v, ids)
	}
	for _, id := range ids {
		var err error
		if act == "delete" {
			err = p.DeletePolicy(v.Context(), v.Who, v.Account, id)
		} else {
			_, err = p.UpdatePolicy(v.Context(), v.Who, v.Account, id, func(one *Policy) { one.Enabled = act == "enable" })
		}
		if err != nil && !errs.Is(err, errs.CodeNotFound) {
			return err
		}
	}
	if act == "delete" {
		return v.Redirect(back, "policies-deleted")
	}
	return v.Redirect(back, "policies-changed")
}

// askDeletePolicies names the messages of the chosen policies, and the alerts that no policy will send afterwards.
func (p *pages) askDeletePolicies(v *page.Visit, ids []string) error {
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	names, err := p.webhookNames(v)
	if err != nil {
		return err
	}
	ask := page.Chosen{
		Section: "notifications",
		Text:    "They send no more messages. Their past decisions stay with the alerts.",
		Label:   "Delete",
		Back:    policiesPath(v.Account),
		Act:     "delete",
		Danger:  true,
	}
	left := map[string]bool{} // types that another policy sends
	for _, one := range policies {
		if one.Enabled && !slices.Contains(ids, one.ID) {
			left[one.AlertType] = true
		}
	}
	for _, one := range policies {
		if !slices.Contains(ids, one.ID) {
			continue
		}
		shown, err := p.shownPolicy(v, one, names)
		if err != nil {
			return err
		}
		item := page.ChosenItem{ID: one.ID, Name: one.Name, Note: policySentence(&shown)}
		switch {
		case !one.Enabled:
			item.Note += " It is off."
		case !left[one.AlertType]:
			item.Note += " No other policy sends alerts of this type."
		}
		ask.Items = append(ask.Items, item)
	}
	if len(ask.Items) == 0 {
		return noPolicy()
	}
	ask.Title = "Delete " + plural(len(ask.Items), "policy", "policies") + "?"
	return v.AskChosen(ask)
}
