package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// portal opens the customers' pages and returns the session's cookie.
func (f *fixture) portal(as, accountID string, member object) string {
	f.t.Helper()
	a := f.call(as, "POST", "/accounts/"+accountID+"/portal_sessions", object{
		"member":   member,
		"role":     "viewer",
		"sections": []string{"audit"},
	}, sameOrigin).ok()
	return f.signIn(a.text("url"))
}

func TestTheRecordTellsACustomersSessionFromAMember(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("A"), f.account("B")
		owner, _ := f.member(a, "owner@example.com", "owner")
		_, admin := f.member(a, "admin@example.com", "admin")
		path := "/accounts/" + a + "/portal_sessions"
		f.call(admin, "POST", path, object{
			"member": object{"id": owner, "name": "Owner"},
			"role":   "viewer",
		}, sameOrigin).fails(409, errs.CodeStateConflict)
		f.call(admin, "POST", path, object{
			"member": object{"id": "u", "email": "Owner@example.com"},
			"role":   "viewer",
		}, sameOrigin).fails(409, errs.CodeStateConflict)
		// The members of another account are not revealed.
		f.call(root, "POST", "/accounts/"+b+"/portal_sessions", object{
			"member": object{"id": "u", "email": "owner@example.com"},
			"role":   "viewer",
		}).ok()

		cookie := f.portal(admin, a, object{"id": "u1", "email": "kim@example.com", "name": "Kim"})
		id := f.call(root, "GET", path, nil).ok().List[0]["id"].(string)
		f.call(cookie, "GET", "/accounts/"+a+"/tokens", nil).fails(403, errs.CodeForbidden)
		f.call(cookie, "POST", "/sign-out", nil, sameOrigin).ok()
		f.drained()
		seen := map[string]bool{}
		for _, e := range f.outbox() {
			if !strings.HasPrefix(e.Actor.ID, "portal:") {
				continue
			}
			seen[e.Action.Type] = true
			want := event.AuditOnBehalfOf{Type: "user", ID: "u1", Email: "kim@example.com"}
			if e.Actor.ID != "portal:"+a+":u1" || e.Actor.Name != "Kim (customer portal)" || e.Actor.Email != "" ||
				e.Actor.OnBehalfOf == nil || *e.Actor.OnBehalfOf != want || e.Metadata["session"] != id {
				t.Errorf("%s: %+v %v", e.Action.Type, e.Actor, e.Metadata)
			}
		}
		if !seen["sign_in"] || !seen["sign_out"] || !seen["access"] {
			t.Errorf("recorded were %v", seen)
		}
	})
}

// Every feature sets the actor with Actor and By, which add the session.
func TestEveryEventOfACustomersSessionNamesIt(t *testing.T) {
	p := web.Principal{Kind: web.KindPortal, ID: "portal:a:u1", OnBehalfOf: "u1", SessionID: "s1", Session: true}
	e := event.NewAudit("a", "update", "policy", "p1", "P").
		By(feature.Actor(&p), feature.Interface(&p)).
		With(map[string]any{"more": 1})
	if e.Metadata["session"] != "s1" || e.Metadata["more"] != 1 ||
		e.Actor.Name != "u1 (customer portal)" || e.Interface != "UI" {
		t.Fatalf("%+v", e)
	}
}

func TestCustomersSessionsAreListedAndEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("A"), f.account("B")
		cookie := f.portal(root, a, object{"id": "u1"})
		other := f.portal(root, b, object{"id": "u1"})
		path := "/accounts/" + a + "/portal_sessions"
		list := f.call(root, "GET", path, nil).ok().List
		if len(list) != 1 {
			t.Fatal(list)
		}
		id := list[0]["id"].(string)
		f.call(root, "DELETE", "/accounts/"+b+"/portal_sessions/"+id, nil).fails(404, errs.CodeNotFound)
		f.call(cookie, "DELETE", path+"/"+id, nil, sameOrigin).fails(403, errs.CodeForbidden)
		f.call(root, "DELETE", path+"/"+id, nil).ok()
		f.call(cookie, "GET", "/accounts/"+a+"/roles", nil).fails(401, errs.CodeAuthentication)
		f.call(other, "GET", "/accounts/"+b+"/roles", nil).ok()
		if list := f.call(root, "GET", path, nil).ok().List; len(list) != 0 {
			t.Fatal(list)
		}
	})
}

