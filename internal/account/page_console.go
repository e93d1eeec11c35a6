package account

import (
	"context"
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// System is the state of this process and of what it keeps.
type System struct {
	Version   string
	Ready     telemetry.Readiness
	Databases []Database
}

// Database is one feature's database and what was applied to it.
type Database struct {
	Feature, Engine string
	Migrations      []db.Applied
}

// The operators' pages of the installation.
func (p *pages) mountConsole() {
	p.Mount("GET "+AccountsPath, AccountsRead, false, p.showAccounts)
	p.Mount("POST "+AccountsPath, AccountsWrite, false, p.createAccount)
	if p.System != nil {
		p.Mount("GET "+SystemPath, AccountsRead, false, p.showSystem)
	}
}

// accountForm is what was typed about a new account.
type accountForm struct {
	Name, ExternalID string
	Faults           ui.Faults
}

// showAccounts lists the accounts; ?find= leads to the one with an id or
// external id.
func (p *pages) showAccounts(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	find := strings.TrimSpace(r.URL.Query().Get("find"))
	if find != "" {
		accountID, err := p.find(v.ctx, find)
		if err == nil {
			return goTo(w, r, AccountPath(accountID), "")
		}
		if !errs.Is(err, errs.CodeNotFound) {
			return err
		}
	}
	return p.renderAccounts(w, v, accountForm{}, clip(find, 128))
}

// find looks for an account by its id or external id, with or without ext:.
func (p *pages) find(ctx context.Context, ref string) (string, error) {
	if !id.Valid(ref) && !strings.HasPrefix(ref, externalPrefix) {
		ref = externalPrefix + ref
	}
	return p.ResolveAccount(ctx, ref)
}

func (p *pages) renderAccounts(w http.ResponseWriter, v visit, f accountForm, missed string) error {
	list, err := page(p.Pages.API, v.paging(), "console accounts", func(a Account) string { return a.ID },
		func(after string, limit int) ([]Account, error) { return p.Accounts(v.ctx, v.who, after, limit) })
	if err != nil {
		return err
	}
	return p.show(w, v, "accounts", view{section: "accounts", title: "Accounts", status: f.Faults.Status, data: map[string]any{
		"Rows": list.Items, "Next": v.older(list.Cursor), "May": v.who.Can("", AccountsWrite), "Path": AccountsPath, "Form": f, "Missed": missed, "Installation": Installation,
	}})
}

func (p *pages) createAccount(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	f := accountForm{Name: clip(r.PostFormValue("name"), 1024), ExternalID: clip(strings.TrimSpace(r.PostFormValue("external_id")), 256)}
	if _, err := p.CreateAccount(v.ctx, v.who, f.Name, f.ExternalID); err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "external_id"); !ok {
			return err
		}
		return p.renderAccounts(w, v, f, "")
	}
	return goTo(w, r, AccountsPath, "account-created")
}

func (p *pages) showSystem(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	s, err := p.System(v.ctx)
	if err != nil {
		return err
	}
	failing := 0
	for _, c := range s.Ready.Checks {
		if !c.OK {
			failing++
		}
	}
	return p.show(w, v, "system", view{section: "system", title: "System", data: map[string]any{"System": s, "Failing": failing}})
}
