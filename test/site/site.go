// Package site is the installation that tests of pages use: accounts with people
// and sessions, the page kit and the API of a feature behind a real server, and
// visitors without scripts.
//
//	entry := site.Entry{Section: "notes", Label: "Notes", Path: "/accounts/{account_id}/notes"}
//	s := site.New(t, site.Config{Now: clock, Nav: []site.Entry{entry}})
//	notes, err := note.New(note.Config{Zone: s.Accounts.ResolveZone})
//	s.Add(notes.Pages)
//
//	acme := s.Account("Acme")
//	ana := s.Member(acme, "ana@acme.example", account.Owner)
//	list := ana.Get("/accounts/" + acme + "/notes").Expect(200).Says("No note yet").Links("/docs")
//	list.Submit("Create the note", "text", "Buy milk").RedirectsTo("/accounts/" + acme + "/notes")
//	s.Run("a foreign account", func() { eve.Get(...).Expect(404).Lacks("Buy milk") })
package site

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// ExternalURL is the public URL of the installation in links.
const ExternalURL = "http://belfry.test"

// Config changes an installation. The zero value is complete.
type Config struct {
	Now          func() time.Time      // clock of accounts and pages; nil = time.Now
	DB           *db.DB                // of accounts; nil = a SQLite database of its own
	Accounts     func(*account.Config) // further settings of accounts
	Authenticate web.Authenticate      // nil = that of accounts
	Nav          []Entry               // of the feature
	Extra        map[string]fs.FS      // scripts of the feature ([ui.Options])
}

// Entry is an entry of the navigation. An entry whose path has {account_id} is
// shown on pages of accounts, another one on the operators' pages.
type Entry struct {
	Section string // the name by which pages refer to it
	Label   string
	Path    string
	Icon    string
}

// Site is an installation. It ends with its test.
type Site struct {
	URL      string // of the server
	Accounts *account.Feature
	API      *web.API
	Kit      *page.Kit
	UI       *ui.UI

	t   *runner
	nav []Entry
}

// runner is the test that runs at present: see [Site.Run].
type runner struct{ testing.TB }

// New makes an installation with the pages and the API of accounts.
func New(t testing.TB, cfg Config) *Site {
	t.Helper()
	s := &Site{t: &runner{t}, nav: append(accountNav(), cfg.Nav...)}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.DB == nil {
		cfg.DB = s.openDB()
	}
	accounts := account.Config{Env: feature.Env{DB: cfg.DB, Now: cfg.Now, URL: ExternalURL}}
	if cfg.Accounts != nil {
		cfg.Accounts(&accounts)
	}
	var err error
	s.Accounts, err = account.New(accounts)
	s.must(err)
	s.must(s.Accounts.EnsureInstallation(t.Context()))
	if cfg.Authenticate == nil {
		cfg.Authenticate = s.Accounts.Authenticate
	}
	tracing, err := telemetry.NewTracing(t.Context(), "test")
	s.must(err)
	s.API, err = web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log:          slog.New(slog.DiscardHandler),
		Metrics:      telemetry.NewHTTPMetrics(telemetry.NewRegistry("test")),
		Tracing:      tracing,
		Health:       telemetry.NewHealth(),
		Authenticate: cfg.Authenticate,
		Resolve:      s.Accounts.ResolveAccount,
		Denied:       s.Accounts.Denied,
	})
	s.must(err)
	s.UI, err = ui.New(ui.Options{Now: cfg.Now, Extra: cfg.Extra})
	s.must(err)
	s.API.MountPublic("GET /assets/", s.UI.Assets())
	s.Kit, err = page.New(page.Config{
		UI:      s.UI,
		API:     s.API,
		URL:     ExternalURL,
		Resolve: s.Accounts.ResolveAccount,
		Denied:  s.Accounts.Denied,
		Views:   s.Accounts.AddViews,
		SignIn:  account.SignInURL,
		Shell:   s.shell,
	})
	s.must(err)
	s.Accounts.API(s.API)
	s.Add(s.Accounts.Pages)
	server := httptest.NewServer(s.API)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *Site) openDB() *db.DB {
	s.t.Helper()
	d, err := db.Open(s.t.Context(), db.Config{
		Feature: "account",
		DataDir: s.t.TempDir(),
		Schemas: []db.Schema{bus.Schema(), account.Schema()},
	})
	s.must(err)
	s.t.Cleanup(func() { d.Close() })
	return d
}

