package account_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAZoneIsFoundByIDNameAndAlias(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("A"), f.account("B")
		path := "/accounts/" + a + "/zones"
		find := func(ref string) string {
			id, _, err := f.accounts.ResolveZone(t.Context(), a, ref)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		if find("www.shop.example") != "" {
			t.Fatal("found before it was created") // the missing zone is cached
		}
		made := f.call(root, "POST", path, object{
			"name": "Shop",
			"aliases": []string{
				"WWW.Shop.example.",
				"https://origin.example:8443",
				"192.0.2.7",
				"*.shop.example",
				"www.shop.example",
			},
		}).ok()
		zone := made.text("id")
		aliases := made.Result["aliases"].([]any)
		if len(aliases) != 4 || aliases[0] != "www.shop.example" || made.text("environment") != "production" {
			t.Fatal(made.Body)
		}
		for _, ref := range []string{
			zone,
			"Shop",
			"SHOP",
			"www.shop.example",
			"WWW.shop.example.",
			"https://origin.example:8443/",
			"192.0.2.7",
			"*.shop.example",
		} {
			if got := find(ref); got != zone {
				t.Errorf("%s: %q", ref, got)
			}
		}
		if id, _, err := f.accounts.ResolveZone(t.Context(), b, "shop"); id != "" || err != nil {
			t.Fatal("found in another account", err)
		}
		if id, _, err := f.accounts.ResolveZone(t.Context(), b, zone); id != "" || err != nil {
			t.Fatal("found in another account", err)
		}
		f.call(root, "POST", path, object{"name": "www.SHOP.example"}).fails(409, errs.CodeExists)
		f.call(root, "POST", path, object{"name": "Other", "aliases": []string{"shop"}}).fails(409, errs.CodeExists)
		f.call(root, "POST", path, object{"name": zone}).fails(400, errs.CodeInvalid)
		long := strings.Repeat("a", 64) + ".example"
		for _, bad := range []string{"a b", "http://", "host:port", "a..b", "x/y", long, "://x"} {
			f.call(root, "POST", path, object{"name": "Bad", "aliases": []string{bad}}).fails(400, errs.CodeInvalid)
		}
		f.call(root, "DELETE", path+"/shop", nil).ok()
		if find("shop") != "" || find(zone) != "" || find("192.0.2.7") != "" {
			t.Fatal("found after it was deleted")
		}
		if got := f.recorded(a, "zone"); !slices.Equal(got, []string{"create success", "delete success"}) {
			t.Fatal(got)
		}
	})
}

func TestAChangedZoneIsFoundByItsNewNamesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		zone, _, err := f.accounts.EnsureZone(t.Context(), a, "Shop.example")
		if err != nil {
			t.Fatal(err)
		}
		path := "/accounts/" + a + "/zones/" + zone
		read := f.call(root, "GET", path, nil).ok()
		// The hostname that traffic uses stays an alias.
		match := "If-Match: " + read.Header.Get("ETag")
		f.call(root, "PATCH", path, object{"name": "The shop", "environment": "test"}, match).ok()
		f.call(root, "PATCH", path, object{"name": "The shop!"}, match).fails(412, errs.CodeStale)
		again, name, err := f.accounts.EnsureZone(t.Context(), a, "shop.example")
		if again != zone || name != "The shop" || err != nil {
			t.Fatal(again, name, err)
		}
		f.call(root, "PATCH", path, object{"aliases": []string{"www.example"}}).ok()
		z, err := f.accounts.Zone(t.Context(), a, "WWW.example")
		if err != nil || z.ID != zone || z.Environment != account.Test || !slices.Equal(z.Aliases, []string{"www.example"}) {
			t.Fatal(z, err)
		}
		if id, _, _ := f.accounts.ResolveZone(t.Context(), a, "shop.example"); id != "" {
			t.Fatal("found by an alias that was removed")
		}
		f.call(root, "PATCH", path, object{"name": "www.example"}).ok()
		got := f.call(root, "GET", path, nil).ok()
		if got.text("name") != "www.example" || len(got.Result["aliases"].([]any)) != 0 {
			t.Fatal(got.Body)
		}
	})
}

func TestFirstSightMakesAZoneOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		ids := make(chan string, 20)
		for i := range cap(ids) {
			go func() {
				ref := "shop.example"
				if i%2 == 0 {
					ref = "SHOP.example."
				}
				id, _, err := f.accounts.EnsureZone(t.Context(), a, ref)
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		first := <-ids
		for range cap(ids) - 1 {
			if got := <-ids; got != first || got == "" {
				t.Errorf("%q and %q", first, got)
			}
		}
		if got := f.recorded(a, "zone"); len(got) != 1 {
			t.Fatal(got)
		}
		if e := f.outbox()[1]; e.Actor.Type != "system" || e.Interface != "SYSTEM" || e.Zone != first {
			t.Fatalf("%+v", e)
		}
		if _, _, err := f.accounts.EnsureZone(t.Context(), a, "not a host"); !errs.Is(err, errs.CodeInvalid) {
			t.Fatal(err)
		}
	})
}

