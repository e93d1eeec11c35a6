package account_test

import (
	"html"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
)

func TestATokensValueIsOnOnePageOnce(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/tokens"
	ana.get(base).is(200, "No token yet", "audit/events", "/tokens/new?permission=audit%3Awrite")
	ana.get(base+"/new?permission=audit:write").is(200, `value="audit:write" checked`)

	made := ana.post(base, "name", "shop", "permission", "audit:write", "permission", "audit:read", "expires", "30", "ip_allow", "192.0.2.0/24, 127.0.0.1\n2001:db8::/32")
	value := made.is(200, "shown this once", "export BELFRY_TOKEN=").find(`(blf_[0-9a-z]{59})`)
	s.call(value, "GET", "/user/tokens/verify", nil, "From-Address: 127.0.0.1").ok()
	list := ana.get(base).is(200, "shop", "Append events, read the audit log", "192.0.2.0/24", "and 2 more").lacks(value, value[4:40])
	href := list.find(`href="(` + base + `/[0-9a-f]{32})"`)
	ana.get(href).is(200, "127.0.0.1/32", "2001:db8::/32", " by ", "in the audit log").lacks(value, value[4:40])

	ana.get(href+"/revoke").is(200, "Revoke shop?", `action="`+href+`/revoke"`)
	ana.postFrom("cross-site", href+"/revoke").is(403)
	s.call(value, "GET", "/user/tokens/verify", nil, "From-Address: 127.0.0.1").ok()
	ana.post(href + "/revoke").to(base)
	s.call(value, "GET", "/user/tokens/verify", nil, "From-Address: 127.0.0.1").fails(401, 10000)
	ana.get(base).is(200, "Token revoked. It cannot be used any more.")
	ana.get(base + "?flash=<script>").is(200).lacks("<script>alert")
	ana.get(href).is(404)
}

func TestATokenFormSaysWhatIsWrongAndKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "admin")
	base := "/accounts/" + acme + "/tokens"
	ana.post(base, "name", "<script>alert(1)</script>", "permission", "audit:write", "expires", "365", "ip_allow", "<img src=x>").
		is(400, "is not an address or network", "&lt;script&gt;alert(1)", "&lt;img", `value="audit:write" checked`, `value="365" selected`).lacks("<script>alert", "<img src=x")
	ana.post(base, "name", "nothing").is(400, "Choose at least one permission.")
	ana.post(base, "name", "too much", "permission", "audit:erase").is(403, "you lack audit:erase")
	ana.get(base+"/new").is(200, "2 permissions are not offered").lacks(`value="audit:erase"`, `value="*"`)
	// A form without its choice of an end makes no token for ever.
	ana.post(base, "name", "plain", "permission", "audit:read").is(200)
	if got := s.call(root, "GET", "/accounts/"+acme+"/tokens", nil).ok().List; len(got) != 1 || got[0]["expires_on"] == nil {
		t.Errorf("%v", got)
	}
}

func TestEveryPermissionIsOfferedInWords(t *testing.T) {
	s := newSite(t)
	page := s.operator().get("/accounts/" + s.account("Acme") + "/tokens/new").is(200)
	guide, err := os.ReadFile("../../docs/guide/accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, permission := range append(account.AllPermissions(), account.Everything) {
		if strings.HasPrefix(permission, "flags:") || strings.HasPrefix(permission, "mail:") {
			page.lacks(`value="` + permission + `"`) // there is nothing yet to use them with
			continue
		}
		m := regexp.MustCompile(`value="` + regexp.QuoteMeta(permission) + `"[^>]*><label[^>]*>([^<]+)<`).FindStringSubmatch(page.Body)
		if m == nil || m[1] == permission {
			t.Errorf("%s has no words: %v", permission, m)
		}
		page.is(200, `<p class="note" id="h-permission-`+permission+`">`+permission)
		if row := "| `" + permission + "` | " + html.UnescapeString(m[1]) + " |"; !strings.Contains(string(guide), row) {
			t.Errorf("docs/guide/accounts.md has no row %s", row)
		}
	}
}

// pagesOf are the pages of an account with the roles that may open them, by
// initials: owner, admin, operator, editor, viewer, auditor.
var pagesOf = []struct{ path, roles string }{
	{"/tokens", "oapev"}, {"/tokens/new", "oa"}, {"/members", "oapev"}, {"/properties", "oapev"}, {"/properties/new", "oa"},
}

