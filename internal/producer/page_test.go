package producer_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/browser"
	"github.com/belfryhq/belfry/test/site"
)

// console is the operators' console with the feature's pages, and rejects that
// really come over the bus.
type console struct {
	*bench
	*site.Site
	op *site.Visitor // an operator
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{bench: consuming(t, newWorld(t, ""))}
	c.Site = site.New(t, site.Config{
		Now: c.Now,
		Nav: []site.Entry{
			{Section: "producers", Label: "Product teams", Path: producer.TeamsPath, Icon: "package"},
			{Section: "rejects", Label: "Rejected events", Path: producer.RejectsPath, Icon: "octagon-alert"},
		},
		Authenticate: func(ctx context.Context, r *http.Request) (*web.Principal, error) {
			if value, _ := web.Bearer(r); strings.HasPrefix(value, producer.TokenPrefix) {
				return c.r.Authenticate(ctx, r)
			}
			return c.Accounts.Authenticate(ctx, r)
		},
	})
	c.Add(c.r.Pages)
	c.r.API(c.API)
	c.op = c.Operator()
	return c
}

// put applies a catalogue file through the API with a team's token.
func (c *console) put(team, token, file string) {
	c.bench.t.Helper()
	address := c.URL + "/client/v4/producers/" + team + "/catalog"
	r, err := http.NewRequestWithContext(c.bench.t.Context(), "PUT", address, strings.NewReader(file))
	if err != nil {
		c.bench.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/yaml")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.bench.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		c.bench.t.Fatalf("the catalogue is refused: %s", res.Status)
	}
}

func TestTeamPages(t *testing.T) {
	c := newConsole(t)
	op := c.op
	var base, team, token string
	tls := string(read(t, "tls.yaml"))
	c.Run("create a team", func() {
		op.Get("/console/producers").Expect(200).
			Says("No product team yet", "belfry catalog init", "belfry catalog check", "belfry catalog apply")
		op.Post("/console/producers/new", "name", "", "contact_email", "nobody").Expect(400).
			Says(`value="nobody"`, "Name must have 1 to 200 characters in one line.", "Enter one address")
		base = op.Post("/console/producers/new", "name", "<b>TLS</b>", "contact_email", "tls@example.com").
			Expect(303).Location
		team = base[strings.LastIndex(base, "/")+1:]
		op.Get(base).Expect(200).Lacks("<b>TLS").
			Says("No catalogue yet", "BELFRY_URL=http://belfry.test\n", "BELFRY_PRODUCER="+team).
			Says("belfry catalog init", "&lt;b&gt;TLS")
		op.Get(base + "/history").Expect(200).Says("No version yet")
		op.Post("/console/producers/new", "name", "<b>TLS</b>").Expect(409).Says("There is a product team")
	})
	c.Run("create a token", func() {
		op.Get(base + "/tokens").Expect(200).Says("No token yet")
		op.Post(base+"/tokens/new", "name", "ci", "expires", "30", "ip_allow", "<i>").Expect(400).
			Says("&lt;i&gt;", `value="ci"`).Lacks("<i>")
		created := op.Post(base+"/tokens/new", "name", "ci", "expires", "30", "ip_allow", "127.0.0.1").Expect(200)
		created.Says("shown only once", "export BELFRY_TOKEN=", "/client/v4/audit/events")
		token = created.Find(`(blfp_[0-9a-z]{59})`)
		op.Get(base+"/tokens").Expect(200).Says("127.0.0.1/32", "in 30 days").Lacks(token, token[5:40])
	})
	c.Run("apply catalogues", func() {
		c.put(team, token, tls)
		op.Get(base+"/catalogue").Expect(200).Says("default sentence", "view", "Version 1, applied",
			"<code>actor</code> changed <code>resource</code> from <code>before.value</code>")
		c.put(team, token, strings.Replace(tls, "title: TLS", "title: <script>alert(1)</script>", 1))
		op.Get(base + "/catalogue").Expect(200).Says("&lt;script&gt;alert(1)").Lacks("<script>alert")
		op.Get(base).Expect(200).Says("&lt;script&gt;alert(1)", "Version 2").Lacks("<script>alert")
		op.Get("/console/producers").Expect(200).Says("<code>tls</code>", "version 2")
	})
	c.Run("history", func() {
		op.Get(base+"/history").Expect(200).Says("in force").Links(base+"/history/2", base+"/history/1")
		op.Get(base+"/history/2").Expect(200).
			Says("What it changed", "changed", "title", "&lt;script&gt;alert(1)").Lacks("<script>alert")
		op.Get(base+"/history/1").Expect(200).Says("added", "version: 1")
		for _, no := range []string{"0", "-1", "3", "x", "99999999999999999999"} {
			op.Get(base + "/history/" + no).Expect(404)
		}
	})
	c.Run("revoke the token", func() {
		op.Post(base + "/delete").Expect(409).Says("The product team still owns something")
		revoke := op.Get(base + "/tokens").Find(`href="(` + base + `/tokens/[0-9a-f]{32}/revoke)"`)
		ask := op.Get(revoke).Expect(200).Says("Revoke ci?")
		op.PostFrom("cross-site", revoke).Expect(403)
		ask.Submit("Revoke the token").RedirectsTo(base + "/tokens")
		op.Get(revoke).Expect(404)
	})
	c.Run("change and delete the team", func() {
		c.apply(team, "version: 1\nproducts: []\n")
		op.Get(base + "/catalogue").Expect(200).Says("This catalogue declares nothing")
		op.Post(base+"/settings", "name", "TLS and certificates", "contact_email", "").RedirectsTo(base)
		op.Get(base).Expect(200).Says("TLS and certificates", "Team saved.")
		op.Get(base + "/delete").Expect(200).Submit("Delete the team").RedirectsTo("/console/producers")
		op.Get(base).Expect(404)
	})
	var recorded []string
	for _, e := range c.recorded {
		recorded = append(recorded, e.Action.Type+" "+e.Resource.Type+" by "+e.Actor.Email)
	}
	for _, want := range []string{"create producer by operator@localhost", "revoke producer_token by operator@localhost"} {
		if !slices.Contains(recorded, want) {
			t.Errorf("%q is not among what was recorded: %q", want, recorded)
		}
	}
}

