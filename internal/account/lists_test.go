package account_test

import (
	"fmt"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// numbered reads a list by page numbers to its end, as the official clients do:
// until a page is empty.
func (f *fixture) numbered(as, path string, perPage int) (ids []string) {
	f.t.Helper()
	for n := 1; n < 100; n++ {
		page := f.call(as, "GET", fmt.Sprintf("%s%cper_page=%d&page=%d", path, separator(path), perPage, n), nil).ok()
		if len(page.List) == 0 {
			return ids
		}
		for _, one := range page.List {
			ids = append(ids, fmt.Sprint(one["id"]))
		}
	}
	f.t.Fatal("the list has no end")
	return nil
}

func separator(path string) rune {
	for _, c := range path {
		if c == '?' {
			return '&'
		}
	}
	return '?'
}

func TestEveryListOfAnAccountIsPagedByNumberAsByCursor(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("A")
		for i := range 5 {
			f.account(fmt.Sprint("more ", i))
			f.token(a, account.AccountsRead)
			f.call(root, "POST", "/accounts/"+a+"/zones", object{"name": fmt.Sprintf("z%d.example", i)}).ok()
			f.call(root, "POST", "/accounts/"+a+"/members", object{
				"email": fmt.Sprintf("m%d@example.com", i),
				"role":  "viewer",
			}).ok()
		}
		lists := []string{
			"/accounts",
			"/zones",
			"/accounts/" + a + "/zones",
			"/accounts/" + a + "/tokens",
			"/accounts/" + a + "/members",
			"/accounts/" + a + "/roles",
		}
		for _, path := range lists {
			var want []string
			cursor := ""
			for {
				page := f.call(root, "GET", path+"?limit=2&cursor="+cursor, nil).ok()
				for _, one := range page.List {
					want = append(want, fmt.Sprint(one["id"]))
				}
				if cursor = page.ResultInfo.Cursor; cursor == "" {
					break
				}
			}
			if len(want) < 5 {
				t.Fatalf("%s: only %v", path, want)
			}
			for _, perPage := range []int{1, 2, 100} {
				if got := f.numbered(root, path, perPage); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s, %d a page: %v instead of %v", path, perPage, got, want)
				}
			}
			f.call(root, "GET", path+"?page=101&per_page=100", nil).ok()
			f.call(root, "GET", path+"?page=102&per_page=100", nil).fails(400, errs.CodeOutOfRange)
			f.call(root, "GET", path+"?page=2&cursor=x", nil).fails(400, errs.CodeInvalid)
		}
	})
}

func TestAccountsAndZonesOfAllAccountsAreFiltered(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("Acme"), f.account("Other")
		for _, id := range []string{a, b} {
			f.call(root, "POST", "/accounts/"+id+"/zones", object{
				"name":    "shop.example",
				"aliases": []string{"www.shop.example"},
			}).ok()
			f.call(root, "POST", "/accounts/"+id+"/zones", object{"name": "api.example"}).ok()
		}
		_, token := f.token(a, account.AccountsRead)
		_, blind := f.token(a, account.AuditRead)
		for _, c := range []struct {
			as, path string
			n        int
		}{
			{root, "/accounts?name=acme", 1},
			{root, "/accounts?name=nobody", 0},
			{token, "/accounts?name=Other", 0},
			{root, "/zones", 4},
			{root, "/zones?name=Shop.Example", 2},
			{root, "/zones?name=www.shop.example", 0},
			{root, "/zones?account.id=" + a, 2},
			{root, "/zones?account.id=" + b + "&name=api.example", 1},
			{token, "/zones", 2},
			{token, "/zones?account.id=" + b, 0},
			{token, "/zones?name=api.example", 1},
			{blind, "/zones", 0},
		} {
			if got := f.call(c.as, "GET", c.path, nil).ok(); len(got.List) != c.n {
				t.Errorf("%s: %d instead of %d: %s", c.path, len(got.List), c.n, got.Body)
			}
		}
		one := f.call(token, "GET", "/zones?name=shop.example", nil).ok().List[0]
		owner := fmt.Sprintf("map[id:%s name:Acme]", a)
		if fmt.Sprint(one["account"]) != owner || fmt.Sprint(one["aliases"]) != "[www.shop.example]" {
			t.Errorf("%v", one)
		}
	})
}

func TestATokenIsVerifiedInItsAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a, b := f.account("A"), f.account("B")
		id, token := f.token(a, account.AuditRead)
		got := f.call(token, "GET", "/accounts/"+a+"/tokens/verify", nil).ok()
		if got.text("id") != id || got.text("status") != "active" {
			t.Fatal(got.Body)
		}
		f.call(token, "GET", "/accounts/"+b+"/tokens/verify", nil).fails(403, errs.CodeForbidden)
	})
}
