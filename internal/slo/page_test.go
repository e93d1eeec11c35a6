package slo_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/browser"
)

// site is an account's dashboard with the feature's pages and operations: real
// people with real sessions, real zones, and counts that were really handled.
type site struct {
	*world
	url     string
	dir     *accounts.Directory
	account string
	shop    string // zone
	blog    string
	http    *http.Client // an owner's browser without scripts
	viewer  *http.Client
	base    string
}

const now = epoch + 30*86400 + 4*3600

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{world: newWorld(t, "")}
	s.setClock(now)
	d, err := db.Open(t.Context(), db.Config{Feature: "account", DataDir: t.TempDir(), Schemas: []db.Schema{bus.Schema(), accounts.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if s.dir, err = accounts.New(accounts.Config{Env: feature.Env{DB: d, Now: s.clock}}); err != nil {
		t.Fatal(err)
	}
	staff := &web.Principal{Kind: web.KindStaff, ID: "ops", Superoperator: true}
	a, err := s.dir.CreateAccount(t.Context(), staff, "Acme", "")
	if err != nil {
		t.Fatal(err)
	}
	s.account, s.base = a.ID, "/accounts/"+a.ID+"/objectives"
	for name, to := range map[string]*string{"shop.example": &s.shop, "blog.example": &s.blog} {
		z, err := s.dir.CreateZone(t.Context(), staff, a.ID, accounts.ZoneSpec{Name: &name})
		if err != nil {
			t.Fatal(err)
		}
		*to = z.ID
	}
	s.f, err = slo.New(slo.Config{Env: feature.Env{DB: s.db, Record: feature.NewRecorder(s.record), Now: s.clock}, Zone: s.dir.ResolveZone})
	if err != nil {
		t.Fatal(err)
	}
	tracing, err := telemetry.NewTracing(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing, Health: telemetry.NewHealth(),
		Resolve: s.dir.ResolveAccount, Authenticate: s.dir.Authenticate,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := ui.New(ui.Options{Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	api.Mount("GET /assets/", false, u.Assets())
	shell := func(_ *http.Request, p *web.Principal, account, section string) ui.Shell {
		return ui.Shell{Face: ui.Customer, Account: ui.Account{ID: account, Name: "Acme"}, User: ui.User{Name: "Ana", SignOut: accounts.SignOutPath},
			Nav: []ui.NavItem{{Section: "Alerts", Label: "Objectives", Href: s.base, Icon: "target", Current: section == "objectives"}}}
	}
	kit, err := page.New(page.Config{UI: u, API: api, Resolve: s.dir.ResolveAccount, Denied: s.dir.Denied, SignIn: accounts.SignInURL, Shell: shell})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dir.Pages(kit); err != nil {
		t.Fatal(err)
	}
	err = s.f.MountPages(slo.Pages{UI: u, Cursors: api.Cursors(), Mount: kit.Mount, Shell: shell, URL: "http://belfry.test/",
		Zones: func(ctx context.Context, account string) ([][2]string, error) {
			return [][2]string{{s.blog, "blog.example"}, {s.shop, "shop.example"}}, nil
		},
		Changes: func(_ context.Context, account, zone string, since, until time.Time, _ int) ([]slo.Change, error) {
			at := time.Unix(now-180-43, 0)
			if account != s.account || zone != s.shop || at.Before(since) || at.After(until) {
				return nil, nil
			}
			return []slo.Change{{At: at, Label: "Ana lowered the payment timeout of shop.example from 2000 to 20", Href: "/accounts/" + account + "/audit?event=x"}}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.f.API(api)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s.url = server.URL
	for role, to := range map[accounts.Role]**http.Client{accounts.Owner: &s.http, accounts.Viewer: &s.viewer} {
		m, err := s.dir.AddMember(t.Context(), staff, a.ID, string(role)+"@acme.example", "Ana", role)
		if err != nil {
			t.Fatal(err)
		}
		*to = s.signIn(m.SignInURL)
	}
	return s
}

func (s *site) signIn(link string) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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

type shown struct {
	t      testing.TB
	Status int
	To     string
	Body   string
}

func (s *site) send(client *http.Client, method, path string, form url.Values, headers ...string) *shown {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.url)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &shown{s.t, res.StatusCode, res.Header.Get("Location"), string(body)}
}

func (s *site) get(path string, headers ...string) *shown {
	s.t.Helper()
	return s.send(s.http, "GET", path, nil, headers...)
}

func (s *site) post(path string, pairs ...string) *shown {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return s.send(s.http, "POST", path, form)
}

func (p *shown) is(status int, texts ...string) *shown {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("status %d, want %d: %s", p.Status, status, p.Body)
	}
	for _, text := range texts {
		if !strings.Contains(p.Body, text) {
			p.t.Errorf("%q is missing in %s", text, p.Body)
		}
	}
	return p
}

func (p *shown) lacks(texts ...string) *shown {
	p.t.Helper()
	for _, text := range texts {
		if strings.Contains(p.Body, text) {
			p.t.Errorf("%q is there", text)
		}
	}
	return p
}

// furnish fills weeks of history: the shop breaks three minutes before now; the
// blog is little, with three errors that could be chance.
func (s *site) furnish() (checkout, little *slo.Objective) {
	s.t.Helper()
	make1 := func(spec slo.ObjectiveSpec) *slo.Objective {
		o, err := s.f.Create(s.t.Context(), s.account, spec)
		if err != nil {
			s.t.Fatal(err)
		}
		return o
	}
	checkout = make1(slo.ObjectiveSpec{Name: "checkout", Match: slo.Match{Zone: s.shop}, Target: 99.95})
	little = make1(slo.ObjectiveSpec{Name: "blog", Match: slo.Match{Zone: s.blog}, Target: 99.9, Pairs: slo.StandardX2})
	make1(slo.ObjectiveSpec{Name: "payments origin", Match: slo.Match{Zone: s.shop, Origin: "10.0.0.7:8443"}, Target: 99.5, Window: "month"})
	var list []event.Traffic
	for at := int64(now - 28*86400); at < now-4*3600; at += 3600 {
		bad := int64(2)
		if at > now-9*86400 && at < now-9*86400+4*3600 {
			bad = 600 // an afternoon nine days ago
		}
		list = append(list, count(s.shop, "h", event.Count{At: at, Seconds: 3600, Total: 36_000, Bad: bad}), count(s.blog, "h", event.Count{At: at, Seconds: 3600, Total: 20}))
	}
	for at := int64(now - 4*3600); at < now; at += 10 {
		bad := int64(0)
		if at >= now-180 {
			bad = 60
		}
		list = append(list, count(s.shop, "t", event.Count{At: at, Seconds: 10, Total: 100, Bad: bad}))
		if at%600 == 0 {
			c := event.Count{At: at, Seconds: 10, Total: 6}
			if at >= now-3600 && at < now-2400 || at == now-600 {
				c.Bad = 1
			}
			list = append(list, count(s.blog, "t", c))
		}
	}
	for i := range list {
		list[i].Account = s.account
		list[i].ID += list[i].Zone + time.Unix(list[i].Counts[0].At, 0).String()
	}
	for len(list) > 0 {
		n := min(len(list), 1000)
		s.handle(list[:n]...)
		list = list[n:]
	}
	return checkout, little
}

func TestThePagesSayWhatBurns(t *testing.T) {
	s := newSite(t)
	s.get(s.base).is(200, "No objective yet", "/traffic/counts", "belfry tail")
	checkout, little := s.furnish()
	s.get(s.base).is(200, "1 objective is burning its budget too fast.", "checkout", "99.95 %", "shop.example", "10.0.0.7:8443")
	page := s.get(s.base+"/"+checkout.ID).is(200, "checkout is burning its budget", "At the rate of the last 5 min", "1h/5m", "Ana lowered the payment timeout", "Began", "Replayed history: no alert was sent", "Covered")
	if i := strings.Index(page.Body, "It ends 5:00 after the failures stop"); i < 0 {
		t.Error("it does not say when it resolves")
	}
	s.get(s.base+"/"+little.ID).is(200, "three errors could be chance and send no alert; ", "blog is on track: ")
	part := s.get(s.base+"/"+checkout.ID, "HX-Request", "true", "HX-Target", "div#objective-live").is(200, "checkout is burning")
	part.lacks("<html", "data-chart")
	for _, rg := range []string{"1h", "6h", "1d", "28d", "nonsense"} {
		s.get(s.base+"/"+checkout.ID+"?range="+rg).is(200, "data-chart")
	}
	list, err := s.f.Summaries(t.Context(), s.account)
	if err != nil || len(list) != 3 || list[0].Name != "checkout" || list[0].State != slo.Burning || list[1].State != slo.NoData || list[2].State != slo.Healthy || list[0].Href != s.base+"/"+checkout.ID || !strings.HasSuffix(list[0].Burn, "× over 1 h") {
		t.Errorf("%v %+v", err, list)
	}
	// Silence is told, also while it burns.
	s.setClock(now + 3600)
	s.get(s.base+"/"+checkout.ID).is(200, "There has been no data since", "no data does not mean no failures")
	s.get(s.base+"/"+little.ID).is(200, "There is no data since ")
}

func TestObjectivesAreMadeChangedAndDeletedByForms(t *testing.T) {
	s := newSite(t)
	s.get(s.base+"/new").is(200, "shop.example", "Create the objective")
	bad := s.post(s.base, "name", "", "match/zone", s.shop, "kind", "hostname", "value", "", "target", "many", "window", "28d", "pairs", "own", "own", "1h 5m fast page")
	bad.is(400, "Expected a percentage such as 99.95", "Name the one that is judged", "This is not one: 1h 5m fast page")
	s.post(s.base, "name", "checkout", "match/zone", s.shop, "kind", "zone", "target", "90", "window", "28d", "pairs", "standard").is(400, "could never fire")
	made := s.post(s.base, "name", "checkout", "match/zone", s.shop, "kind", "zone", "target", "99.95", "window", "28d", "pairs", "own", "own", "1h 5m 10 page\n1d 2h 2 ticket\n")
	path, _, _ := strings.Cut(made.is(303).To, "?")
	s.get(made.To).is(200, "Objective created.", "There is no data yet.")
	s.get(path+"/edit").is(200, "1h 5m 10 page")
	s.post(s.base, "name", "checkout", "match/zone", s.shop, "kind", "zone", "target", "99", "window", "28d", "pairs", "standard").is(409, "Another objective of the account is called checkout")
	s.post(path, "name", "cart", "match/zone", s.shop, "kind", "zone", "target", "99.9", "window", "month", "pairs", "standard").is(303)
	s.get(path).is(200, "cart", "this month")
	s.get(path+"/delete").is(200, "Delete cart?")
	for _, p := range []string{path + "/edit", path + "/delete", s.base + "/new"} {
		s.send(s.viewer, "GET", p, nil).is(403)
	}
	s.send(s.viewer, "POST", path+"/delete", url.Values{}).is(403)
	s.send(s.viewer, "GET", path, nil).is(200).lacks("/edit")
	s.post(path + "/delete").is(303)
	s.get(path).is(404)
	var actions []string
	for _, e := range s.recorded {
		actions = append(actions, e.Action.Type+" "+e.Resource.Name+" "+e.Actor.Type)
	}
	if got := strings.Join(actions, ", "); got != "create checkout user, update cart user, delete cart user" {
		t.Error(got)
	}
}

func TestAnotherAccountsObjectiveIsNotThere(t *testing.T) {
	s := newSite(t)
	checkout, _ := s.furnish()
	staff := &web.Principal{Kind: web.KindStaff, ID: "ops", Superoperator: true}
	b, err := s.dir.CreateAccount(t.Context(), staff, "Other", "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.dir.AddMember(t.Context(), staff, b.ID, "eve@other.example", "Eve", accounts.Owner)
	if err != nil {
		t.Fatal(err)
	}
	eve := s.signIn(m.SignInURL)
	for _, account := range []string{s.account, b.ID} {
		path := "/accounts/" + account + "/objectives/" + checkout.ID
		for _, p := range []string{path, path + "/edit", path + "/delete"} {
			s.send(eve, "GET", p, nil).is(404).lacks("checkout")
		}
		s.send(eve, "POST", path+"/delete", url.Values{}).is(404)
	}
	if _, err := s.f.Objective(t.Context(), s.account, checkout.ID); err != nil {
		t.Error(err)
	}
	// A zone of another account is none.
	_, err = s.f.Create(t.Context(), b.ID, slo.ObjectiveSpec{Name: "x", Match: slo.Match{Zone: s.shop}, Target: 99})
	if err == nil || !strings.Contains(err.Error(), "no property") {
		t.Errorf("%v", err)
	}
}

func TestTheObjectivesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	s := newSite(t)
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	b.Carry(s.url, s.http.Jar.Cookies(at))
	show := func(name, path string, drawn string) {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1400, 800, 390} {
				if width == 390 && theme == "dark" {
					continue
				}
				b.Open(s.url+path, theme, width)
				if drawn != "" {
					b.Evaluate(`new Promise((r) => { const f = () => document.querySelector("` + drawn + `") ? r("") : requestAnimationFrame(f); f(); })`)
				}
				b.Look(name, theme, width)
			}
		}
	}
	show("slo-none", s.base, "")
	show("slo-new", s.base+"/new", "")
	checkout, little := s.furnish()
	show("slo-list", s.base, "")
	show("slo-burning", s.base+"/"+checkout.ID, ".u-over")
	show("slo-month", s.base+"/"+checkout.ID+"?range=28d", ".u-over")
	show("slo-little", s.base+"/"+little.ID+"?range=6h", ".u-over")
	show("slo-edit", s.base+"/"+little.ID+"/edit", "")
	show("slo-delete", s.base+"/"+checkout.ID+"/delete", "")
}
