package account_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func statusOf(err error) int { return errs.KindOf(err).Status() }

func TestAnAccountIsMadeReadAndChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		made := f.call(root, "POST", "/accounts", object{"name": "Acme", "external_id": "crm:42"}).ok()
		accountID := made.text("id")
		if len(accountID) != 32 || made.text("created_on") == "" || made.text("external_id") != "crm:42" {
			t.Fatal(made.Body)
		}
		f.call(root, "POST", "/accounts", object{"name": "Other", "external_id": "crm:42"}).fails(409, errs.CodeExists)
		read := f.call(root, "GET", "/accounts/ext:crm:42", nil).ok()
		if read.text("id") != accountID {
			t.Fatal(read.Body)
		}
		path := "/accounts/" + accountID
		f.call(root, "PATCH", path, object{"name": "Acme Ltd"}, `If-Match: "stale"`).fails(412, errs.CodeStale)
		changed := f.call(root, "PATCH", path, object{"name": "Acme Ltd"}, "If-Match: "+read.Header.Get("ETag")).ok()
		if changed.text("name") != "Acme Ltd" || changed.text("external_id") != "crm:42" {
			t.Fatal(changed.Body)
		}
		if got := f.recorded(accountID, "account"); len(got) != 2 || got[1] != "update success" {
			t.Fatal(got)
		}
	})
}

func TestAnUpsertMakesOneAccountHoweverOftenItIsSent(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ids := make(chan string, 20)
		for range cap(ids) {
			go func() { ids <- f.call(root, "PUT", "/accounts/external/crm-7", object{"name": "Seven"}).text("id") }()
		}
		first := <-ids
		for range cap(ids) - 1 {
			if got := <-ids; got != first || got == "" {
				t.Errorf("%q and %q", first, got)
			}
		}
		if got := f.recorded(first, "account"); len(got) != 1 {
			t.Fatalf("recorded %v: what changes nothing is not recorded", got)
		}
		renamed := f.call(root, "PUT", "/accounts/external/crm-7", object{"name": "VII"}).ok()
		if renamed.text("id") != first || renamed.text("name") != "VII" {
			t.Fatal(renamed.Body)
		}
	})
}

func TestAChangedExternalIDIsFollowedAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.call(root, "POST", "/accounts", object{"name": "A", "external_id": "old"}).ok().text("id")
		f.call(root, "GET", "/accounts/ext:new", nil).fails(404, errs.CodeNotFound)
		f.call(root, "GET", "/accounts/ext:old", nil).ok()
		f.call(root, "PATCH", "/accounts/"+a, object{"external_id": "new"}).ok()
		f.call(root, "GET", "/accounts/ext:new", nil).ok()
		f.call(root, "GET", "/accounts/ext:old", nil).fails(404, errs.CodeNotFound)
	})
}

func TestOnlyOperatorsChangeAnExternalID(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		_, owner := f.token(a, "*")
		f.call(owner, "PATCH", "/accounts/"+a, object{"external_id": "victim"}).fails(403, errs.CodeForbidden)
		f.call(owner, "PATCH", "/accounts/"+a, object{"name": "Renamed"}).ok()
		f.call(owner, "POST", "/accounts", object{"name": "Mine"}).fails(403, errs.CodeForbidden)
		f.call(owner, "PUT", "/accounts/external/x", object{"name": "Mine"}).fails(403, errs.CodeForbidden)
	})
}