func (s *Site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Add registers the pages of a feature. Call it before the first request.
func (s *Site) Add(pages func(*page.Kit) error) {
	s.t.Helper()
	s.must(pages(s.Kit))
}

// Run runs a subtest: while it runs, the site and its visitors report to it.
func (s *Site) Run(name string, test func()) {
	s.t.Helper()
	outer := s.t.TB
	outer.(*testing.T).Run(name, func(t *testing.T) {
		s.t.TB = t
		defer func() { s.t.TB = outer }()
		test()
	})
}

// accountNav are the entries of the pages of accounts.
func accountNav() []Entry {
	const base = "/accounts/{account_id}"
	return []Entry{
		{"properties", "Properties", base + "/properties", "globe"},
		{"members", "Members", base + "/members", "users"},
		{"tokens", "API tokens", base + "/tokens", "key"},
		{"accounts", "Accounts", account.AccountsPath, "building-2"},
		{"operators", "Operators", account.OperatorsPath, "users"},
	}
}

// shell is a plain frame with both navigations.
func (s *Site) shell(r *http.Request, who *web.Principal, accountID, section string) ui.Shell {
	if who == nil {
		return ui.Shell{Face: ui.Plain}
	}
	shell := ui.Shell{Face: ui.Operator, User: ui.User{Name: who.Name, Email: who.Email, SignOut: account.SignOutPath}}
	if accountID != "" {
		found, err := s.Accounts.Account(r.Context(), accountID)
		if err != nil {
			s.t.Errorf("the shell of %s: %v", r.URL.Path, err)
		}
		shell.Face = ui.Customer
		shell.Account = ui.Account{ID: accountID, Name: found.Name}
	}
	for _, e := range s.nav {
		if strings.Contains(e.Path, "{account_id}") != (accountID != "") {
			continue
		}
		shell.Nav = append(shell.Nav, ui.NavItem{
			Section: "Pages",
			Label:   e.Label,
			Href:    strings.Replace(e.Path, "{account_id}", accountID, 1),
			Icon:    e.Icon,
			Current: e.Section == section,
		})
	}
	return shell
}

// Account makes an account and returns its id.
func (s *Site) Account(name string) string {
	s.t.Helper()
	a, err := s.Accounts.CreateAccount(context.Background(), feature.Belfry(), name, "")
	s.must(err)
	return a.ID
}

// Zone makes a zone of an account and returns its id.
func (s *Site) Zone(accountID, name string) string {
	s.t.Helper()
	z, err := s.Accounts.CreateZone(context.Background(), feature.Belfry(), accountID, account.ZoneSpec{Name: &name})
	s.must(err)
	return z.ID
}

// Link adds a member to an account and returns the link that signs in once. The
// member's name is the first part of the address.
func (s *Site) Link(accountID, email string, role account.Role) string {
	s.t.Helper()
	name, _, _ := strings.Cut(email, "@")
	m, err := s.Accounts.AddMember(context.Background(), feature.Belfry(), accountID, email, name, role)
	s.must(err)
	return m.SignInURL
}

// Member is the visitor of a new member of an account, signed in.
func (s *Site) Member(accountID, email string, role account.Role) *Visitor {
	s.t.Helper()
	return s.Visitor().SignIn(s.Link(accountID, email, role))
}

// Operator is the visitor of an operator of the installation, signed in.
func (s *Site) Operator() *Visitor {
	s.t.Helper()
	link, err := s.Accounts.NewLoginLink(context.Background(), "")
	s.must(err)
	return s.Visitor().SignIn(link)
}

// Visitor is a visitor who is not signed in.
func (s *Site) Visitor() *Visitor { return newVisitor(s.t, s.URL) }