func TestPagesOpenForTheRolesThatMayAndForNobodyElse(t *testing.T) {
	s := newSite(t)
	acme, other := s.account("Acme"), s.account("Other")
	initials := map[account.Role]string{account.Owner: "o", account.Admin: "a", account.Operator: "p", account.Editor: "e", account.Viewer: "v", account.Auditor: "u"}
	for role, initial := range initials {
		p := s.signedIn(acme, string(role)+"@acme.example", string(role))
		s.later(60e9)
		for _, page := range pagesOf {
			want := 403
			if strings.Contains(page.roles, initial) {
				want = 200
			}
			p.get("/accounts/" + acme + page.path).is(want)
			foreign, unknown := p.get("/accounts/"+other+page.path).is(404), p.get("/accounts/"+strings.Repeat("0", 32)+page.path).is(404)
			if told := regexp.MustCompile(`request [0-9A-Za-z-]+`); told.ReplaceAllString(foreign.text(), "") != told.ReplaceAllString(unknown.text(), "") {
				t.Errorf("a foreign account is told from one that is not there:\n%s\n%s", foreign.text(), unknown.text())
			}
		}
		if initial != "o" && initial != "a" {
			p.post("/accounts/"+acme+"/tokens", "name", "x", "permission", "audit:read").is(403)
			p.post("/accounts/"+acme+"/members", "email", "x@acme.example", "role", "viewer").is(403)
			p.post("/accounts/"+acme+"/properties", "name", "x", "environment", "test").is(403)
		}
		p.post("/accounts/"+other+"/tokens", "name", "x", "permission", "audit:read").is(404)
		p.get("/console/accounts").is(403)
		p.post("/console/accounts", "name", "x").is(403)
	}
	s.browser().get("/accounts/" + acme + "/tokens").to("/sign-in?next=" + url.QueryEscape("/accounts/"+acme+"/tokens"))
	s.browser().post("/accounts/"+acme+"/tokens", "name", "x", "permission", "audit:read").is(401)
	s.browser().get("/accounts/"+acme+"/tokens", "HX-Request", "true").is(401)
	if n := len(s.call(root, "GET", "/accounts/"+acme+"/tokens", nil).ok().List); n != 0 {
		t.Errorf("%d tokens were made", n)
	}
}

func TestMembersComeChangeAndGoAndTheLastOwnerStays(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/members"
	ana.get(base).is(200, "ana@acme.example", "you", "Reads, exports and proves the audit log.")

	link := ana.post(base, "email", "Bo@acme.example", "name", "<b>Bo</b>", "role", "admin").is(200, "shown this once", "&lt;b&gt;Bo").lacks("<b>Bo").find(`(http://belfry.test/sign-in#link=[0-9a-z]+)`)
	list := ana.get(base).is(200, "bo@acme.example", "Invited").lacks(secretOf(link), "<b>Bo")
	bos := list.find(`href="(` + base + `/[0-9a-f]{32})" data-open>&lt;b`)
	bo := s.browser()
	bo.post("/sign-in", "link", secretOf(link)).to("/")
	bo.get(base).is(200)
	ana.post(base, "email", "bo@acme.example", "role", "viewer").is(409, "A member of the account has this address already.", `value="bo@acme.example"`)
	ana.post(base, "email", "nobody", "role", "viewer").is(400, "is not an address")

	ana.post(bos, "role", "viewer").to(bos)
	ana.get(bos).is(200, "viewer: Reads everything.")
	bo.post(base, "email", "x@acme.example", "role", "viewer").is(403)
	second := ana.post(bos+"/link").is(200, "shown this once").find(`(http://belfry.test/sign-in#link=[0-9a-z]+)`)
	ana.get(bos).is(200).lacks(secretOf(second))

	anas := ana.get(base).find(`href="(` + base + `/[0-9a-f]{32})" data-open>ana<`)
	ana.post(anas, "role", "viewer").is(409, "The account&#39;s last owner stays owner: make another one first.")
	ana.get(anas).is(200, "this is you", "Leave")
	ana.get(anas+"/remove").is(200, "This is you", "Leave the account")
	ana.post(anas+"/remove").is(409, "The account&#39;s last owner stays: make another one first.")
	ana.get(bos + "/remove").is(200)
	ana.post(bos + "/remove").to(base)
	bo.get(base).to("/sign-in?next=" + url.QueryEscape(base)) // it was their only account
	ana.get(bos).is(404)
}

