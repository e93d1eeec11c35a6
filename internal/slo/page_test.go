package slo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/browser"
	"github.com/belfryhq/belfry/test/site"
)

// dashboard is an account's dashboard with the feature's pages and operations:
// real zones, and counts that were really handled.
type dashboard struct {
	*world
	*site.Site
	acme   string // account
	shop   string // zone
	blog   string // zone
	base   string // path of the objectives
	ana    *site.Visitor
	viewer *site.Visitor
	zones  func(ctx context.Context, accountID, ref string) (id, name string, err error)
}

const dashboardNow = epoch + 30*86400 + 4*3600

func newDashboard(t *testing.T) *dashboard {
	t.Helper()
	s := &dashboard{world: newWorld(t, "")}
	s.setClock(dashboardNow)
	s.Site = site.New(t, site.Config{Now: s.Now, Nav: []site.Entry{
		{Section: "objectives", Label: "Objectives", Path: "/accounts/{account_id}/objectives", Icon: "target"},
	}})
	s.acme = s.Account("Acme")
	s.base = "/accounts/" + s.acme + "/objectives"
	s.shop = s.Zone(s.acme, "shop.example")
	s.blog = s.Zone(s.acme, "blog.example")
	s.zones = s.Accounts.ResolveZone
	var err error
	s.f, err = slo.New(slo.Config{
		Env: feature.Env{DB: s.db, Record: feature.NewRecorder(s.record), Now: s.Now},
		Zone: func(ctx context.Context, accountID, ref string) (string, string, error) {
			return s.zones(ctx, accountID, ref)
		},
		Zones:   s.zoneOptions,
		Member:  s.Accounts.IsMember,
		Changes: s.changes,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Add(s.f.Pages)
	s.f.API(s.API)
	s.ana = s.Member(s.acme, "owner@acme.example", accounts.Owner)
	s.viewer = s.Member(s.acme, "viewer@acme.example", accounts.Viewer)
	return s
}

func (s *dashboard) zoneOptions(context.Context, string) ([]slo.ZoneName, error) {
	return []slo.ZoneName{{ID: s.blog, Name: "blog.example"}, {ID: s.shop, Name: "shop.example"}}, nil
}

// changes has one change of the shop, 43 seconds before it breaks.
func (s *dashboard) changes(_ context.Context, q slo.ChangesQuery) ([]slo.Change, error) {
	at := time.Unix(dashboardNow-180-43, 0)
	if q.Account != s.acme || q.Zone != s.shop || at.Before(q.Since) || at.After(q.Until) {
		return nil, nil
	}
	return []slo.Change{{
		At:    at,
		Label: "Ana lowered the payment timeout of shop.example from 2000 to 20",
		Href:  "/accounts/" + q.Account + "/audit?event=x",
	}}, nil
}

// furnish fills weeks of history: the shop breaks three minutes before now; the
// blog is little, with three errors that could be chance.
func (s *dashboard) furnish() (checkout, little *slo.Objective) {
	s.world.t.Helper()
	make1 := func(spec slo.ObjectiveSpec) *slo.Objective {
		o, err := s.f.Create(s.world.t.Context(), s.acme, spec)
		if err != nil {
			s.world.t.Fatal(err)
		}
		return o
	}
	checkout = make1(slo.ObjectiveSpec{Name: "checkout", Match: slo.Match{Zone: s.shop}, Target: 99.95})
	little = make1(slo.ObjectiveSpec{Name: "blog", Match: slo.Match{Zone: s.blog}, Target: 99.9, Pairs: slo.StandardX2})
	make1(slo.ObjectiveSpec{
		Name:   "payments origin",
		Match:  slo.Match{Zone: s.shop, Origin: "10.0.0.7:8443"},
		Target: 99.5,
		Window: "month",
	})
	var list []event.Traffic
	for at := int64(dashboardNow - 28*86400); at < dashboardNow-4*3600; at += 3600 {
		bad := int64(2)
		if at > dashboardNow-9*86400 && at < dashboardNow-9*86400+4*3600 {
			bad = 600 // an afternoon nine days ago
		}
		list = append(list, count(s.shop, "h", event.Count{At: at, Seconds: 3600, Total: 36_000, Bad: bad}),
			count(s.blog, "h", event.Count{At: at, Seconds: 3600, Total: 20}))
	}
	for at := int64(dashboardNow - 4*3600); at < dashboardNow; at += 10 {
		bad := int64(0)
		if at >= dashboardNow-180 {
			bad = 60
		}
		list = append(list, count(s.shop, "t", event.Count{At: at, Seconds: 10, Total: 100, Bad: bad}))
		if at%600 == 0 {
			c := event.Count{At: at, Seconds: 10, Total: 6}
			if at >= dashboardNow-3600 && at < dashboardNow-2400 || at == dashboardNow-600 {
				c.Bad = 1
			}
			list = append(list, count(s.blog, "t", c))
		}
	}
	for i := range list {
		list[i].Account = s.acme
		list[i].ID += list[i].Zone + time.Unix(list[i].Counts[0].At, 0).String()
	}
	for len(list) > 0 {
		n := min(len(list), 1000)
		s.handle(list[:n]...)
		list = list[n:]
	}
	return checkout, little
}

func TestObjectivePages(t *testing.T) {
	s := newDashboard(t)
	s.ana.Get(s.base).Expect(200).Says("No objective yet", "/traffic/counts", "belfry tail")
	checkout, little := s.furnish()
	burning := s.base + "/" + checkout.ID
	s.Run("the list", func() {
		s.ana.Get(s.base).Expect(200).
			Says("1 objective is burning its budget too fast.", "checkout", "99.95 %", "shop.example", "10.0.0.7:8443")
	})
	s.Run("an objective that burns", func() {
		s.ana.Get(burning).Expect(200).
			Says("checkout is burning its budget", "At the rate of the last 5 min", "It ends 5:00 after the failures stop").
			Says("1h/5m", "Ana lowered the payment timeout", "Began", "Replayed history: no alert was sent", "Covered")
		s.ana.Fragment(burning, "div#objective-live").Expect(200).Says("checkout is burning").Lacks("<html", "data-chart")
		for _, name := range []string{"1h", "6h", "1d", "7d", "28d", "90d", "nonsense"} {
			s.ana.Get(burning + "?range=" + name).Expect(200).Says("data-chart")
		}
	})
	s.Run("an objective with few failures", func() {
		s.ana.Get(s.base+"/"+little.ID).Expect(200).
			Says("three errors could be chance and send no alert; ", "blog is on track: ")
	})
	s.Run("the overview has the worst first", func() {
		list, err := s.f.Summaries(t.Context(), s.acme)
		if err != nil || len(list) != 3 {
			t.Fatalf("%v %+v", err, list)
		}
		states := []slo.State{slo.Burning, slo.NoData, slo.Healthy}
		for i, want := range states {
			if list[i].State != want {
				t.Errorf("%d is %s: expected %s", i, list[i].State, want)
			}
		}
		if first := list[0]; first.Name != "checkout" || first.Href != burning ||
			!strings.HasSuffix(first.Burn, "× over 1 h") {
			t.Errorf("%+v", first)
		}
	})
	s.Run("missing data is reported, also while the budget burns", func() {
		s.setClock(dashboardNow + 3600)
		s.ana.Get(burning).Expect(200).Says("There has been no data since", "no data does not mean no failures")
		s.ana.Get(s.base + "/" + little.ID).Expect(200).Says("There is no data since ")
	})
}

func TestObjectiveForms(t *testing.T) {
	s := newDashboard(t)
	objective := func(name, target string, more ...string) []string {
		fields := []string{"name", name, "match/zone", s.shop, "kind", "zone", "target", target, "window", "28d"}
		return append(fields, more...)
	}
	var path string
	s.Run("faults", func() {
		s.ana.Get(s.base + "/new").Expect(200).Says("Create the objective").Lacks("shop.example")
		s.ana.Get(s.base + "/new?zone=" + s.shop).Expect(200).Says("<b>shop.example</b>")
		s.ana.Post(s.base, "name", "", "match/zone", s.shop, "kind", "hostname", "value", "", "target", "many",
			"window", "28d", "pairs", "own", "pair.long", "1h", "pair.short", "5m", "pair.factor", "fast",
			"pair.severity", "page", "pair.long", "1h", "pair.short", "2h", "pair.factor", "3", "pair.severity", "page").
			Expect(400).
			Says("Expected a percentage such as 99.95", "Name it, or choose all requests", "The name must have 1 to 100",
				"Expected a factor such as 14.4, not &#34;fast&#34;", "The short window must be shorter", `value="fast"`)
		s.ana.Post(s.base, objective("checkout", "90", "pairs", "standard")...).Expect(400).Says("could never fire")
	})
	s.Run("create", func() {
		created := s.ana.Post(s.base, objective("checkout", "99.95", "pairs", "own",
			"pair.long", "1h", "pair.short", "5m", "pair.factor", "10", "pair.severity", "page",
			"pair.long", "1d", "pair.short", "2h", "pair.factor", "2", "pair.severity", "ticket")...)
		path = created.Expect(303).Location
		s.ana.Get(path).Expect(200).Says("Objective created.", "There is no data yet.", "page at 10×", "ticket at 2×")
		s.ana.Get(path+"/edit").Expect(200).Says(`name="pair.factor" value="10"`, `name="pair.factor" value="2"`)
		s.ana.Post(s.base, objective("checkout", "99", "pairs", "standard")...).
			Expect(409).Says("Another objective of the account is called checkout")
	})
	s.Run("change", func() {
		s.ana.Get(path+"/edit").Submit("Save", "name", "cart", "target", "99.9", "window", "month", "pairs", "standard").
			RedirectsTo(path)
		s.ana.Get(path).Expect(200).Says("cart", "this month")
	})
	s.Run("a viewer only reads", func() {
		for _, p := range []string{path + "/edit", path + "/delete", s.base + "/new"} {
			s.viewer.Get(p).Expect(403)
		}
		s.viewer.Post(path + "/delete").Expect(403)
		s.viewer.Get(path).Expect(200).Lacks("/edit")
	})
	s.Run("delete", func() {
		ask := s.ana.Get(path + "/delete").Expect(200).Says("Delete cart?")
		ask.Submit("Delete the objective").RedirectsTo(s.base)
		s.ana.Get(path).Expect(404)
	})
	var actions []string
	for _, e := range s.recorded {
		actions = append(actions, e.Action.Type+" "+e.Resource.Name+" "+e.Actor.Type)
	}
	if got := strings.Join(actions, ", "); got != "create checkout user, update cart user, delete cart user" {
		t.Error(got)
	}
}

func TestAForeignObjectiveLooksLikeNone(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	other := s.Account("Other")
	eve := s.Member(other, "eve@other.example", accounts.Owner)
	for _, account := range []string{s.acme, other} {
		path := "/accounts/" + account + "/objectives/" + checkout.ID
		for _, p := range []string{path, path + "/edit", path + "/delete"} {
			eve.Get(p).Expect(404).Lacks("checkout")
		}
		eve.Post(path + "/delete").Expect(404)
	}
	if _, err := s.f.Objective(t.Context(), s.acme, checkout.ID); err != nil {
		t.Error(err)
	}
	// A zone of another account does not exist.
	_, err := s.f.Create(t.Context(), other, slo.ObjectiveSpec{Name: "x", Match: slo.Match{Zone: s.shop}, Target: 99})
	if err == nil || !strings.Contains(err.Error(), "no property") {
		t.Errorf("%v", err)
	}
}

func TestTheObjectivesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	s := newDashboard(t)
	b.Carry(s.URL, s.ana.Cookies())
	show := func(name, path string, drawn string) {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1400, 800, 390} {
				if width == 390 && theme == "dark" {
					continue
				}
				b.Open(s.URL+path, theme, width)
				if drawn != "" {
					b.Evaluate(`new Promise((r) => { const f = () => document.querySelector("` + drawn +
						`") ? r("") : requestAnimationFrame(f); f(); })`)
				}
				b.Look(name, theme, width)
			}
		}
	}
	show("slo-none", s.base, "")
	show("slo-new", s.base+"/new", "")
	checkout, little := s.furnish()
	show("slo-list", s.base, "")
	show("slo-burning", s.base+"/"+checkout.ID, ".u-over")
	show("slo-month", s.base+"/"+checkout.ID+"?range=28d", ".u-over")
	show("slo-little", s.base+"/"+little.ID+"?range=6h", ".u-over")
	show("slo-edit", s.base+"/"+little.ID+"/edit", "#objective-preview .proposal")
	show("slo-grouped", s.base+"?group=property", "")
	show("slo-report", s.base+"/report", "")
	show("slo-delete", s.base+"/"+checkout.ID+"/delete", "")
}
