package producer_test

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

	"github.com/prometheus/client_golang/prometheus"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/browser"
)

// console is the operators' console with the feature's pages: real people with
// real sessions, and rejects that really come over the bus.
type console struct {
	*bench
	url  string
	dir  *accounts.Directory
	http *http.Client // an operator's browser without scripts
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{bench: consuming(t, newWorld(t, ""))}
	d, err := db.Open(t.Context(), db.Config{Feature: "account", DataDir: t.TempDir(), Schemas: []db.Schema{bus.Schema(), accounts.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if c.dir, err = accounts.New(accounts.Config{Env: feature.Env{DB: d, Now: c.clock}}); err != nil {
		t.Fatal(err)
	}
	tracing, err := telemetry.NewTracing(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing, Health: telemetry.NewHealth(),
		Resolve: c.dir.ResolveAccount,
		Authenticate: func(ctx context.Context, r *http.Request) (*web.Principal, error) {
			if value, _ := web.Bearer(r); strings.HasPrefix(value, producer.TokenPrefix) {
				return c.r.Authenticate(ctx, r)
			}
			return c.dir.Authenticate(ctx, r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := ui.New(ui.Options{Now: c.clock})
	if err != nil {
		t.Fatal(err)
	}
	api.Mount("GET /assets/", false, u.Assets())
	shell := func(_ *http.Request, p *web.Principal, _, section string) ui.Shell {
		s := ui.Shell{Face: ui.Operator, User: ui.User{Name: p.Name, SignOut: accounts.SignOutPath}}
		for _, n := range []ui.NavItem{{Label: "Product teams", Href: producer.TeamsPath, Icon: "package"}, {Label: "Rejected events", Href: producer.RejectsPath, Icon: "octagon-alert"}} {
			n.Section, n.Current = "Integrations", strings.HasSuffix(n.Href, section)
			s.Nav = append(s.Nav, n)
		}
		return s
	}
	kit, err := page.New(page.Config{UI: u, API: api, Resolve: c.dir.ResolveAccount, Denied: c.dir.Denied, SignIn: accounts.SignInURL, Shell: shell})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.dir.Pages(kit); err != nil {
		t.Fatal(err)
	}
	if err := c.r.MountPages(producer.Pages{UI: u, Cursors: api.Cursors(), Mount: kit.Mount, Shell: shell, URL: "http://belfry.test/"}); err != nil {
		t.Fatal(err)
	}
	c.r.API(api)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	c.url = server.URL
	link, err := c.dir.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c.http = c.signIn(link)
	return c
}

func (c *console) signIn(link string) *http.Client {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	_, secret, _ := strings.Cut(link, "link=")
	res, err := client.PostForm(c.url+"/sign-in", url.Values{"link": {secret}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		c.t.Fatal(res.Status)
	}
	return client
}

// shown is a page, or a redirect.
type shown struct {
	t      *testing.T
	Status int
	To     string
	Body   string
}

func (c *console) send1(client *http.Client, r *http.Request, err error) *shown {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &shown{c.t, res.StatusCode, res.Header.Get("Location"), string(body)}
}

func (c *console) get(path string, headers ...string) *shown {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", c.url+path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return c.send1(c.http, r, err)
}

func (c *console) post(path string, fields ...string) *shown {
	c.t.Helper()
	return c.postFrom("same-origin", path, fields...)
}

func (c *console) postFrom(where, path string, fields ...string) *shown {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+path, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", where)
	}
	return c.send1(c.http, r, err)
}

func (s *shown) is(status int, words ...string) *shown {
	s.t.Helper()
	if s.Status != status {
		s.t.Fatalf("status %d instead of %d: %s", s.Status, status, s.Body)
	}
	for _, w := range words {
		if !strings.Contains(s.Body, w) {
			s.t.Fatalf("the page does not say %q: %s", w, s.Body)
		}
	}
	return s
}

func (s *shown) lacks(words ...string) *shown {
	s.t.Helper()
	for _, w := range words {
		if strings.Contains(s.Body, w) {
			s.t.Fatalf("the page says %q: %s", w, s.Body)
		}
	}
	return s
}

func (s *shown) to(path string) {
	s.t.Helper()
	if s.Status != http.StatusSeeOther || s.To != path {
		s.t.Fatalf("status %d to %q instead of 303 to %q: %s", s.Status, s.To, path, s.Body)
	}
}

func (s *shown) find(pattern string) string {
	s.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(s.Body)
	if m == nil {
		s.t.Fatalf("nothing like %s in the page: %s", pattern, s.Body)
	}
	return m[1]
}

func TestATeamIntegratesByItsPages(t *testing.T) {
	c := newConsole(t)
	c.get("/console/producers").is(200, "No product team yet", "belfry catalog init", "belfry catalog check", "belfry catalog apply")
	c.post("/console/producers", "name", "", "contact_email", "nobody").is(400, `value="nobody"`, "Name must have 1 to 200 characters in one line.", "This must be one address")
	made := c.post("/console/producers", "name", "<b>TLS</b>", "contact_email", "tls@example.com").is(303)
	base := made.To
	team := base[strings.LastIndex(base, "/")+1:]
	c.get(base).is(200, "No catalogue yet", "BELFRY_URL=http://belfry.test\n", "BELFRY_PRODUCER="+team, "belfry catalog init", "&lt;b&gt;TLS").lacks("<b>TLS")
	c.get(base+"/history").is(200, "No version yet")
	c.post("/console/producers", "name", "<b>TLS</b>").is(409, "There is a product team")

	c.get(base+"/tokens").is(200, "No token yet")
	c.post(base+"/tokens", "name", "ci", "expires", "30", "ip_allow", "<i>").is(400, "&lt;i&gt;", `value="ci"`).lacks("<i>")
	value := c.post(base+"/tokens", "name", "ci", "expires", "30", "ip_allow", "127.0.0.1").is(200, "shown this once", "export BELFRY_TOKEN=", "/client/v4/audit/events").find(`(blfp_[0-9a-z]{59})`)
	page := c.get(base+"/tokens").is(200, "127.0.0.1/32", "in 30 days").lacks(value, value[5:40])
	s := &httptest.Server{URL: c.url}
	apply := func(file string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/client/v4/producers/"+team+"/catalog", strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+value)
		r.Header.Set("Content-Type", "application/yaml")
		c.send1(http.DefaultClient, r, nil).is(200)
	}
	tls := string(read(t, "tls.yaml"))
	apply(tls)
	c.get(base).is(200, "<code>actor</code> changed <code>resource</code> from <code>before.value</code>", "default sentence", "view", "Version 1, applied")
	apply(strings.Replace(tls, "title: TLS", "title: <script>alert(1)</script>", 1))
	c.get(base).is(200, "&lt;script&gt;alert(1)").lacks("<script>alert")
	c.get(base+"/history").is(200, "in force", base+"/history/2", base+"/history/1")
	c.get(base+"/history/2").is(200, "What it changed", "changed", "title", "&lt;script&gt;alert(1)").lacks("<script>alert")
	c.get(base+"/history/1").is(200, "added", "version: 1")
	for _, no := range []string{"0", "-1", "3", "x", "99999999999999999999"} {
		c.get(base + "/history/" + no).is(404)
	}
	c.get("/console/producers").is(200, "<code>tls</code>", "version 2")

	c.post(base+"/delete").is(409, "The product team still owns something")
	revoke := page.find(`href="(` + base + `/tokens/[0-9a-f]{32}/revoke)"`)
	c.get(revoke).is(200, "Revoke ci?")
	c.postFrom("cross-site", revoke).is(403)
	c.post(revoke).to(base + "/tokens")
	c.get(revoke).is(404)
	c.apply(team, "version: 1\nproducts: []\n")
	c.get(base).is(200, "This catalogue declares nothing")
	c.post(base+"/settings", "name", "TLS and certificates", "contact_email", "").to(base + "/settings")
	c.get(base+"/settings").is(200, "TLS and certificates", "Team saved.")
	c.get(base + "/delete").is(200)
	c.post(base + "/delete").to("/console/producers")
	c.get(base).is(404)
	var acts []string
	for _, e := range c.recorded {
		acts = append(acts, e.Action.Type+" "+e.Resource.Type+" by "+e.Actor.Email)
	}
	if got := strings.Join(acts, "\n"); !strings.Contains(got, "create producer by operator@localhost") || !strings.Contains(got, "revoke producer_token by operator@localhost") {
		t.Errorf("recorded:\n%s", got)
	}
}

// furnish gives a team with a catalogue and refused events of all kinds.
func (c *console) furnish() (team string) {
	c.t.Helper()
	team = c.team("Checkout")
	c.apply(team, string(read(c.t, "full.yaml")))
	undeclared := event.Fault{Code: int(errs.CodeActionUndeclared), Pointer: "/action/type", Message: "the resource type zone_setting has no action remove; it has update, delete, view"}
	schema := event.Fault{Code: int(errs.CodeSchemaMismatch), Pointer: "/after/value", Message: "expected string, got number"}
	hostile := event.Fault{Code: int(errs.CodeInvalid), Pointer: "/<img src=x onerror=alert(1)>", Message: "<script>alert(2)</script>"}
	c.send(c.reject(team, account, "e1", undeclared), c.reject(team, account, "e2", undeclared, schema), c.reject(team, "", "e3", schema),
		c.reject(team, account, "<u>e4</u>", hostile), c.reject("", "", "stray", event.Fault{Code: int(errs.CodeUnknownAccount), Pointer: "/account_id", Message: "there is no account customer-9"}))
	return team
}

func TestRefusedEventsAreCountedListedAndExplained(t *testing.T) {
	c := newConsole(t)
	c.get("/console/rejects").is(200, "No team had an event refused", "Nothing was rejected")
	team := c.furnish()
	base := "/console/producers/" + team + "/rejects"
	c.get("/console/producers").is(200, `href="`+base+`">4<`)
	page := c.get(base).is(200, "4 events", "Add it to the catalogue file and apply it.", "has no action remove", "And 1 more.", "&lt;script&gt;alert(2)").lacks("<script>alert", "<img src=x")
	c.get(base+"?code=12003").is(200, "the first fault is: Schema mismatch", "Expected string, got number.").lacks("has no action remove")
	c.get(base + "?code=schema").is(400)
	c.get(base+"?product=none").is(200, "Nothing was rejected", "the product is: none")
	open := page.find(`href="(` + base + `\?event=[0-9a-f]{32})"`)
	whole := c.get(open).is(200, "<!doctype html>", "What was sent", "{&#34;id&#34;:1}", "Fix")
	part := c.get(open, "HX-Request", "true", "HX-Target", "aside#detail").is(200, "What was sent").lacks("<html", "By team", "<ol")
	if !strings.Contains(whole.Body, strings.TrimSpace(part.Body)) {
		t.Error("the fragment is not the page's detail")
	}
	c.get(base + "?event=" + strings.Repeat("0", 32)).is(404)

	all := c.get("/console/rejects").is(200, "Checkout", "There is no account customer-9.", "Without an account")
	stray := all.find(`href="(/console/rejects\?event=[0-9a-f]{32})" data-open aria-label="Open: Unknown account, event stray, "`)
	c.get(stray).is(200)
	// What belongs to the operators is not opened through a team, or the other way round.
	c.get(base + stray[strings.Index(stray, "?"):]).is(404)
}

func TestARefusedCountSaysThatItIsOne(t *testing.T) {
	c := newConsole(t)
	team := c.team("tls")
	c.send(strings.Replace(c.reject(team, account, "", event.Fault{Code: int(errs.CodeOutOfRange), Pointer: "/bad", Message: "bad is a part of total"}), "{", `{"kind":"traffic",`, 1))
	c.get("/console/producers/"+team+"/rejects").is(200, "/bad of a request count")
}

func TestALongListOfRefusedEventsGoesOn(t *testing.T) {
	c := newConsole(t)
	team := c.team("tls")
	var many []string
	for range 60 {
		many = append(many, c.reject(team, account, "x"))
	}
	c.send(many...)
	base := "/console/producers/" + team + "/rejects"
	next := c.get(base + "?product=tls").is(200).find(`<a href="(` + base + `\?cursor=[^"]+)"`)
	next = strings.ReplaceAll(next, "&amp;", "&")
	if !strings.Contains(next, "product=tls") {
		t.Errorf("the filter is lost: %s", next)
	}
	part := c.get(next, "HX-Request", "true", "HX-Target", "li#rejects-more").is(200).lacks("<html", "<table")
	if n := strings.Count(part.Body, "data-row"); n != 10 {
		t.Errorf("%d rows instead of the last 10", n)
	}
}

func TestOnlyOperatorsOpenTheConsole(t *testing.T) {
	c := newConsole(t)
	team := c.furnish()
	staff := &web.Principal{Kind: web.KindStaff, ID: "ops", Superoperator: true}
	a, err := c.dir.CreateAccount(t.Context(), staff, "Acme", "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.dir.AddMember(t.Context(), staff, a.ID, "ana@acme.example", "Ana", accounts.Owner)
	if err != nil {
		t.Fatal(err)
	}
	operator := c.http
	c.http = c.signIn(m.SignInURL)
	base := "/console/producers/" + team
	for _, path := range []string{"/console/producers", "/console/rejects", base, base + "/rejects", base + "/tokens", base + "/history", base + "/history/1", base + "/settings", base + "/delete"} {
		c.get(path).is(403, "for the operators").lacks("Checkout")
	}
	for _, path := range []string{"/console/producers", base + "/tokens", base + "/settings", base + "/delete"} {
		c.post(path, "name", "mine").is(403)
	}
	c.http = &http.Client{CheckRedirect: operator.CheckRedirect}
	c.get(base).to("/sign-in?next=" + url.QueryEscape(base))
	c.post(base+"/tokens", "name", "mine").is(401)
	if list, err := c.r.Tokens(t.Context(), team); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

func TestTheConsoleStandsInABrowser(t *testing.T) {
	b := browser.Start(t)
	c := newConsole(t)
	show := func(name, path string, then func()) {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1400, 800, 390} {
				if width == 390 && theme == "dark" {
					continue
				}
				b.Open(c.url+path, theme, width)
				then()
				b.Look(name, theme, width)
			}
		}
	}
	at, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	b.Carry(c.url, c.http.Jar.Cookies(at))
	nothing := func() {}
	show("producer-none", "/console/producers", nothing)
	show("rejects-none", "/console/rejects", nothing)
	empty := "/console/producers/" + c.team("Billing")
	team := "/console/producers/" + c.furnish()
	show("producer-empty", empty, nothing)
	show("producer-teams", "/console/producers", nothing)
	show("producer-catalogue", team, nothing)
	show("producer-rejects", team+"/rejects", nothing)
	show("producer-reject", c.get(team+"/rejects").find(`href="(`+team+`/rejects\?event=[0-9a-f]{32})"`), nothing)
	show("producer-filtered", team+"/rejects?code=12003&product=tls", nothing)
	show("producer-history", team+"/history", nothing)
	show("producer-version", team+"/history/1", nothing)
	show("producer-settings", team+"/settings", nothing)
	show("producer-tokens-none", team+"/tokens", nothing)
	show("producer-token-made", team+"/tokens", func() { b.Submit(team+"/tokens", ".banner", "name", "checkout, production") })
	show("producer-tokens", team+"/tokens", nothing)
	show("rejects", "/console/rejects", nothing)
	b.Open(c.url+team+"/rejects", "light", 1400)
	b.Click(".row-open", ".detail-head")
	if got := b.Evaluate("location.search.slice(0, 7)"); got != "?event=" {
		t.Errorf("the opened event is not in the address: %q", got)
	}
	b.Look("producer-reject-opened", "light", 1400)
}