func TestPropertiesAreMadeChangedAndDeleted(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/properties"
	ana.get(base).is(200, "No property yet")
	ana.post(base, "name", "shop.example", "aliases", "www.shop.example\nhttps://origin.shop.example", "environment", "production").to(base)
	list := ana.get(base).is(200, "shop.example", "www.shop.example", "and 1 more")
	href := list.find(`href="(` + base + `/[0-9a-f]{32})"`)
	id := href[len(href)-32:]
	list.is(200, `href="/accounts/`+acme+`/audit?zone=`+id+`"`)
	ana.get(href).is(200, "Changes of this property", "www.shop.example\nhttps://origin.shop.example")
	ana.post(base, "name", "blog", "aliases", "www.shop.example", "environment", "test").is(409, `value="blog"`)
	ana.post(base, "name", "blog", "aliases", "<svg onload=alert(1)>", "environment", "test").is(400, "is not a hostname or origin", "&lt;svg").lacks("<svg onload")
	ana.post(base, "name", "blog", "environment", "moon").is(400, "Environment is production, staging or test.")
	ana.post(href, "name", "<i>shop</i>", "aliases", "", "environment", "staging").to(href)
	ana.get(base).is(200, "&lt;i&gt;shop", "staging").lacks("<i>shop")
	ana.get(href+"/delete").is(200, "Delete &lt;i&gt;shop")
	ana.post(href + "/delete").to(base)
	ana.get(href).is(404)
	eve := s.signedIn(s.account("Eve"), "eve@eve.example", "owner")
	eve.post(href, "name", "mine", "environment", "test").is(404)
}

func TestThePasswordAndTheSessionsOfAPerson(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	const first, second = "a long sentence to remember", "another sentence of that kind"
	ana.get("/profile").is(200, "Set a password", "as owner", "this one").lacks("Current password")
	ana.post("/profile/password", "password", first, "again", "different").is(400, "The passwords are not the same.").lacks(first)
	ana.post("/profile/password", "password", "short", "again", "short").is(400, "A password has 10 to 256 bytes.")
	ana.post("/profile/password", "password", first, "again", first).to("/profile")

	phone := s.browser()
	phone.post("/sign-in", "email", "ana@acme.example", "password", first).to("/")
	phone.get("/profile").is(200, "Current password")
	phone.post("/profile/password", "current", "wrong", "password", second, "again", second).is(403, "This is not your current password.")
	end := ana.get("/profile").is(200).find(`action="(/profile/sessions/[0-9a-f]{32}/end)"[^>]*><button[^>]*><span>End<`)
	eve := s.signedIn(s.account("Eve"), "eve@eve.example", "owner")
	eve.post(end).is(404)
	phone.get("/profile").is(200)
	ana.post(end).to("/profile")
	phone.get("/profile").to("/sign-in?next=%2Fprofile")
	own := ana.get("/profile").find(`action="(/profile/sessions/[0-9a-f]{32}/end)"[^>]*><button[^>]*><span>Sign out<`)
	ana.post(own).to("/sign-in")
	ana.get("/profile").to("/sign-in?next=%2Fprofile")
}

func TestOperatorsMakeAndFindAccounts(t *testing.T) {
	s := newSite(t)
	op := s.operator()
	op.get("/console/accounts").is(200, "Create an account")
	op.post("/console/accounts", "name", "<u>Acme</u>", "external_id", "customer-42").to("/console/accounts")
	acme := op.get("/console/accounts").is(200, "&lt;u&gt;Acme", "customer-42", "the installation itself").lacks("<u>Acme").find(`href="/accounts/([0-9a-f]{32})" data-open>&lt;u`)
	op.post("/console/accounts", "name", "Two", "external_id", "customer-42").is(409, "Another account has this external_id.", `value="Two"`)
	op.post("/console/accounts", "name", "", "external_id", "a b").is(400)
	for _, find := range []string{"customer-42", "ext:customer-42", acme} {
		op.get("/console/accounts?find=" + find).to("/accounts/" + acme)
	}
	op.get("/console/accounts?find=%3Cb%3Enone").is(200, "No account has", "&lt;b&gt;none").lacks("<b>none")
	op.get("/accounts/ext:customer-42/tokens").is(200, "/accounts/"+acme+"/tokens/new")
}

func TestALongListGoesOnByFragmentAndByLink(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	for range 101 {
		s.token(acme, "audit:read")
	}
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	next := ana.get("/accounts/" + acme + "/tokens").is(200).find(`href="(/accounts/[0-9a-f]+/tokens\?cursor=[^"]+)"`)
	whole := ana.get(next).is(200, "<!doctype html>")
	part := ana.get(next, "HX-Request", "true", "HX-Target", "tr#tokens-more").is(200).lacks("<html", "<table")
	for _, page := range []*seen{whole, part} {
		if n := strings.Count(page.Body, "<tr data-row>"); n != 1 {
			t.Errorf("%d rows instead of the last one", n)
		}
	}
	ana.get("/accounts/" + acme + "/members?cursor=" + next[strings.Index(next, "=")+1:]).is(400)
}
