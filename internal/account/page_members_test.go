package account_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/site"
)

// oneTimeLink matches the link that a page shows once.
const oneTimeLink = `(http://belfry.test/sign-in#link=[0-9a-z]+)`

func TestMemberPages(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	bo := s.Visitor()
	base := "/accounts/" + acme + "/members"
	memberNamed := func(name string) string {
		return ana.Get(base).Find(`href="(` + base + `/[0-9a-f]{32})" data-open>` + name)
	}
	var boPath string
	s.Run("add", func() {
		ana.Get(base).Expect(200).Says("ana@acme.example", "you").Links(base+"/new", base+"/roles")
		ana.Get(base + "/new").Expect(200).Says("Reads, exports and proves the audit log.")
		added := ana.Post(base, "email", "Bo@acme.example", "name", "<b>Bo</b>", "role", "admin")
		link := added.Expect(200).Says("shown only once", "&lt;b&gt;Bo").Lacks("<b>Bo").Find(oneTimeLink)
		ana.Get(base).Expect(200).Says("bo@acme.example", "Invited").Lacks(site.Secret(link), "<b>Bo")
		boPath = memberNamed("&lt;b")
		bo.Post("/sign-in", "link", site.Secret(link)).RedirectsTo("/")
		bo.Get(base).Expect(200)
	})
	s.Run("faults", func() {
		ana.Post(base, "email", "bo@acme.example", "role", "viewer").
			Expect(409).Says("A member of the account has this address already.", `value="bo@acme.example"`)
		ana.Post(base, "email", "nobody", "role", "viewer").Expect(400).Says("is not an address")
	})
	s.Run("change the role", func() {
		ana.Get(boPath+"/edit").Submit("Change the role", "role", "viewer").RedirectsTo(boPath)
		ana.Get(boPath).Expect(200).Says("Reads everything.", "See members").Lacks("Append events")
		bo.Post(base, "email", "x@acme.example", "role", "viewer").Expect(403)
	})
	s.Run("make a link", func() {
		second := ana.Post(boPath + "/link").Expect(200).Says("shown only once").Find(oneTimeLink)
		ana.Get(boPath).Expect(200).Lacks(site.Secret(second))
	})
	s.Run("the last owner stays", func() {
		anaPath := memberNamed("ana<")
		ana.Post(anaPath, "role", "viewer").
			Expect(409).Says("The account&#39;s last owner must stay owner: add another owner first.")
		ana.Get(anaPath).Expect(200).Says("This is you", "Leave the account")
		ana.Get(anaPath+"/remove").Expect(200).Says("This is you", "Leave the account")
		ana.Post(anaPath + "/remove").Expect(409).
			Says("The account&#39;s last owner cannot be removed: add another owner first.")
	})
	s.Run("remove", func() {
		ana.Get(boPath + "/remove").Expect(200).Submit("Remove the member").RedirectsTo(base)
		bo.Get(base).RedirectsTo("/sign-in?next=" + url.QueryEscape(base)) // it was Bo's only account
		ana.Get(boPath).Expect(404)
	})
}

func TestTheFirstMemberIsOfferedAsOwner(t *testing.T) {
	s := newDashboard(t)
	op := s.Operator()
	base := "/accounts/" + s.Account("Acme") + "/members"
	op.Get(base + "/new").Expect(200).Says(`value="owner" selected`)
	op.Post(base, "email", "ana@acme.example", "role", "owner").Expect(200).Says("shown only once")
	op.Get(base + "/new").Expect(200).Says(`value="viewer" selected`)
}

func TestInvitationExpiresAndIsSentAgain(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/members"
	first := ana.Post(base, "email", "bo@acme.example", "name", "Bo", "role", "viewer").Expect(200).Find(oneTimeLink)
	list := ana.Get(base).Expect(200).Says("Invited", "Invite again").Lacks("Invited, link expired")
	href := list.Find(`href="(` + base + `/[0-9a-f]{32})" data-open>Bo`)
	ana.Get(href).Expect(200).Says("Invitation valid until", "Withdraw the invitation").Lacks("This is you")

	s.later(account.InvitationTime)
	ana = s.Member(acme, "ada@acme.example", "owner") // the session of Ana has ended
	ana.Get(base).Expect(200).Says("Invited, link expired")
	s.Visitor().Post("/sign-in", "link", site.Secret(first)).Expect(401)

	second := ana.Post(href + "/link").Expect(200).Says("shown only once").Find(oneTimeLink)
	s.Visitor().Post("/sign-in", "link", site.Secret(second)).RedirectsTo("/")
	ana.Get(href).Expect(200).Says("Active").Lacks("Copy a link", "Invitation valid until")
}

func TestMemberFormShowsAllFaults(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	ana.Post("/accounts/"+acme+"/members", "email", "nobody", "name", strings.Repeat("x", 201), "role", "king").
		Expect(400).Says("is not an address", "more than 200 characters", "There is no role")
}

