package page

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed confirm.html
var ownFiles embed.FS

// Config has the parts and functions that a [Kit] uses. All but Log, URL, Views and Visited are required.
type Config struct {
	UI  *ui.UI
	API *web.API
	Log *slog.Logger // nil = none
	URL string       // of the server, for commands to copy

	// Resolve finds the account that a path names.
	Resolve web.ResolveAccount
	// Denied is called for each visit that was refused for lack of permission.
	Denied web.Denied
	// SignIn is the URL of the sign-in page that leads to next afterwards.
	SignIn func(next string) string
	// Shell is the frame of a page: navigation, account and user. account is "" on
	// pages outside of accounts, section the current entry of the navigation ("" on
	// the page of an error). who is nil without a session.
	Shell func(r *http.Request, who *web.Principal, account, section string) ui.Shell
	// Views adds saved views to the bar of a list, see [Visit.Views]; nil = lists have none.
	Views Views
	// Visited is called for each visit that is let in, before it is answered.
	Visited func(w http.ResponseWriter, r *http.Request, account string)
}

// Kit registers the pages of all features. Register before the server runs;
// after that it may be used from any goroutine.
type Kit struct {
	cfg   Config
	own   *ui.Page
	pages map[string]bool // registered patterns
}

// New makes a kit, and registers the page for paths that do not exist.
func New(cfg Config) (*Kit, error) {
	if cfg.UI == nil || cfg.API == nil || cfg.Resolve == nil || cfg.Denied == nil || cfg.SignIn == nil ||
		cfg.Shell == nil {
		return nil, errors.New("page: UI, API, Resolve, Denied, SignIn and Shell are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	own, err := cfg.UI.Parse(ownFiles, "confirm.html")
	if err != nil {
		return nil, err
	}
	k := &Kit{cfg: cfg, own: own, pages: map[string]bool{}}
	cfg.API.NotFoundPage(http.HandlerFunc(k.notFound))
	return k, nil
}

// URL is that of the server, without a slash at its end.
func (k *Kit) URL() string { return k.cfg.URL }

// Has reports whether a page is registered for a pattern such as "GET /profile".
func (k *Kit) Has(pattern string) bool { return k.pages[pattern] }

// Flashes are messages that a page shows once after a redirect, by key (letters
// and hyphens).
type Flashes map[string]string

// Set holds the pages of one feature: their templates and flash messages.
type Set struct {
	kit       *Kit
	templates *ui.Page
	flashes   Flashes
}

// Parse reads a feature's templates, the files page_*.html.
func (k *Kit) Parse(files fs.FS, flashes Flashes) (*Set, error) {
	templates, err := k.cfg.UI.Parse(files, "page_*.html")
	if err != nil {
		return nil, err
	}
	for key := range flashes {
		if !ui.ValidFlash(key) {
			return nil, fmt.Errorf("page: the flash key %q is not made of lower-case letters and hyphens", key)
		}
	}
	return &Set{k, templates, flashes}, nil
}

// URL is that of the server, for commands to copy.
func (s *Set) URL() string { return s.kit.cfg.URL }

// HTML executes one template, for a row that a live stream sends.
func (s *Set) HTML(template string, data any) (string, error) {
	return s.templates.HTML(template, data)
}

// Get registers a page. Where the path has {account_id}, the visitor needs the
// permission in that account ([web.AnyPermission]: any right there), else in the
// installation; "" admits everyone who is signed in. A browser without a session
// is sent to the sign-in page, and an account that the visitor does not reach
// looks like one that does not exist.
func (s *Set) Get(path, permission string, h Handler) { s.handle("GET "+path, permission, false, h) }

// Post registers the handler of a form. See [Set.Get] for the permission.
func (s *Set) Post(path, permission string, h Handler) { s.handle("POST "+path, permission, false, h) }

// Stream registers a page that answers with events as they come. The visitor's
// permission is checked again while the stream is open.
func (s *Set) Stream(path, permission string, h Handler) { s.handle("GET "+path, permission, true, h) }

// Confirm registers a page that asks, and the action behind its button, which is
// a POST to the same path.
func (s *Set) Confirm(path, permission string, ask func(*Visit) (Confirm, error), act Handler) {
	s.Get(path, permission, func(v *Visit) error {
		c, err := ask(v)
		if err != nil {
			return err
		}
		return v.confirm(c)
	})
	s.Post(path, permission, act)
}

// Public registers a page that needs no session. pattern begins with its method.
func (s *Set) Public(pattern string, h Handler) {
	s.kit.pages[pattern] = true
	s.kit.cfg.API.MountPublic(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(&Visit{Writer: w, Request: r, set: s}); err != nil {
			s.kit.problem(w, r, ui.Shell{Face: ui.Plain}, err)
		}
	}))
}

func (s *Set) handle(pattern, permission string, stream bool, h Handler) {
	s.kit.mount(access{pattern, permission,
		stream}, func(w http.ResponseWriter, r *http.Request, who *web.Principal, account string) error {
		return h(&Visit{Writer: w, Request: r, Who: who, Account: account, set: s})
	})
}

// signIn is the way on for a form that was sent without a session: the sign-in page, which leads back to the page of
// the form, where the script draft.js restores what was typed. "" = the start.
func (k *Kit) signIn(r *http.Request, err error) string {
	if errs.KindOf(err) != errs.Unauthenticated {
		return ""
	}
	from, parsed := url.Parse(r.Referer())
	if parsed != nil || from.Host != r.Host || from.Path == "" {
		return k.cfg.SignIn("/")
	}
	return k.cfg.SignIn(from.RequestURI())
}

