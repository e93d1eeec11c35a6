package producer

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed page_*.html
var pageFiles embed.FS

// The operators' pages of product teams, and a customer's page of refused events.
const (
	TeamsPath          = "/console/producers"
	RejectsPath        = "/console/rejects"
	AccountRejectsPath = "/accounts/{account_id}/audit/rejects"
)

// Pages are the parts of the dashboard that the pages use.
type Pages struct {
	UI      *ui.UI
	Cursors *web.Cursors // of lists
	Mount   func(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error)
	// Shell is the frame of a page: navigation and account. section is the current
	// entry of the navigation: producers or rejects.
	Shell func(r *http.Request, p *web.Principal, account, section string) ui.Shell
	URL   string // of the server, for commands to copy
	// AccountName is the name of an account; "" when the id is not known.
	AccountName func(ctx context.Context, accountID string) string
	// TokenName is the name of an account's token; "" when the id is not known.
	TokenName func(ctx context.Context, accountID, tokenID string) string
}

// pages is the feature's part of the operators' console.
type pages struct {
	*Feature
	Pages
	set *ui.Page
}

// The permissions to read and to change, as in the API: teams and their tokens
// are for operators.
const (
	mayRead  = account.CatalogWrite
	mayWrite = account.AccountsWrite
)

// MountPages adds the pages. Call it once, after New.
func (f *Feature) MountPages(cfg Pages) error {
	if cfg.UI == nil || cfg.Cursors == nil || cfg.Mount == nil || cfg.Shell == nil {
		return errors.New("producer pages: UI, Cursors, Mount and Shell are required")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	set, err := cfg.UI.Parse(pageFiles, "page_*.html")
	if err != nil {
		return err
	}
	p := &pages{f, cfg, set}
	p.mountTeams()
	p.mountTokens()
	p.mountCatalogue()
	p.mountRejects()
	return nil
}

// visit is one authorised request for a page.
type visit struct {
	r       *http.Request
	ctx     context.Context
	who     *web.Principal
	account string // of a customer's page; empty on the console
}

func visitOf(r *http.Request) visit {
	return visit{r: r, ctx: r.Context(), who: web.CurrentPrincipal(r.Context())}
}

// mayWrite reports whether the visitor may change teams and tokens.
func (v visit) mayWrite() bool { return v.who.Can("", mayWrite) }

// with is the URL of this page with other parameters; "" removes one.
func (v visit) with(pairs ...string) string {
	q := url.Values{}
	for _, kept := range []string{"code", "product", "cursor"} {
		if s := v.r.URL.Query().Get(kept); s != "" {
			q.Set(kept, s)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	if len(q) == 0 {
		return v.r.URL.Path
	}
	return v.r.URL.Path + "?" + q.Encode()
}

// saids are the sentences that are said once after a redirect, by the word that
// [ui.Redirect] carries.
var saids = map[string]string{
	"team-changed":  "Team saved.",
	"team-deleted":  "Team deleted. Its history is kept.",
	"token-revoked": "Token revoked. It cannot be used any more.",
}

// goTo answers a form with a redirect that the browser follows by GET.
func goTo(w http.ResponseWriter, r *http.Request, path, said string) error {
	return ui.Redirect(w, r, path, said)
}

// show answers with a page; status 0 is 200.
func (p *pages) show(w http.ResponseWriter, v visit, section, title, template string, status int, data any) error {
	shell := p.Shell(v.r, v.who, v.account, section)
	shell.Title = title
	shell.Status = status
	if said := saids[ui.FlashKey(v.r)]; said != "" {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: said}
	}
	return p.set.Render(w, v.r, shell, template, data)
}

// question is a page that asks for a confirmation.
type question struct {
	Title  string
	Text   string
	Action string // path of the form
	Label  string // of the button
	Back   string // path of the page before
}