func TestInvitationPages(t *testing.T) {
	s := newDashboard(t)
	home := s.Account("Home")
	ana := s.Member(home, "ana@acme.example", "owner")
	ana.Get("/invitations").Expect(200).Says("No invitation")
	link := map[string]string{}
	for _, name := range []string{"<b>Joined</b>", "Declined", "Opened", "Apart"} {
		id := s.Account(name)
		_, token := s.token(id, "*")
		body := object{"email": "ana@acme.example", "role": "viewer"}
		link[name] = s.call(token, "POST", "/accounts/"+id+"/members", body).ok().text("sign_in_url")
	}
	s.Run("join and decline", func() {
		ana.Get("/profile").Expect(200).Says("4 accounts invite you.")
		list := ana.Get("/invitations").Expect(200).Says("&lt;b&gt;Joined", "Declined").Lacks("<b>Joined")
		join := list.Find(`(?s)Joined&lt;.*?action="(/invitations/[0-9a-f]{32}/accept)"`)
		ana.PostFrom("cross-site", join).Expect(403)
		accountID := strings.Split(join, "/")[2]
		ana.Post(join).RedirectsTo("/accounts/" + accountID)
		ana.Post(list.Find(`(?s)Declined.*?action="(/invitations/[0-9a-f]{32}/decline)"`)).RedirectsTo("/invitations")
	})
	s.Run("a link that is opened in a session asks first", func() {
		secret := site.Secret(link["Opened"])
		ana.Post("/sign-in", "link", secret).Expect(200).Says("Join Opened", "Join as ana", "separate sign-in")
		ana.Get("/profile").Expect(200).Lacks("Opened</a>")
		ana.Post("/sign-in", "link", secret, "as", "me").Expect(303)
		ana.Get("/profile").Expect(200).Says("Opened</a>")
	})
	s.Run("a separate sign-in", func() {
		ana.Post("/sign-in", "link", site.Secret(link["Apart"]), "as", "separate").Expect(303)
		ana.Get("/profile").Expect(200).Says("Apart</a>").Lacks("Home</a>", "Opened</a>")
	})
}

func TestPortalSessionPages(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	viewer := s.Member(acme, "vi@acme.example", "viewer")
	path := "/accounts/" + acme + "/members/portal"
	ana.Get(path).Expect(200).Says("No session is open")
	opened := s.call(root, "POST", "/accounts/"+acme+"/portal_sessions",
		object{"member": object{"id": "u1", "name": "<i>Kim</i>"}, "role": "viewer"}).ok()
	kim := s.Visitor()
	kim.Post("/sign-in", "link", site.Secret(opened.text("url"))).RedirectsTo("/accounts/" + acme)
	kim.Get(path).Expect(403)
	viewer.Get(path).Expect(200).Says("&lt;i&gt;Kim").Lacks("/end\"", "<i>Kim")

	list := ana.Get(path).Expect(200).Says("&lt;i&gt;Kim", "viewer: audit, notifications, slo")
	end := list.Find(`action="(` + path + `/[0-9a-f]{32}/end)"`)
	viewer.Post(end).Expect(403)
	ana.Post(end).RedirectsTo(path)
	ana.Get(path).Expect(200).Says("No session is open")
	kim.Get(path).Expect(303)
}

func TestOperatorPages(t *testing.T) {
	s := newDashboard(t)
	op := s.Operator()
	const base = "/console/operators"
	me := op.Get(base).Expect(200).Says("operator@localhost", "you").Find(`href="(` + base + `/[0-9a-f]{32})"`)
	s.Run("change", func() {
		op.Post(me, "email", "nobody", "name", "").Expect(400).Says("is not an address", "Name is required")
		op.Post(me, "email", "ana@ops.example", "name", "Ana").RedirectsTo(me)
		op.Get("/profile").Expect(200).Says("ana@ops.example").Lacks("operator@localhost")
	})
	s.Run("the last operator cannot be removed", func() {
		op.Post(me + "/remove").Expect(409).Says("The last operator cannot be removed")
	})
	s.Run("add and remove", func() {
		link := op.Post(base, "email", "bo@ops.example", "name", "Bo").Expect(200).Says("shown only once").Find(oneTimeLink)
		op.Post(base, "email", "bo@ops.example", "name", "Bo").Expect(409).Says("An operator has this address already.")
		bo := s.Visitor().SignIn(link)
		bo.Get(me + "/remove").Expect(200).Says("Remove the operator Ana?").Submit("Remove the operator").RedirectsTo(base)
		op.Get(base).RedirectsTo("/sign-in?next=%2Fconsole%2Foperators")
	})
	s.Run("members have no access", func() {
		member := s.Member(s.Account("Acme"), "m@acme.example", "owner")
		member.Get(base).Expect(403)
		member.Post(base, "email", "m@acme.example", "name", "M").Expect(403)
	})
}

func TestAPersonDeletesTheirSignIn(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	ask := ana.Get("/profile/delete").Expect(200).Says("This cannot be undone")
	ask.Submit("Delete my sign-in").Expect(409).Says("last owner")
	s.later(time.Minute)
	s.Member(acme, "bo@acme.example", "owner")
	ask.Submit("Delete my sign-in").RedirectsTo("/sign-in")
	ana.Get("/profile").RedirectsTo("/sign-in?next=%2Fprofile")
}