// furnish makes a team with a catalogue and rejected events of all kinds.
func (c *console) furnish() (team string) {
	c.bench.t.Helper()
	team = c.team("Checkout")
	c.apply(team, string(read(c.bench.t, "full.yaml")))
	undeclared := event.Fault{
		Code:    int(errs.CodeActionUndeclared),
		Pointer: "/action/type",
		Message: "the resource type zone_setting has no action remove; it has update, delete, view",
	}
	schema := event.Fault{
		Code:    int(errs.CodeSchemaMismatch),
		Pointer: "/after/value",
		Message: "expected string, got number",
	}
	hostile := event.Fault{
		Code:    int(errs.CodeInvalid),
		Pointer: "/<img src=x onerror=alert(1)>",
		Message: "<script>alert(2)</script>",
	}
	unknown := event.Fault{
		Code:    int(errs.CodeUnknownAccount),
		Pointer: "/account_id",
		Message: "there is no account customer-9",
	}
	c.send(
		c.reject(team, account, "e1", undeclared),
		c.reject(team, account, "e2", undeclared, schema),
		c.reject(team, "", "e3", schema),
		c.reject(team, account, "<u>e4</u>", hostile),
		c.reject("", "", "stray", unknown),
	)
	return team
}

func TestRejectPages(t *testing.T) {
	c := newConsole(t)
	op := c.op
	op.Get("/console/rejects").Expect(200).Says("No team had an event refused", "Nothing was rejected")
	team := c.furnish()
	base := "/console/producers/" + team + "/rejects"
	var list *site.Page
	c.Run("counts and rows", func() {
		op.Get("/console/producers").Expect(200).Says(`href="` + base + `">4<`)
		list = op.Get(base).Expect(200).Lacks("<script>alert", "<img src=x").
			Says("4 events", "Add it to the catalogue file and apply it.", "has no action remove").
			Says("And 1 more.", "&lt;script&gt;alert(2)")
	})
	c.Run("filters", func() {
		op.Get(base+"?code=12003").Expect(200).
			Says("Schema mismatch", "Expected string, got number.").Lacks("has no action remove")
		op.Get(base + "?code.not=12003").Expect(200).Says("has no action remove").Lacks("Expected string, got number.")
		op.Get(base + "?code=schema").Expect(400)
		op.Get(base+"?product=none").Expect(200).Says("No rejected event matches", "Show all rejected events")
		op.Get(base+"?pointer=/action/type").Expect(200).Says("has no action remove").
			Lacks("Expected string, got number. (", "alert(2)")
		op.Get(base + "?since=2020-01-01&before=2020-01-02").Expect(200).Says("No rejected event matches")
		op.Get("/console/rejects?producer=" + team).Expect(200).Says("Schema mismatch").Lacks("There is no account")
		op.Get("/console/rejects?producer.not=" + team).Expect(200).Says("There is no account").Lacks("Schema mismatch.")
	})
	c.Run("causes have the numbers of their events", func() {
		list.Says("By cause", `<td data-label="Events" class="num">2</td>`).
			Links(base + "?code=12002&pointer=%2Faction%2Ftype&product=tls")
	})
	c.Run("the export has the events of the filters", func() {
		href := op.Get(base + "?code=12003&since=2020-01-01").Find(`href="(/client/v4/producers/[^"]*)"`)
		lines := strings.Split(strings.TrimSpace(op.Get(strings.ReplaceAll(href, "&amp;", "&")).Expect(200).Body), "\n")
		if len(lines) != 1 || !strings.Contains(lines[0], `"code":12003`) {
			t.Errorf("%s: %q", href, lines)
		}
		op.Get("/client/v4/audit/rejects/export?producer.not=" + team).Expect(200).Says("customer-9").Lacks("/after/value")
	})
	c.Run("one event", func() {
		open := list.Find(`href="(` + base + `\?event=[0-9a-f]{32})"`)
		whole := op.Get(open).Expect(200).Says("<!doctype html>", "What was sent", "{&#34;id&#34;:1}", "Fix", "to copy").
			Links("/docs/api/publish-audit-events#body", "/console/producers/"+team+"/catalogue#tls")
		part := op.Fragment(open, "aside#detail").Expect(200).Says("What was sent").Lacks("<html", "By team", "<ol")
		if !strings.Contains(whole.Body, strings.TrimSpace(part.Body)) {
			t.Error("the fragment is not the page's detail")
		}
		op.Get(base + "?event=" + strings.Repeat("0", 32)).Expect(404)
	})
	c.Run("events without an account", func() {
		all := op.Get("/console/rejects").Expect(200).
			Says("Checkout", "There is no account customer-9.", "Without an account")
		stray := all.Find(`href="(/console/rejects\?event=[0-9a-f]{32})" data-open ` +
			`aria-label="Open: Unknown account, event stray, "`)
		op.Get(stray).Expect(200)
		op.Get(base + stray[strings.Index(stray, "?"):]).Expect(404) // it is not the team's
	})
}

