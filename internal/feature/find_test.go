package feature_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func titles(list []feature.Match) string {
	var out []string
	for _, m := range list {
		out = append(out, m.Title)
	}
	return strings.Join(out, "; ")
}

func TestBestRanksIdsThenBeginningsThenWords(t *testing.T) {
	list := []feature.Match{
		{ID: "1", Title: "Old checkout"},
		{ID: "2", Title: "Checkout availability"},
		{ID: "3", Title: "Blog", Names: []string{"checkout-blog@acme.example"}},
		{ID: "4", Title: "Checkout"},
		{ID: "checkout", Title: "Found by its id"},
		{ID: "6", Title: "Recheckouts"},
		{ID: "7", Title: "www.shop.example"},
	}
	for query, want := range map[string]string{
		"checkout":       "Found by its id; Checkout; Checkout availability; Old checkout; Blog",
		"CHECKOUT avail": "Checkout availability",
		"acme":           "Blog",
		"shop":           "www.shop.example",
		"old check":      "Old checkout",
		"heckout":        "",
		"kout":           "",
		"nothing":        "",
	} {
		if got := titles(feature.Best(query, 20, list)); got != want {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
	if got := titles(feature.Best("", 2, list)); got != "Old checkout; Checkout availability" {
		t.Errorf("an empty query offers %q", got)
	}
}

func TestPastedIdsAreRecognised(t *testing.T) {
	for query, want := range map[string]bool{
		"0198c0de0000700080000000000000ab": true,
		"deadbeefdeadbeefdeadbeefdeadbeef": true,
		"order-4711":                       true,
		"checkout":                         false,
		"two words 1":                      false,
		"v1":                               false,
	} {
		if feature.Pasted(query) != want {
			t.Errorf("Pasted(%q) is %v", query, !want)
		}
	}
}

// named is a finder that gives one match of its kind.
func named(kind, permission string) feature.Finder {
	return feature.Finder{
		Kind: kind, Label: kind, Permission: permission,
		Find: func(_ context.Context, account, query string, _ int) ([]feature.Match, error) {
			return []feature.Match{{ID: kind, Title: account + " " + query}}, nil
		},
	}
}

func kinds(f feature.Found) string {
	var list []string
	for _, g := range f.Groups {
		list = append(list, g.Kind)
	}
	return strings.Join(list, " ")
}

func TestASearchAsksOnlyTheKindsThatThePrincipalMaySee(t *testing.T) {
	console := named("team", "catalog:write")
	console.Console = true
	list := feature.Finders{named("alert", "notifications:read"), named("zone", "accounts:read"), console,
		named("any", web.AnyPermission)}
	member := &web.Principal{Kind: web.KindUser, Grants: map[string]web.Permissions{"a": {"accounts:read"}}}
	operator := &web.Principal{Kind: web.KindStaff, Superoperator: true}
	for name, c := range map[string]struct {
		search feature.Search
		want   string
	}{
		"a member":                 {feature.Search{Who: member, Account: "a"}, "zone any"},
		"a member, one kind":       {feature.Search{Who: member, Account: "a", Kind: "zone"}, "zone"},
		"a member, a foreign kind": {feature.Search{Who: member, Account: "a", Kind: "alert"}, ""},
		"another account":          {feature.Search{Who: member, Account: "b"}, ""},
		"no account":               {feature.Search{Who: member}, ""},
		"no principal":             {feature.Search{Account: "a"}, ""},
		"an operator":              {feature.Search{Who: operator, Account: "a"}, "alert zone team any"},
		"an operator, no account":  {feature.Search{Who: operator}, "team"},
	} {
		t.Run(name, func(t *testing.T) {
			c.search.Query = "x"
			found, err := list.Search(t.Context(), c.search)
			if got := kinds(found); got != c.want || err != nil || len(found.Late) > 0 {
				t.Errorf("found %q, late %v, %v; want %q", got, found.Late, err, c.want)
			}
		})
	}
}

func TestASlowOrFailingKindIsLeftOutAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := named("slow", web.AnyPermission)
		slow.Find = func(ctx context.Context, _, _ string, _ int) ([]feature.Match, error) {
			<-ctx.Done()
			return []feature.Match{{Title: "too late"}}, nil // ignores the deadline
		}
		failing := named("failing", web.AnyPermission)
		failing.Find = func(context.Context, string, string, int) ([]feature.Match, error) {
			return nil, errors.New("the database is away")
		}
		list := feature.Finders{slow, named("one", web.AnyPermission), failing, named("two", web.AnyPermission)}
		began := time.Now()
		found, err := list.Search(t.Context(), feature.Search{
			Who:     &web.Principal{Superoperator: true},
			Account: "a",
			Query:   "x",
		})
		if kinds(found) != "one two" || !slices.Equal(found.Late, []string{"slow", "failing"}) {
			t.Errorf("found %q, late %v", kinds(found), found.Late)
		}
		if err == nil || !strings.Contains(err.Error(), "failing: the database is away") ||
			strings.Contains(err.Error(), "slow") {
			t.Errorf("the log gets %v", err)
		}
		if took := time.Since(began); took != feature.FindTimeout {
			t.Errorf("the search took %v", took)
		}
	})
}

func TestASearchIsBounded(t *testing.T) {
	many := named("many", web.AnyPermission)
	many.Find = func(_ context.Context, _, query string, limit int) ([]feature.Match, error) {
		if len(query) > feature.MaxQuery {
			t.Errorf("the query has %d bytes", len(query))
		}
		return make([]feature.Match, limit+5), nil
	}
	found, err := feature.Finders{many}.Search(t.Context(), feature.Search{
		Who: &web.Principal{Superoperator: true}, Account: "a", Query: strings.Repeat("é", 400), Limit: 1000,
	})
	if err != nil || len(found.Groups[0].Matches) != feature.MaxMatches {
		t.Errorf("%d matches, %v", len(found.Groups[0].Matches), err)
	}
}

func TestAnActionIsForThoseWhoMayDoIt(t *testing.T) {
	a := feature.Action{Label: "Create", Href: "/accounts/{account_id}/new", Permission: "slo:write"}
	writer := &web.Principal{Grants: map[string]web.Permissions{"a": {"slo:write"}, "b": {"slo:read"}}}
	if got, ok := a.In(writer, "a"); !ok || got.Href != "/accounts/a/new" {
		t.Errorf("%v %v", got.Href, ok)
	}
	if _, ok := a.In(writer, "b"); ok {
		t.Error("a reader may create")
	}
}
