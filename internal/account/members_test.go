package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAnInvitedMemberSignsInAndMayWhatTheRoleMay(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		made := f.call(root, "POST", "/accounts/"+a+"/members", object{
			"email": " Ana@Example.com ",
			"name":  "Ana",
			"role":  "viewer",
		}).ok()
		if made.text("email") != "ana@example.com" || made.text("status") != "pending" || made.text("sign_in_url") == "" {
			t.Fatal(made.Body)
		}
		cookie := f.signIn(made.text("sign_in_url"))
		f.call(cookie, "GET", "/accounts/"+a+"/members", nil).ok()
		f.call(cookie, "POST", "/accounts/"+a+"/members", object{
			"email": "eve@example.com",
			"role":  "viewer",
		}).fails(403, errs.CodeForbidden)
		if got := f.call(root, "GET", "/accounts/"+a+"/members/"+made.text("id"), nil).ok(); got.text("status") != "active" {
			t.Fatal(got.Body)
		}
		f.call(root, "POST", "/accounts/"+a+"/members", object{
			"email": "ana@example.com",
			"role":  "owner",
		}).fails(409, errs.CodeExists)
		f.call(root, "POST", "/accounts/"+a+"/members", object{
			"email": "no address",
			"role":  "viewer",
		}).fails(400, errs.CodeInvalid)
		f.call(root, "POST", "/accounts/"+a+"/members", object{
			"email": "b@example.com",
			"role":  "king",
		}).fails(400, errs.CodeInvalid)
	})
}

func TestARoleThatChangesAndAMembershipThatEndsCountAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, cookie := f.member(a, "ana@example.com", "admin")
		f.call(cookie, "PATCH", "/accounts/"+a, object{"name": "B"}, sameOrigin).ok()
		f.call(root, "PATCH", "/accounts/"+a+"/members/"+id, object{"role": "viewer"}).ok()
		f.call(cookie, "PATCH", "/accounts/"+a, object{"name": "C"}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(cookie, "GET", "/accounts/"+a, nil).ok()
		f.call(root, "DELETE", "/accounts/"+a+"/members/"+id, nil).ok()
		// It was their last one: the person is gone, and their session with them.
		f.call(cookie, "GET", "/accounts/"+a, nil).fails(401, errs.CodeAuthentication)
		if got := f.recorded(a, "member"); strings.Join(got, ",") != "create success,update success,delete success" {
			t.Fatal(got)
		}
	})
}