func TestAListShowsOnlyWhatTheCredentialReads(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		b := f.account("B")
		c := f.account("C")
		_, token := f.token(b, account.AccountsRead)
		_, blind := f.token(b, account.AuditRead)
		if got := f.call(token, "GET", "/accounts", nil).ok(); len(got.List) != 1 || got.List[0]["id"] != b {
			t.Fatal(got.Body)
		}
		if got := f.call(blind, "GET", "/accounts", nil).ok(); len(got.List) != 0 {
			t.Fatal(got.Body)
		}
		_, cookie := f.member(a, "ana@example.com", "viewer")
		f.call(root, "POST", "/accounts/"+c+"/members", object{
			"email": "ana@example.com",
			"role":  "auditor",
		}).ok() // may not read the account
		if got := f.call(cookie, "GET", "/accounts", nil).ok(); len(got.List) != 1 || got.List[0]["id"] != a {
			t.Fatal(got.Body)
		}
		seen := map[any]bool{}
		path := "/accounts?limit=2"
		for range 5 {
			page := f.call(root, "GET", path, nil).ok()
			for _, one := range page.List {
				seen[one["id"]] = true
			}
			if page.ResultInfo.Cursor == "" {
				break
			}
			path = "/accounts?limit=2&cursor=" + page.ResultInfo.Cursor
		}
		if !seen[a] || !seen[b] || !seen[c] {
			t.Fatal(seen)
		}
	})
}

func TestAForeignAccountAnswersTheSameWhetherItExistsOrNot(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine, foreign := f.account("mine"), f.account("foreign")
		f.call(root, "PUT", "/accounts/external/taken", object{"name": "taken"}).ok()
		_, token := f.token(mine, "*")
		strip := func(a *response) string { return strings.ReplaceAll(a.Body, a.Header.Get("X-Request-Id"), "") }
		for _, route := range []string{"", "/tokens", "/members", "/zones", "/tokens/0192f7c417d170008000000000000001"} {
			get := func(ref string) string {
				return strip(f.call(token, "GET", "/accounts/"+ref+route, nil).fails(403, errs.CodeForbidden))
			}
			want := get("0192f7c417d170008000000000000009")
			for _, ref := range []string{foreign, "ext:taken", "ext:free", "nonsense"} {
				if got := get(ref); got != want {
					t.Errorf("%s%s:\n%s\n%s", ref, route, got, want)
				}
			}
		}
	})
}

func TestThingsOfAnotherAccountAreNotFoundByTheirID(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		mine, foreign := f.account("mine"), f.account("foreign")
		_, token := f.token(mine, "*")
		tokenID, _ := f.token(foreign, "audit:read")
		zone := f.call(root, "POST", "/accounts/"+foreign+"/zones", object{"name": "shop.example"}).ok().text("id")
		member, _ := f.member(foreign, "eve@example.com", "owner")
		for _, path := range []string{"/tokens/" + tokenID, "/zones/" + zone, "/members/" + member} {
			f.call(token, "GET", "/accounts/"+mine+path, nil).fails(404, errs.CodeNotFound)
			f.call(token, "DELETE", "/accounts/"+mine+path, nil).fails(404, errs.CodeNotFound)
			f.call(root, "GET", "/accounts/"+foreign+path, nil).ok()
		}
	})
}

func TestACreatingPostWithAnIdempotencyKeyCreatesOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		one := f.call(root, "POST", "/accounts", object{"name": "A"}, "Idempotency-Key: k1").ok()
		two := f.call(root, "POST", "/accounts", object{"name": "A"}, "Idempotency-Key: k1").ok()
		if one.text("id") != two.text("id") {
			t.Fatal(one.Body, two.Body)
		}
	})
}

func TestAFaultyConfigurationIsRefusedByName(t *testing.T) {
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	for want, cfg := range map[string]account.Config{
		"DB":              {},
		"bootstrap token": {Env: feature.Env{DB: f.db}, BootstrapToken: "short"},
		"external URL":    {Env: feature.Env{DB: f.db, URL: "belfry.example"}},
	} {
		if _, err := account.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := account.New(account.Config{Env: feature.Env{DB: f.db}}); err != nil {
		t.Error(err)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	f := newFixture(b, db.Config{DataDir: b.TempDir()})
	_, token := f.token(f.account("A"), "audit:write")
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.accounts.Authenticate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
