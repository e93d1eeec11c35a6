package app_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
)

// searchResult is the answer of a search as JSON, and the objects in it by kind.
type searchResult struct {
	body string
	app.SearchResult
}

func (v *visitor) find(account string, pairs ...string) searchResult {
	v.t.Helper()
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	p := v.Get("/accounts/" + account + "/find?" + q.Encode())
	f := searchResult{body: p.Body}
	if p.Status != 200 {
		v.t.Fatalf("find %v: %d %s", pairs, p.Status, p.Text())
	}
	if err := json.Unmarshal([]byte(p.Body), &f.SearchResult); err != nil {
		v.t.Fatalf("find %v: %v", pairs, err)
	}
	if f.Partial {
		v.t.Errorf("find %v: %v were left out", pairs, f.Late)
	}
	return f
}

func (f searchResult) kinds() []string {
	var list []string
	for _, g := range f.Groups {
		list = append(list, g.Kind)
	}
	return list
}

// titles are those of one kind.
func (f searchResult) titles(kind string) []string {
	var list []string
	for _, g := range f.Groups {
		for _, item := range g.Items {
			if g.Kind == kind {
				list = append(list, item.Title)
			}
		}
	}
	return list
}

// customerKinds are the kinds that a member with all rights can find, and of which the crawled account has objects.
var customerKinds = []string{"alert", "objective", "zone", "policy", "webhook", "member", "token", "account",
	"alert_type", "resource", "actor", "product", "action"}