func TestACustomersSessionEndsWithTheRightsOfItsMaker(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		f.member(a, "owner@example.com", "owner")
		tokenID, token := f.token(a, "members:write", "audit:read")
		expiring := f.call(root, "POST", "/accounts/"+a+"/tokens", object{
			"name":        "short",
			"permissions": []string{"members:write", "audit:read"},
			"expires_on":  time.UnixMicro(f.now.Load()).Add(10 * time.Minute).UTC().Format(time.RFC3339),
		}).ok().text("value")
		lowered, first := f.member(a, "one@example.com", "admin")
		removed, second := f.member(a, "two@example.com", "admin")
		for name, one := range map[string]struct {
			maker string
			end   func()
		}{
			"a token that is revoked": {token, func() {
				f.call(root, "DELETE", "/accounts/"+a+"/tokens/"+tokenID, nil).ok()
			}},
			"a role that is lowered": {first, func() {
				f.call(root, "PATCH", "/accounts/"+a+"/members/"+lowered, object{"role": "viewer"}).ok()
			}},
			"a member who is removed": {second, func() {
				f.call(root, "DELETE", "/accounts/"+a+"/members/"+removed, nil).ok()
			}},
			"a token that expires": {expiring, func() { f.later(10 * time.Minute) }},
		} {
			cookie := f.portal(one.maker, a, object{"id": "u1"})
			unused := f.call(one.maker, "POST", "/accounts/"+a+"/portal_sessions", object{
				"member":   object{"id": "u2"},
				"role":     "viewer",
				"sections": []string{"audit"},
			}, sameOrigin).ok().text("url")
			f.call(cookie, "GET", "/accounts/"+a+"/roles", nil).ok()
			one.end()
			f.call(cookie, "GET", "/accounts/"+a+"/roles", nil).fails(401, errs.CodeAuthentication)
			if got := f.form("192.0.2.60", "", "link", secretOf(unused)); got.Status != 401 {
				t.Errorf("%s: its unused link answers %d", name, got.Status)
			}
			if list := f.call(root, "GET", "/accounts/"+a+"/portal_sessions", nil).ok().List; len(list) != 0 {
				t.Errorf("%s: %v is still listed", name, list)
			}
		}
	})
}

func TestWhatATokenMakesKeepsItsBounds(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		id, _ := f.member(a, "owner@example.com", "owner")
		end := time.UnixMicro(f.now.Load()).Add(5 * time.Minute)
		// The one that expires comes first: its session is then the only one in the list.
		for _, limit := range []object{
			{"name": "expires", "expires_on": end.UTC().Format(time.RFC3339)},
			{"name": "bound", "ip_allow": []string{"192.0.2.0/24"}},
		} {
			name := limit["name"].(string)
			limit["permissions"] = []string{"*"}
			token := f.call(root, "POST", "/accounts/"+a+"/tokens", limit).ok().text("value")
			near := "From-Address: 192.0.2.9"
			made := f.call(token, "POST", "/accounts/"+a+"/members", object{
				"email": name + "@example.com",
				"role":  "viewer",
			}, near).ok()
			if made.Result["sign_in_url"] != nil {
				t.Errorf("%s: a sign-in without bounds: %s", name, made.Body)
			}
			for _, member := range []string{id, made.text("id")} {
				path := "/accounts/" + a + "/members/" + member + "/sign_in_link"
				f.call(token, "POST", path, nil, near).fails(403, errs.CodeForbidden)
			}
			opened := f.call(token, "POST", "/accounts/"+a+"/portal_sessions", object{
				"member":     object{"id": "u1"},
				"role":       "viewer",
				"expires_in": 3600,
			}, near).ok()
			if name == "expires" {
				if opened.text("expires_on") > end.UTC().Format("2006-01-02T15:04:05.999999Z") {
					t.Error(opened.Body)
				}
				f.signIn(opened.text("url"))
				list := f.call(root, "GET", "/accounts/"+a+"/portal_sessions", nil).ok().List
				if got, err := time.Parse(time.RFC3339, list[0]["expires_on"].(string)); err != nil || got.After(end) {
					t.Errorf("the session ends at %v, its token at %v", got, end)
				}
				continue
			}
			if got := f.form("198.51.100.1", "", "link", secretOf(opened.text("url"))); got.Status != 401 {
				t.Errorf("opened from outside of the token's networks: %d", got.Status)
			}
			cookie := f.signIn(f.call(token, "POST", "/accounts/"+a+"/portal_sessions", object{
				"member": object{"id": "u1"},
				"role":   "viewer",
			}, near).ok().text("url"))
			path := "/accounts/" + a + "/roles"
			f.call(cookie, "GET", path, nil, near).ok()
			f.call(cookie, "GET", path, nil, "From-Address: 198.51.100.1").fails(403, errs.CodeTokenAddress)
		}
	})
}
