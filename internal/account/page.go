package account

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// Paths of pages that others link to.
const (
	SignOutPath  = "/sign-out"
	ProfilePath  = "/profile"
	AccountsPath = "/console/accounts" // the operators' list
	SystemPath   = "/console/system"
)

// RecordPath is the page of an account's audit log.
func RecordPath(accountID string) string { return "/accounts/" + accountID + "/audit" }

// AccountPath is where an account's pages begin.
func AccountPath(accountID string) string { return "/accounts/" + accountID }

// TokensPath is the page of an account's API tokens.
func TokensPath(accountID string) string { return "/accounts/" + accountID + "/tokens" }

// MembersPath is the page of an account's members.
func MembersPath(accountID string) string { return "/accounts/" + accountID + "/members" }

// PropertiesPath is the page of an account's zones, which people call properties.
func PropertiesPath(accountID string) string { return "/accounts/" + accountID + "/properties" }

// Pages is what the pages need from the dashboard around them.
type Pages struct {
	UI    *ui.UI
	API   *web.API // for the pages without a credential, and for cursors
	Mount Mount    // as [Directory.PageMount] makes it
	// Shell is what stands around a page; account is "" on the profile and the
	// operators' pages, section the navigation's entry: tokens, members,
	// properties, profile, accounts, operators, system.
	Shell func(r *http.Request, p *web.Principal, account, section string) ui.Shell
	URL   string // of the server, for commands to copy
	// System is what the operators' page of the system shows; nil = no such page.
	System func(ctx context.Context) (System, error)
}

// pages is the feature's part of the dashboard.
type pages struct {
	*Directory
	Pages
	set *ui.Page
}

// MountPages adds the pages: sign-in, the profile, an account's tokens, members
// and properties, the operators' accounts. Call it once, after New.
func (d *Directory) MountPages(cfg Pages) error {
	if cfg.UI == nil || cfg.API == nil || cfg.Mount == nil || cfg.Shell == nil {
		return errors.New("account pages: UI, API, Mount and Shell are required")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	set, err := cfg.UI.Parse(pageFiles, "page_*.html")
	if err != nil {
		return err
	}
	p := &pages{d, cfg, set}
	p.mountSignIn()
	p.mountTokens()
	p.mountMembers()
	p.mountConfirm()
	p.mountProperties()
	p.mountProfile()
	p.mountConsole()
	p.mountOperators()
	return nil
}

// visit is one authorised request for a page.
type visit struct {
	r       *http.Request
	ctx     context.Context
	who     *web.Principal
	account string // "" outside of accounts
}

func accountVisit(r *http.Request) visit {
	v := personVisit(r)
	v.account = web.Account(r.Context()).ID
	return v
}

func personVisit(r *http.Request) visit {
	return visit{r: r, ctx: r.Context(), who: web.CurrentPrincipal(r.Context())}
}

// can reports whether the visitor may do something in the visit's account.
func (v visit) can(permission string) bool { return v.who.Can(v.account, permission) }

// paging is the place in a list that the URL names.
func (v visit) paging() web.AnyPaging {
	return web.AnyPaging{Paging: web.Paging{Cursor: v.r.URL.Query().Get("cursor"), Limit: 100}}
}

// older is the URL of a list's next page; "" when there is none.
func (v visit) older(cursor string) string {
	if cursor == "" {
		return ""
	}
	return v.r.URL.Path + "?" + url.Values{"cursor": {cursor}}.Encode()
}

// view is a page to show.
type view struct {
	section, title string
	status         int // 0 = 200
	data           any
}

func (p *pages) show(w http.ResponseWriter, v visit, template string, o view) error {
	shell := p.Shell(v.r, v.who, v.account, o.section)
	shell.Title, shell.Status = o.title, o.status
	if said := saids[ui.Said(v.r)]; said != "" {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: said}
	}
	return p.set.Render(w, v.r, shell, template, o.data)
}

// problem answers with the page of an error outside of [Mount].
func (d *Directory) problem(u *ui.UI, w http.ResponseWriter, r *http.Request, shell ui.Shell, err error) {
	ctx := r.Context()
	ui.RetryAfter(w, err)
	if !web.ClientGone(ctx, err) && internal(err) {
		d.cfg.Log.ErrorContext(ctx, "page failed", "error", err, "path", r.URL.Path, "request_id", telemetry.RequestID(ctx))
	}
	if err := u.Problem(w, r, shell, err, telemetry.RequestID(ctx)); err != nil {
		d.cfg.Log.ErrorContext(ctx, "page of an error failed", "error", err)
	}
}
