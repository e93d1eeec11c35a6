package account

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addAccounts() {
	p.Get(AccountsPath, AccountsRead, p.showAccounts)
	p.Get(AccountsPath+"/new", AccountsWrite, p.showNewAccount)
	p.Post(AccountsPath+"/new", AccountsWrite, page.Form[accountForm]{
		Parse:  parseAccountForm,
		Do:     p.createAccount,
		Fields: []string{"name", "external_id"},
		Render: p.renderNewAccount,
		Then:   p.accountCreated,
	}.Handle)
	p.addCustomerHub()
}

// CustomerPath is the operators' page about an account.
func CustomerPath(accountID string) string { return AccountsPath + "/" + accountID }

// maxListed bounds the accounts that the operators' list reads, the newest; a search by id finds every account.
const maxListed = 10_000

// Listed is an account with the size of its audit log.
type Listed struct {
	Account
	Events    int64
	LastEvent time.Time // zero = none
}

// Href is the operators' page about the account.
func (a Listed) Href() string { return CustomerPath(a.ID) }

// State is the state of the account; open accounts have no tone.
func (a Listed) State() ui.Status {
	switch {
	case a.ID == Installation:
		return ui.Status{Label: "The installation itself", Tone: ui.Info}
	case !a.ClosedOn.IsZero():
		return ui.Status{Label: "Closed", Tone: ui.Bad}
	}
	return ui.Status{Label: "Open"}
}

// NewestAccounts lists the newest accounts with their sizes, at most limit.
func (f *Feature) NewestAccounts(ctx context.Context, limit int) ([]Listed, error) {
	var accounts []Account
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		accounts, err = db.Collect(ctx, tx, scanAccount, `SELECT `+accountColumns+` FROM account
			ORDER BY created_at DESC, id DESC LIMIT $1`, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	sizes := map[string]AccountSize{}
	if f.cfg.Sizes != nil {
		if sizes, err = f.cfg.Sizes(ctx); err != nil {
			return nil, err
		}
	}
	list := make([]Listed, len(accounts))
	for i, a := range accounts {
		list[i] = Listed{Account: a, Events: sizes[a.ID].Events, LastEvent: sizes[a.ID].LastEvent}
	}
	return list, nil
}

// accountsPage is the data of the template "accounts".
type accountsPage struct {
	Path    string
	Rows    []Listed
	Next    string
	Total   int
	Shown   int
	More    bool // there are accounts that were not read
	Sized   bool // sizes are known
	Create  string
	Filters ui.Filters
}

var accountSorts = []ui.Choice{
	{Value: "newest", Label: "Newest first"},
	{Value: "name", Label: "By name"},
	{Value: "events", Label: "Most events first"},
	{Value: "active", Label: "Last event first"},
}

func (p *pages) showAccounts(v *page.Visit) error {
	all, err := p.NewestAccounts(v.Context(), maxListed+1)
	if err != nil {
		return err
	}
	data := accountsPage{
		Path:    AccountsPath,
		More:    len(all) > maxListed,
		Sized:   p.cfg.Sizes != nil,
		Filters: accountFilters(v),
	}
	if v.Can(AccountsWrite) {
		data.Create = AccountsPath + "/new"
	}
	all = all[:min(len(all), maxListed)]
	if data.More {
		if all, err = p.withPasted(v, all); err != nil {
			return err
		}
	}
	rows := []Listed{}
	for _, a := range all {
		state := "open"
		if !a.ClosedOn.IsZero() {
			state = "closed"
		}
		events := "some"
		if a.Events == 0 {
			events = "none"
		}
		if v.Passes("state", state) && v.Passes("events", events) &&
			feature.Searched(v.Query("q"), a.ID, a.Name, a.ExternalID, externalPrefix+a.ExternalID) {
			rows = append(rows, a)
		}
	}
	data.Total = len(all)
	data.Shown = len(rows)
	sort := ui.SortOf(v.Request.URL, accountSorts...)
	list, err := page.SortedList(v, pageSize, rows, func(a Listed) (key, id string) { return a.key(sort), a.ID })
	if err != nil {
		return err
	}
	data.Rows = list.Items
	data.Next = list.Next
	return v.Show(page.View{Section: "accounts", Title: "Accounts", Template: "accounts", Data: data})
}

// withPasted adds the account whose id or external id is searched, if it is older than those of the list.
func (p *pages) withPasted(v *page.Visit, all []Listed) ([]Listed, error) {
	matches, err := p.findCustomers(v.Context(), "", page.Cut(v.Query("q"), 200), 1)
	if err != nil {
		return nil, err
	}
	for _, m := range matches {
		a, err := p.Account(v.Context(), m.ID)
		if err != nil {
			return nil, err
		}
		known := false
		for _, one := range all {
			known = known || one.ID == a.ID
		}
		if !known {
			all = append(all, Listed{Account: a})
		}
	}
	return all, nil
}

// key is the account's key in an order of the list.
func (a Listed) key(sort string) string {
	switch sort {
	case "name":
		return page.ByName(a.Name)
	case "events":
		return fmt.Sprintf("%019d", (1<<62)-a.Events)
	case "active":
		return page.NewestFirst(a.LastEvent)
	}
	return page.NewestFirst(a.CreatedOn.Time)
}

func accountFilters(v *page.Visit) ui.Filters {
	states := ui.FilterKey{Key: "state", Label: "State", Icon: "circle-dot", Only: true, Options: []ui.Choice{
		{Value: "open", Label: "open"},
		{Value: "closed", Label: "closed"},
	}}
	events := ui.FilterKey{Key: "events", Label: "Events", Icon: "scroll-text", Only: true, Options: []ui.Choice{
		{Value: "some", Label: "some"},
		{Value: "none", Label: "none yet"},
	}}
	f := ui.NewFilters(v.Request.URL, "Search accounts by name, id or external id", states, events)
	f.Sort = ui.Sorts(v.Request.URL, accountSorts...)
	f.Display = &ui.Display{Name: "accounts", Columns: []ui.ListColumn{
		{Key: "external", Label: "External id"},
		{Key: "events", Label: "Events"},
		{Key: "last", Label: "Last event"},
		{Key: "created", Label: "Created"},
	}}
	return f
}

// accountForm is the input for a new account.
type accountForm struct {
	Name       string
	ExternalID string
	Faults     ui.Faults

	account Account // created just now
}

func parseAccountForm(v *page.Visit) (accountForm, error) {
	return accountForm{Name: v.Field("name", 1024), ExternalID: v.Field("external_id", 256)}, nil
}

// newAccountPage is the data of the template "account-new".
type newAccountPage struct {
	Path string
	Back string
	Form accountForm
}

func (p *pages) showNewAccount(v *page.Visit) error {
	return p.renderNewAccount(v, &accountForm{}, ui.Faults{})
}

func (p *pages) renderNewAccount(v *page.Visit, f *accountForm, faults ui.Faults) error {
	f.Faults = faults
	return v.Show(page.View{
		Section:  "accounts",
		Title:    "Create an account",
		Template: "account-new",
		Status:   faults.Status,
		Data:     newAccountPage{Path: AccountsPath + "/new", Back: AccountsPath, Form: *f},
	})
}

func (p *pages) createAccount(v *page.Visit, f *accountForm) (err error) {
	f.account, err = p.CreateAccount(v.Context(), v.Who, f.Name, f.ExternalID)
	return err
}

func (p *pages) accountCreated(v *page.Visit, f *accountForm) error {
	return v.Redirect(CustomerPath(f.account.ID), "account-created")
}
