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
	"github.com/belfryhq/belfry/test/browser"
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
	d, err := db.Open(t.Context(), db.Config{Feature: "account", DataDir: t.TempDir(), Schemas: []db.Schema{bus.Schema(), accounts.Schema()}})
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
				{EventID: "e1", At: q.Until.Add(-43 * time.Second), Actor: "Ana Lima", Summary: "Ana Lima lowered the payment timeout of shop.example from 5 s to 300 ms", URL: "/accounts/" + q.Account + "/audit/events/e1", WhyListed: "the same property, 43 s before"},
				{EventID: "e2", At: q.Until.Add(-6 * time.Minute), Actor: "terraform", Summary: "terraform <b>changed</b> 40 resources", URL: "/accounts/" + q.Account + "/audit/events/e2", WhyListed: "the same account"},
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
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing, Health: telemetry.NewHealth(),
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
		sh := ui.Shell{Face: ui.Customer, Account: ui.Account{ID: account, Name: "Acme production"}, User: ui.User{Name: p.Name, SignOut: accounts.SignOutPath}}
		for _, n := range []ui.NavItem{{Label: "Alerts", Href: notify.AlertsPath(account), Icon: "siren"}, {Label: "Notifications", Href: notify.NotificationsPath(account), Icon: "bell"}} {
			n.Section, n.Current = "Alerts", strings.EqualFold(n.Label, section)
			sh.Nav = append(sh.Nav, n)
		}
		return sh
	}
	kit, err := pagekit.New(pagekit.Config{UI: u, API: api, Resolve: s.dir.ResolveAccount, Denied: s.dir.Denied, SignIn: accounts.SignInURL, Shell: shell})
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

func TestThePagesTeachWhatToDoWhileThereIsNothing(t *testing.T) {
	s := newSite(t)
	s.get("/alerts").says(200, "Nothing is firing.", "No alerts yet", "/alerting/v3/alerts", "Set up notifications")
	s.get("/alerts?state=firing").says(200, "No such alert")
	s.get("/notifications").says(200, "No notification policies yet", "Create a policy", "None yet. A webhook")
	s.get("/alerts/none").says(404)
	s.get("/notifications/deliveries/none").says(404)
}

// furnish makes policies, webhooks and alerts of every state by the pages' forms.
func (s *site) furnish(r *receiver) (hook, policy string) {
	t := s.t
	made := s.post("/notifications/webhooks", "name", "Shop <hook>", "url", r.URL, "secret", "s3cret").says(200, "whsec_", "Copy the signing secret now.")
	hook = made.find(`href="` + s.base + `(/notifications/webhooks/[0-9a-f]{32})"`)
	id := hook[strings.LastIndexByte(hook, '/')+1:]
	s.post("/notifications/policies", "name", "", "alert_type", "shop_down", "mail", "nobody@else.example", "filters", "color: red").says(400, "Name is required", "is not the address of a member", "have no filter")
	s.post("/notifications/policies", "name", "Shop is down <i>", "alert_type", "shop_down", "except", "blog.example", "mail", "ana@acme.example", "webhook", id, "enabled", "on", "filters", "severity.not: info", "description", "page us").leads(s.base + "/notifications")
	s.post("/notifications/policies", "name", "Only the blog", "alert_type", "shop_down", "zones", "blog.example", "webhook", id, "enabled", "on").leads(s.base + "/notifications")
	policy = s.get("/notifications").says(200, "Shop is down &lt;i&gt;", "Shop down", "for all properties except blog.example", "ana@acme.example, Shop &lt;hook&gt;", "severity is not info").find(`href="` + s.base + `(/notifications/policies/[0-9a-f]{32})" data-open>Shop`)
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	s.alert(map[string]any{"id": "burn", "event": "start", "correlation_id": "c", "severity": "critical", "occurred_at": ago(2 * time.Minute), "began_at": ago(3 * time.Minute), "summary": "checkout is burning its budget 14 times too fast",
		"resource": map[string]string{"product": "belfry", "type": "objective", "id": "checkout", "name": "checkout"}, "url": "/accounts/x/objectives/checkout",
		"data": map[string]any{"objective": "checkout", "target": 99.95, "long": map[string]any{"window": "1h", "bad": 1200, "total": 30000, "burn_rate": 80.0}, "short": map[string]any{"window": "5m", "bad": 900, "total": 1500, "burn_rate": 1200.123456789}, "budget_left": -3}})
	s.alert(map[string]any{"id": "over", "event": "start", "correlation_id": "o", "severity": "warning", "occurred_at": ago(time.Hour), "summary": "search <script>alert(1)</script> answers slowly"})
	until(t, "the start arrives", func() bool { return len(r.all()) == 2 })
	until(t, "its delivery is written", func() bool { return s.decision("over").ToldAt.Unix() > 0 })
	s.alert(map[string]any{"id": "over2", "event": "end", "correlation_id": "o", "occurred_at": ago(48 * time.Minute)})
	until(t, "the end arrives", func() bool { return strings.Contains(s.states("over"), "end delivered") })
	r.answers(func(received) int { return 422 })
	s.alert(map[string]any{"id": "note", "summary": "a certificate ends in 14 days", "severity": "warning"})
	s.alert(map[string]any{"id": "quiet", "alert_type": "http_alert_origin_error", "event": "start", "summary": "Origin errors on api.example"})
	until(t, "all is written", func() bool {
		return strings.Contains(s.states("note"), "failed") && strings.Count(s.states("burn"), "waiting") == 0 && strings.Count(s.states("over"), "waiting") == 0
	})
	return hook, policy
}

