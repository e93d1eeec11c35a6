package account

import (
	"slices"
	"strconv"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// The operators' page about one account. Its path is outside of the account, so that an operator sees it without
// entering the account.

func (p *pages) addCustomerHub() {
	const one = AccountsPath + "/{customer_id}"
	p.Get(one, AccountsRead, p.showCustomer)
	p.Post(one+"/reopen", AccountsWrite, p.reopenCustomer)
}

// customerPage is the data of the template "customer".
type customerPage struct {
	Hub         ui.Hub
	Metrics     []ui.Metric
	Members     []memberView
	MemberCount int
	MembersHref string
	Activity    *ui.Activity
}

// customerCounts are the numbers of an account's objects.
type customerCounts struct{ members, tokens, zones int }

func (p *pages) showCustomer(v *page.Visit) error {
	ctx := v.Context()
	accountID, err := p.ResolveAccount(ctx, v.PathValue("customer_id"))
	if err != nil {
		return err
	}
	a, err := p.Account(ctx, accountID)
	if err != nil {
		return err
	}
	listed := Listed{Account: a}
	if p.cfg.Sizes != nil {
		sizes, err := p.cfg.Sizes(ctx)
		if err != nil {
			return err
		}
		listed.Events = sizes[a.ID].Events
		listed.LastEvent = sizes[a.ID].LastEvent
	}
	var counts customerCounts
	err = p.db.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM member WHERE account_id = $1),
			(SELECT COUNT(*) FROM api_token WHERE account_id = $1),
			(SELECT COUNT(*) FROM zone WHERE account_id = $1)`, a.ID).Scan(&counts.members, &counts.tokens, &counts.zones)
	})
	if err != nil {
		return err
	}
	data := customerPage{MemberCount: counts.members, MembersHref: MembersPath(a.ID), Metrics: listed.metrics(counts)}
	if data.Members, err = p.firstMembers(v, a.ID); err != nil {
		return err
	}
	if p.cfg.Activity != nil && v.Who.Can(a.ID, AuditRead) {
		about := feature.About{ResourceType: "account", ResourceID: a.ID}
		activity, err := p.cfg.Activity(ctx, v.Who, a.ID, about, hubRows)
		if err != nil {
			return err
		}
		activity.Note = "changes of the account itself"
		data.Activity = &activity
	}
	data.Hub = listed.hub(v)
	return v.Show(page.View{Section: "accounts", Title: a.Name, Template: "customer", Data: data})
}

// firstMembers are the owners and the members who were active last, at most hubRows.
func (p *pages) firstMembers(v *page.Visit, accountID string) ([]memberView, error) {
	all, err := p.Members(v.Context(), accountID, "", MaxMembers)
	if err != nil {
		return nil, err
	}
	inAccount := *v
	inAccount.Account = accountID
	views := make([]memberView, len(all))
	for i, m := range all {
		views[i] = p.memberView(&inAccount, m)
	}
	slices.SortStableFunc(views, func(a, b memberView) int {
		if (a.Role == Owner) != (b.Role == Owner) {
			if a.Role == Owner {
				return -1
			}
			return 1
		}
		return b.LastActiveOn.Compare(a.LastActiveOn.Time)
	})
	return views[:min(len(views), hubRows)], nil
}

func (a Listed) metrics(counts customerCounts) []ui.Metric {
	text := func(n int64) string {
		words, err := ui.Num(n)
		if err != nil {
			return strconv.FormatInt(n, 10) // unreachable: n is a number
		}
		return words
	}
	return []ui.Metric{
		{Label: "Events", Icon: "scroll-text", Value: text(a.Events), Href: RecordPath(a.ID)},
		{Label: "Members", Icon: "users", Value: text(int64(counts.members)), Href: MembersPath(a.ID)},
		{Label: "API tokens", Icon: "key", Value: text(int64(counts.tokens)), Href: TokensPath(a.ID)},
		{Label: "Properties", Icon: "globe", Value: text(int64(counts.zones)), Href: PropertiesPath(a.ID)},
	}
}

func (a Listed) hub(v *page.Visit) ui.Hub {
	h := ui.Hub{
		Back:   ui.Link{Label: "Accounts", Href: AccountsPath},
		Icon:   "building-2",
		Title:  a.Name,
		Status: a.State(),
		Actions: []ui.Link{
			{Label: "Look into the account", Icon: "log-in", Href: AccountPath(a.ID), Primary: true, Key: "o"},
		},
	}
	if h.Status.Tone == "" {
		h.Status.Tone = ui.Good
	}
	last := ui.Property{Label: "Last event", At: a.LastEvent, Ago: true}
	if a.LastEvent.IsZero() {
		last.Text = "never"
	}
	external := ui.Property{Label: "External id", Copy: a.ExternalID}
	group := ui.PropertyGroup{Properties: []ui.Property{
		{Label: "Id", Copy: a.ID, Text: clip(a.ID, 8) + "…"},
		external,
		{Label: "Created", At: a.CreatedOn.Time},
		last,
	}}
	if !a.ClosedOn.IsZero() {
		closed := ui.Property{Label: "Closed", At: a.ClosedOn.Time, Note: "by " + a.ClosedBy}
		group.Properties = append(group.Properties, closed)
	}
	h.Properties = []ui.PropertyGroup{group}
	if !v.Can(AccountsWrite) {
		return h
	}
	settings := ui.Link{Label: "Settings of the account", Icon: "settings", Href: SettingsPath(a.ID)}
	h.More = append(h.More, settings)
	switch {
	case !a.ClosedOn.IsZero():
		reopen := ui.Link{Label: "Reopen", Icon: "lock-open", Href: CustomerPath(a.ID) + "/reopen", Post: true}
		h.Actions = append(h.Actions, reopen)
	case a.ID != Installation:
		h.More = append(h.More, ui.Link{
			Label: "Close the account", Icon: "lock", Href: SettingsPath(a.ID) + "/close", Danger: true,
		})
	}
	return h
}

func (p *pages) reopenCustomer(v *page.Visit) error {
	accountID, err := p.ResolveAccount(v.Context(), v.PathValue("customer_id"))
	if err != nil {
		return err
	}
	if _, err := p.ReopenAccount(v.Context(), v.Who, accountID); err != nil {
		return err
	}
	return v.Redirect(CustomerPath(accountID), "account-reopened")
}
