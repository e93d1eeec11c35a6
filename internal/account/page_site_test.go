package account_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// site is an installation with its pages, behind a real server.
type site struct {
	*fixture
	url string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{fixture: newFixture(t, db.Config{DataDir: t.TempDir()})}
	dir, err := account.New(account.Config{Env: s.env(), BootstrapToken: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.EnsureInstallation(t.Context()); err != nil {
		t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log:     slog.New(slog.DiscardHandler),
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: telemetry.TracingOf(noop.NewTracerProvider()), Health: telemetry.NewHealth(),
		Authenticate: dir.Authenticate, Resolve: dir.ResolveAccount, Denied: dir.Denied,
	})
	if err != nil {
		t.Fatal(err)
	}
	dir.API(api)
	u, err := ui.New(ui.Options{})
	if err != nil {
		t.Fatal(err)
	}
	api.Mount("GET /assets/", false, u.Assets())
	health := telemetry.NewHealth()
	health.Add("database account", s.db.Ping)
	health.Add("bus", func(context.Context) error { return io.ErrUnexpectedEOF })
	err = dir.MountPages(account.Pages{UI: u, API: api, Mount: dir.PageMount(api, u, shellOfTests), Shell: shellOfTests, URL: "http://belfry.test",
		System: func(ctx context.Context) (account.System, error) {
			list, err := s.db.Migrations(ctx)
			return account.System{Version: "1.2.3", Ready: health.Ready(ctx), Databases: []account.Database{{Feature: "account", Engine: "SQLite", Migrations: list}}}, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.dir, s.api = dir, api
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// shellOfTests stands for the dashboard's own: both faces, with a navigation.
func shellOfTests(_ *http.Request, p *web.Principal, accountID, section string) ui.Shell {
	s := ui.Shell{Face: ui.Operator, User: ui.User{Name: p.Name, Email: p.Email, SignOut: account.SignOutPath}}
	add := func(label, href, icon, name string) {
		s.Nav = append(s.Nav, ui.NavItem{Section: "Account", Label: label, Href: href, Icon: icon, Current: name == section})
	}
	if accountID != "" {
		s.Face, s.Account = ui.Customer, ui.Account{ID: accountID, Name: "Acme"}
		add("Properties", account.PropertiesPath(accountID), "globe", "properties")
		add("Members", account.MembersPath(accountID), "users", "members")
		add("API tokens", account.TokensPath(accountID), "key", "tokens")
		return s
	}
	add("Accounts", account.AccountsPath, "building-2", "accounts")
	add("System", account.SystemPath, "server", "system")
	return s
}

// person is a browser without scripts.
type person struct {
	t      *testing.T
	site   *site
	client *http.Client
}

func (s *site) browser() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &person{s.t.(*testing.T), s, &http.Client{Jar: jar, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// seen is a page as the browser got it.
type seen struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
}

func (p *person) do(r *http.Request) *seen {
	p.t.Helper()
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return &seen{p.t, res.StatusCode, res.Header, string(body)}
}

func (p *person) get(path string, headers ...string) *seen {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), "GET", p.site.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return p.do(r)
}

// post sends a form as a browser does from a page of the same site.
func (p *person) post(path string, fields ...string) *seen {
	p.t.Helper()
	return p.postFrom("same-origin", path, fields...)
}

func (p *person) postFrom(where, path string, fields ...string) *seen {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(p.t.Context(), "POST", p.site.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", where)
	return p.do(r)
}

// is fails the test unless the page has the status and says all the words.
func (s *seen) is(status int, words ...string) *seen {
	s.t.Helper()
	if s.Status != status {
		s.t.Fatalf("status %d instead of %d: %s", s.Status, status, s.text())
	}
	for _, w := range words {
		if !strings.Contains(s.Body, w) {
			s.t.Fatalf("the page does not say %q: %s", w, s.text())
		}
	}
	return s
}

// lacks fails the test if the page says one of the words.
func (s *seen) lacks(words ...string) *seen {
	s.t.Helper()
	for _, w := range words {
		if strings.Contains(s.Body, w) {
			s.t.Fatalf("the page says %q: %s", w, s.text())
		}
	}
	return s
}

// to fails the test unless the browser is sent to the path.
func (s *seen) to(path string) {
	s.t.Helper()
	if s.Status != http.StatusSeeOther || s.Header.Get("Location") != path {
		s.t.Fatalf("status %d to %q instead of 303 to %q: %s", s.Status, s.Header.Get("Location"), path, s.text())
	}
}

var tags = regexp.MustCompile(`(?s)<(head|svg).*?</(head|svg)>|<[^>]*>`)

// text is what a person reads of the page.
func (s *seen) text() string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(s.Body, " ")), " ")
}

// find is the first group of the pattern in the page.
func (s *seen) find(pattern string) string {
	s.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(s.Body)
	if m == nil {
		s.t.Fatalf("nothing like %s in the page: %s", pattern, s.text())
	}
	return m[1]
}

// signedIn is the browser of a new member of the account.
func (s *site) signedIn(accountID, email, role string) *person {
	s.t.Helper()
	a := s.call(root, "POST", "/accounts/"+accountID+"/members", m{"email": email, "role": role, "name": strings.Split(email, "@")[0]}).ok()
	p := s.browser()
	p.post("/sign-in", "link", secretOf(a.text("sign_in_url"))).to("/")
	return p
}

// operator is the browser of one of the installation's operators.
func (s *site) operator() *person {
	s.t.Helper()
	link, err := s.dir.NewLoginLink(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	p := s.browser()
	p.post("/sign-in", "link", secretOf(link)).to("/")
	return p
}