var zoneColumns = []string{"id", "account_id", "name", "environment", "created_at", "modified_at", "seen"}

// zoneRow is a row of zoneColumns.
func zoneRow(n int, accountID string, seen bool) []any {
	return []any{
		fmt.Sprintf("%032x", n),
		accountID,
		"z",
		"test",
		1,
		1,
		seen,
	}
}

func TestTrafficCannotFillAnAccountWithZones(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	err := f.db.Tx(t.Context(), func(tx *db.Tx) error {
		rows := make([][]any, account.MaxZones-1)
		for i := range rows {
			rows[i] = zoneRow(i, a, false)
		}
		return tx.Insert(t.Context(), "zone", zoneColumns, "", rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	// Zones that traffic creates do not count, because visitors choose their names.
	if _, _, err := f.accounts.EnsureZone(t.Context(), a, "seen.example"); err != nil {
		t.Fatal(err)
	}
	f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": "last.example"}).ok()
	f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": "x"}).fails(403, errs.CodeLimit)
	f.call(root, "DELETE", "/accounts/"+a+"/zones/last.example", nil).ok()
	f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": "seen.example"}).ok()
}

func TestZonesArePagedWithTheirAliases(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		for i := range 5 {
			f.call(root, "POST", "/accounts/"+a+"/zones", object{
				"name":    fmt.Sprintf("z%d", i),
				"aliases": []string{fmt.Sprintf("b%d.example", i), fmt.Sprintf("a%d.example", i)},
			}).ok()
		}
		var names []string
		path := "/accounts/" + a + "/zones?limit=2"
		for range 10 {
			page := f.call(root, "GET", path, nil).ok()
			for _, z := range page.List {
				names = append(names, fmt.Sprint(z["name"], z["aliases"]))
			}
			if page.ResultInfo.Cursor == "" {
				break
			}
			path = "/accounts/" + a + "/zones?limit=2&cursor=" + page.ResultInfo.Cursor
		}
		slices.Sort(names)
		want := []string{
			"z0[b0.example a0.example]",
			"z1[b1.example a1.example]",
			"z2[b2.example a2.example]",
			"z3[b3.example a3.example]",
			"z4[b4.example a4.example]",
		}
		if !slices.Equal(names, want) {
			t.Fatal(names)
		}
		b := f.account("B")
		cursor := f.call(root, "GET", "/accounts/"+a+"/zones?limit=2", nil).ok().ResultInfo.Cursor
		f.call(root, "GET", "/accounts/"+b+"/zones?cursor="+cursor, nil).fails(400, errs.CodeBadCursor)
	})
}

func TestAnAliasHasOneFormHoweverItIsWritten(t *testing.T) {
	for in, want := range map[string]string{
		"WWW.Example.":              "www.example",
		"https://Origin.Example:1/": "https://origin.example:1",
		"2001:DB8:0::1":             "2001:db8::1",
		"[2001:db8::1]":             "2001:db8::1",
		"[2001:DB8::1]:443":         "[2001:db8::1]:443",
		"http://[2001:DB8:0:0::1]":  "http://[2001:db8::1]",
		"*.shop.example":            "*.shop.example",
		"_svc.Über.example":         "_svc.über.example",
		"checkout":                  "checkout",
	} {
		if got, err := account.Alias(in); got != want || err != nil {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, bad := range []string{
		"",
		".",
		"fe80::1%eth0",
		"]::1[",
		"a..b",
		"a:",
		"a:port",
		"a/b",
		"http://",
		"://a",
		"a b",
		"0192f7c417d170008000000000000001",
	} {
		if got, err := account.Alias(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzAlias(f *testing.F) {
	for _, s := range []string{
		"www.example",
		"https://a.example:1",
		"[2001:db8::1]:443",
		"*.x",
		"://",
		"ÄÖ.example",
		"a:b:c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded, err := account.Alias(s)
		if err != nil {
			return
		}
		if again, err := account.Alias(folded); err != nil || again != folded {
			t.Fatalf("%q -> %q -> %q, %v", s, folded, again, err)
		}
		if folded == "" || len(folded) > 1024 || strings.ContainsAny(folded, " \t\n") {
			t.Fatalf("%q -> %q", s, folded)
		}
	})
}
