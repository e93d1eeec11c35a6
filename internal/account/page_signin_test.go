package account_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/site"
)

func TestLookingAtALinkDoesNotUseItUp(t *testing.T) {
	s := newDashboard(t)
	link, err := s.Accounts.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	scanner := s.Visitor()
	for range 2 {
		// The secret is in the fragment, which a browser keeps to itself.
		page := scanner.Get(link).Expect(200).Says("Sign in", `method="post"`, `data-fragment="link" hidden`).
			Lacks(site.Secret(link))
		if len(page.Header.Values("Set-Cookie")) != 0 {
			t.Error("a GET signed somebody in")
		}
		if got := page.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("a page with a secret is kept: %q", got)
		}
	}
	p := s.Visitor()
	p.Post(link).Expect(401) // in the query it counts for nothing
	// Without scripts the whole link is pasted.
	p.Get("/sign-in").Expect(200).Says("paste the whole link", `id="f-link"`)
	p.Post("/sign-in", "link", " http://belfry.test"+link+" ").RedirectsTo("/")
	p.Get("/profile").Expect(200).Says("operator@localhost").Lacks(site.Secret(link))
	s.Visitor().Post("/sign-in", "link", site.Secret(link)).Expect(401).
		Says("is not valid any more", "BELFRY_DATA_DIR=/var/lib/belfry belfry login-link").Lacks(site.Secret(link))
}

func TestASignInLeadsOnlyToOurOwnPages(t *testing.T) {
	s := newDashboard(t)
	for next, want := range map[string]string{
		"/accounts/x/audit?q=a&event=1": "/accounts/x/audit?q=a&event=1",
		"":                              "/",
		"https://evil.example/":         "/",
		"//evil.example/":               "/",
		"/\\evil.example":               "/",
		"/%5cevil.example":              "/",
		"/%2f/evil.example":             "/",
		"/\t/evil.example":              "/",
		"javascript:alert(1)":           "/",
		"evil":                          "/",
		"/sign-out":                     "/",
		"/sign-in?next=/x":              "/",
		"/client/v4/accounts":           "/",
		"/" + strings.Repeat("a", 3000): "/",
		"/\xff":                         "/",
	} {
		link, err := s.Accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Visitor().Post("/sign-in", "link", site.Secret(link), "next", next).RedirectsTo(want)
		s.later(60e9)
	}
	s.Visitor().Get("/profile?a=1").RedirectsTo("/sign-in?next=" + url.QueryEscape("/profile?a=1"))
	s.Visitor().Get("/sign-in?next=" + url.QueryEscape("//evil.example")).Expect(200).Lacks("evil.example")
	if got := account.SignInURL("//evil.example"); got != "/sign-in" {
		t.Error(got)
	}
}

func TestWrongPasswordsAnswerAlikeAndAreSlowedDown(t *testing.T) {
	s := newDashboard(t)
	acme := s.account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	const password = "a long sentence to remember"
	ana.Post("/profile/password", "password", password, "again", password).RedirectsTo("/profile")

	p := s.Visitor()
	wrong := p.Post("/sign-in", "email", "ana@acme.example", "password", "not this").Expect(401).
		Says("The address or the password is not right.", `value="ana@acme.example"`).Lacks("not this")
	unknown := p.Post("/sign-in", "email", "eve@acme.example", "password", "not this").Expect(401)
	if strings.ReplaceAll(wrong.Text(), "ana@", "eve@") != unknown.Text() {
		t.Errorf("the page shows that an address is known:\n%s\n%s", wrong.Text(), unknown.Text())
	}
	last := wrong
	for range 6 {
		last = p.Post("/sign-in", "email", "ana@acme.example", "password", "not this")
	}
	last.Expect(429).Says("Too many attempts to sign in. Try again in ")
	if last.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.later(10 * 60e9)
	next := "/accounts/" + acme + "/tokens"
	p.Post("/sign-in", "email", "Ana@acme.example", "password", password, "next", next).RedirectsTo(next)
	p.Get("/sign-in").Expect(200).Says("You are signed in as", "Continue")
}

func TestAFormOfAnotherSiteSignsNobodyInOrOut(t *testing.T) {
	s := newDashboard(t)
	link, err := s.Accounts.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := s.Visitor()
	p.PostFrom("cross-site", "/sign-in", "link", site.Secret(link)).Expect(403).Says("another site")
	p.Post("/sign-in", "link", site.Secret(link)).RedirectsTo("/")
	p.PostFrom("cross-site", "/sign-out").Expect(403)
	p.Get("/profile").Expect(200)
	p.Get("/sign-out").Expect(200).Says("Sign out")
	p.Get("/profile").Expect(200)
	p.Post("/sign-out").RedirectsTo("/sign-in")
	p.Get("/profile").RedirectsTo("/sign-in?next=%2Fprofile")
	p.Get("/sign-out").Expect(200).Says("You are not signed in")
}

func TestACustomersLinkOpensTheirAccountWhateverElseIsAsked(t *testing.T) {
	s := newDashboard(t)
	acme := s.account("Acme")
	a := s.call(root, "POST", "/accounts/"+acme+"/portal_sessions", object{
		"member":   object{"id": "u1", "name": "Kim"},
		"role":     "auditor",
		"sections": []string{"audit"},
	}).ok()
	p := s.Visitor()
	p.Post("/sign-in", "link", site.Secret(a.text("url")), "next", "/console/accounts").RedirectsTo("/accounts/" + acme)
	p.Get("/profile").Expect(403)
	p.Get("/accounts/" + acme + "/tokens").Expect(403)
	p.Get("/console/accounts").Expect(403)
}