func TestARejectedCountSaysThatItIsOne(t *testing.T) {
	c := newConsole(t)
	team := c.team("tls")
	fault := event.Fault{Code: int(errs.CodeOutOfRange), Pointer: "/bad", Message: "bad is a part of total"}
	c.send(strings.Replace(c.reject(team, account, "", fault), "{", `{"kind":"traffic",`, 1))
	c.op.Get("/console/producers/" + team + "/rejects").Expect(200).Says("/bad of a request count")
}

func TestALongListOfRejectsContinues(t *testing.T) {
	c := newConsole(t)
	team := c.team("tls")
	var many []string
	for range 60 {
		many = append(many, c.reject(team, account, "x"))
	}
	c.send(many...)
	base := "/console/producers/" + team + "/rejects"
	next := c.op.Get(base + "?product=tls").Expect(200).Find(`<a href="(` + base + `\?cursor=[^"]+)"`)
	next = strings.ReplaceAll(next, "&amp;", "&")
	if !strings.Contains(next, "product=tls") {
		t.Errorf("the filter is lost: %s", next)
	}
	part := c.op.Fragment(next, "li#rejects-more").Expect(200).Lacks("<html", "<table")
	if n := strings.Count(part.Body, "data-row"); n != 10 {
		t.Errorf("%d rows instead of the last 10", n)
	}
}

