package account_test

import (
	"context"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// withNeighbours gives the pages the objects of other features: one objective, alert and hour of traffic for each zone
// with the id in zone.
func withNeighbours(zone *string) func(*account.Config) {
	return func(cfg *account.Config) {
		at := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
		cfg.Objectives = func(context.Context, string) ([]account.ZoneObjective, error) {
			return []account.ZoneObjective{{Zone: *zone, Name: "<b>Checkout", Href: "/objective-1", State: "Burning",
				Tone: ui.Bad, Left: "41 %", Bar: 41, Counted: true, Burn: "14x over 1 h"}}, nil
		}
		cfg.Alerts = func(_ context.Context, _, zoneID string, _ int) ([]account.ZoneAlert, error) {
			if zoneID != *zone {
				return nil, nil
			}
			return []account.ZoneAlert{
				{Title: "Budget burns", Href: "/alert-2", Firing: true, At: at},
				{Title: "Slow answers", Href: "/alert-1", At: at, EndedAt: at.Add(11 * time.Minute)},
			}, nil
		}
		cfg.Traffic = func(context.Context, string, string) (account.ZoneTraffic, error) {
			return account.ZoneTraffic{Total: 12_000, Bad: 30, LastAt: at,
				Intervals: []account.ZoneInterval{
					{Start: at, Total: 6_000},
					{Start: at.Add(10 * time.Minute), Total: 6_000, Bad: 30},
				}}, nil
		}
		cfg.Changes = func(
			_ context.Context, _, zoneID string, since, _ time.Time, _ int,
		) ([]ui.ChartMark, error) {
			if zoneID != *zone {
				return nil, nil
			}
			return []ui.ChartMark{{At: since.Unix() + 60, Label: "Ana lowered the timeout", Href: "/change-1"}}, nil
		}
		cfg.Activity = func(
			_ context.Context, _ *web.Principal, _ string, about feature.About, _ int,
		) (ui.Activity, error) {
			sentence := ui.Sentence{{Text: "Ana changed zone " + about.Zone + " as " + about.Actor + about.Token}}
			return ui.Activity{Rows: []ui.ActivityRow{{ID: "e1", Actor: "Ana", Sentence: sentence, At: at}}}, nil
		}
	}
}

func TestThePageOfAPropertyShowsWhatDependsOnIt(t *testing.T) {
	zone := ""
	s := newDashboard(t, withNeighbours(&zone))
	acme := s.Account("Acme")
	zone = s.Zone(acme, "shop.example")
	other := s.Zone(acme, "blog.example")
	href := "/accounts/" + acme + "/properties/" + zone
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	ana.Get(href).Expect(200).
		Says("1 alert fires", "&lt;b&gt;Checkout", "41 %", "12,000", "0.25 % of the requests", "11 min",
			"Failed requests", "Ana lowered the timeout", "Ana changed zone "+zone).
		Lacks("<b>Checkout").
		Links("/change-1", "/objective-1", "/alert-2", "/accounts/"+acme+"/objectives/new?zone="+zone)
	ana.Get("/accounts/"+acme+"/properties/"+other).Expect(200).
		Says("No objective yet", "No alert about this property").Lacks("1 alert fires", "Checkout")
	s.Run("parts", func() {
		ana.Fragment(href, "div#now").Expect(200).Says("41 %", "Budget burns").Lacks("Ana changed", "<h1>")
		ana.Fragment(href, "div#hub-head").Expect(200).Says("1 alert fires").Lacks("41 %")
		ana.Fragment(href, "div#traffic").Expect(200).Says("12,000", "Ana lowered").Lacks("41 %</span>", "Ana changed")
		ana.Fragment(href, "section#activity").Expect(200).Says("Ana changed").Lacks("41 %")
	})
	s.Run("a role without these permissions", func() {
		kim := s.Visitor()
		_, token := s.token(acme, "*")
		url := s.call(token, "POST", "/accounts/"+acme+"/portal_sessions",
			object{"member": object{"id": "kim"}, "role": "viewer", "sections": []string{"audit"}}).ok().text("url")
		kim.SignIn(url)
		kim.Get(href).Expect(403).Lacks("Checkout", "Budget burns", "12,000")
	})
}

func TestTheListOfPropertiesFiltersAndSorts(t *testing.T) {
	zone := ""
	s := newDashboard(t, withNeighbours(&zone))
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	base := "/accounts/" + acme + "/properties"
	ana.Post(base, "name", "alpha.example", "aliases", "www.first.example", "environment", "production").Expect(303)
	ana.Post(base, "name", "beta.example", "environment", "test").Expect(303)
	s.later(time.Minute)
	zone = s.Zone(acme, "gamma.example")
	if _, _, err := s.Accounts.EnsureZone(t.Context(), acme, "seen.example"); err != nil {
		t.Fatal(err)
	}
	order := func(query string, names ...string) {
		t.Helper()
		p := ana.Get(base + query).Expect(200)
		at := 0
		for _, name := range names {
			i := indexAfter(p.Body, ">"+name+"</a>", at)
			if i < 0 {
				t.Fatalf("%s: %s is missing or out of order: %s", query, name, p.Text())
			}
			at = i
		}
		for _, name := range []string{"alpha.example", "beta.example", "gamma.example", "seen.example"} {
			listed := false
			for _, wanted := range names {
				listed = listed || wanted == name
			}
			if !listed {
				p.Lacks(">" + name + "</a>")
			}
		}
	}
	order("", "alpha.example", "beta.example", "gamma.example", "seen.example")
	order("?sort=newest&source=confirmed&environment=production", "gamma.example", "alpha.example")
	order("?environment=test", "beta.example")
	order("?environment.not=test&objective=no&source=confirmed", "alpha.example")
	order("?objective=yes", "gamma.example")
	order("?source=traffic", "seen.example")
	order("?q=www.first", "alpha.example")
	ana.Get(base + "?q=nothing").Expect(200).Says("No property matches")
}

func TestActsOnChosenProperties(t *testing.T) {
	zone := ""
	s := newDashboard(t, withNeighbours(&zone))
	acme := s.Account("Acme")
	base := "/accounts/" + acme + "/properties"
	zone = s.Zone(acme, "one.example")
	two := s.Zone(acme, "two.example")
	foreign := s.Zone(s.Account("Other"), "foreign.example")
	ana := s.Member(acme, "ana@acme.example", account.Owner)
	ana.Get(base).Expect(200).Says(`name="id" value="` + zone + `"`)
	ana.Post(base+"/chosen", "act", "staging", "id", zone, "id", two, "id", foreign).RedirectsTo(base)
	ana.Get(base+"?environment=staging").Expect(200).Says("one.example", "two.example")
	ana.Post(base+"/chosen", "act", "moon", "id", zone).Expect(400)
	ana.Post(base+"/chosen", "act", "staging").RedirectsTo(base)
	s.Run("deletion asks", func() {
		ask := ana.Post(base+"/chosen", "act", "delete", "id", zone, "id", two).Expect(200).
			Says("Delete 2 properties?", "1 objective will have no more data")
		ana.Get(base).Expect(200).Says("one.example")
		ask.Submit("Delete the properties").RedirectsTo(base)
		ana.Get(base).Expect(200).Says("No property yet")
	})
	s.Run("a viewer", func() {
		vic := s.Member(acme, "vic@acme.example", account.Viewer)
		vic.Post(base+"/chosen", "act", "staging", "id", zone).Expect(403)
		vic.Get(base).Expect(200).Lacks(`class="select-bar"`)
	})
}

// indexAfter is the place of a text after another place; -1 = not there.
func indexAfter(s, text string, from int) int {
	for i := from; i+len(text) <= len(s); i++ {
		if s[i:i+len(text)] == text {
			return i
		}
	}
	return -1
}
