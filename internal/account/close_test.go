package account_test

import (
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAClosedAccountIsReadOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme := f.account("Acme")
		base := "/accounts/" + acme
		_, ana := f.member(acme, "ana@acme.example", "owner")
		_, admin := f.member(acme, "bo@acme.example", "admin")
		_, token := f.token(acme, "*")
		kim := f.signIn(f.call(token, "POST", base+"/portal_sessions",
			object{"member": object{"id": "kim"}, "role": "viewer"}).ok().text("url"))
		other := f.account("Other")
		_, foreign := f.token(other, "*")

		f.call(admin, "POST", base+"/close", object{"name": "Acme"}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(foreign, "POST", base+"/close", object{"name": "Acme"}).fails(403, errs.CodeForbidden)
		f.call(ana, "POST", base+"/close", object{"name": "acme"}, sameOrigin).fails(400, errs.CodeInvalid)
		if err := f.accounts.RefuseClosed(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
		closed := f.call(ana, "POST", base+"/close", object{"name": "Acme"}, sameOrigin).ok()
		if closed.text("closed_on") == "" || closed.text("closed_by") == "" {
			t.Errorf("%s", closed.Body)
		}
		if err := f.accounts.RefuseClosed(t.Context(), acme); !errs.Is(err, errs.CodeStateConflict) {
			t.Errorf("events are accepted: %v", err)
		}
		if err := f.accounts.RefuseClosed(t.Context(), other); err != nil {
			t.Errorf("another account is closed: %v", err)
		}
		f.call(token, "GET", base+"/members", nil).fails(401, errs.CodeAuthentication)
		for _, cookie := range []string{ana, admin, kim} {
			f.call(cookie, "GET", base, nil).fails(401, errs.CodeAuthentication)
		}
		f.call(root, "POST", base+"/close", object{"name": "Acme"}).fails(409, errs.CodeStateConflict)

		link, err := f.accounts.NewLoginLink(t.Context(), "ana@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		ana = f.signIn(link)
		f.call(ana, "GET", base+"/members", nil).ok()
		f.call(ana, "POST", base+"/tokens", object{"name": "x", "permissions": []string{"audit:read"}}, sameOrigin).
			fails(403, errs.CodeForbidden)
		f.call(ana, "POST", base+"/reopen", nil, sameOrigin).fails(403, errs.CodeForbidden)

		f.call(root, "POST", base+"/reopen", nil).ok()
		f.call(root, "POST", base+"/reopen", nil).fails(409, errs.CodeStateConflict)
		if err := f.accounts.RefuseClosed(t.Context(), acme); err != nil {
			t.Errorf("reopened, and events are refused: %v", err)
		}
		f.call(ana, "POST", base+"/tokens", object{"name": "x", "permissions": []string{"audit:read"}}, sameOrigin).ok()
		want := []string{"create success", "close success", "reopen success"}
		if got := f.recorded(acme, "account"); !slices.Equal(got, want) {
			t.Errorf("recorded %v", got)
		}
		if err := f.accounts.EnsureInstallation(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.call(root, "POST", "/accounts/"+account.Installation+"/close", object{"name": "Belfry installation"}).
			fails(403, errs.CodeForbidden)
	})
}

func TestSettingsPages(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	base := "/accounts/" + acme + "/settings"
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	vic := s.Member(acme, "vic@acme.example", account.Viewer)
	s.Run("name", func() {
		ana.Get(base).Expect(200).Says("Danger zone", "append-only").Submit("Save", "name", "<b>Acme").RedirectsTo(base)
		ana.Get(base).Expect(200).Says("&lt;b&gt;Acme").Lacks("<b>Acme</")
		ana.Post(base, "name", "").Expect(400).Says("Name is required")
		vic.Get(base).Expect(200).Lacks("Danger zone", "<span>Save</span>")
		vic.Post(base, "name", "x").Expect(403)
		vic.Get(base + "/close").Expect(403)
	})
	s.Run("ownership", func() {
		ana.Get(base + "/transfer").Expect(200).Says("vic@acme.example")
		ana.Post(base+"/transfer", "member_id", "").Expect(400).Says("Choose a member.")
		ana.Post(base+"/transfer", "member_id", s.idOf(acme, "vic@acme.example")).RedirectsTo(base)
		ana.Get(base).Expect(200).Lacks("Danger zone")
		s.later(time.Minute)
		vic.Get(base).Expect(200).Says("Danger zone")
	})
	s.Run("close and reopen", func() {
		vic.Post(base+"/close", "name", "Acme").Expect(400).Says("is not the name of the account")
		vic.Get(base+"/close").Expect(200).Says("at least 90 days").
			Submit("Close the account", "name", "<b>Acme").Expect(303)
		vic.Get(base).Expect(303)
		op := s.Operator()
		op.Get(base).Expect(200).Says("This account is closed").Submit("Reopen").RedirectsTo(base)
		op.Get(base).Expect(200).Lacks("This account is closed")
	})
}

func TestATokenGetsANewValue(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme := f.account("Acme")
		id, first := f.token(acme, "tokens:read", "tokens:write")
		_, narrow := f.token(acme, "tokens:write")
		path := "/accounts/" + acme + "/tokens/" + id
		f.call(narrow, "PUT", path+"/value", nil).fails(403, errs.CodeForbidden)
		f.call(first, "GET", path, nil).ok()
		second := f.call(root, "PUT", path+"/value", nil).ok()
		if second.text("id") != id || second.text("value") == first {
			t.Errorf("%s", second.Body)
		}
		f.call(first, "GET", path, nil).fails(401, errs.CodeAuthentication)
		f.call(second.text("value"), "GET", path, nil).ok()
		got := f.recorded(acme, "token")
		if got[len(got)-1] != "roll success" {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestTheListOfTokensFiltersAndRevokes(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	base := "/accounts/" + acme + "/tokens"
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	ana.Post(base, "name", "shop", "permission", "audit:write", "expires", "7").Expect(200)
	s.later(2 * time.Hour)
	ana.Post(base, "name", "terraform", "permission", "audit:read", "expires", "365").Expect(200)
	ana.Get(base + "?state=soon").Expect(200).Says(">shop</a>").Lacks(">terraform</a>")
	ana.Get(base + "?state=active").Expect(200).Says(">terraform</a>").Lacks(">shop</a>")
	ana.Get(base + "?q=terra").Expect(200).Says(">terraform</a>").Lacks(">shop</a>")
	ana.Get(base + "?use=used").Expect(200).Says("No token matches")
	for _, order := range []string{"name", "used", "expiry", "newest"} {
		ana.Get(base+"?sort="+order).Expect(200).Says(">shop</a>", ">terraform</a>")
	}
	href := ana.Get(base + "?q=shop").Find(`href="(` + base + `/[0-9a-f]{32})"`)
	s.Run("the page of a token", func() {
		ana.Get(href).Expect(200).Says("Expires soon", "Append events", "anywhere", "Created by")
		rolled := ana.Get(href + "/roll").Expect(200).Submit("Create the new value").Expect(200).Says("shown only once")
		rolled.Find(`(blf_[0-9a-z]{59})`)
	})
	s.Run("revoke several", func() {
		id := href[len(href)-32:]
		ask := ana.Post(base+"/chosen", "act", "revoke", "id", id).Expect(200).Says("Revoke 1 token?", "never used")
		ana.Get(href).Expect(200)
		ask.Submit("Revoke the tokens").RedirectsTo(base)
		ana.Get(href).Expect(404)
	})
}
