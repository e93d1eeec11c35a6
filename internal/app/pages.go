package app

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
)

//go:embed page_*.html
var pageFiles embed.FS

// pages is the dashboard's frame: the door, the two navigations, the start and
// the overview. What stands inside belongs to the features.
type pages struct {
	app     *App
	ui      *ui.UI
	set     *ui.Page
	mount   account.Mount   // the door: who may come in
	mounted map[string]bool // patterns that have a page; complete before the first request
	names   func(ctx context.Context, accountID string) string
	record  *audit.Dashboard
}

// openPages mounts every feature's pages. It follows listen, because commands
// to copy name the port.
func (a *App) openPages(version string) error {
	u, err := ui.New(ui.Options{Log: a.Log, FrameAncestors: a.Config.PortalOrigins, Extra: map[string]fs.FS{"audit": audit.Scripts()}})
	if err != nil {
		return err
	}
	p := &pages{app: a, ui: u, mounted: map[string]bool{}}
	p.names = a.accountNames().of
	if p.set, err = u.Parse(pageFiles, "page_*.html"); err != nil {
		return err
	}
	door := a.Account.PageMount(a.API, u, p.Shell)
	p.mount = func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error) {
		p.mounted[pattern] = true
		door(pattern, permission, stream, func(w http.ResponseWriter, r *http.Request) error {
			if strings.Contains(pattern, accountPath) {
				p.rememberPlace(w, r, web.Account(r.Context()).ID)
			} else if strings.HasPrefix(r.URL.Path, consolePath+"/") {
				p.rememberPlace(w, r, lastIsConsole)
			}
			return h(w, r)
		})
	}
	a.API.MountPublic("GET /assets/", u.Assets())
	a.API.NotFoundPage(http.HandlerFunc(p.notFound))
	p.mount("GET /{$}", "", false, p.start)
	p.mount("GET "+consolePath, "", false, p.toConsole)
	p.mount("GET "+accountPath, web.AnyPermission, false, p.overview)
	p.mount("GET "+firingPath, account.NotificationsRead, false, p.showFiring)
	p.record, err = a.Audit.Dashboard(audit.Pages{UI: u, Mount: p.mount, Shell: p.Shell, URL: a.URL(), Tokens: account.TokensPath})
	if err != nil {
		return err
	}
	if err := a.Producer.MountPages(producer.Pages{UI: u, Cursors: a.API.Cursors(), Mount: p.mount, Shell: p.Shell, URL: a.URL(),
		AccountName: p.names, TokenName: a.tokenName}); err != nil {
		return err
	}
	if err := p.mountSLO(); err != nil {
		return err
	}
	if err := a.Notify.MountPages(notify.Pages{UI: u, Mount: p.mount, Shell: p.Shell, URL: a.URL()}); err != nil {
		return err
	}
	return a.Account.MountPages(account.Pages{UI: u, API: a.API, Mount: p.mount, Shell: p.Shell, URL: a.URL(),
		System: func(ctx context.Context) (account.System, error) { return a.system(ctx, version) }})
}

// tokenName is the name of an account's token; "" when there is none of the id.
func (a *App) tokenName(ctx context.Context, accountID, tokenID string) string {
	t, err := a.Account.Token(ctx, accountID, tokenID)
	if err != nil {
		return ""
	}
	return t.Name
}

// system is the state of this process.
func (a *App) system(ctx context.Context, version string) (account.System, error) {
	s := account.System{Version: version, Ready: a.Health.Ready(ctx)}
	for _, d := range a.databases {
		list, err := d.Migrations(ctx)
		if err != nil {
			return s, err
		}
		s.Databases = append(s.Databases, account.Database{Feature: d.Name, Engine: string(d.Engine), Migrations: list})
	}
	return s, nil
}

// notFound is the page of a path that leads nowhere, for browsers. Below an
// account that the visitor reaches it stays in that account.
func (p *pages) notFound(w http.ResponseWriter, r *http.Request) {
	who, err := p.app.API.Identify(r)
	if err != nil {
		who = nil
	}
	accountID := ""
	if rest, ok := strings.CutPrefix(r.URL.Path, "/accounts/"); ok && who != nil {
		ref, _, _ := strings.Cut(rest, "/")
		if id, err := p.app.Account.ResolveAccount(r.Context(), ref); err == nil && who.Reaches(id) {
			accountID = id
		}
	}
	p.problem(w, r, p.Shell(r, who, accountID, ""), errs.New(errs.CodeNotFound, "there is no such page"))
}

// showFiring answers with the number of firing alerts that the navigation shows.
func (p *pages) showFiring(w http.ResponseWriter, r *http.Request) error {
	who, id := web.CurrentPrincipal(r.Context()), web.Account(r.Context()).ID
	if !ui.Fragment(r) { // somebody opened the fragment's address
		http.Redirect(w, r, pathIn(alertsEntry.path, id), http.StatusSeeOther)
		return nil
	}
	n := p.firing(r.Context(), who, id)
	return p.set.Render(w, r, ui.Shell{Face: ui.Customer}, "firing", ui.NavItem{Count: n, Tone: ui.Bad})
}

func (p *pages) problem(w http.ResponseWriter, r *http.Request, shell ui.Shell, err error) {
	ctx := r.Context()
	if err := p.ui.Problem(w, r, shell, err, telemetry.RequestID(ctx)); err != nil {
		p.app.Log.ErrorContext(ctx, "page of an error failed", "error", err)
	}
}

// start leads to the account that the visitor used last; without one, operators
// to their console and members to the first of their accounts.
func (p *pages) start(w http.ResponseWriter, r *http.Request) error {
	who := web.CurrentPrincipal(r.Context())
	to := p.console(who).Href
	if id := p.lastAccount(r, who); id != "" {
		to = pathIn(accountPath, id)
	}
	if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	shell := p.Shell(r, who, "", "")
	shell.Title, shell.Face = "Welcome", ui.Plain
	return p.set.Render(w, r, shell, "nowhere", who)
}

// toConsole leads operators to the first page of theirs.
func (p *pages) toConsole(w http.ResponseWriter, r *http.Request) error {
	to := p.console(web.CurrentPrincipal(r.Context())).Href
	if to == "" {
		return errs.New(errs.CodeForbidden, "the console belongs to the operators of the installation")
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
