package audit

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The pages of the record, below /accounts/{account_id}/audit. Each handler
// finds the authorised account and principal in its context, as a handler of
// the API does; whoever mounts it has checked both.

//go:embed page_*.html
var pageFiles embed.FS

//go:embed page_*.js
var scriptFiles embed.FS

// Scripts are the pages' own modules, for [ui.Options].Extra["audit"].
func Scripts() fs.FS { return scriptFiles }

// Pages is what the pages need from the dashboard around them.
type Pages struct {
	UI *ui.UI
	// Mount adds a page: a pattern of [http.ServeMux] with {account_id}, and the
	// permission in that account. An error that a handler returns becomes its page.
	Mount func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error)
	// Shell is what stands around a page; section is the navigation's entry.
	Shell func(r *http.Request, p *web.Principal, account, section string) ui.Shell
	URL   string // of the server, for commands to copy
	// Tokens gives the path of the page on which tokens are made; "" = none.
	Tokens func(account string) string
}

// Dashboard is the feature's part of the dashboard.
type Dashboard struct {
	*Feature
	Pages
	set *ui.Page
}

// Dashboard adds the pages.
func (f *Feature) Dashboard(cfg Pages) (*Dashboard, error) {
	if cfg.UI == nil || cfg.Mount == nil || cfg.Shell == nil {
		return nil, errors.New("audit pages: UI, Mount and Shell are required")
	}
	if cfg.Tokens == nil {
		cfg.Tokens = func(string) string { return "" }
	}
	set, err := cfg.UI.Parse(pageFiles, "page_*.html")
	if err != nil {
		return nil, err
	}
	p := &Dashboard{f, cfg, set}
	const base = "GET /accounts/{account_id}/audit"
	cfg.Mount(base, "audit:read", false, p.explorer)
	cfg.Mount(base+"/live", "audit:read", true, p.live)
	cfg.Mount(base+"/events/{event_id}", "audit:read", false, p.event)
	cfg.Mount(base+"/history", "audit:read", false, p.resource)
	cfg.Mount(base+"/summary", "audit:read", false, p.quarter)
	cfg.Mount(base+"/integrity", "audit:read", false, p.integrity)
	return p, nil
}

// visit is one request for a page.
type visit struct {
	r       *http.Request
	ctx     context.Context
	who     *web.Principal
	account string
	url     *url.URL
	now     time.Time
}

func (p *Dashboard) visit(r *http.Request) visit {
	return visit{
		r:       r,
		ctx:     r.Context(),
		who:     web.CurrentPrincipal(r.Context()),
		account: web.Account(r.Context()).ID,
		url:     r.URL,
		now:     p.now(),
	}
}

// base is the path of the record's pages.
func (v visit) base() string { return "/accounts/" + v.account + "/audit" }

// api is the path of the account's API.
func (v visit) api() string { return web.Base + "/accounts/" + v.account }

// mayExport reports whether the visitor may take the record away in a file.
func (v visit) mayExport() bool { return v.who.Can(v.account, "audit:export") }

func (p *Dashboard) render(w http.ResponseWriter, v visit, section, title, template string, data any) error {
	shell := p.Shell(v.r, v.who, v.account, section)
	shell.Title = title
	shell.Modules = append(shell.Modules, "x/audit/page_record.js")
	return p.set.Render(w, v.r, shell, template, data)
}

// tabs lead through the section's pages; where there is no navigation beside
// the page (in a customer's portal), they are the only way.
func (p *Dashboard) tabs(v visit, current string) []ui.Link {
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

// curl is a command that asks the API for a path; the token stands in the
// environment, so that it does not stay in the shell's history.
func (p *Dashboard) curl(path string, more ...string) string {
	s := "curl -H \"Authorization: Bearer $BELFRY_TOKEN\""
	for _, m := range more {
		s += " " + m
	}
	return s + " '" + p.URL + path + "'"
}

// within runs a question that a page can do without: it has a short time, and
// what does not answer is left out.
func within(ctx context.Context, d time.Duration, ask func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return ask(ctx) == nil
}

// narrow reports whether an error asks for a narrower search.
func narrow(err error) bool { return errs.Is(err, errs.CodeNarrowRange) }
