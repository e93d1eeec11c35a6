package account_test

import (
	"html"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/site"
)

func TestTokenPages(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/tokens"
	var value, href string
	works := func() *response { return s.call(value, "GET", "/user/tokens/verify", nil, "From-Address: 127.0.0.1") }

	s.Run("an empty list shows how to begin", func() {
		ana.Get(base).Expect(200).Says("No token yet", "audit/events").Links(base + "/new?permission=audit%3Awrite")
		ana.Get(base + "/new?permission=audit:write").Expect(200).Says(`value="audit:write" checked`)
	})
	s.Run("the value is shown once", func() {
		created := ana.Post(base, "name", "shop", "permission", "audit:write", "permission", "audit:read", "expires", "30",
			"ip_allow", "192.0.2.0/24, 127.0.0.1\n2001:db8::/32")
		value = created.Expect(200).Says("shown only once", "export BELFRY_TOKEN=").Find(`(blf_[0-9a-z]{59})`)
		works().ok()
		list := ana.Get(base).Expect(200).
			Says("shop", "Append events, read the audit log", "192.0.2.0/24", "and 2 more")
		href = list.Lacks(value, value[4:40]).Find(`href="(` + base + `/[0-9a-f]{32})"`)
		ana.Get(href).Expect(200).Says("127.0.0.1/32", "2001:db8::/32", "Created by", "Changes of this token").
			Lacks(value, value[4:40])
	})
	s.Run("a token is revoked after a question", func() {
		ask := ana.Get(href+"/revoke").Expect(200).Says("Revoke shop?", `action="`+href+`/revoke"`)
		ana.PostFrom("cross-site", href+"/revoke").Expect(403)
		works().ok()
		ask.Submit("Revoke the token").RedirectsTo(base)
		works().fails(401, 10000)
		ana.Get(base).Expect(200).Says("Token revoked. It cannot be used any more.")
		ana.Get(base + "?flash=<script>").Expect(200).Lacks("<script>alert")
		ana.Get(href).Expect(404)
	})
}

func TestTokenFormKeepsItsInput(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "admin")
	base := "/accounts/" + acme + "/tokens"
	s.Run("input is shown again, escaped", func() {
		form := ana.Post(base,
			"name", "<script>alert(1)</script>",
			"permission", "audit:write",
			"expires", "365",
			"ip_allow", "<img src=x>",
		)
		form.Expect(400).Says("is not an address or network", "&lt;script&gt;alert(1)", "&lt;img").
			Says(`value="audit:write" checked`, `value="365" selected`).Lacks("<script>alert", "<img src=x")
	})
	s.Run("a token needs a permission", func() {
		ana.Post(base, "name", "nothing").Expect(400).Says("Choose at least one permission.")
	})
	s.Run("permissions that the visitor lacks cannot be granted", func() {
		ana.Post(base, "name", "too much", "permission", "audit:erase").Expect(403).Says("you lack audit:erase")
		ana.Get(base+"/new").Expect(200).Says("2 permissions are not offered").Lacks(`value="audit:erase"`, `value="*"`)
	})
	s.Run("a form without an expiry makes a token that expires", func() {
		ana.Post(base, "name", "plain", "permission", "audit:read").Expect(200)
		list := s.call(root, "GET", "/accounts/"+acme+"/tokens", nil).ok().List
		if len(list) != 1 || list[0]["expires_on"] == nil {
			t.Errorf("%v", list)
		}
	})
}

func TestEveryPermissionIsOfferedInWords(t *testing.T) {
	s := newDashboard(t)
	form := s.Operator().Get("/accounts/" + s.Account("Acme") + "/tokens/new").Expect(200)
	guide, err := os.ReadFile("../../docs/guide/accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, permission := range append(account.AllPermissions(), account.Everything) {
		if strings.HasPrefix(permission, "flags:") || strings.HasPrefix(permission, "mail:") {
			form.Lacks(`value="` + permission + `"`) // these features do not exist yet
			continue
		}
		label := regexp.MustCompile(`value="` + regexp.QuoteMeta(permission) + `"[^>]*><label[^>]*>([^<]+)<`)
		m := label.FindStringSubmatch(form.Body)
		if m == nil || m[1] == permission {
			t.Errorf("%s has no words: %v", permission, m)
			continue
		}
		form.Says(`<p class="note" id="h-permission-` + permission + `">` + permission)
		row := "| `" + permission + "` | " + html.UnescapeString(m[1]) + " |"
		if !strings.Contains(string(guide), row) {
			t.Errorf("docs/guide/accounts.md has no row %s", row)
		}
	}
}

func TestLongListContinuesByFragmentAndByLink(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	for range 101 {
		s.token(acme, "audit:read")
	}
	ana := s.Member(acme, "ana@acme.example", "owner")
	next := ana.Get("/accounts/" + acme + "/tokens").
		Expect(200).Find(`href="(/accounts/[0-9a-f]+/tokens\?cursor=[^"]+)"`)
	whole := ana.Get(next).Expect(200).Says("<!doctype html>")
	part := ana.Fragment(next, "tr#tokens-more").Expect(200).Lacks("<html", "<table")
	for _, answer := range []*site.Page{whole, part} {
		if n := strings.Count(answer.Body, "<tr data-row>"); n != 1 {
			t.Errorf("%d rows instead of the last one", n)
		}
	}
	_, cursor, _ := strings.Cut(next, "=")
	ana.Get("/accounts/" + acme + "/members?cursor=" + cursor).Expect(400)
}
