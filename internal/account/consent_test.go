package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// traces are the events in an account's record that name an address other than
// as the resource of a change of members.
func (f *fixture) traces(accountID, email string) (list []string) {
	f.t.Helper()
	for _, e := range f.outbox() {
		if e.Account == accountID && (e.Actor.Email == email || e.Resource.Type != "member" && e.Resource.Name == email) {
			list = append(list, e.Resource.Type+" "+e.Action.Type)
		}
	}
	return list
}

func TestAnInvitationTellsNothingOfThePersonWhoHasTheAddress(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		spy, victim := f.account("spy"), f.account("victim")
		_, token := f.token(spy, "*")
		id, cookie := f.member(victim, "ceo@victim.example", "owner")
		f.call(cookie, "PUT", "/user/password", object{"password": "a long password"}, sameOrigin).ok()
		if _, err := f.accounts.NewLoginLink(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		members := "/accounts/" + spy + "/members"
		shapes := map[string][]string{}
		for _, email := range []string{"ceo@victim.example", "nobody@victim.example", account.FirstOperator} {
			made := f.call(token, "POST", members, object{"email": email, "name": "As I say", "role": "viewer"}).ok()
			if made.text("status") != "pending" || made.text("name") != "As I say" || made.text("id") == id {
				t.Errorf("%s: %s", email, made.Body)
			}
			for key := range made.Result {
				shapes[email] = append(shapes[email], key)
			}
			slices.Sort(shapes[email])
			if !slices.Equal(shapes[email], shapes["ceo@victim.example"]) {
				t.Errorf("%s: %v; a known address: %v", email, shapes[email], shapes["ceo@victim.example"])
			}
			if got := f.call(token, "GET", members+"/"+made.text("id"), nil).ok(); got.text("status") != "pending" {
				t.Error(got.Body)
			}
			if is, err := f.accounts.IsMember(t.Context(), spy, email); is || err != nil {
				t.Errorf("mail would go to %s, who never agreed: %v", email, err)
			}
			// The link of the answer is that of the account's own person.
			if got := f.signIn(made.text("sign_in_url")); got != "" {
				who := f.call(got, "GET", "/user", nil).ok()
				if who.Result["id"] != made.text("id") || who.Result["staff"] != false || len(who.Result["accounts"].([]any)) != 1 {
					t.Errorf("%s: %s", email, who.Body)
				}
			}
		}

		// Nothing that the person does reaches the other account's record.
		before := len(f.traces(spy, "ceo@victim.example"))
		second := f.form("192.0.2.8", "", "email", "ceo@victim.example", "password", "a+long+password").ok().cookie()
		f.form("192.0.2.8", "", "email", "ceo@victim.example", "password", "a+wrong+password")
		f.call(second, "GET", "/accounts/"+victim, nil).ok()
		f.call(second, "PUT", "/user/password", object{
			"current":  "a long password",
			"password": "a longer password",
		}, sameOrigin).ok()
		f.call(second, "POST", "/sign-out", nil, sameOrigin).ok()
		f.drained()
		if got := f.traces(spy, "ceo@victim.example"); len(got) != before {
			t.Errorf("the other account's record has %v", got[before:])
		}
		want := []string{"sign_in success", "sign_in success", "sign_out success", "sign_in failure"}
		if got := f.recorded(victim, "session"); !slices.Equal(got, want) {
			t.Errorf("their own account's record has %v", got)
		}
		if got := f.recorded(victim, "password"); len(got) != 2 {
			t.Errorf("their own account's record has %v", got)
		}
		if got := f.recorded(account.Installation, "password"); len(got) != 2 {
			t.Errorf("the installation's record has %v", got)
		}
	})
}