func TestOnlyOperatorsOpenTheConsole(t *testing.T) {
	c := newConsole(t)
	team := c.furnish()
	ana := c.Member(c.Account("Acme"), "ana@acme.example", accounts.Owner)
	base := "/console/producers/" + team
	for _, path := range []string{"/console/producers", "/console/rejects", base, base + "/rejects", base + "/tokens",
		base + "/history", base + "/history/1", base + "/settings", base + "/delete", base + "/tokens/new",
		"/console/producers/new", base + "/catalogue"} {
		ana.Get(path).Expect(403).Says("for the operators").Lacks("Checkout")
	}
	for _, path := range []string{"/console/producers/new", base + "/tokens/new", base + "/settings", base + "/delete"} {
		ana.Post(path, "name", "mine").Expect(403)
	}
	c.Visitor().Get(base).RedirectsTo("/sign-in?next=" + url.QueryEscape(base))
	c.Visitor().Post(base+"/tokens/new", "name", "mine").Expect(401)
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
				b.Open(c.URL+path, theme, width)
				then()
				b.Look(name, theme, width)
			}
		}
	}
	b.Carry(c.URL, c.op.Cookies())
	nothing := func() {}
	show("producer-none", "/console/producers", nothing)
	show("rejects-none", "/console/rejects", nothing)
	empty := "/console/producers/" + c.team("Billing")
	team := "/console/producers/" + c.furnish()
	show("producer-empty", empty, nothing)
	show("producer-teams", "/console/producers", nothing)
	show("producer-team", team, nothing)
	show("producer-new", "/console/producers/new", nothing)
	show("producer-catalogue", team+"/catalogue", nothing)
	show("producer-rejects", team+"/rejects", nothing)
	reject := c.op.Get(team + "/rejects").Find(`href="(` + team + `/rejects\?event=[0-9a-f]{32})"`)
	show("producer-reject", reject, nothing)
	show("producer-filtered", team+"/rejects?code=12003&product=tls", nothing)
	show("producer-history", team+"/history", nothing)
	show("producer-version", team+"/history/1", nothing)
	show("producer-settings", team+"/settings", nothing)
	show("producer-tokens-none", team+"/tokens", nothing)
	show("producer-token-made", team+"/tokens/new", func() {
		b.Submit(team+"/tokens/new", ".banner", "name", "checkout, production")
	})
	show("producer-tokens", team+"/tokens", nothing)
	show("rejects", "/console/rejects", nothing)
	b.Open(c.URL+team+"/rejects", "light", 1400)
	b.Click(".row-open", ".detail-head")
	if got := b.Evaluate("location.search.slice(0, 7)"); got != "?event=" {
		t.Errorf("the opened event is not in the address: %q", got)
	}
	b.Look("producer-reject-opened", "light", 1400)
}

func TestATeamsPageShowsItsFacts(t *testing.T) {
	c := newConsole(t)
	team := c.furnish()
	base := "/console/producers/" + team
	hub := c.op.Get(base).Expect(200).
		Says("4 events rejected", "Rejected, 24 h", "/after/value", "Expected string, got number.", "What was sent").
		Says("Token last used", "No token yet", "Version 1").
		Links(base+"/settings", base+"/tokens/new", base+"/delete", base+"/rejects", base+"/catalogue", base+"/history/1")
	hub.Lacks("<script>alert", "<img src=x", "<u>e4")
	c.op.Get("/console/producers?state=rejected").Expect(200).Says("Checkout")
	c.op.Get("/console/producers?state=missing").Expect(200).Says("No team matches").Lacks("Checkout")
	c.op.Get("/console/producers?q=CHECK").Expect(200).Says("Checkout")
	c.op.Get("/console/producers?q=%25").Expect(200).Says("No team matches")
}

func TestTeamsAreListedByName(t *testing.T) {
	c := newConsole(t)
	for _, name := range []string{"Beta", "Alpha", "Gamma"} {
		c.team(name)
		c.Pass(time.Second)
	}
	order := func(path string) string {
		body := c.op.Get(path).Expect(200).Body
		names := []string{"Alpha", "Beta", "Gamma"}
		slices.SortFunc(names, func(a, b string) int {
			return strings.Index(body, ">"+a+"</a>") - strings.Index(body, ">"+b+"</a>")
		})
		return strings.Join(names, " ")
	}
	if got := order("/console/producers?sort=name"); got != "Alpha Beta Gamma" {
		t.Errorf("by name: %s", got)
	}
	if got := order("/console/producers"); got != "Gamma Alpha Beta" {
		t.Errorf("the newest first: %s", got)
	}
}
