package app

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/reference"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// pages are the dashboard's own pages: the start, the overview of an account and
// the state of the system; and its navigation. Other pages belong to features.
type pages struct {
	*page.Set
	kit     *page.Kit
	app     *App
	version string
	sparks  *cache.Cache[string, map[string][]float64] // of the objectives of an account
}

// openPages registers all pages. It follows listen, because commands on pages
// contain the port.
func (a *App) openPages(version string) error {
	u, err := ui.New(ui.Options{
		Log:            a.Log,
		Now:            a.now,
		FrameAncestors: a.Config.PortalOrigins,
		Extra: map[string]fs.FS{
			"audit":              audit.Scripts(),
			reference.AssetsName: reference.Assets(),
		},
	})
	if err != nil {
		return err
	}
	a.API.MountPublic("GET /assets/", u.Assets())
	if err := a.openReference(u); err != nil {
		return err
	}
	p := &pages{app: a, version: version, sparks: cache.New[string, map[string][]float64](1000, sparksTTL, time.Now)}
	p.kit, err = page.New(page.Config{
		UI:      u,
		API:     a.API,
		Log:     a.Log,
		URL:     a.URL(),
		Resolve: a.Account.ResolveAccount,
		Denied:  a.Account.Denied,
		Views:   a.Account.AddViews,
		SignIn:  account.SignInURL,
		Shell:   p.Shell,
		Visited: p.rememberPlace,
	})
	if err != nil {
		return err
	}
	if p.Set, err = p.kit.Parse(pageFiles, nil); err != nil {
		return err
	}
	p.Get("/{$}", "", p.start)
	p.Get(consolePath, "", p.showConsole)
	p.Get(systemPath, account.AccountsRead, p.showSystem)
	p.Get(accountPath, web.AnyPermission, p.overview)
	p.Get(firingPath, web.AnyPermission, p.showFiring)
	p.addSearch()
	p.addNews()
	p.addChecklist()
	for _, f := range a.features {
		if f.Pages == nil {
			continue
		}
		if err := f.Pages(p.kit); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// tokenName returns the name of an account's token; "" if there is no such token.
func (a *App) tokenName(ctx context.Context, accountID, tokenID string) string {
	t, err := a.Account.Token(ctx, accountID, tokenID)
	if err != nil {
		return ""
	}
	return t.Name
}

// now is the answer to the navigation's polls: the firing alerts and the news.
type now struct {
	Alerts ui.NavItem
	Bell   ui.Bell
}

// showFiring answers with the numbers of firing alerts and of news in the navigation.
func (p *pages) showFiring(v *page.Visit) error {
	if !ui.Fragment(v.Request) { // the URL of the fragment was opened as a page
		return v.Redirect(pathIn(accountPath, v.Account), "")
	}
	n := p.firing(v.Context(), v.Who, v.Account)
	return v.Show(page.View{Template: "firing", Data: now{
		Alerts: ui.NavItem{Count: n, Tone: ui.Bad},
		Bell:   p.bell(v.Context(), v.Who, v.Account),
	}})
}

// start redirects to the account that the visitor used last; without one, operators
// to the console and members to the first of their accounts.
func (p *pages) start(v *page.Visit) error {
	to := p.console(v.Who).Href
	if id := p.lastAccount(v.Request, v.Who); id != "" {
		to = pathIn(accountPath, id)
	}
	if to != "" {
		return v.Redirect(to, "")
	}
	return v.Show(page.View{Title: "Welcome", Template: "nowhere", Data: v.Who, Plain: true})
}