func TestNobodyGrantsARoleThatMayMoreThanTheyMay(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		owner, _ := f.member(a, "owner@example.com", "owner")
		adminID, admin := f.member(a, "admin@example.com", "admin")
		members := "/accounts/" + a + "/members"
		f.call(admin, "POST", members, object{
			"email": "x@example.com",
			"role":  "owner",
		}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(admin, "PATCH", members+"/"+adminID, object{"role": "owner"}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(admin, "PATCH", members+"/"+owner, object{"role": "viewer"}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(admin, "DELETE", members+"/"+owner, nil, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(admin, "POST", members+"/"+owner+"/sign_in_link", nil, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(admin, "POST", members, object{"email": "x@example.com", "role": "editor"}, sameOrigin).ok()
		_, narrow := f.token(a, "members:write", "audit:read", "audit:export")
		f.call(narrow, "POST", members, object{"email": "y@example.com", "role": "auditor"}).ok()
		f.call(narrow, "POST", members, object{
			"email": "z@example.com",
			"role":  "viewer",
		}).fails(403, errs.CodeForbidden)
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		one, _ := f.member(a, "one@example.com", "owner")
		path := "/accounts/" + a + "/members/"
		f.call(root, "DELETE", path+one, nil).fails(409, errs.CodeStateConflict)
		f.call(root, "PATCH", path+one, object{"role": "admin"}).fails(409, errs.CodeStateConflict)
		f.call(root, "PATCH", path+one, object{"role": "owner"}).ok() // changes nothing
		two, _ := f.member(a, "two@example.com", "owner")
		// Both go at once: one of them must stay, whoever comes first.
		answers := make(chan int, 2)
		for _, id := range []string{one, two} {
			go func() { answers <- f.call(root, "PATCH", path+id, object{"role": "admin"}).Status }()
		}
		if x, y := <-answers, <-answers; x+y != 200+409 {
			t.Fatal(x, y)
		}
		owners := 0
		for _, member := range f.call(root, "GET", "/accounts/"+a+"/members", nil).ok().List {
			if member["role"] == "owner" {
				owners++
			}
		}
		if owners != 1 {
			t.Fatal(owners)
		}
	})
}

func TestManyInvitationsOfOneAddressMakeOneMember(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		answers := make(chan int, 10)
		for range cap(answers) {
			go func() {
				answers <- f.call(root, "POST", "/accounts/"+a+"/members", object{
					"email": "ana@example.com",
					"role":  "viewer",
				}).Status
			}()
		}
		count := map[int]int{}
		for range cap(answers) {
			count[<-answers]++
		}
		if count[200] != 1 || count[409] != 9 {
			t.Fatal(count)
		}
	})
}

func TestPortalSessionsAreNarrowAndSingleUse(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		path := "/accounts/" + a + "/portal_sessions"
		_, staff := f.member(a, "staff@example.com", "owner")
		opened := f.call(root, "POST", path, object{
			"member":     object{"id": "u-7", "name": "Mallory"},
			"role":       "owner",
			"sections":   []string{"audit"},
			"return_url": "https://shop.example/account",
			"expires_in": 600,
		}).ok()
		url := opened.text("url")
		if !strings.HasPrefix(url, "http://belfry.test/sign-in#link=") {
			t.Fatal(url)
		}
		cookie := f.signIn(url)
		if got := f.form("192.0.2.9", "", "link", secretOf(url)); got.Status != 401 {
			t.Fatal(got.Status)
		}
		// The sections and nothing else, and nothing of the person whose id the member has.
		f.call(cookie, "GET", "/accounts/"+a, nil).fails(403, errs.CodeForbidden)
		f.call(cookie, "GET", "/accounts/"+a+"/tokens", nil).fails(403, errs.CodeForbidden)
		f.call(cookie, "GET", "/accounts/"+a+"/roles", nil).ok() // any right in the account
		for _, call := range [][2]string{{"GET", "/user"}, {"GET", "/user/sessions"}, {"DELETE", "/user/sessions/x"}} {
			f.call(cookie, call[0], call[1], nil, sameOrigin).fails(403, errs.CodeForbidden)
		}
		f.call(cookie, "PUT", "/user/password", object{"password": "0123456789"}, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(staff, "GET", "/user", nil).ok()
		f.later(10 * time.Minute)
		f.call(cookie, "GET", "/accounts/"+a+"/roles", nil).fails(401, errs.CodeAuthentication)

		for name, bad := range map[string]object{
			"section":    {"member": object{"id": "1"}, "role": "viewer", "sections": []string{"tokens"}},
			"return_url": {"member": object{"id": "1"}, "role": "viewer", "return_url": "javascript:alert(1)"},
			"expires_in": {"member": object{"id": "1"}, "role": "viewer", "expires_in": 59},
			"role":       {"member": object{"id": "1"}, "role": "king"},
		} {
			if got := f.call(root, "POST", path, bad); got.Status != 400 {
				t.Errorf("%s: %s", name, got.Body)
			}
		}
		_, narrow := f.token(a, "members:write", "slo:read")
		f.call(narrow, "POST", path, object{
			"member": object{"id": "1"},
			"role":   "viewer",
		}).fails(403, errs.CodeForbidden)
		f.call(narrow, "POST", path, object{"member": object{"id": "1"}, "role": "viewer", "sections": []string{"slo"}}).ok()
	})
}
