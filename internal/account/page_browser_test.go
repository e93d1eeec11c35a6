package account_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/browser"
)

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
	kim := s.call(root, "POST", "/accounts/"+acme+"/portal_sessions", m{"member": m{"id": "u1", "name": "Kim"}, "role": "viewer"}).ok()
	s.browser().post("/sign-in", "link", secretOf(kim.text("url"))).to("/accounts/" + acme)
	globex := s.account("Globex production")
	_, token := s.token(globex, "*")
	s.call(token, "POST", "/accounts/"+globex+"/members", m{"email": "ana.lima@acme.example", "role": "viewer"}).ok()
	tokens, members := ana.get(base+"/tokens"), ana.get(base+"/members")
	pages = map[string]string{
		"tokens": base + "/tokens", "token-new": base + "/tokens/new?permission=audit:write", "members": base + "/members",
		"token": tokens.find(`href="(` + base + `/tokens/[0-9a-f]{32})"`), "revoke": tokens.find(`href="(`+base+`/tokens/[0-9a-f]{32})"`) + "/revoke",
		"member":     members.find(`href="(` + base + `/members/[0-9a-f]{32})" data-open>li`),
		"properties": base + "/properties", "property-new": base + "/properties/new",
		"property": ana.get(base + "/properties").find(`href="(` + base + `/properties/[0-9a-f]{32})"`),
		"profile":  "/profile", "sign-in": "/sign-in", "sign-in-link": "/sign-in#link=" + strings.Repeat("0", 52), "sign-out": "/sign-out",
		"accounts": "/console/accounts", "operators": "/console/operators", "system": "/console/system",
		"portal": base + "/members/portal", "delete-self": "/profile/delete", "invitations": "/invitations", "foreign": "/accounts/" + strings.Repeat("0", 32) + "/tokens",
	}
	return s, ana, pages
}

// cookies are those of the browser without scripts.
func (p *person) cookies() []*http.Cookie {
	at, err := url.Parse(p.site.url)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.client.Jar.Cookies(at)
}

// TestEveryPageStandsInABrowser looks at full and empty pages and at what forms
// answer, in both themes, as a member, as an operator and as nobody.
func TestEveryPageStandsInABrowser(t *testing.T) {
	b := browser.Start(t)
	s, ana, pages := furnished(t)
	op := s.operator()
	bare := "/accounts/" + s.account("Bare")
	show := func(name, path string, then func()) {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1400, 800, 390} {
				if width == 390 && theme == "dark" {
					continue
				}
				b.Open(s.url+path, theme, width)
				then()
				b.Look(name, theme, width)
			}
		}
	}
	nothing := func() {}
	show("sign-in-nobody", "/sign-in", nothing)
	b.Carry(s.url, ana.cookies())
	for name, path := range pages {
		if !strings.HasPrefix(path, "/console") {
			show(name, path, nothing)
		}
	}
	b.Carry(s.url, op.cookies())
	show("accounts", pages["accounts"], nothing)
	show("operators", pages["operators"], nothing)
	show("operator", op.get(pages["operators"]).find(`href="(/console/operators/[0-9a-f]{32})"`), nothing)
	show("system", pages["system"], nothing)
	for _, name := range []string{"tokens", "members", "properties"} {
		show(name+"-empty", bare+"/"+name, nothing)
	}
	show("token-made", bare+"/tokens/new?permission=audit:write", func() { b.Submit(bare+"/tokens", ".banner", "name", "shop, production") })
	show("token-fault", bare+"/tokens/new", func() { b.Submit(bare+"/tokens", ".note.bad", "name", "", "ip_allow", "nonsense") })
	show("member-fault", bare+"/members", func() { b.Submit(bare+"/members", ".note.bad", "email", "nobody") })
	show("sign-in-fault", "/sign-in", func() {
		b.Submit("/sign-in", ".banner", "email", "x@acme.example", "password", "wrong")
		s.later(time.Minute)
	})
}

// The secret of a link stays in the browser until its owner clicks.
func TestALinkSignsInFromItsFragment(t *testing.T) {
	b := browser.Start(t)
	s := newSite(t)
	link, err := s.dir.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.Open(s.url+strings.Replace(link, "#", "?next=/profile#", 1), "light", 800)
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