func TestEveryKindIsFoundByThoseWhoMayReadIt(t *testing.T) {
	t.Parallel()
	s := newCrawled(t)
	owner := s.signIn(crawlEmail("owner"))
	for _, kind := range customerKinds {
		f := owner.find(s.full, "kind", kind)
		if len(f.Groups) != 1 || f.Groups[0].Kind != kind || len(f.Groups[0].Items) == 0 {
			t.Fatalf("a picker of %s is offered %s", kind, f.body)
		}
		item := f.Groups[0].Items[0]
		again := owner.find(s.full, "kind", kind, "q", item.Title)
		if !slices.Contains(again.titles(kind), item.Title) {
			t.Errorf("%s %q is not found by its name: %s", kind, item.Title, again.body)
		}
		if item.ID != "" && !strings.HasPrefix(kind, "a") &&
			!slices.Contains(owner.find(s.full, "q", item.ID).kinds(), kind) {
			t.Errorf("%s %q is not found by its id %s", kind, item.Title, item.ID)
		}
		if p := owner.Get(item.Href); p.Status != 200 {
			t.Errorf("%s %q leads to %s: %d", kind, item.Title, item.Href, p.Status)
		}
	}

	t.Run("ids lead to their objects", func(t *testing.T) {
		for _, alert := range []string{"second", "first-end"} { // ids of a part, and correlation ids
			if f := owner.find(s.full, "q", alert); !slices.Contains(f.kinds(), "alert") {
				t.Errorf("the alert %s is not found: %s", alert, f.body)
			}
		}
		s.append(s.full, auditEvent("event-of-4711", "ana", nil))
		f := owner.find(s.full, "q", "event-of-4711")
		path := "/accounts/" + s.full + "/audit/events/event-of-4711"
		if !slices.Equal(f.kinds(), []string{"event"}) || f.Groups[0].Items[0].Href != path {
			t.Errorf("the event is found as %s", f.body)
		}
		var history []struct{ ID string }
		if err := json.Unmarshal(s.call("GET", "/accounts/"+s.full+"/alerting/v3/history", nil), &history); err != nil {
			t.Fatal(err)
		}
		if f := owner.find(s.full, "q", history[0].ID); !slices.Equal(f.kinds(), []string{"delivery"}) {
			t.Errorf("the delivery is found as %s", f.body)
		}
	})

	t.Run("nothing of another account", func(t *testing.T) {
		foreign := s.account("Foreign Corporation")
		zone := s.made("POST", "/accounts/"+foreign+"/zones", object{"name": "foreign-corporation.example"})
		token := s.made("POST", "/accounts/"+foreign+"/tokens", object{
			"name":        "Foreign token",
			"permissions": []string{"audit:read"},
		})
		s.append(foreign, auditEvent("foreign-event-1", "foreign-actor", nil))
		s.member(foreign, "foreign@corporation.example", "owner")
		for _, q := range []string{"foreign", zone, token, foreign, "foreign-event-1", "corporation"} {
			for _, account := range []string{s.full, s.bare} {
				if f := owner.find(account, "q", q); len(f.Groups) > 0 {
					t.Errorf("in %s the search for %s finds %s", account, q, f.body)
				}
			}
		}
		p := owner.Get("/accounts/" + foreign + "/find?q=foreign")
		if p.Status != 404 || strings.Contains(p.Body, "corporation") {
			t.Errorf("a foreign account answers %d: %s", p.Status, p.Text())
		}
		// What is only in the full account is not found in the bare one.
		for _, kind := range customerKinds {
			full := owner.find(s.full, "kind", kind).titles(kind)
			bare := owner.find(s.bare, "kind", kind).titles(kind)
			if kind == "member" || kind == "alert_type" || kind == "account" || kind == "action" || kind == "product" ||
				kind == "actor" || kind == "resource" {
				continue // both have the same people, types and recorded acts
			}
			for _, title := range bare {
				if slices.Contains(full, title) {
					t.Errorf("%s %q is found in both accounts", kind, title)
				}
			}
		}
	})

	t.Run("each kind needs its permission", func(t *testing.T) {
		auditor := s.signIn(crawlEmail("auditor"))
		for _, kind := range customerKinds {
			got := auditor.find(s.full, "kind", kind).kinds()
			ofRecord := slices.Contains([]string{"account", "resource", "actor", "product", "action"}, kind)
			if ofRecord != (len(got) == 1) {
				t.Errorf("an auditor finds %v of the kind %s", got, kind)
			}
		}
		if p := auditor.Get("/console/find?q=shop"); p.Status != 403 {
			t.Errorf("a member searches the installation: %d", p.Status)
		}
		for _, kind := range []string{"team", "declared", "customer"} {
			if f := owner.find(s.full, "kind", kind); len(f.Groups) > 0 {
				t.Errorf("a member finds %s", f.body)
			}
		}
	})

	t.Run("operators find teams and accounts", func(t *testing.T) {
		operator := s.signIn(crawlEmail(staffRole))
		p := operator.Get("/console/find?q=shop")
		for _, want := range []string{`"kind":"team"`, "Shop team", `"kind":"declared"`} {
			p.Says(want)
		}
		operator.Get("/console/find?q="+s.full).Says(`"kind":"customer"`, `"title":"Zeta"`)
		operator.Get("/console/find?q=zet").Says(`"title":"Zeta"`)
	})

	t.Run("the page without scripts shows the same", func(t *testing.T) {
		p := owner.Get("/accounts/" + s.full + "/search?q=checkout")
		p.Says("Properties", "checkout.shop.example", `href="/accounts/`+s.full+`/audit?q=checkout"`)
		owner.Get("/accounts/" + s.full + "/search?q=zzzzzz").Says("Nothing found")
		owner.Get("/accounts/"+s.full+"/search").Says("Create a policy", "Acknowledge")
		s.signIn(crawlEmail("viewer")).Get("/accounts/"+s.full+"/search").Lacks("Create a policy", "Invite a member")
	})

	t.Run("the API answers the same", func(t *testing.T) {
		var got app.SearchResult
		if err := json.Unmarshal(s.call("GET", "/accounts/"+s.full+"/search?q=checkout&kind=zone", nil), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Groups) != 1 || got.Groups[0].Items[0].Title != "checkout.shop.example" {
			t.Errorf("%+v", got)
		}
	})
}
