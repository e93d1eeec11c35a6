package account_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chromium is a headless browser, or a skip: BELFRY_TEST_CHROMIUM names the
// program, and BELFRY_TEST_ALL=1 makes its absence a failure.
func chromium(t *testing.T) context.Context {
	t.Helper()
	program := os.Getenv("BELFRY_TEST_CHROMIUM")
	if program == "" {
		if os.Getenv("BELFRY_TEST_ALL") == "1" {
			t.Fatal("BELFRY_TEST_CHROMIUM is not set and BELFRY_TEST_ALL is")
		}
		t.Skip("left out: a browser (set BELFRY_TEST_CHROMIUM)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-networking", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// open shows a page and waits until it is drawn.
func open(t *testing.T, ctx context.Context, at, theme string, width int64) {
	t.Helper()
	media := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), media, chromedp.Navigate(at)); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	evaluate(t, ctx, drawn)
}

func evaluate(t *testing.T, ctx context.Context, script string) string {
	t.Helper()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	drawn = `document.fonts.ready.then(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r("")))))`

	violations = `axe.run({resultTypes: ["violations"]}).then((r) => r.violations.map((v) => v.id + ": " + v.help + "\n" +
		v.nodes.slice(0, 4).map((n) => "    " + n.html.slice(0, 200) + "\n      " + (n.failureSummary || "").replaceAll("\n", " ")).join("\n")).join("\n"))`

	overflow = `document.documentElement.scrollWidth > innerWidth ? "the page" :
		[...document.querySelectorAll(".table td, .panel-body > *")].filter((e) => {
			const p = e.closest(".panel").getBoundingClientRect(), b = e.getBoundingClientRect();
			return b.width > 0 && b.right > p.right + 1;
		}).map((e) => e.outerHTML.slice(0, 120)).join("\n")`

	refusals = `new Promise((r) => {
		const seen = [];
		new ReportingObserver((l) => l.forEach((v) => seen.push(v.body.blockedURL + " " + v.body.effectiveDirective)), {types: ["csp-violation"], buffered: true}).observe();
		setTimeout(() => r(seen.join("\n")), 50);
	})`
)

// carry gives Chromium the session of a browser without scripts.
func carry(t *testing.T, ctx context.Context, p *person) {
	t.Helper()
	at, err := url.Parse(p.site.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(at) {
		set := chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
			_, err := cdp.Call(ctx, page, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: p.site.url, HTTPOnly: new(true)})
			return err
		})
		if err := chromedp.Do(ctx, set); err != nil {
			t.Fatal(err)
		}
	}
}

// furnished is a site with something on every page, and the pages to look at.
func furnished(t *testing.T) (s *site, ana *person, pages map[string]string) {
	t.Helper()
	s = newSite(t)
	acme := s.account("Acme production")
	ana = s.signedIn(acme, "ana.lima@acme.example", "owner")
	for name, more := range map[string]m{
		"shop, production":  {"permissions": []string{"audit:write"}, "expires_on": time.Now().AddDate(0, 0, 80).UTC().Format(time.RFC3339)},
		"terraform":         {"permissions": []string{"audit:read", "members:read", "members:write", "tokens:read"}, "ip_allow": []string{"192.0.2.0/24", "2001:db8::/32"}},
		"checkout <canary>": {"permissions": []string{"flags:read"}, "expires_on": time.Now().AddDate(0, 0, 3).UTC().Format(time.RFC3339)},
	} {
		more["name"] = name
		s.call(root, "POST", "/accounts/"+acme+"/tokens", more).ok()
	}
	for email, role := range map[string]string{"li.wei@acme.example": "admin", "jo.park@acme.example": "editor", "audit@kpmg.example": "auditor"} {
		s.call(root, "POST", "/accounts/"+acme+"/members", m{"email": email, "name": strings.Split(email, "@")[0], "role": role}).ok()
	}
	for name, environment := range map[string]string{"shop.example": "production", "blog.example": "staging", "load.example": "test"} {
		s.call(root, "POST", "/accounts/"+acme+"/zones", m{"name": name, "aliases": []string{"www." + name, "https://origin." + name}, "environment": environment}).ok()
	}
	for _, name := range []string{"Globex", "Initech, Europe"} {
		s.call(root, "POST", "/accounts", m{"name": name, "external_id": "customer-" + name[:3]}).ok()
	}
	base := "/accounts/" + acme
	tokens, members := ana.get(base+"/tokens"), ana.get(base+"/members")
	pages = map[string]string{
		"tokens": base + "/tokens", "token-new": base + "/tokens/new?permission=audit:write", "members": base + "/members",
		"token": tokens.find(`href="(` + base + `/tokens/[0-9a-f]{32})"`), "revoke": tokens.find(`href="(`+base+`/tokens/[0-9a-f]{32})"`) + "/revoke",
		"member":     members.find(`href="(` + base + `/members/[0-9a-f]{32})" data-open>li`),
		"properties": base + "/properties", "property-new": base + "/properties/new",
		"property": ana.get(base + "/properties").find(`href="(` + base + `/properties/[0-9a-f]{32})"`),
		"profile":  "/profile", "sign-in": "/sign-in", "sign-in-link": "/sign-in?link=" + strings.Repeat("0", 52), "sign-out": "/sign-out",
		"accounts": "/console/accounts", "system": "/console/system", "foreign": "/accounts/" + strings.Repeat("0", 32) + "/tokens",
	}
	return s, ana, pages
}

