package notify_test

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

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	pagekit "github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// site is the dashboard with the feature's pages and people with real sessions.
type site struct {
	*world
	url   string
	dir   *accounts.Directory
	http  *http.Client // a browser without scripts: an owner's
	base  string       // of the account's pages
	owner string       // link that signs the owner in
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	d, err := db.Open(t.Context(), db.Config{
		Feature: "account",
		DataDir: t.TempDir(),
		Schemas: []db.Schema{bus.Schema(), accounts.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if s.dir, err = accounts.New(accounts.Config{Env: feature.Env{DB: d}}); err != nil {
		t.Fatal(err)
	}
	a, err := s.dir.CreateAccount(t.Context(), feature.Belfry(), "Acme production", "")
	if err != nil {
		t.Fatal(err)
	}
	member, err := s.dir.AddMember(t.Context(), feature.Belfry(), a.ID, "ana@acme.example", "Ana Lima", accounts.Owner)
	if err != nil {
		t.Fatal(err)
	}
	s.world = newWorld(t, "", func(deps *notify.Config) {
		deps.Account = s.dir.ResolveAccount
		deps.Member = s.dir.IsMember
		deps.Zone = func(ctx context.Context, account, ref string) (notify.Zone, error) {
			z, err := s.dir.FindZone(ctx, account, ref)
			return notify.Zone{ID: z.ID, Name: z.Name, Environment: string(z.Environment)}, err
		}
		deps.Changes = func(_ context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			return []notify.Change{
				{
					EventID:   "e1",
					At:        q.Until.Add(-43 * time.Second),
					Actor:     "Ana Lima",
					Summary:   "Ana Lima lowered the payment timeout of shop.example from 5 s to 300 ms",
					URL:       "/accounts/" + q.Account + "/audit/events/e1",
					WhyListed: "the same property, 43 s before",
				},
				{
					EventID:   "e2",
					At:        q.Until.Add(-6 * time.Minute),
					Actor:     "terraform",
					Summary:   "terraform <b>changed</b> 40 resources",
					URL:       "/accounts/" + q.Account + "/audit/events/e2",
					WhyListed: "the same account",
				},
			}, 3, nil
		}
	})
	s.account, s.base = a.ID, "/accounts/"+a.ID
	s.owner = member.SignInURL
	s.mount()
	s.http = s.signIn(s.owner)
	return s
}

// zones are the ids of two properties of the account, by name.
func (s *site) zones() map[string]string {
	s.t.Helper()
	ids := map[string]string{}
	for _, name := range []string{"shop.example", "blog.example"} {
		id, _, err := s.dir.EnsureZone(s.t.Context(), s.account, name)
		if err != nil {
			s.t.Fatal(err)
		}
		ids[name] = id
	}
	return ids
}

// reopen starts the feature again with changed deps, under the same session.
func (s *site) reopen() {
	s.t.Helper()
	jar := s.http.Jar
	s.start()
	old, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mount()
	at, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	jar.SetCookies(at, jar.Cookies(old))
}

// mount serves the pages of the feature as it is now.
func (s *site) mount() {
	t := s.t
	t.Helper()
	tracing, err := telemetry.NewTracing(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing,
		Health:  telemetry.NewHealth(),
		Resolve: s.dir.ResolveAccount, Authenticate: s.dir.Authenticate,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := ui.New(ui.Options{})
	if err != nil {
		t.Fatal(err)
	}
	api.Mount("GET /assets/", false, u.Assets())
	shell := func(_ *http.Request, p *web.Principal, account, section string) ui.Shell {
		sh := ui.Shell{
			Face:    ui.Customer,
			Account: ui.Account{ID: account, Name: "Acme production"},
			User:    ui.User{Name: p.Name, SignOut: accounts.SignOutPath},
		}
		for _, n := range []ui.NavItem{
			{Label: "Alerts", Href: notify.AlertsPath(account), Icon: "siren"},
			{Label: "Notifications", Href: notify.NotificationsPath(account), Icon: "bell"},
		} {
			n.Section, n.Current = "Alerts", strings.EqualFold(n.Label, section)
			sh.Nav = append(sh.Nav, n)
		}
		return sh
	}
	kit, err := pagekit.New(pagekit.Config{
		UI:      u,
		API:     api,
		Resolve: s.dir.ResolveAccount,
		Denied:  s.dir.Denied,
		SignIn:  accounts.SignInURL,
		Shell:   shell,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dir.Pages(kit); err != nil {
		t.Fatal(err)
	}
	if err := s.n.Pages(kit); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s.url = server.URL
}

func (s *site) signIn(link string) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	_, secret, _ := strings.Cut(link, "link=")
	res, err := client.PostForm(s.url+"/sign-in", url.Values{"link": {secret}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		s.t.Fatal(res.Status)
	}
	return client
}

// page is an answer to the browser without scripts.
type page struct {
	t      testing.TB
	Status int
	To     string
	Body   string
}

func (s *site) send(r *http.Request, err error) *page {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &page{s.t, res.StatusCode, res.Header.Get("Location"), string(body)}
}

func (s *site) get(path string) *page {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+s.base+path, nil)
	return s.send(r, err)
}

func (s *site) post(path string, fields ...string) *page {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url+s.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return s.send(r, err)
}

func (p *page) says(status int, words ...string) *page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("status %d instead of %d: %s", p.Status, status, p.Body)
	}
	for _, w := range words {
		if !strings.Contains(p.Body, w) {
			p.t.Errorf("the page does not say %q", w)
		}
	}
	return p
}

func (p *page) find(pattern string) string {
	p.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.Body)
	if m == nil {
		p.t.Fatalf("nothing fits %s in %s", pattern, p.Body)
	}
	return m[1]
}

func (p *page) leads(prefix string) {
	p.t.Helper()
	if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.To, prefix) {
		p.t.Fatalf("%d to %q instead of %q: %s", p.Status, p.To, prefix, p.Body)
	}
}
