package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/browser"
	"github.com/belfryhq/belfry/test/site"
)

// furnished is a site with something on every page, and the pages to look at by
// name.
func furnished(t *testing.T) (s *dashboard, ana *site.Visitor, pages map[string]string) {
	t.Helper()
	s = newDashboard(t)
	acme := s.Account("Acme production")
	base := "/accounts/" + acme
	ana = s.Member(acme, "ana.lima@acme.example", "owner")
	end := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339) }
	for _, token := range []object{
		{"name": "shop, production", "permissions": []string{"audit:write"}, "expires_on": end(80)},
		{"name": "terraform", "permissions": []string{"audit:read", "members:read", "members:write", "tokens:read"},
			"ip_allow": []string{"192.0.2.0/24", "2001:db8::/32"}},
		{"name": "checkout <canary>", "permissions": []string{"flags:read"}, "expires_on": end(3)},
	} {
		s.call(root, "POST", base+"/tokens", token).ok()
	}
	s.Link(acme, "li.wei@acme.example", account.Admin)
	s.Link(acme, "jo.park@acme.example", account.Editor)
	s.Link(acme, "audit@kpmg.example", account.Auditor)
	for name, environment := range map[string]string{
		"shop.example": "production",
		"blog.example": "staging",
		"load.example": "test",
	} {
		aliases := []string{"www." + name, "https://origin." + name}
		s.call(root, "POST", base+"/zones", object{"name": name, "aliases": aliases, "environment": environment}).ok()
	}
	for _, name := range []string{"Globex", "Initech, Europe"} {
		s.call(root, "POST", "/accounts", object{"name": name, "external_id": "customer-" + name[:3]}).ok()
	}
	kim := s.call(root, "POST", base+"/portal_sessions", object{
		"member": object{"id": "u1", "name": "Kim"},
		"role":   "viewer",
	}).ok()
	s.Visitor().SignIn(kim.text("url"))
	globex := s.Account("Globex production")
	_, token := s.token(globex, "*")
	s.call(token, "POST", "/accounts/"+globex+"/members", object{"email": "ana.lima@acme.example", "role": "viewer"}).ok()

	token = ana.Get(base + "/tokens").Find(`href="(` + base + `/tokens/[0-9a-f]{32})"`)
	return s, ana, map[string]string{
		"tokens":       base + "/tokens",
		"token-new":    base + "/tokens/new?permission=audit:write",
		"token":        token,
		"revoke":       token + "/revoke",
		"members":      base + "/members",
		"member":       ana.Get(base + "/members").Find(`href="(` + base + `/members/[0-9a-f]{32})" data-open>li`),
		"properties":   base + "/properties",
		"property-new": base + "/properties/new",
		"property":     ana.Get(base + "/properties").Find(`href="(` + base + `/properties/[0-9a-f]{32})"`),
		"profile":      "/profile",
		"password":     "/profile/password",
		"sign-in":      "/sign-in",
		"sign-in-link": "/sign-in#link=" + strings.Repeat("0", 52),
		"sign-out":     "/sign-out",
		"accounts":     "/console/accounts",
		"operators":    "/console/operators",
		"portal":       base + "/members/portal",
		"delete-self":  "/profile/delete",
		"invitations":  "/invitations",
		"foreign":      "/accounts/" + strings.Repeat("0", 32) + "/tokens",
	}
}