// access is the permission that a page needs.
type access struct {
	pattern    string
	permission string
	stream     bool
}

// ofAccount reports whether the path names an account.
func (a access) ofAccount() bool { return strings.Contains(a.pattern, "/accounts/{account_id}") }

type answer func(w http.ResponseWriter, r *http.Request, who *web.Principal, account string) error

func (k *Kit) mount(a access, h answer) {
	k.pages[a.pattern] = true
	k.cfg.API.Mount(a.pattern, a.stream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := k.cfg.API.Identify(r)
		if err != nil {
			if errs.KindOf(err) == errs.Unauthenticated && r.Method == http.MethodGet && !ui.Fragment(r) {
				http.Redirect(w, r, k.cfg.SignIn(r.URL.RequestURI()), http.StatusSeeOther)
				return
			}
			k.problem(w, r, ui.Shell{Face: ui.Plain, Home: k.signIn(r, err)}, err)
			return
		}
		account, err := k.enter(r, who, a)
		if err == nil && a.stream {
			var stop func()
			stop, err = k.cfg.API.Watch(r.Context(), who, account, func(ctx context.Context) (*web.Principal, error) {
				return k.readmit(ctx, r, a)
			})
			if err == nil {
				defer stop()
			}
		}
		if err == nil {
			r = r.WithContext(web.WithPrincipal(r.Context(), who, web.AccountRef{ID: account}))
			if k.cfg.Visited != nil {
				k.cfg.Visited(w, r, account)
			}
			err = h(w, r, who, account)
		}
		if err != nil {
			k.problem(w, r, k.cfg.Shell(r, who, account, ""), err)
		}
	}))
}

var (
	errNoAccount    = errs.New(errs.CodeNotFound, "there is no such account, or you are not a member of it")
	errNotOperator  = errs.New(errs.CodeForbidden, "this page is for the operators of the installation")
	errNoPermission = errs.New(errs.CodeForbidden,
		"your role in this account does not include this page; an owner or admin can change that")
)

// enter finds the account of the path and checks the permission. With an error
// it returns the account only if the visitor may know of it.
func (k *Kit) enter(r *http.Request, who *web.Principal, a access) (account string, err error) {
	ctx := r.Context()
	account, err = k.admit(ctx, r, who, a)
	switch {
	case err == nil && account != "":
		telemetry.Add(ctx, slog.String("account", account))
	case errs.Is(err, errs.CodeForbidden):
		k.cfg.Denied(ctx, who, a.pattern, account)
	case errs.Is(err, errs.CodeNotFound):
		k.cfg.Denied(ctx, who, a.pattern, account)
		account = ""
	}
	return account, err
}

// admit is enter without effects. With an error it returns the account of the
// path, as far as it is known.
func (k *Kit) admit(ctx context.Context, r *http.Request, who *web.Principal, a access) (account string, err error) {
	if !a.ofAccount() {
		if a.permission != "" && !who.Can("", a.permission) {
			return "", errNotOperator
		}
		return "", nil
	}
	account, err = k.cfg.Resolve(ctx, r.PathValue("account_id"))
	switch {
	case err != nil && !errs.Is(err, errs.CodeNotFound):
		return "", err
	case err != nil || !who.Reaches(account):
		return account, errNoAccount
	case a.permission != web.AnyPermission && !who.Can(account, a.permission):
		return account, errNoPermission
	}
	return account, nil
}

// readmit decides again whether an open stream may go on.
func (k *Kit) readmit(ctx context.Context, r *http.Request, a access) (*web.Principal, error) {
	who, err := k.cfg.API.Reidentify(ctx, r)
	if err == nil {
		_, err = k.admit(ctx, r, who, a)
	}
	return who, err
}

// notFound is the page of a path that does not exist, for browsers. Below an
// account that the visitor reaches it keeps the account's navigation.
func (k *Kit) notFound(w http.ResponseWriter, r *http.Request) {
	who, err := k.cfg.API.Identify(r)
	if err != nil {
		who = nil
	}
	account := ""
	if rest, ok := strings.CutPrefix(r.URL.Path, "/accounts/"); ok && who != nil {
		ref, _, _ := strings.Cut(rest, "/")
		if id, err := k.cfg.Resolve(r.Context(), ref); err == nil && who.Reaches(id) {
			account = id
		}
	}
	k.problem(w, r, k.cfg.Shell(r, who, account, ""), errs.New(errs.CodeNotFound, "there is no such page"))
}

// problem answers with the page of an error.
func (k *Kit) problem(w http.ResponseWriter, r *http.Request, shell ui.Shell, err error) {
	ctx := r.Context()
	id := telemetry.RequestID(ctx)
	ui.RetryAfter(w, err)
	if !web.ClientGone(ctx, err) && errs.KindOf(err) == errs.Internal {
		k.cfg.Log.ErrorContext(ctx, "page failed", "error", err, "path", r.URL.Path, "request_id", id)
	}
	if err := k.cfg.UI.Problem(w, r, shell, err, id); err != nil {
		k.cfg.Log.ErrorContext(ctx, "page of an error failed", "error", err)
	}
}
