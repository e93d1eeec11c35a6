package account

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addAccounts() {
	p.Get(AccountsPath, AccountsRead, p.showAccounts)
	p.Post(AccountsPath, AccountsWrite, page.Form[accountForm]{
		Parse:  parseAccountForm,
		Do:     p.createAccount,
		Fields: []string{"name", "external_id"},
		Render: p.renderAccounts,
		Then:   p.accountCreated,
	}.Handle)
}

// accountsPage is the data of the template "accounts".
type accountsPage struct {
	Path         string
	Rows         []Account
	Next         string
	CanWrite     bool
	Form         accountForm
	Unknown      string // the reference that was searched and not found
	Installation string // id of the installation's own account
}

// accountForm is the input for a new account.
type accountForm struct {
	Name       string
	ExternalID string
	Faults     ui.Faults
}

func parseAccountForm(v *page.Visit) (accountForm, error) {
	return accountForm{Name: v.Field("name", 1024), ExternalID: v.Field("external_id", 256)}, nil
}

// showAccounts lists the accounts; ?find= leads to the one with an id or
// external id.
func (p *pages) showAccounts(v *page.Visit) error {
	ref := strings.TrimSpace(v.Query("find"))
	if ref == "" {
		return p.renderAccounts(v, &accountForm{}, ui.Faults{})
	}
	accountID, err := p.findAccount(v.Context(), ref)
	if errs.Is(err, errs.CodeNotFound) {
		return p.listAccounts(v, accountsPage{Unknown: page.Cut(ref, 128)})
	}
	if err != nil {
		return err
	}
	return v.Redirect(AccountPath(accountID), "")
}

// findAccount finds an account by its id or its external id, with or without
// ext:.
func (p *pages) findAccount(ctx context.Context, ref string) (string, error) {
	if !id.Valid(ref) && !strings.HasPrefix(ref, externalPrefix) {
		ref = externalPrefix + ref
	}
	return p.ResolveAccount(ctx, ref)
}

func (p *pages) renderAccounts(v *page.Visit, f *accountForm, faults ui.Faults) error {
	f.Faults = faults
	return p.listAccounts(v, accountsPage{Form: *f})
}

func (p *pages) listAccounts(v *page.Visit, data accountsPage) error {
	list, err := page.ReadList(v, pageSize, accountKey, func(after web.Keyset, limit int) ([]Account, error) {
		return p.Accounts(v.Context(), v.Who, after.ID, limit)
	})
	if err != nil {
		return err
	}
	data.Path = AccountsPath
	data.Rows = list.Items
	data.Next = list.Next
	data.CanWrite = v.Can(AccountsWrite)
	data.Installation = Installation
	return v.Show(page.View{
		Section:  "accounts",
		Title:    "Accounts",
		Template: "accounts",
		Status:   data.Form.Faults.Status,
		Data:     data,
	})
}

func (p *pages) createAccount(v *page.Visit, f *accountForm) error {
	_, err := p.CreateAccount(v.Context(), v.Who, f.Name, f.ExternalID)
	return err
}

func (p *pages) accountCreated(v *page.Visit, _ *accountForm) error {
	return v.Redirect(AccountsPath, "account-created")
}
