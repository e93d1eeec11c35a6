package account_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// linkIn is the secret of the sign-in link in a mail.
func linkIn(t *testing.T, mail account.Mail) string {
	t.Helper()
	_, after, found := strings.Cut(mail.Text, "http://belfry.test/sign-in")
	_, after, linked := strings.Cut(after, "#link=")
	secret, _, ended := strings.Cut(after, "\n")
	if !found || !linked || !ended {
		t.Fatalf("no link in %q", mail.Text)
	}
	return secret
}

func TestAnInvitationByMail(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, mails *post) {
		acme := f.account("Acme")
		_, ana := f.member(acme, "ana@acme.example", "owner")
		base := "/accounts/" + acme + "/members"
		bo := f.call(ana, "POST", base, object{"email": "bo@acme.example", "role": "editor"}, sameOrigin).ok()
		one := base + "/" + bo.text("id")

		f.call(ana, "POST", one+"/invitation", nil, sameOrigin).ok()
		mail := mails.last(t, 1)
		words := []string{"ana@acme.example", `"Acme"`, "editor: Reads everything and changes", "valid for 7 days"}
		for _, word := range words {
			if !strings.Contains(mail.Text, word) {
				t.Errorf("the mail lacks %q: %s", word, mail.Text)
			}
		}
		if mail.To != "bo@acme.example" || !strings.Contains(mail.Subject, "Acme") {
			t.Errorf("to %s: %s", mail.To, mail.Subject)
		}
		f.call(ana, "POST", one+"/invitation", nil, sameOrigin).fails(429, errs.CodeRateLimited)
		f.later(15 * time.Minute)
		f.call(ana, "POST", one+"/invitation", nil, sameOrigin).ok()
		second := mails.last(t, 2)

		f.later(account.InvitationTime - time.Second)
		if got := f.form("192.0.2.9", "", "link", linkIn(t, mail)).Status; got != 401 {
			t.Errorf("the first link is valid for longer than 7 days: %d", got)
		}
		f.form("192.0.2.9", "", "link", linkIn(t, second)).ok()
		got := f.call(root, "GET", one, nil).ok()
		if got.text("status") != "active" || got.Result["email_confirmed"] != true {
			t.Errorf("the member after the link in the mail: %s", got.Body)
		}
		f.call(root, "POST", one+"/invitation", nil).fails(409, errs.CodeStateConflict)
		want := []string{"create success", "create success", "invite success", "invite success"}
		if got := f.recorded(acme, "member"); !slices.Equal(got, want) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestALinkThatTheAccountHasConfirmsNoAddress(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, _ *post) {
		acme := f.account("Acme")
		_, token := f.token(acme, "*")
		bo := f.call(token, "POST", "/accounts/"+acme+"/members", object{"email": "bo@acme.example", "role": "viewer"}).ok()
		f.signIn(bo.text("sign_in_url"))
		got := f.call(token, "GET", "/accounts/"+acme+"/members/"+bo.text("id"), nil).ok()
		if got.Result["email_confirmed"] == true {
			t.Error("the account confirmed the address itself")
		}
	})
}

func TestMemberPagesWithAMailServer(t *testing.T) {
	mails := &post{}
	s := newDashboard(t, func(cfg *account.Config) { cfg.SendMail = mails.send })
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	base := "/accounts/" + acme + "/members"
	var bo string
	s.Run("invite", func() {
		sent := ana.Get(base+"/new").Expect(200).Says("valid for 7 days").
			Submit("Send the invitation", "email", "bo@acme.example", "name", "Bo", "role", "viewer").Expect(303)
		bo = sent.Location
		secret := linkIn(t, mails.last(t, 1))
		ana.Get(bo).Expect(200).Says("Invited", "Send the invitation again", "Invitation sent").Lacks(secret)
		ana.Post(bo + "/invite").Expect(429).Says("less than 15 minutes ago")
	})
	s.Run("the mail cannot be sent", func() {
		mails.refuse = errors.New("the mail server is away")
		ana.Post(base, "email", "cy@acme.example", "role", "viewer").Expect(200).
			Says("The mail was not sent.").Find(oneTimeLink)
		mails.refuse = nil
	})
	s.Run("filters", func() {
		ana.Get(base + "?state=pending").Expect(200).Says("bo@acme.example").Lacks("ana@acme.example</span>")
		ana.Get(base + "?state=active&role=owner").Expect(200).Says(">ana</a>").Lacks("bo@acme.example")
		ana.Get(base + "?q=bo").Expect(200).Says(">Bo</a>").Lacks(">ana</a>")
		ana.Get(base + "?q=none").Expect(200).Says("No member matches")
		for _, order := range []string{"name", "active", "newest", "role"} {
			ana.Get(base+"?sort="+order).Expect(200).Says(">Bo</a>", ">ana</a>")
		}
	})
	s.Run("several members", func() {
		ids := []string{"id", bo[len(bo)-32:], "id", s.idOf(acme, "cy@acme.example")}
		ana.Post(base+"/chosen", append(ids, "act", "invite")...).RedirectsTo(base)
		ask := ana.Post(base+"/chosen", append(ids, "act", "remove")...).Expect(200).Says("Remove 2 members", "Bo")
		ask.Submit("Remove them").RedirectsTo(base)
		ana.Get(base).Expect(200).Lacks("bo@acme.example")
		s.Visitor().Post("/sign-in", "link", linkIn(t, mails.mails[0])).Expect(401)
		if got := s.recorded(acme, "member"); !slices.Contains(got, "withdraw success") {
			t.Errorf("recorded %v", got)
		}
	})
}

