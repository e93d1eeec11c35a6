package account_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
)

// pagesOf are pages of an account with the roles that may open them.
var pagesOf = []struct {
	path  string
	roles []account.Role
}{
	{"/tokens", readers},
	{"/tokens/new", writers},
	{"/members", readers},
	{"/properties", readers},
	{"/properties/new", writers},
}

var (
	readers = []account.Role{account.Owner, account.Admin, account.Operator, account.Editor, account.Viewer}
	writers = []account.Role{account.Owner, account.Admin}
)

func TestPagesOpenForTheRolesThatMay(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	other := s.Account("Other")
	requestID := regexp.MustCompile(`request [0-9A-Za-z-]+`)
	for _, role := range account.Roles() {
		visitor := s.Member(acme, string(role)+"@acme.example", role)
		s.later(60e9)
		s.Run(string(role), func() {
			for _, one := range pagesOf {
				want := 403
				for _, may := range one.roles {
					if may == role {
						want = 200
					}
				}
				visitor.Get("/accounts/" + acme + one.path).Expect(want)
				foreign := visitor.Get("/accounts/" + other + one.path).Expect(404)
				unknown := visitor.Get("/accounts/" + strings.Repeat("0", 32) + one.path).Expect(404)
				if requestID.ReplaceAllString(foreign.Text(), "") != requestID.ReplaceAllString(unknown.Text(), "") {
					t.Errorf("a foreign account differs from one that does not exist:\n%s\n%s", foreign.Text(), unknown.Text())
				}
			}
			if role != account.Owner && role != account.Admin {
				visitor.Post("/accounts/"+acme+"/tokens", "name", "x", "permission", "audit:read").Expect(403)
				visitor.Post("/accounts/"+acme+"/members", "email", "x@acme.example", "role", "viewer").Expect(403)
				visitor.Post("/accounts/"+acme+"/properties", "name", "x", "environment", "test").Expect(403)
			}
			visitor.Post("/accounts/"+other+"/tokens", "name", "x", "permission", "audit:read").Expect(404)
			visitor.Get("/console/accounts").Expect(403)
			visitor.Post("/console/accounts/new", "name", "x").Expect(403)
		})
	}
	tokens := "/accounts/" + acme + "/tokens"
	s.Visitor().Get(tokens).RedirectsTo("/sign-in?next=" + url.QueryEscape(tokens))
	s.Visitor().Post(tokens, "name", "x", "permission", "audit:read").Expect(401)
	s.Visitor().Get(tokens, "HX-Request", "true").Expect(401)
	if n := len(s.call(root, "GET", tokens, nil).ok().List); n != 0 {
		t.Errorf("%d tokens were made", n)
	}
}

func TestPropertyPages(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/properties"
	var href string
	s.Run("create", func() {
		ana.Get(base).Expect(200).Says("No property yet")
		aliases := "www.shop.example\nhttps://origin.shop.example"
		added := ana.Post(base, "name", "shop.example", "aliases", aliases, "environment", "production").Expect(303)
		list := ana.Get(base).Expect(200).Says("shop.example", "www.shop.example", "and 1 more")
		href = list.Find(`href="(` + base + `/[0-9a-f]{32})"`)
		if added.Location != href {
			t.Errorf("the new property leads to %s", added.Location)
		}
		ana.Get(href).Expect(200).Says("www.shop.example", "https://origin.shop.example").
			Links("/accounts/"+acme+"/audit?zone="+href[len(href)-32:], href+"/edit", href+"/delete")
	})
	s.Run("faults", func() {
		ana.Post(base, "name", "blog", "aliases", "www.shop.example", "environment", "test").Expect(409).
			Says(`value="blog"`)
		ana.Post(base, "name", "blog", "aliases", "<svg onload=alert(1)>", "environment", "test").
			Expect(400).Says("is not a hostname or origin", "&lt;svg").Lacks("<svg onload")
		ana.Post(base, "name", "blog", "environment", "moon").Expect(400).
			Says("Environment is production, staging or test.")
	})
	s.Run("change", func() {
		ana.Get(href+"/edit").Submit("Save", "name", "<i>shop</i>", "aliases", "", "environment", "staging").RedirectsTo(href)
		ana.Get(base).Expect(200).Says("&lt;i&gt;shop", "staging").Lacks("<i>shop")
		eve := s.Member(s.Account("Eve"), "eve@eve.example", "owner")
		eve.Post(href, "name", "mine", "environment", "test").Expect(404)
	})
	s.Run("delete", func() {
		ask := ana.Get(href + "/delete").Expect(200).Says("Delete &lt;i&gt;shop")
		ask.Submit("Delete the property").RedirectsTo(base)
		ana.Get(href).Expect(404)
	})
}