// An account that makes a person could keep a way in (a link, a password, a
// session) and wait until another account trusts the address.
func TestAPersonOfOneAccountIsNobodyElsewhere(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		evil, victim := f.account("evil"), f.account("victim")
		_, evilToken := f.token(evil, "*")
		_, victimToken := f.token(victim, "*")
		made := f.call(evilToken, "POST", "/accounts/"+evil+"/members", object{
			"email": "cfo@victim.example",
			"role":  "viewer",
		}).ok()
		cookie := f.signIn(made.text("sign_in_url"))
		f.call(cookie, "PUT", "/user/password", object{"password": "known to evil"}, sameOrigin).ok()

		// Whoever wrote the address down first does not block the company.
		invited := f.call(victimToken, "POST", "/accounts/"+victim+"/members", object{
			"email": "cfo@victim.example",
			"role":  "owner",
		}).ok()
		f.call(cookie, "GET", "/user/invitations", nil).ok()
		if list := f.call(cookie, "GET", "/user/invitations", nil).ok().List; len(list) != 0 {
			t.Errorf("a person of one account sees what others invite: %v", list)
		}
		f.call(cookie, "POST", "/user/invitations/"+victim+"/accept", nil, sameOrigin).fails(404, errs.CodeNotFound)
		f.call(cookie, "GET", "/accounts/"+victim, nil).fails(403, errs.CodeForbidden)
		cfo := f.signIn(invited.text("sign_in_url"))
		f.call(cfo, "GET", "/accounts/"+victim, nil).ok()
		f.call(cfo, "GET", "/accounts/"+evil, nil).fails(403, errs.CodeForbidden)
		link := "/accounts/" + evil + "/members/" + invited.text("id") + "/sign_in_link"
		f.call(evilToken, "POST", link, nil).fails(404, errs.CodeNotFound)

		// Each person has a password, which may be the same one, and then the
		// account of the requested page selects one of them.
		f.call(cfo, "PUT", "/user/password", object{"password": "a password of ours"}, sameOrigin).ok()
		in := f.form("192.0.2.7", "", "email", "cfo@victim.example", "password", "a+password+of+ours").ok().cookie()
		f.call(in, "GET", "/accounts/"+victim, nil).ok()
		f.call(in, "PUT", "/user/password", object{
			"current":  "a password of ours",
			"password": "known to evil",
		}, sameOrigin).ok()
		for _, accountID := range []string{evil, victim} {
			in := f.form("192.0.2.7", "",
				"email", "cfo@victim.example",
				"password", "known+to+evil",
				"next", "/accounts/"+accountID+"/audit",
			).ok().cookie()
			f.call(in, "GET", "/accounts/"+accountID, nil).ok()
		}

		// Who fails to sign in with the address is not for either to know.
		f.form("192.0.2.7", "", "email", "cfo@victim.example", "password", "wrong+password")
		f.drained()
		if got := f.recorded(evil, "session"); slices.Contains(got, "sign_in failure") {
			t.Errorf("an account that wrote an address down has %v", got)
		}
		if got := f.recorded(account.Installation, "session"); !slices.Contains(got, "sign_in failure") {
			t.Errorf("the installation has %v", got)
		}
	})
}

func TestAPersonOfTheOperatorsJoinsOrDeclines(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		home := f.account("home")
		a := f.account("A")
		b := f.account("B")
		me, cookie := f.member(home, "ana@example.com", "owner")
		for _, accountID := range []string{a, b} {
			_, token := f.token(accountID, "*")
			f.call(token, "POST", "/accounts/"+accountID+"/members", object{
				"email": "ana@example.com",
				"name":  "An A.",
				"role":  "admin",
			}).ok()
		}
		f.call(cookie, "GET", "/accounts/"+a, nil).fails(403, errs.CodeForbidden)
		if list := f.call(cookie, "GET", "/user/invitations", nil).ok().List; len(list) != 2 {
			t.Fatal(list)
		}
		f.call(cookie, "POST", "/user/invitations/"+a+"/accept", nil, sameOrigin).ok()
		f.call(cookie, "GET", "/accounts/"+a, nil).ok()
		list := f.call(cookie, "GET", "/accounts/"+a+"/members", nil).ok().List
		if len(list) != 1 || list[0]["id"] != me || list[0]["status"] != "active" {
			t.Fatal(list)
		}
		f.call(cookie, "POST", "/user/invitations/"+b+"/decline", nil, sameOrigin).ok()
		f.call(cookie, "POST", "/user/invitations/"+b+"/accept", nil, sameOrigin).fails(404, errs.CodeNotFound)
		if list := f.call(root, "GET", "/accounts/"+b+"/members", nil).ok().List; len(list) != 0 {
			t.Fatal(list)
		}
		if got := f.recorded(a, "member"); !slices.Equal(got, []string{"create success", "accept success"}) {
			t.Error(got)
		}
		if got := f.recorded(b, "member"); !slices.Equal(got, []string{"create success", "decline success"}) {
			t.Error(got)
		}
		// A sign-in stands in the accounts that the session enters, once.
		before := len(f.recorded(a, "session"))
		in := f.signIn(f.call(root, "POST", "/accounts/"+home+"/members/"+me+"/sign_in_link", nil).ok().text("url"))
		f.call(in, "GET", "/accounts/"+home, nil).ok()
		if got := f.recorded(a, "session"); len(got) != before {
			t.Errorf("an account that the session did not enter has %v", got)
		}
		for range 2 {
			f.call(in, "GET", "/accounts/"+a, nil).ok()
		}
		if got := f.recorded(a, "session"); len(got) != before+1 {
			t.Errorf("an account that the session entered has %v", got)
		}
		f.call(in, "POST", "/sign-out", nil, sameOrigin).ok()
		if got := f.recorded(a, "session"); got[len(got)-1] != "sign_out success" {
			t.Error(got)
		}
	})
}

