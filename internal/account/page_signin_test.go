package account_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
)

func TestLookingAtALinkDoesNotUseItUp(t *testing.T) {
	s := newSite(t)
	link, err := s.dir.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	scanner := s.browser()
	for range 2 {
		// The secret is in the fragment, which a browser keeps to itself.
		page := scanner.get(link).is(200, "Sign in", `method="post"`, `data-fragment="link" hidden`).lacks(secretOf(link))
		if len(page.Header.Values("Set-Cookie")) != 0 {
			t.Error("a GET signed somebody in")
		}
		if got := page.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("a page with a secret is kept: %q", got)
		}
	}
	p := s.browser()
	p.post(link).is(401) // in the query it counts for nothing
	// Without scripts the whole link is pasted.
	p.get("/sign-in").is(200, "paste the whole link", `id="f-link"`)
	p.post("/sign-in", "link", " http://belfry.test"+link+" ").to("/")
	p.get("/profile").is(200, "operator@localhost").lacks(secretOf(link))
	s.browser().post("/sign-in", "link", secretOf(link)).is(401, "is not valid any more", "BELFRY_DATA_DIR=/var/lib/belfry belfry login-link").lacks(secretOf(link))
}

func TestASignInLeadsOnlyToOurOwnPages(t *testing.T) {
	s := newSite(t)
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
		link, err := s.dir.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.browser().post("/sign-in", "link", secretOf(link), "next", next).to(want)
		s.later(60e9)
	}
	s.browser().get("/profile?a=1").to("/sign-in?next=" + url.QueryEscape("/profile?a=1"))
	s.browser().get("/sign-in?next=" + url.QueryEscape("//evil.example")).is(200).lacks("evil.example")
	if got := account.SignInURL("//evil.example"); got != "/sign-in" {
		t.Error(got)
	}
}

func TestWrongPasswordsAnswerAlikeAndAreSlowedDown(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	ana.post("/profile/password", "password", "a long sentence to remember", "again", "a long sentence to remember").to("/profile")

	p := s.browser()
	wrong := p.post("/sign-in", "email", "ana@acme.example", "password", "not this").is(401, "The address or the password is not right.", `value="ana@acme.example"`).lacks("not this")
	unknown := p.post("/sign-in", "email", "eve@acme.example", "password", "not this").is(401)
	if strings.ReplaceAll(wrong.text(), "ana@", "eve@") != unknown.text() {
		t.Errorf("a known address is told from an unknown one:\n%s\n%s", wrong.text(), unknown.text())
	}
	last := wrong
	for range 6 {
		last = p.post("/sign-in", "email", "ana@acme.example", "password", "not this")
	}
	last.is(429, "Too many attempts to sign in. Try again in ")
	if last.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.later(10 * 60e9)
	p.post("/sign-in", "email", "Ana@acme.example", "password", "a long sentence to remember", "next", "/accounts/"+acme+"/tokens").to("/accounts/" + acme + "/tokens")
	p.get("/sign-in").is(200, "You are signed in as", "Continue")
}

func TestAFormOfAnotherSiteSignsNobodyInOrOut(t *testing.T) {
	s := newSite(t)
	link, err := s.dir.NewLoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := s.browser()
	p.postFrom("cross-site", "/sign-in", "link", secretOf(link)).is(403, "another site")
	p.post("/sign-in", "link", secretOf(link)).to("/")
	p.postFrom("cross-site", "/sign-out").is(403)
	p.get("/profile").is(200)
	p.get("/sign-out").is(200, "Sign out")
	p.get("/profile").is(200)
	p.post("/sign-out").to("/sign-in")
	p.get("/profile").to("/sign-in?next=%2Fprofile")
	p.get("/sign-out").is(200, "Nobody is signed in")
}

func TestACustomersLinkOpensTheirAccountWhateverElseIsAsked(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	a := s.call(root, "POST", "/accounts/"+acme+"/portal_sessions", m{"member": m{"id": "u1", "name": "Kim"}, "role": "auditor", "sections": []string{"audit"}}).ok()
	p := s.browser()
	p.post("/sign-in", "link", secretOf(a.text("url")), "next", "/console/accounts").to("/accounts/" + acme)
	p.get("/profile").is(403)
	p.get("/accounts/" + acme + "/tokens").is(403)
	p.get("/console/accounts").is(403)
}
