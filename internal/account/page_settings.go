package account

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addSettings() {
	const base = "/accounts/{account_id}/settings"
	p.Get(base, AccountsRead, p.showSettings)
	p.Post(base, AccountsWrite, page.Form[settingsForm]{
		Parse:  p.parseSettings,
		Do:     p.saveSettings,
		Fields: []string{"name", "time_zone"},
		Render: p.renderSettings,
		Then:   p.settingsSaved,
	}.Handle)
	p.Get(base+"/transfer", MembersWrite, p.showTransfer)
	p.Post(base+"/transfer", MembersWrite, page.Form[transferForm]{
		Parse:  parseTransfer,
		Do:     p.transfer,
		Fields: []string{"member_id"},
		Render: p.renderTransfer,
		Then:   p.transferred,
	}.Handle)
	p.Get(base+"/close", AccountsWrite, p.showClose)
	p.Post(base+"/close", AccountsWrite, page.Form[closeForm]{
		Parse:  p.parseClose,
		Do:     p.close,
		Fields: []string{"name"},
		Render: p.renderClose,
		Then:   p.accountClosed,
	}.Handle)
	p.Post(base+"/reopen", AccountsRead, p.reopen)
}

// settingsForm is the input for the settings of an account.
type settingsForm struct {
	Name     string
	TimeZone string

	account Account
}

// settingsPage is the data of the template "settings".
type settingsPage struct {
	Path     string
	Account  Account
	Name     string
	TimeZone ui.Picker
	CanWrite bool
	Transfer bool // the visitor may transfer the ownership
	Close    bool // the visitor may close the account
	Reopen   bool // the visitor may reopen it
	Days     int  // how long the data of a closed account stays
	Profile  string
	Changes  string
	Exports  string // page of the audit log
	Mails    bool
	Faults   ui.Faults
}

func (p *pages) parseSettings(v *page.Visit) (settingsForm, error) {
	a, err := p.Account(v.Context(), v.Account)
	f := settingsForm{
		Name:     v.Field("name", 1024),
		TimeZone: strings.Join(v.Values("time_zone", 64), " "),
		account:  a,
	}
	return f, err
}

func (p *pages) showSettings(v *page.Visit) error {
	a, err := p.Account(v.Context(), v.Account)
	if err != nil {
		return err
	}
	return p.renderSettings(v, &settingsForm{Name: a.Name, TimeZone: a.TimeZone, account: a}, ui.Faults{})
}

func (p *pages) renderSettings(v *page.Visit, f *settingsForm, faults ui.Faults) error {
	open := f.account.ClosedOn.IsZero()
	owner := covers(v.Who, v.Account, Owner.Permissions())
	return v.Show(page.View{
		Section:  "settings",
		Title:    "Settings",
		Template: "settings",
		Status:   faults.Status,
		Data: settingsPage{
			Path:     SettingsPath(v.Account),
			Account:  f.account,
			Name:     f.Name,
			TimeZone: timeZonePicker(f.TimeZone, faults.Of("time_zone"), p.now()),
			CanWrite: v.Can(AccountsWrite) && open,
			Transfer: owner && open && v.Who.Session && v.Who.Grants[v.Account].Has(Everything),
			Close:    owner && open && v.Account != Installation,
			Reopen:   v.Who.Superoperator && !open,
			Days:     int(ClosedTime.Hours() / 24),
			Profile:  ProfilePath,
			Changes:  changesLink(v, "account", v.Account),
			Exports:  auditLink(v),
			Mails:    p.MailsLinks(),
			Faults:   faults,
		},
	})
}

func (p *pages) saveSettings(v *page.Visit, f *settingsForm) error {
	_, err := p.UpdateAccount(v.Context(), v.Who, v.Account, AccountUpdate{Name: &f.Name, TimeZone: &f.TimeZone})
	return err
}

func (p *pages) settingsSaved(v *page.Visit, _ *settingsForm) error {
	return v.Redirect(SettingsPath(v.Account), "account-changed")
}

// transferForm is the input for the transfer of the ownership.
type transferForm struct{ MemberID string }

// transferPage is the data of the template "transfer".
type transferPage struct {
	Path    string
	Chosen  string
	Members [][2]string // who have accepted
	Mails   bool
	Faults  ui.Faults
}

func parseTransfer(v *page.Visit) (transferForm, error) {
	return transferForm{MemberID: v.Field("member_id", 64)}, nil
}

func (p *pages) showTransfer(v *page.Visit) error {
	return p.renderTransfer(v, &transferForm{}, ui.Faults{})
}

func (p *pages) renderTransfer(v *page.Visit, f *transferForm, faults ui.Faults) error {
	all, err := p.Members(v.Context(), v.Account, "", MaxMembers)
	if err != nil {
		return err
	}
	data := transferPage{Path: SettingsPath(v.Account), Chosen: f.MemberID, Mails: p.MailsLinks(), Faults: faults}
	for _, m := range all {
		if m.Status == StatusActive && m.ID != v.Who.ID {
			data.Members = append(data.Members, [2]string{m.ID, m.Name + " (" + m.Email + "), " + string(m.Role)})
		}
	}
	return v.Show(page.View{
		Section:  "settings",
		Title:    "Transfer the ownership",
		Template: "transfer",
		Status:   faults.Status,
		Data:     data,
	})
}

func (p *pages) transfer(v *page.Visit, f *transferForm) error {
	if f.MemberID == "" {
		return errs.At(errs.CodeMissingField, "/member_id", "choose a member")
	}
	_, err := p.TransferOwnership(v.Context(), v.Who, v.Account, f.MemberID)
	return err
}

func (p *pages) transferred(v *page.Visit, _ *transferForm) error {
	return v.Redirect(SettingsPath(v.Account), "ownership-given")
}

// closeForm is the input for the end of an account.
type closeForm struct {
	Name string // typed by the visitor

	account Account
}

// closePage is the data of the template "close".
type closePage struct {
	Path    string
	Account Account
	Typed   string
	Days    int
	Exports string
	Faults  ui.Faults
}

func (p *pages) parseClose(v *page.Visit) (closeForm, error) {
	a, err := p.Account(v.Context(), v.Account)
	return closeForm{Name: v.Field("name", 1024), account: a}, err
}

func (p *pages) showClose(v *page.Visit) error {
	f, err := p.parseClose(v)
	if err != nil {
		return err
	}
	return p.renderClose(v, &f, ui.Faults{})
}

func (p *pages) renderClose(v *page.Visit, f *closeForm, faults ui.Faults) error {
	return v.Show(page.View{
		Section:  "settings",
		Title:    "Close the account",
		Template: "close",
		Status:   faults.Status,
		Data: closePage{
			Path:    SettingsPath(v.Account),
			Account: f.account,
			Typed:   f.Name,
			Days:    int(ClosedTime.Hours() / 24),
			Exports: auditLink(v),
			Faults:  faults,
		},
	})
}

func (p *pages) close(v *page.Visit, f *closeForm) error {
	_, err := p.CloseAccount(v.Context(), v.Who, v.Account, f.Name)
	return err
}

// accountClosed leads operators back; the session of a member has ended.
func (p *pages) accountClosed(v *page.Visit, _ *closeForm) error {
	if v.Who.Superoperator {
		return v.Redirect(SettingsPath(v.Account), "account-closed")
	}
	return v.Redirect(SignInURL(SettingsPath(v.Account)), "account-closed")
}

func (p *pages) reopen(v *page.Visit) error {
	if _, err := p.ReopenAccount(v.Context(), v.Who, v.Account); err != nil {
		return err
	}
	return v.Redirect(SettingsPath(v.Account), "account-reopened")
}