func TestInvitationsDoNotUseUpTheAccountsOfAPerson(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	for range account.MaxAccounts {
		id := f.account("spam")
		_, token := f.token(id, "members:write", "members:read", "audit:read", "audit:export")
		f.call(token, "POST", "/accounts/"+id+"/members", object{"email": "ana@example.com", "role": "auditor"}).ok()
		f.later(time.Second)
	}
	f.member(f.account("real"), "ana@example.com", "owner")
}

func TestAnAccountInvitesABoundedNumberOfPeopleAtOnce(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	_, token := f.token(a, "*")
	refused := 0
	for i := range 220 {
		address := "p" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + "@example.com"
		if f.call(token, "POST", "/accounts/"+a+"/members", object{"email": address, "role": "auditor"}).Status == 429 {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 220 invitations were refused", refused)
	}
	f.later(time.Minute)
	f.call(token, "POST", "/accounts/"+a+"/members", object{"email": "later@example.com", "role": "auditor"}).ok()
}

func TestPeopleAreDeletedWithTheirLastAccountOrWhenTheyAsk(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("A"), f.account("B")
		owner, _ := f.member(a, "owner@example.com", "owner")
		id, _ := f.member(a, "ana@example.com", "viewer")
		f.call(root, "POST", "/accounts/"+b+"/members", object{"email": "ana@example.com", "role": "viewer"}).ok()
		kept := func(email string) (n int) {
			err := f.db.View(t.Context(), func(tx *db.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM person WHERE email = $1)
					+ (SELECT count(*) FROM known_network k
						WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.id = k.person_id))
					+ (SELECT count(*) FROM session s
						WHERE s.person_id <> '' AND NOT EXISTS (SELECT 1 FROM person p WHERE p.id = s.person_id))`,
					email).Scan(&n)
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		f.call(root, "DELETE", "/accounts/"+a+"/members/"+id, nil).ok()
		if kept("ana@example.com") != 1 {
			t.Fatal("a person who still belongs to an account is gone")
		}
		f.call(root, "DELETE", "/accounts/"+b+"/members/"+id, nil).ok()
		if kept("ana@example.com") != 0 {
			t.Fatal("the person is still there after the last membership")
		}

		_, bo := f.member(a, "bo@example.com", "owner")
		f.call(bo, "PUT", "/user/password", object{"password": "a long password"}, sameOrigin).ok()
		f.call(root, "DELETE", "/accounts/"+a+"/members/"+owner, nil).ok()
		f.call(bo, "DELETE", "/user", nil, sameOrigin).fails(409, errs.CodeStateConflict) // the last owner
		f.member(a, "new@example.com", "owner")
		f.call(bo, "DELETE", "/user", nil, sameOrigin).ok()
		if kept("bo@example.com") != 0 {
			t.Fatal("the person is still there after they asked")
		}
		f.call(bo, "GET", "/user", nil).fails(401, errs.CodeAuthentication)
		if got := f.form("192.0.2.3", "", "email", "bo@example.com", "password", "a+long+password"); got.Status != 401 {
			t.Fatal(got.Status)
		}
	})
}

func TestOperatorsAreAddedChangedAndRemovedAndOneStays(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		path, err := f.accounts.NewLoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		cookie := f.signIn(path)
		first := f.call(cookie, "GET", "/operators", nil).ok().List[0]["id"].(string)
		f.call(cookie, "DELETE", "/operators/"+first, nil, sameOrigin).fails(409, errs.CodeStateConflict)
		f.call(cookie, "PATCH", "/operators/"+first, object{"email": "Ana@example.com", "name": "Ana"}, sameOrigin).ok()
		user := f.call(cookie, "GET", "/user", nil).ok()
		if user.text("email") != "ana@example.com" || user.text("name") != "Ana" {
			t.Fatal(user.Body)
		}
		// The command without an address still finds the first one.
		if _, err := f.accounts.NewLoginLink(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		made := f.call(cookie, "POST", "/operators", object{"email": "bo@example.com", "name": "Bo"}, sameOrigin).ok()
		bo := f.signIn(made.text("sign_in_url"))
		f.call(bo, "POST", "/accounts", object{"name": "A"}, sameOrigin).ok()
		f.call(bo, "DELETE", "/operators/"+first, nil, sameOrigin).ok()
		f.call(cookie, "GET", "/operators", nil).fails(401, errs.CodeAuthentication)
		_, owner := f.member(f.account("B"), "o@example.com", "owner")
		f.call(owner, "GET", "/operators", nil).fails(403, errs.CodeForbidden)
		f.call(owner, "POST", "/operators", object{
			"email": "o@example.com",
			"name":  "O",
		}, sameOrigin).fails(403, errs.CodeForbidden)
		want := []string{"update success", "create success", "delete success"}
		if got := f.recorded(account.Installation, "operator"); !slices.Equal(got, want) {
			t.Error(got)
		}
	})
}
