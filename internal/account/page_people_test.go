package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
)

// toPage is to, whatever else the address says.
func (s *seen) toPage(path string) {
	s.t.Helper()
	if at, _, _ := strings.Cut(s.Header.Get("Location"), "?"); s.Status != 303 || at != path {
		s.t.Fatalf("status %d to %q instead of 303 to %q: %s", s.Status, at, path, s.text())
	}
}

func TestTheFirstMemberIsOfferedToBeAnOwner(t *testing.T) {
	s := newSite(t)
	op, acme := s.operator(), s.account("Acme")
	base := "/accounts/" + acme + "/members"
	op.get(base).is(200, `value="owner" selected`)
	op.post(base, "email", "ana@acme.example", "role", "owner").is(200, "shown this once")
	op.get(base).is(200, `value="viewer" selected`)
}

func TestAnInvitationIsPendingExpiresAndIsSentAgain(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/members"
	first := ana.post(base, "email", "bo@acme.example", "name", "Bo", "role", "viewer").is(200).find(`(http://belfry.test/sign-in#link=[0-9a-z]+)`)
	href := ana.get(base).is(200, "Invited", "Invite again").lacks("link expired").find(`href="(` + base + `/[0-9a-f]{32})" data-open>Bo`)
	ana.get(href).is(200, "its link is valid until").lacks("this is you")
	s.later(account.LinkTime)
	ana.get(base).is(200, "Invited, link expired")
	s.browser().post("/sign-in", "link", secretOf(first)).is(401)
	second := ana.post(href+"/link").is(200, "shown this once").find(`(http://belfry.test/sign-in#link=[0-9a-z]+)`)
	bo := s.browser()
	bo.post("/sign-in", "link", secretOf(second)).to("/")
	ana.get(href).is(200, "Active").lacks("Invite again", "its link")
	// All that is wrong with a form is said at once, each under its field.
	ana.post(base, "email", "nobody", "name", strings.Repeat("x", 201), "role", "king").is(400, "is not an address", "more than 200 characters", "There is no role")
}

func TestAPersonOfTheOperatorsAnswersInvitationsOnTheirPage(t *testing.T) {
	s := newSite(t)
	home := s.account("Home")
	ana := s.signedIn(home, "ana@acme.example", "owner")
	ana.get("/invitations").is(200, "No invitation")
	link := map[string]string{}
	for _, name := range []string{"<b>Joined</b>", "Declined", "Opened", "Apart"} {
		id := s.account(name)
		_, token := s.token(id, "*")
		link[name] = s.call(token, "POST", "/accounts/"+id+"/members", m{"email": "ana@acme.example", "role": "viewer"}).ok().text("sign_in_url")
	}
	ana.get("/profile").is(200, "4 accounts invite you.")
	list := ana.get("/invitations").is(200, "&lt;b&gt;Joined", "Declined").lacks("<b>Joined")
	joined := list.find(`(?s)Joined&lt;.*?action="(/invitations/[0-9a-f]{32}/accept)"`)
	ana.postFrom("cross-site", joined).is(403)
	ana.post(joined).toPage("/accounts/" + joined[len("/invitations/"):len("/invitations/")+32])
	ana.post(list.find(`(?s)Declined.*?action="(/invitations/[0-9a-f]{32}/decline)"`)).toPage("/invitations")

	// A link that is opened while one is signed in asks first.
	ana.post("/sign-in", "link", secretOf(link["Opened"])).is(200, "Join Opened", "Join as ana", "separate sign-in")
	ana.get("/profile").is(200).lacks("Opened</a>")
	ana.post("/sign-in", "link", secretOf(link["Opened"]), "as", "me").is(303)
	ana.get("/profile").is(200, "Opened</a>")
	ana.post("/sign-in", "link", secretOf(link["Apart"]), "as", "separate").is(303)
	ana.get("/profile").is(200, "Apart</a>").lacks("Home</a>", "Opened</a>")
}

func TestCustomersSessionsAreEndedOnTheirPage(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	viewer := s.signedIn(acme, "vi@acme.example", "viewer")
	page := "/accounts/" + acme + "/members/portal"
	ana.get(page).is(200, "No session is open")
	opened := s.call(root, "POST", "/accounts/"+acme+"/portal_sessions", m{"member": m{"id": "u1", "name": "<i>Kim</i>"}, "role": "viewer"}).ok()
	kim := s.browser()
	kim.post("/sign-in", "link", secretOf(opened.text("url"))).to("/accounts/" + acme)
	kim.get(page).is(403)
	viewer.get(page).is(200, "&lt;i&gt;Kim").lacks("/end\"", "<i>Kim")
	end := ana.get(page).is(200, "&lt;i&gt;Kim", "viewer: audit, notifications, slo").find(`action="(` + page + `/[0-9a-f]{32}/end)"`)
	viewer.post(end).is(403)
	ana.post(end).toPage(page)
	ana.get(page).is(200, "No session is open")
	kim.get(page).is(303)
}

func TestOperatorsAreManagedOnTheirPage(t *testing.T) {
	s := newSite(t)
	op := s.operator()
	const base = "/console/operators"
	me := op.get(base).is(200, "operator@localhost", "you").find(`href="(` + base + `/[0-9a-f]{32})"`)
	op.post(me, "email", "nobody", "name", "").is(400, "is not an address", "Name is required")
	op.post(me, "email", "ana@ops.example", "name", "Ana").toPage(me)
	op.get("/profile").is(200, "ana@ops.example").lacks("operator@localhost")
	op.post(me+"/remove").is(409, "The last operator stays")
	link := op.post(base, "email", "bo@ops.example", "name", "Bo").is(200, "shown this once").find(`(http://belfry.test/sign-in#link=[0-9a-z]+)`)
	op.post(base, "email", "bo@ops.example", "name", "Bo").is(409, "An operator has this address already.")
	bo := s.browser()
	bo.post("/sign-in", "link", secretOf(link)).to("/")
	bo.get(me+"/remove").is(200, "Remove the operator Ana?")
	bo.post(me + "/remove").toPage(base)
	op.get(base).to("/sign-in?next=%2Fconsole%2Foperators")
	member := s.signedIn(s.account("Acme"), "m@acme.example", "owner")
	member.get(base).is(403)
	member.post(base, "email", "m@acme.example", "name", "M").is(403)
}

func TestAPersonDeletesTheirSignIn(t *testing.T) {
	s := newSite(t)
	acme := s.account("Acme")
	ana := s.signedIn(acme, "ana@acme.example", "owner")
	ana.get("/profile/delete").is(200, "This cannot be undone")
	ana.post("/profile/delete").is(409, "last owner")
	s.later(time.Minute)
	s.signedIn(acme, "bo@acme.example", "owner")
	ana.post("/profile/delete").toPage("/sign-in")
	ana.get("/profile").to("/sign-in?next=%2Fprofile")
}