// idOf is the id of the member with an address.
func (s *dashboard) idOf(accountID, email string) string {
	for _, m := range s.call(root, "GET", "/accounts/"+accountID+"/members", nil).ok().List {
		if m["email"] == email {
			return m["id"].(string)
		}
	}
	s.fixture.t.Fatalf("no member %s", email)
	return ""
}

func TestTheRolesPageIsTheTableOfTheCode(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Viewer)
	p := ana.Get("/accounts/" + acme + "/members/roles").Expect(200).Says("You are viewer")
	for _, permission := range account.AllPermissions() {
		_, row, found := strings.Cut(p.Body, `<code class="muted">`+permission+"</code>")
		if !found {
			t.Errorf("the page lacks %s", permission)
			continue
		}
		row, _, _ = strings.Cut(row, "</tr>")
		cells := strings.Split(row, "<td")[1:]
		for i, role := range account.Roles() {
			if i >= len(cells) || strings.Contains(cells[i], ">yes<") != role.Permissions().Has(permission) {
				t.Errorf("%s, %s: the page differs from the table", permission, role)
			}
		}
	}
}

func TestTheOwnershipIsTransferred(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, mails *post) {
		acme := f.account("Acme")
		anaID, ana := f.member(acme, "ana@acme.example", "owner")
		boID, bo := f.member(acme, "bo@acme.example", "viewer")
		path := "/accounts/" + acme + "/ownership"
		pending := f.call(ana, "POST", "/accounts/"+acme+"/members",
			object{"email": "cy@acme.example", "role": "viewer"}, sameOrigin).ok().text("id")
		_, token := f.token(acme, "*")
		f.call(token, "POST", path, object{"member_id": boID}).fails(403, errs.CodeForbidden)
		f.call(bo, "POST", path, object{"member_id": boID}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(ana, "POST", path, object{"member_id": anaID}, sameOrigin).fails(400, errs.CodeInvalid)
		f.call(ana, "POST", path, object{"member_id": pending}, sameOrigin).fails(409, errs.CodeStateConflict)
		f.call(ana, "POST", path, object{"member_id": boID}, sameOrigin).ok()
		mails.last(t, 2)
		to := []string{mails.mails[0].To, mails.mails[1].To}
		if !slices.Equal(to, []string{"bo@acme.example", "ana@acme.example"}) {
			t.Errorf("mails to %v", to)
		}
		for id, role := range map[string]string{anaID: "admin", boID: "owner"} {
			if got := f.call(root, "GET", "/accounts/"+acme+"/members/"+id, nil).ok().text("role"); got != role {
				t.Errorf("the role is %s instead of %s", got, role)
			}
		}
		got := f.recorded(acme, "member")
		if !slices.Equal(got[len(got)-2:], []string{"transfer success", "update success"}) {
			t.Errorf("recorded %v", got)
		}
		f.call(ana, "POST", path, object{"member_id": boID}, sameOrigin).fails(403, errs.CodeForbidden)
	})
}

func TestALinkIsRequestedByMail(t *testing.T) {
	mails := &post{}
	s := newDashboard(t, func(cfg *account.Config) { cfg.SendMail = mails.send })
	acme := s.Account("Acme")
	s.Member(acme, "ana@acme.example", account.Owner)
	known := s.Visitor().Post("/sign-in/mail", "email", "ana@acme.example", "next", "/profile").Expect(200)
	unknown := s.Visitor().Post("/sign-in/mail", "email", "nobody@acme.example", "next", "/profile").Expect(200)
	same := strings.ReplaceAll(unknown.Text(), "nobody@acme.example", "ana@acme.example")
	if known.Text() != same {
		t.Errorf("the answers differ:\n%s\n%s", known.Text(), same)
	}
	s.Visitor().Post("/sign-in/mail", "email", "nobody").Expect(400).Says("is not an address")
	s.Visitor().PostFrom("cross-site", "/sign-in/mail", "email", "ana@acme.example").Expect(403)
	s.drained()
	mail := mails.last(t, 1)
	if mail.To != "ana@acme.example" || !strings.Contains(mail.Text, "/sign-in?next=%2Fprofile#link=") {
		t.Errorf("to %s: %s", mail.To, mail.Text)
	}
	v := s.Visitor()
	v.Post("/sign-in", "link", linkIn(t, mail), "next", "/profile").RedirectsTo("/profile")
	v.Get("/profile/password").Expect(200).Says("Set a password").Lacks("Current password")

	s.Visitor().Post("/sign-in/mail", "email", "ana@acme.example").Expect(200)
	s.drained()
	mails.last(t, 1) // one in five minutes
	s.later(5 * time.Minute)
	s.Visitor().Post("/sign-in/mail", "email", "ana@acme.example").Expect(200)
	s.drained()
	mails.last(t, 2)
	s.Run("without a mail server", func() {
		without := newDashboard(t)
		page := without.Visitor().Get("/sign-in").Expect(200).Says("An owner or admin of your account")
		page.Lacks(`action="/sign-in/mail"`)
	})
}