// each shows every page in both themes and several widths to the same person
// and, where it is theirs, to an operator; empty pages and answers of forms too.
func each(t *testing.T, ctx context.Context, themes []string, widths []int64, look func(name, theme string, width int64)) {
	t.Helper()
	s, ana, pages := furnished(t)
	op := s.operator()
	bare := s.account("Bare")
	show := func(name, path string) {
		for _, theme := range themes {
			for _, width := range widths {
				open(t, ctx, s.url+path, theme, width)
				look(name, theme, width)
			}
		}
	}
	show("sign-in-nobody", "/sign-in")
	carry(t, ctx, ana)
	for name, path := range pages {
		if !strings.HasPrefix(path, "/console") {
			show(name, path)
		}
	}
	carry(t, ctx, op)
	show("accounts", pages["accounts"])
	show("system", pages["system"])
	for _, name := range []string{"tokens", "members", "properties"} {
		show(name+"-empty", "/accounts/"+bare+"/"+name)
	}
	// What a form answers: the value shown once, and a fault beside its field.
	submit := func(name, path, script string) {
		for _, theme := range themes {
			for _, width := range widths {
				open(t, ctx, s.url+path, theme, width)
				evaluate(t, ctx, `(async () => { `+script+` return ""; })()`)
				if err := chromedp.Do(ctx, chromedp.WaitVisible(`.banner, .note.bad`)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				evaluate(t, ctx, drawn)
				look(name, theme, width)
			}
		}
	}
	fill := func(form string, fields ...string) string {
		var b strings.Builder
		b.WriteString(`const f = document.querySelector('form[action="` + form + `"]'); f.noValidate = true;`)
		for i := 0; i < len(fields); i += 2 {
			b.WriteString(`f.elements["` + fields[i] + `"].value = ` + "`" + fields[i+1] + "`;")
		}
		return b.String() + `f.submit();`
	}
	base := "/accounts/" + bare
	submit("token-made", base+"/tokens/new?permission=audit:write", fill(base+"/tokens", "name", "shop, production"))
	submit("token-fault", base+"/tokens/new", fill(base+"/tokens", "name", "", "ip_allow", "nonsense"))
	submit("member-fault", base+"/members", fill(base+"/members", "email", "nobody"))
	submit("sign-in-fault", "/sign-in", fill("/sign-in", "email", "x@acme.example", "password", "wrong"))
}

func TestAxeFindsNothingOnAnyPageThemeAndWidth(t *testing.T) {
	ctx := chromium(t)
	axe, err := os.ReadFile(filepath.Join(os.Getenv("BELFRY_TEST_NODE"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("BELFRY_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("left out: axe-core (set BELFRY_TEST_NODE to a folder with node_modules/axe-core)")
	}
	each(t, ctx, []string{"light", "dark"}, []int64{1400, 800}, func(name, theme string, width int64) {
		evaluate(t, ctx, string(axe)+`;""`)
		if found := evaluate(t, ctx, violations); found != "" {
			t.Errorf("%s %s %d:\n%s", name, theme, width, found)
		}
	})
}

func TestNoPageIsWiderThanItsPlaceAndThePolicyRefusesNothing(t *testing.T) {
	ctx := chromium(t)
	each(t, ctx, []string{"light"}, []int64{1400, 800, 390}, func(name, _ string, width int64) {
		if over := evaluate(t, ctx, overflow); over != "" {
			t.Errorf("%s at %d px: wider than its place: %s", name, width, over)
		}
		if refused := evaluate(t, ctx, refusals); refused != "" {
			t.Errorf("%s: refused by the policy: %s", name, refused)
		}
	})
}

// TestPageScreenshots writes what a person should look at into the folder
// BELFRY_TEST_SCREENSHOTS, when that is set.
func TestPageScreenshots(t *testing.T) {
	folder := os.Getenv("BELFRY_TEST_SCREENSHOTS")
	if folder == "" {
		t.Skip("left out: screenshots (set BELFRY_TEST_SCREENSHOTS to a folder)")
	}
	ctx := chromium(t)
	each(t, ctx, []string{"light", "dark"}, []int64{1400, 800}, func(name, theme string, width int64) {
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+"-"+theme+"-"+map[int64]string{1400: "wide", 800: "narrow"}[width]+".png"), png, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}
