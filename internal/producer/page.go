package producer

import (
	"context"
	"embed"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

//go:embed page_*.html
var pageFiles embed.FS

// Paths of the operators' pages of product teams, and of a customer's page of
// rejected events.
const (
	TeamsPath          = "/console/producers"
	RejectsPath        = "/console/rejects"
	AccountRejectsPath = "/accounts/{account_id}/audit/rejects"
)

// PageDeps are the functions of other features that the pages use; each may be
// nil.
type PageDeps struct {
	// AccountName is the name of an account; "" when there is none of the id.
	AccountName func(ctx context.Context, accountID string) string
	// TokenName is the name of an account's token; "" when there is none of the id.
	TokenName func(ctx context.Context, accountID, tokenID string) string
	// EventDays counts the recorded events of the last two weeks by product and day.
	EventDays func(ctx context.Context) ([]EventDay, error)
}

// EventDay is the number of recorded events of a product on one day (UTC), in all accounts.
type EventDay struct {
	Product string
	Day     time.Time
	Count   int64
}

// pages are the feature's pages in the dashboard.
type pages struct {
	*Feature
	*page.Set
}

// As in the API, teams and their tokens are managed by operators.
const (
	pagesRead  = account.CatalogWrite
	pagesWrite = account.AccountsWrite
)

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"team-changed":  "Team saved.",
	"team-deleted":  "Team deleted. Its history is kept.",
	"token-revoked": "Token revoked. It cannot be used any more.",
}

// Pages registers the pages. Call it once, after New.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set}
	p.addTeams()
	p.Get(TeamsPath+"/{producer_id}", pagesRead, p.showTeam)
	p.addTokens()
	p.addCatalogue()
	p.addRejects()
	return nil
}

// canWrite reports whether the visitor may change teams and tokens.
func canWrite(v *page.Visit) bool { return v.Who.Can("", pagesWrite) }

// showTeamPage shows one of a team's pages.
func showTeamPage(v *page.Visit, h teamHead, template string, faults ui.Faults, data any) error {
	return v.Show(page.View{Section: "producers", Title: h.Name, Template: template, Status: faults.Status, Data: data})
}