// TestEveryPageStandsInABrowser looks at full and empty pages and at what forms
// answer, in both themes, as a member, as an operator and as nobody.
func TestEveryPageStandsInABrowser(t *testing.T) {
	b := browser.Start(t)
	s, ana, pages := furnished(t)
	op := s.Operator()
	bare := "/accounts/" + s.account("Bare")
	show := func(name, path string, then func()) {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1400, 800, 390} {
				if width == 390 && theme == "dark" {
					continue
				}
				b.Open(s.URL+path, theme, width)
				then()
				b.Look(name, theme, width)
			}
		}
	}
	nothing := func() {}
	show("sign-in-nobody", "/sign-in", nothing)
	b.Carry(s.URL, ana.Cookies())
	for name, path := range pages {
		if !strings.HasPrefix(path, "/console") {
			show(name, path, nothing)
		}
	}
	b.Carry(s.URL, op.Cookies())
	show("accounts", pages["accounts"], nothing)
	show("operators", pages["operators"], nothing)
	show("operator", op.Get(pages["operators"]).Find(`href="(/console/operators/[0-9a-f]{32})"`), nothing)
	for _, name := range []string{"tokens", "members", "properties"} {
		show(name+"-empty", bare+"/"+name, nothing)
	}
	show("token-made", bare+"/tokens/new?permission=audit:write", func() {
		b.Submit(bare+"/tokens", ".banner", "name", "shop, production")
	})
	show("token-fault", bare+"/tokens/new", func() {
		b.Submit(bare+"/tokens", ".note.bad", "name", "", "ip_allow", "nonsense")
	})
	show("member-fault", bare+"/members/new", func() {
		b.Submit(bare+"/members", ".note.bad", "email", "nobody")
	})
	show("sign-in-fault", "/sign-in", func() {
		b.Submit("/sign-in", ".banner", "email", "x@acme.example", "password", "wrong")
		s.later(time.Minute)
	})
}

// The secret of a link stays in the browser until its owner clicks.
func TestALinkSignsInFromItsFragment(t *testing.T) {
	b := browser.Start(t)
	s := newDashboard(t)
	link, err := s.Accounts.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.Open(s.URL+strings.Replace(link, "#", "?next=/profile#", 1), "light", 800)
	if got := b.Evaluate(`String(document.querySelector("[data-no-fragment]").hidden)`); got != "true" {
		t.Errorf("the password is asked for beside the link: %s", got)
	}
	if n := len(s.recorded(account.Installation, "session")); n != 0 {
		t.Fatalf("opening the page signed in: %d events", n)
	}
	b.Click(`form[data-fragment] button`, ".head")
	if n := len(s.recorded(account.Installation, "session")); n != 1 {
		t.Fatalf("%d sign-ins are recorded", n)
	}
}

// A form that is sent after the session has ended leads over the sign-in back to the form, with what was typed.
func TestNothingTypedIsLostOverASignIn(t *testing.T) {
	b := browser.Start(t)
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	const password = "a long sentence to remember"
	ana.Post("/profile/password", "password", password, "again", password).RedirectsTo("/profile")
	form := "/accounts/" + acme + "/properties/new"
	b.Carry(s.URL, ana.Cookies())
	b.Open(s.URL+form, "light", 1400)
	b.Evaluate(`(() => {
		const f = document.querySelector("main form").elements;
		f.name.value = "shop.example"; f.aliases.value = "www.shop.example\napi.shop.example"; f.environment.value = "test";
		return ""; })()`)
	b.Forget() // the session ends
	b.Click(`main form button[type=submit]`, "[data-signed-out]")
	b.Click("[data-signed-out] a.button", "input[type=password]")
	b.Submit("/sign-in", ".toast", "email", "ana@acme.example", "password", password)
	got := b.Evaluate(`(() => {
		const f = document.querySelector("main form").elements;
		return [location.pathname, f.name.value, f.aliases.value, f.environment.value].join(" ").replaceAll("\n", " "); })()`)
	if want := form + " shop.example www.shop.example api.shop.example test"; got != want {
		t.Errorf("the form has %q instead of %q", got, want)
	}
	if s := b.Evaluate(`sessionStorage.getItem("belfry-draft") ?? ""`); s != "" {
		t.Errorf("the draft stays: %s", s)
	}
	// A form that was answered leaves nothing behind.
	b.Click(`main form button[type=submit]`, ".hub")
	b.Open(s.URL+form, "light", 1400)
	if name := b.Evaluate(`document.querySelector("main form").elements.name.value`); name != "" {
		t.Errorf("a new form has the name %q", name)
	}
}
