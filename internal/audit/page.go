package audit

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The pages of the record, below /accounts/{account_id}/audit.

//go:embed page_*.html
var pageFiles embed.FS

//go:embed page_*.js
var scriptFiles embed.FS

// Scripts are the pages' own modules, for [ui.Options].Extra["audit"].
func Scripts() fs.FS { return scriptFiles }

// pages are the feature's pages.
type pages struct {
	*Feature
	*page.Set
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"export-started":   "Export started.",
	"export-cancelled": "Export cancelled.",
}

// Pages registers the pages. Call it once, after New.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set}
	const base = "/accounts/{account_id}/audit"
	p.Get(base, account.AuditRead, p.explorer)
	p.Stream(base+"/live", account.AuditRead, p.live)
	p.Get(base+"/events/{event_id}", account.AuditRead, p.event)
	p.Get(base+"/history", account.AuditRead, p.resource)
	p.Get(base+"/summary", account.AuditRead, p.summaryOf)
	p.addExport(base + "/export")
	p.Get(base+"/integrity", account.AuditRead, p.integrity)
	f.pages = p
	return nil
}

// visit is one request for a page of the record.
type visit struct {
	*page.Visit
	now time.Time
}

func (p *pages) visit(v *page.Visit) visit { return visit{Visit: v, now: p.now()} }

// base is the path of the record's pages.
func (v visit) base() string { return "/accounts/" + v.Account + "/audit" }

// api is the path of the account's API.
func (v visit) api() string { return web.Base + "/accounts/" + v.Account }

// mayExport reports whether the visitor may take the record away in a file.
func (v visit) mayExport() bool { return v.Can(account.AuditExport) }

// recordModule is the script of the pages with events.
const recordModule = "x/audit/page_record.js"

// tabs are the links between the section's pages; in a customer's portal, where there
// is no navigation, they are the only ones.
func (p *pages) tabs(v visit, current string) []ui.Link {
	list := []ui.Link{
		{Label: "Events", Href: v.base(), Icon: "scroll-text"},
		{Label: "Summary", Href: v.base() + "/summary", Icon: "trending-up"},
		{Label: "Integrity", Href: v.base() + "/integrity", Icon: "shield-check"},
	}
	for i := range list {
		list[i].Current = list[i].Label == current
	}
	return list
}

// curl is a command that calls the API. The token is taken from the environment, so
// that it does not stay in the shell's history.
func (p *pages) curl(path string, more ...string) string {
	s := "curl -H \"Authorization: Bearer $BELFRY_TOKEN\""
	for _, m := range more {
		s += " " + m
	}
	return s + " '" + p.URL() + path + "'"
}

// queryWithin runs an optional query of a page, with a short limit, and reports whether it answered. Without an answer
// the page omits its part.
func queryWithin(ctx context.Context, d time.Duration, ask func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return ask(ctx) == nil
}

// narrow reports whether an error asks for a narrower search.
func narrow(err error) bool { return errs.Is(err, errs.CodeNarrowRange) }