func TestAccountPages(t *testing.T) {
	s := newDashboard(t)
	op := s.Operator()
	const base = "/console/accounts"
	var acme string
	s.Run("create", func() {
		op.Get(base).Expect(200).Links(base + "/new")
		made := op.Post(base+"/new", "name", "<u>Acme</u>", "external_id", "customer-42").Expect(303)
		hub := op.Get(made.Location).Expect(200).Says("&lt;u&gt;Acme", "Account created.")
		list := op.Get(base).Expect(200).Says("&lt;u&gt;Acme", "customer-42", "The installation itself").
			Lacks("<u>Acme")
		acme = list.Find(`href="/console/accounts/([0-9a-f]{32})" data-open>&lt;u`)
		hub.Links("/accounts/" + acme)
	})
	s.Run("faults", func() {
		op.Post(base+"/new", "name", "Two", "external_id", "customer-42").
			Expect(409).Says("Another account has this external_id.", `value="Two"`)
		op.Post(base+"/new", "name", "", "external_id", "a b").Expect(400)
	})
	s.Run("find", func() {
		for _, ref := range []string{"customer-42", "ext:customer-42", acme} {
			op.Get(base + "?q=" + ref).Expect(200).Links(base + "/" + acme)
		}
		op.Get(base+"?q=%3Cb%3Enone").Expect(200).Says("No account matches", "&lt;b&gt;none").Lacks("<b>none")
		op.Get("/accounts/ext:customer-42/tokens").
			Expect(200).Links("/accounts/" + acme + "/tokens/new?permission=audit%3Awrite")
	})
}

func TestPasswordAndSessions(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	phone := s.Visitor()
	const first = "a long sentence to remember"
	const second = "another sentence of that kind"
	s.Run("set a password", func() {
		ana.Get("/profile").Expect(200).Says("Set a password", "as owner", "this one")
		ana.Get("/profile/password").Expect(200).Says("Set a password").Lacks("Current password")
		ana.Post("/profile/password", "password", first, "again", "different").
			Expect(400).Says("The passwords are not the same.").Lacks(first)
		ana.Post("/profile/password", "password", "short", "again", "short").Expect(400).
			Says("A password has 10 to 256 bytes.")
		ana.Post("/profile/password", "password", first, "again", first).RedirectsTo("/profile")
	})
	s.Run("change it", func() {
		phone.Post("/sign-in", "email", "ana@acme.example", "password", first).RedirectsTo("/")
		phone.Get("/profile").Expect(200).Says("Change the password", "Sign-in", "set")
		phone.Get("/profile/password").Expect(200).Says("Current password")
		phone.Post("/profile/password", "current", "wrong", "password", second, "again", second).
			Expect(403).Says("This is not your current password.")
	})
	s.Run("end another session", func() {
		end := ana.Get("/profile").
			Expect(200).Find(`action="(/profile/sessions/[0-9a-f]{32}/end)"[^>]*><button[^>]*><span>End<`)
		eve := s.Member(s.Account("Eve"), "eve@eve.example", "owner")
		eve.Post(end).Expect(404)
		phone.Get("/profile").Expect(200)
		ana.Post(end).RedirectsTo("/profile")
		phone.Get("/profile").RedirectsTo("/sign-in?next=%2Fprofile")
	})
	s.Run("end all others", func() {
		phone.Post("/sign-in", "email", "ana@acme.example", "password", first).RedirectsTo("/")
		ana.Get("/profile").Expect(200).Submit("End all other sessions").RedirectsTo("/profile")
		ana.Get("/profile").Expect(200).Says("Your other sessions have ended.", "confirmed").Lacks("End all other sessions")
		phone.Get("/profile").RedirectsTo("/sign-in?next=%2Fprofile")
	})
	s.Run("end one's own", func() {
		own := ana.Get("/profile").Find(`action="(/profile/sessions/[0-9a-f]{32}/end)"[^>]*><button[^>]*><span>Sign out<`)
		ana.Post(own).RedirectsTo("/sign-in")
		ana.Get("/sign-in").Expect(200).Says("You are signed out.")
		ana.Get("/profile").RedirectsTo("/sign-in?next=%2Fprofile")
	})
}
