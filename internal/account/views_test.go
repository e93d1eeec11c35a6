package account_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// viewNames are the names of the views that a principal sees.
func (f *fixture) viewNames(as, accountID, query string) (names []string) {
	f.t.Helper()
	for _, v := range f.call(as, "GET", "/accounts/"+accountID+"/saved_views"+query, nil).ok().List {
		names = append(names, fmt.Sprint(v["name"]))
	}
	return names
}

func TestSavedViewsBelongToTheirOwnersUntilTheyAreShared(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme := f.account("Acme")
		globex := f.account("Globex")
		_, ana := f.member(acme, "ana@acme.example", "admin")
		benID, ben := f.member(acme, "ben@acme.example", "viewer")
		_, eve := f.member(globex, "eve@globex.example", "owner")
		base := "/accounts/" + acme + "/saved_views"
		save := func(as, list, name string, shared bool) *response {
			t.Helper()
			return f.call(as, "POST", base, object{
				"list":   list,
				"name":   name,
				"query":  "type=b&type=a&cursor=xyz&sort=newest",
				"shared": shared,
			}, sameOrigin)
		}
		remove := func(as, id string) *response {
			t.Helper()
			return f.call(as, "DELETE", base+"/"+id, nil, sameOrigin)
		}

		mine := save(ana, "alerts", "Mine", false).ok()
		if got := mine.text("query"); got != "sort=newest&type=b&type=a" {
			t.Errorf("the query is %q", got)
		}
		save(ana, "alerts", "Mine", false).fails(409, errs.CodeExists)
		save(ana, "tokens", "Mine", false).ok()
		shared := save(ana, "alerts", "Ours", true).ok()
		save(ana, "alerts", "Ours", true).fails(409, errs.CodeExists)
		benView := save(ben, "alerts", "Mine", false).ok()
		save(ben, "alerts", "Everyone's", true).fails(403, errs.CodeForbidden)

		if got := f.viewNames(ana, acme, "?list=alerts"); !slices.Equal(got, []string{"Mine", "Ours"}) {
			t.Errorf("Ana sees %q", got)
		}
		if got := f.viewNames(ana, acme, ""); !slices.Equal(got, []string{"Mine", "Mine", "Ours"}) {
			t.Errorf("Ana sees %q", got)
		}
		remove(ben, mine.text("id")).fails(404, errs.CodeNotFound)
		remove(ana, benView.text("id")).fails(404, errs.CodeNotFound)
		remove(ben, shared.text("id")).fails(403, errs.CodeForbidden)
		f.call(eve, "GET", base, nil).fails(403, errs.CodeForbidden)
		f.call(eve, "DELETE", "/accounts/"+globex+"/saved_views/"+shared.text("id"), nil, sameOrigin).
			fails(404, errs.CodeNotFound)
		if got := f.viewNames(eve, globex, ""); len(got) != 0 {
			t.Errorf("Eve sees %q", got)
		}
		remove(ana, shared.text("id")).ok()
		if got := f.viewNames(ben, acme, ""); !slices.Equal(got, []string{"Mine"}) {
			t.Errorf("Ben sees %q", got)
		}
		if got := f.recorded(acme, "saved_view"); !slices.Equal(got, []string{"create success", "delete success"}) {
			t.Errorf("recorded %q: private views are not recorded", got)
		}

		f.call(root, "DELETE", "/accounts/"+acme+"/members/"+benID, nil).ok()
		_, again := f.member(acme, "ben@acme.example", "viewer")
		if got := f.viewNames(again, acme, ""); len(got) != 0 {
			t.Errorf("the views of a removed member are there: %q", got)
		}
	})
}

func TestSavedViewsAreBounded(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	acme := f.account("Acme")
	_, ana := f.member(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/saved_views"
	long := make([]byte, 81)
	for i := range long {
		long[i] = 'x'
	}
	for pointer, spec := range map[string]object{
		"/list":   {"list": "settings", "name": "A"},
		"/name":   {"list": "alerts", "name": " "},
		"/query":  {"list": "alerts", "name": "A", "query": "a=%zz"},
		"/name/0": {"list": "alerts", "name": string(long)},
		"/name/1": {"list": "alerts", "name": "a\nb"},
	} {
		if a := f.call(ana, "POST", base, spec, sameOrigin); a.Status != 400 {
			t.Errorf("%s: %d %s", pointer, a.Status, a.Body)
		}
	}
	for i := range 50 {
		f.call(ana, "POST", base, object{"list": "alerts", "name": fmt.Sprint("View ", i)}, sameOrigin).ok()
	}
	one := object{"list": "alerts", "name": "One more"}
	f.call(ana, "POST", base, one, sameOrigin).fails(403, errs.CodeLimit)
	one["list"] = "tokens"
	f.call(ana, "POST", base, one, sameOrigin).ok()
	one["list"] = "alerts"
	one["shared"] = true
	f.call(ana, "POST", base, one, sameOrigin).ok()
}

func TestTheBarOfAListSavesAndDeletesViews(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Admin)
	ben := s.Member(acme, "ben@acme.example", account.Viewer)
	base := "/accounts/" + acme
	for _, name := range []string{"shop.example", "blog.example"} {
		s.Zone(acme, name)
	}
	list := base + "/properties?environment=production&sort=newest"
	page := ana.Get(list).Expect(200).Says("Save this view as")
	saved := page.Submit("Save", "name", "<b>Live", "shared", "on").Expect(303)
	if saved.Location != list {
		t.Errorf("it leads to %s", saved.Location)
	}
	ana.Get(saved.Location).Expect(200).Says("View saved.", "&lt;b&gt;Live").Lacks("<b>Live")
	ana.Get(list).Submit("Save", "name", "Live").Expect(303)

	s.Run("a fault is shown in a form that keeps what was typed", func() {
		again := ana.Get(list).Submit("Save", "name", "Live").Expect(409).
			Says("has this name already", `value="Live"`, `value="environment=production&amp;sort=newest"`)
		again.Submit("Save the view", "name", "Live 2").RedirectsTo(list)
	})
	s.Run("others see shared views only", func() {
		ben.Get(base+"/properties").Expect(200).Says("&lt;b&gt;Live").
			Lacks("Live 2", "For everyone in the account", "/delete")
		href := ana.Get(list).Find(`action="(` + base + `/views/[0-9a-f]{32}/delete)"`)
		ben.Get(href).Expect(200).Says("Everyone in the account")
		ben.Post(href).Expect(403)
		ana.PostFrom("cross-site", href).Expect(403)
		ben.Post(base+"/views?list=properties", "name", "Mine", "shared", "on").Expect(403)
	})
	s.Run("a deleted view is gone", func() {
		href := ana.Get(list).Find(`action="(` + base + `/views/[0-9a-f]{32}/delete)"`)
		ana.Get(href).Expect(200).Submit("Delete the view").RedirectsTo(base + "/properties")
		ana.Get(base + "/properties").Expect(200).Says("View deleted.")
		ben.Get(base + "/properties").Expect(200).Lacks("&lt;b&gt;Live")
		ana.Get(href).Expect(404)
	})
	s.Run("the other lists of the account have the bar too", func() {
		ana.Post(base+"/tokens", "name", "shop", "permission", "audit:write", "expires", "30").Expect(200)
		ana.Get(base + "/tokens").Expect(200).Says(base + "/views?list=tokens")
		ana.Get(base + "/members").Expect(200).Says(base + "/views?list=members")
	})
	s.Run("another account", func() {
		eve := s.Member(s.Account("Globex"), "eve@globex.example", account.Owner)
		eve.Post(base+"/views?list=tokens", "name", "x").Expect(404)
	})
}
