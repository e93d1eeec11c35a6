package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// notations are spellings of one host; the first is its key.
var notations = [][]string{
	{
		"shop.example",
		"Shop.Example.",
		"shop.example:443",
		"SHOP.example:80",
		"https://shop.example",
		"http://shop.example/",
		"https://shop.example:443/checkout?a=1#b",
		" shop.example ",
		"shop。example",
		"shop.example.:443",
	},
	{
		"xn--bcher-kva.example",
		"bücher.example",
		"BÜCHER.example.",
		"bu\u0308cher.example",
		"https://bücher.example:443/x",
		"XN--BCHER-KVA.example",
	},
	{"shop.example:8443", "https://SHOP.example.:8443/x", "Shop.example:8443"},
	{"2001:db8::1", "[2001:DB8:0::1]", "[2001:db8::1]:443", "https://[2001:db8::1]/x"},
	{"192.0.2.7", "192.0.2.7:80", "http://192.0.2.7/", "::ffff:192.0.2.7"},
	{"*.xn--bcher-kva.example", "*.Bücher.example."},
	{"_svc.checkout", "_SVC.Checkout"},
	{"the shop!", "The Shop!"},
}

func TestOneHostHasOneKeyHoweverItIsWritten(t *testing.T) {
	for _, list := range notations {
		for _, s := range list {
			if got := account.ZoneKey(s); got != list[0] {
				t.Errorf("%q: %q instead of %q", s, got, list[0])
			}
		}
	}
}

func FuzzZoneKey(f *testing.F) {
	for _, list := range notations {
		for _, s := range list {
			f.Add(s)
		}
	}
	f.Add("10.0.0.0.:00")
	f.Fuzz(func(t *testing.T, s string) {
		key := account.ZoneKey(s)
		if again := account.ZoneKey(key); again != key {
			t.Fatalf("%q -> %q -> %q", s, key, again)
		}
	})
}

func TestEveryNotationOfAHostMeansItsZone(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		for _, list := range notations {
			for _, made := range list {
				a := f.account("A")
				zone := f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": made}).ok().text("id")
				for _, s := range list {
					if id, _, err := f.accounts.ResolveZone(t.Context(), a, s); id != zone || err != nil {
						t.Errorf("made as %q, %q is %q, %v", made, s, id, err)
					}
					f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": s}).fails(409, errs.CodeExists)
					if list[0] != "the shop!" {
						if id, _, err := f.accounts.EnsureZone(t.Context(), a, s); id != zone || err != nil {
							t.Errorf("made as %q, traffic for %q goes to %q, %v", made, s, id, err)
						}
					}
				}
				if got := f.call(root, "GET", "/accounts/"+a+"/zones", nil).ok().List; len(got) != 1 {
					t.Errorf("made as %q: %v", made, got)
				}
			}
		}
	})
}

// References of earlier versions, which stored no key, keep their zones.
func TestReferencesWithoutAStoredKeyAreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		for _, stored := range []string{
			"bücher.example",
			"xn--bcher-kva.example",
			"https://bücher.example",
			"http://xn--bcher-kva.example",
			"bücher.example:443",
		} {
			a := f.account("A")
			path := "/accounts/" + a + "/zones"
			zone := f.call(root, "POST", path, object{"name": "Books"}).ok().text("id")
			err := f.db.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO zone_ref (account_id, ref, zone_id, position)
					VALUES ($1, $2, $3, 1)`, a, stored, zone)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range notations[1] {
				if id, _, err := f.accounts.ResolveZone(t.Context(), a, s); id != zone || err != nil {
					t.Errorf("stored as %q, %q is %q, %v", stored, s, id, err)
				}
			}
			f.call(root, "POST", path, object{"name": "xn--bcher-kva.example"}).fails(409, errs.CodeExists)
			f.call(root, "PATCH", path+"/"+zone, object{"environment": "test"}).ok()
			if id, _, err := f.accounts.ResolveZone(t.Context(), a, "Bücher.example"); id != zone || err != nil {
				t.Errorf("stored as %q, then changed: %q, %v", stored, id, err)
			}
		}
	})
}

func TestVisitorsDoNotFillAnAccountWithProperties(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		path := "/accounts/" + a + "/zones"
		names := map[string]int{}
		for i := range 3 * account.MaxSeenAnHour {
			_, name, err := f.accounts.EnsureZone(t.Context(), a, fmt.Sprintf("random-%d.example", i))
			if err != nil {
				t.Fatal(err)
			}
			names[name]++
		}
		if len(names) != account.MaxSeenAnHour+1 || names[account.OtherZone] != 2*account.MaxSeenAnHour {
			t.Fatalf("%d names, %d for others", len(names), names[account.OtherZone])
		}
		// One event for the first of them, one for the zone of the others.
		if got := f.recorded(a, "zone"); len(got) != 2 {
			t.Errorf("the audit log has %d events", len(got))
		}
		// The limits do not apply to a zone that is added by hand, which gets its
		// traffic from then on; a zone that is known from traffic can be added too.
		added := f.call(root, "POST", path, object{"name": "real.example"}).ok()
		if id, _, err := f.accounts.EnsureZone(t.Context(), a, "REAL.example:443"); id != added.text("id") || err != nil {
			t.Fatal(id, err)
		}
		seen, _, err := f.accounts.EnsureZone(t.Context(), a, "random-1.example")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.call(root, "GET", path+"/"+seen, nil).ok(); got.Result["verified"] != false {
			t.Error(got.Body)
		}
		adopted := f.call(root, "POST", path, object{"name": "random-1.example", "environment": "staging"}).ok()
		if adopted.text("id") != seen || adopted.Result["verified"] != true {
			t.Error(adopted.Body)
		}
		other, _, err := f.accounts.EnsureZone(t.Context(), a, "random-2.example")
		if err != nil {
			t.Fatal(err)
		}
		changed := f.call(root, "PATCH", path+"/"+other, object{"environment": "test"}).ok()
		if changed.Result["verified"] != true {
			t.Error(changed.Body)
		}
		// An hour later traffic can create zones again, and one more event has the
		// number of zones since the last event.
		f.later(time.Hour)
		if _, name, err := f.accounts.EnsureZone(t.Context(), a, "later.example"); name != "later.example" || err != nil {
			t.Fatal(name, err)
		}
		list := f.outbox()
		last := list[len(list)-1]
		others := last.Metadata["others_since_the_last_event"]
		if last.Resource.Name != "later.example" || others != float64(account.MaxSeenAnHour-1) {
			t.Errorf("%+v", last)
		}
		// Another account has its own limits.
		_, name, err := f.accounts.EnsureZone(t.Context(), f.account("B"), "x.example")
		if name != "x.example" || err != nil {
			t.Fatal(name, err)
		}
	})
}

func TestTrafficNeverBringsMoreThanItsShareOfProperties(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	a := f.account("A")
	err := f.db.Tx(t.Context(), func(tx *db.Tx) error {
		rows := make([][]any, account.MaxSeen)
		for i := range rows {
			rows[i] = zoneRow(i, a, true)
		}
		return tx.Insert(t.Context(), "zone", zoneColumns, "", rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"more.example", "still.more.example"} {
		if _, name, err := f.accounts.EnsureZone(t.Context(), a, ref); name != account.OtherZone || err != nil {
			t.Fatal(name, err)
		}
	}
	f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": "more.example"}).ok()
}
