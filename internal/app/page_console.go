package app

import (
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/producer"
)

// consolePage is the data of the template "console", the start page of the operators: is the installation well, what
// was refused, who is new.
type consolePage struct {
	*systemPage
	Faults   []string
	Calm     string
	Rejects  []rejectRow
	Refused  string // page of all refused events; "" = the visitor may not
	Accounts []account.Listed
	All      string // page of all accounts
	System   string
}

// rejectRow is a refused event.
type rejectRow struct {
	producer.Reject
	Customer string // name of the account; "" = it is not known
	Href     string
}

// consoleRows is the length of the lists of the page.
const consoleRows = 6

// showConsole shows the start page. Operators who may not see it are led to the first page that they may see.
func (p *pages) showConsole(v *page.Visit) error {
	if !v.Can(account.AccountsRead) {
		to := p.console(v.Who).Href
		if to == "" || to == consolePath {
			return errs.New(errs.CodeForbidden, "the console is for the operators of the installation")
		}
		return v.Redirect(to, "")
	}
	s, err := p.app.readSystem(v.Context(), p.version)
	if err != nil {
		return err
	}
	data := consolePage{
		systemPage: &systemPage{system: s, Path: consolePath, Built: builtAt(), Metrics: s.metrics()},
		Faults:     s.faults(),
		All:        account.AccountsPath,
		System:     systemPath,
	}
	if len(data.Faults) == 0 {
		text, _ := ui.Plural(len(s.Ready.Checks), "check passes", "checks pass") // an integer is a number
		data.Calm = text + ", no consumer is behind, and no message is late."
	}
	if v.Can(account.CatalogWrite) {
		data.Refused = producer.RejectsPath
		if data.Rejects, err = p.latestRejects(v); err != nil {
			return err
		}
	}
	if data.Accounts, err = p.app.Account.NewestAccounts(v.Context(), consoleRows); err != nil {
		return err
	}
	return v.Show(page.View{Section: "console", Title: "Console", Template: "console", Data: data})
}

func (p *pages) latestRejects(v *page.Visit) ([]rejectRow, error) {
	list, err := p.app.Producer.LatestRejects(v.Context(), consoleRows)
	if err != nil {
		return nil, err
	}
	rows := make([]rejectRow, len(list))
	for i, one := range list {
		rows[i] = rejectRow{Reject: one, Href: producer.RejectsPath}
		if name := p.app.accountName(v.Context(), one.Account); name != "" {
			rows[i].Customer = name
			rows[i].Href = strings.Replace(producer.AccountRejectsPath, "{account_id}", one.Account, 1)
		}
	}
	return rows, nil
}

// When is the time of the refusal; zero when it cannot be read.
func (r rejectRow) When() time.Time {
	at, err := time.Parse(time.RFC3339Nano, r.At)
	if err != nil {
		return time.Time{}
	}
	return at
}

// Reason is the first fault.
func (r rejectRow) Reason() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return page.Cut(r.Errors[0].Message, 200)
}