func TestWhatIsFiringIsSaidFirstAndEveryStepCanBeRead(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook, policy := s.furnish(r)
	s.get("/alerts").says(200, "2 alerts are firing.", "checkout shop down", "checkout is burning its budget 14 times too fast", "Shop &lt;hook&gt;: delivered", "ana@acme.example: not sent (no mail server)", "nobody: the account has no policy", "&lt;script&gt;", "for 12 min")
	s.get("/alerts?state=ended").says(200, "answers slowly")
	s.get("/alerts?state=wrong").says(400)
	p := s.get("/alerts/burn").says(200, "Firing", "Preceded by", "Ana Lima lowered the payment timeout", "43 s earlier: the same property", "and 3 changes more", "1200.1", "Data as it was sent", "long", "short", "burn rate", "did not match", "its filter zones has blog.example",
		"Attempt 1", "webhook-signature", "cf-webhook-auth: (secret)", "Alert started", "Delivered to Shop &lt;hook&gt;", "BELFRY_SMTP_URL is not set", `<a href="/accounts/x/objectives/checkout">checkout</a>`, "Open the objective", "terraform &lt;b&gt;changed&lt;/b&gt;")
	if strings.Contains(p.Body, "s3cret") {
		t.Error("the page shows the shared secret")
	}
	s.post("/alerts/burn/ack").leads(s.base + "/alerts/burn")
	s.get("/alerts/burn").says(200, "Acknowledged by Ana Lima at <time", "Alert acknowledged.", "Unacknowledge")
	s.get("/alerts/quiet").says(200, "Nobody was notified:", "Create a policy")
	s.get("/notifications").says(200, "1 message could not be delivered in the last 24 hours.", "failing")
	s.get(hook).says(200, "One is set. Type another to replace it.", "failing")
	s.get(policy).says(200, "page us", "severity.not: info", "blog.example")
	s.post(policy, "name", "Shop is down", "alert_type", "shop_down", "mail", "ana@acme.example", "enabled", "on", "do", "preview").says(200, "It would have matched 3 alerts of 3 in the last 7 days.")
	s.post(policy + "/test").leads(s.base + "/notifications")
	s.post(hook+"/test").says(200, "Test message delivered.")
	s.post(hook+"/rotate").says(200, "signs beside it for 24 hours")
	s.post(hook+"/delete").says(409, "sends to this webhook")
	delivery := s.get("/alerts/note").find(`href="` + s.base + `(/notifications/deliveries/[0-9a-f]{32})"`)
	s.get(delivery).says(200, "Send again", "422")
	s.post(delivery + "/replay").leads(s.base + "/notifications/deliveries/")
	s.get(policy+"/delete").says(200, "It sends no more messages.")
	s.post(policy + "/delete").leads(s.base + "/notifications")
	g, err := s.n.Glance(t.Context(), s.account)
	if err != nil || g.Count != 2 || g.Firing[1].Sentence != "checkout shop down" || !g.Firing[1].Acked ||
		g.Firing[1].Note() != "Preceded by: Ana Lima lowered the payment timeout of shop.example from 5 s to 300 ms. Acknowledged by Ana Lima." || g.Failed < 1 {
		t.Errorf("%+v %v", g, err)
	}
}

func TestAViewerReadsAndChangesNothing(t *testing.T) {
	s := newSite(t)
	hook, policy := s.furnish(newReceiver(t))
	m, err := s.dir.AddMember(t.Context(), feature.Belfry(), s.account, "jo@acme.example", "Jo", accounts.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	s.http = s.signIn(m.SignInURL)
	for _, path := range []string{"/alerts", "/alerts/burn", "/notifications", hook, policy} {
		if b := s.get(path).says(200).Body; strings.Contains(b, `<form method="post" action="`+s.base) {
			t.Errorf("%s offers a form to a viewer", path)
		}
	}
	for _, path := range []string{"/alerts/burn/ack", "/alerts/burn/replay", "/notifications/policies", policy, policy + "/delete", policy + "/test", "/notifications/webhooks", hook, hook + "/delete", hook + "/rotate", hook + "/test", hook + "/enable"} {
		s.post(path, "name", "x").says(403)
	}
}

func TestThePagesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	s := newSite(t)
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	b.Carry(s.url, s.http.Jar.Cookies(at))
	show := func(name, path string) {
		t.Helper()
		for _, view := range []struct {
			theme string
			width int64
		}{{"light", 1400}, {"dark", 1400}, {"light", 390}} {
			b.Open(s.url+s.base+path, view.theme, view.width)
			b.Look(name, view.theme, view.width)
		}
	}
	show("alerts-none", "/alerts")
	show("notifications-none", "/notifications")
	hook, policy := s.furnish(newReceiver(t))
	show("alerts", "/alerts")
	show("alerts-ended", "/alerts?state=ended")
	show("alert", "/alerts/burn")
	show("alert-quiet", "/alerts/quiet")
	show("notifications", "/notifications")
	show("policy-new", "/notifications/policies/new")
	show("policy", policy)
	show("webhook-new", "/notifications/webhooks/new")
	show("webhook", hook)
	show("delivery", s.get("/alerts/note").find(`href="`+s.base+`(/notifications/deliveries/[0-9a-f]{32})"`))
	b.Open(s.url+s.base+"/alerts/burn", "light", 1400)
	b.Evaluate(`document.querySelectorAll("details.whole").forEach((d) => d.open = true); ""`)
	b.Look("alert-open", "light", 1400)
}
