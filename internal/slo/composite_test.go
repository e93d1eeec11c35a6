package slo_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
)

// members makes two objectives, of the shop and of the blog.
func (w *world) members() (a, b *slo.Objective) {
	w.t.Helper()
	a = w.create(slo.ObjectiveSpec{Name: "shop", Match: slo.Match{Zone: "shop"}, Target: 99})
	b = w.create(slo.ObjectiveSpec{Name: "blog", Match: slo.Match{Zone: "blog"}, Target: 99})
	return a, b
}

func memberOf(o *slo.Objective) slo.CompositeMember { return slo.CompositeMember{Objective: o.ID} }

func compositeOf(mode slo.CompositeMode, members ...slo.CompositeMember) slo.ObjectiveSpec {
	return slo.ObjectiveSpec{
		Name:      "site",
		Target:    99.9,
		Composite: &slo.Composite{Mode: mode, Members: members},
	}
}

func (w *world) statusAt(id string, at int64) slo.Status {
	w.t.Helper()
	w.setClock(at)
	_, s, err := w.f.Status(w.t.Context(), acme, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestACompositeOfAllIsAsGoodAsItsWorstMember burns one of two members: the composite alerts at its own target, in the
// batch that has the failures, and ends with it.
func TestACompositeOfAllIsAsGoodAsItsWorstMember(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		a, b := w.members()
		o := w.create(compositeOf(slo.CompositeAll, memberOf(a), memberOf(b)))
		broke := int64(epoch + 4*3600)
		send := func(from, until, bad int64) {
			w.handle(append(steady(shop, from, until, 100, 0), steady(blog, from, until, 20, bad)...)...)
		}
		send(epoch, broke, 0)
		if s := w.statusAt(o.ID, broke); s.State != slo.Healthy || s.Budget.Left != 1 || s.AsOf.Unix() != broke {
			t.Errorf("%+v", s)
		}
		w.f = w.another(nil)
		send(broke, broke+60, 2) // 10 %: above 1.44 % of the composite, not above 14.4 % of the member
		send(broke+60, broke+1200, 2)
		list := w.alerts()
		if len(list) != 1 || list[0].Resource.ID != o.ID || list[0].Type != slo.AlertType ||
			list[0].Event != event.AlertStart {
			t.Fatalf("%+v", list)
		}
		s := w.statusAt(o.ID, broke+1200)
		want := float64(240) / float64((4*3600+1200)/10*20) / 0.001
		if s.State != slo.Burning || math.Abs(1-s.Budget.Left-want) > 0.01 || s.Pairs[0].State != "firing" ||
			s.Pairs[0].Short.Total != 600 {
			t.Errorf("%+v", s)
		}
		past, err := w.f.Transitions(t.Context(), o, 0, slo.NewestPast, 10)
		if err != nil || len(past) != 1 || past[0].Began.Unix() != broke {
			t.Errorf("%v %+v", err, past)
		}
		send(broke+1200, broke+1800, 0)
		if list := w.alerts(); len(list) != 2 || list[1].Event != event.AlertEnd || list[1].Correlation != list[0].ID {
			t.Errorf("%+v", list)
		}
		// A member without data hides nothing: it is not known whether all are good.
		w.handle(steady(shop, broke+1800, broke+4000, 100, 0)...)
		if s := w.statusAt(o.ID, broke+4000); s.State != slo.NoData {
			t.Errorf("one member is silent: %s", s.State)
		}
	})
}

func TestAWeightedCompositeCountsRatios(t *testing.T) {
	w := newWorld(t, "")
	a, b := w.members()
	o := w.create(compositeOf(slo.CompositeWeighted, slo.CompositeMember{Objective: a.ID, Weight: 75},
		slo.CompositeMember{Objective: b.ID, Weight: 25}))
	w.handle(append(steady(shop, epoch, epoch+3600, 1000, 10), steady(blog, epoch, epoch+3600, 10, 1)...)...)
	s := w.statusAt(o.ID, epoch+3600)
	// 0.75 of 1 % and 0.25 of 10 %.
	if got := 100 - s.Budget.Achieved; math.Abs(got-3.25) > 0.05 {
		t.Errorf("%v %% failed: %+v", got, s.Budget)
	}
	// One failure of the small member is at most one of the sum.
	if s.Budget.Total != 360*10*4 {
		t.Errorf("%d requests", s.Budget.Total)
	}
	series, err := w.f.Series(t.Context(), o, slo.Ranges[0])
	if err != nil || len(series.Points) == 0 || series.Points[len(series.Points)-1].BudgetLeft == nil {
		t.Fatalf("%v %+v", err, series)
	}
	for _, read := range []func() error{
		func() error { _, err := w.f.Spending(t.Context(), acme, o.ID); return err },
		func() error { _, err := w.f.MonthlyReport(t.Context(), acme, ""); return err },
		func() error { _, err := w.f.Summaries(t.Context(), acme); return err },
	} {
		if err := read(); err != nil {
			t.Error(err)
		}
	}
}

// TestACompositeFollowsCorrectionsOfItsMembers ends the alert of a composite without a count.
func TestACompositeFollowsCorrectionsOfItsMembers(t *testing.T) {
	w := newWorld(t, "")
	a, b := w.members()
	o := w.create(compositeOf(slo.CompositeAll, memberOf(a), memberOf(b)))
	w.handle(append(steady(shop, epoch, epoch+4*3600, 100, 0), steady(blog, epoch, epoch+4*3600, 100, 0)...)...)
	w.handle(append(steady(shop, epoch+4*3600, epoch+4*3600+300, 100, 30),
		steady(blog, epoch+4*3600, epoch+4*3600+300, 100, 0)...)...)
	w.setClock(epoch + 4*3600 + 300)
	if list := w.alerts(); len(list) != 1 || list[0].Resource.ID != o.ID {
		t.Fatalf("%+v", list)
	}
	if _, err := w.f.Correct(as(t, web.KindUser, "ann"), acme, slo.CorrectionCreate{Objectives: []string{o.ID},
		ObjectiveCorrectionCreate: between(epoch+4*3600, epoch+4*3600+300)}); !refusedAt(err, "/objectives/0") {
		t.Errorf("a correction of the composite: %v", err)
	}
	c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme, slo.CorrectionCreate{Objectives: []string{a.ID},
		ObjectiveCorrectionCreate: between(epoch+4*3600, epoch+4*3600+300)})
	if err != nil {
		t.Fatal(err)
	}
	if c.State == slo.Pending {
		if _, err := w.f.Approve(as(t, web.KindUser, "bob"), acme, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.statusAt(o.ID, epoch+4*3600+300); s.Budget.Bad != 0 || s.State == slo.Burning {
		t.Errorf("%+v", s.Budget)
	}
}

func refusedAt(err error, pointer string) bool {
	for _, e := range errs.All(err) {
		if e.Pointer == pointer {
			return true
		}
	}
	return false
}

func TestCompositesAreRefusedWithTheField(t *testing.T) {
	w := newWorld(t, "")
	a, b := w.members()
	month := w.create(slo.ObjectiveSpec{Name: "month", Match: slo.Match{Zone: "shop"}, Target: 99, Window: "month"})
	one := memberOf
	unknown := slo.CompositeMember{Objective: "x"}
	good := w.create(compositeOf(slo.CompositeAll, one(a), one(b)))
	weighted := func(x, y int64) slo.ObjectiveSpec {
		return compositeOf(slo.CompositeWeighted, slo.CompositeMember{Objective: a.ID, Weight: x},
			slo.CompositeMember{Objective: b.ID, Weight: y})
	}
	many := make([]slo.CompositeMember, 21)
	for i := range many {
		many[i].Objective = fmt.Sprint(i)
	}
	withMatch := compositeOf(slo.CompositeAll, one(a), one(b))
	withMatch.Match.Origin = "10.0.0.1"
	withSLI := compositeOf(slo.CompositeAll, one(a), one(b))
	withSLI.SLI = "latency"
	for _, c := range []struct {
		name, pointer string
		spec          slo.ObjectiveSpec
	}{
		{"another mode", "/composite/mode", compositeOf("any", one(a), one(b))},
		{"one member", "/composite/members", compositeOf(slo.CompositeAll, one(a))},
		{"too many", "/composite/members", compositeOf(slo.CompositeAll, many...)},
		{"twice", "/composite/members/1/objective", compositeOf(slo.CompositeAll, one(a), one(a))},
		{"no id", "/composite/members/1/objective", compositeOf(slo.CompositeAll, one(a), slo.CompositeMember{})},
		{"unknown", "/composite/members/1/objective", compositeOf(slo.CompositeAll, one(a), unknown)},
		{"composite", "/composite/members/0/objective", compositeOf(slo.CompositeAll, one(good), one(a))},
		{"another window", "/composite/members/1/objective", compositeOf(slo.CompositeAll, one(a), one(month))},
		{"weights of 90", "/composite/members", weighted(50, 40)},
		{"a weight of 0", "/composite/members/1/weight", weighted(100, 0)},
		{"a negative weight", "/composite/members/0/weight", weighted(-1, 101)},
		{"weights in the mode all", "/composite/members/0/weight",
			compositeOf(slo.CompositeAll, slo.CompositeMember{Objective: a.ID, Weight: 50}, one(b))},
		{"an origin", "/match", withMatch},
		{"an SLI", "/sli", withSLI},
	} {
		c.spec.Name = c.name
		if _, err := w.f.Create(t.Context(), acme, c.spec); !refusedAt(err, c.pointer) {
			t.Errorf("%s: %v, want %s", c.name, err, c.pointer)
		}
	}
	foreign := compositeOf(slo.CompositeAll, one(a), one(b))
	if _, err := w.f.Create(t.Context(), otherAccount, foreign); !refusedAt(err, "/composite/members/0/objective") {
		t.Errorf("members of another account: %v", err)
	}
	_, err := w.f.Preview(t.Context(), acme, compositeOf(slo.CompositeAll, one(a), one(b)))
	if !refusedAt(err, "/composite") {
		t.Errorf("a preview: %v", err)
	}
	self := compositeOf(slo.CompositeAll, one(a), one(good))
	if _, err := w.f.Replace(t.Context(), acme, good.ID, self, nil); !refusedAt(err, "/composite/members/1/objective") {
		t.Errorf("its own member: %v", err)
	}
	// What would leave the composite without a member is refused.
	if err := w.f.Remove(t.Context(), acme, a.ID, nil); !errs.Is(err, errs.CodeStateConflict) ||
		!strings.Contains(err.Error(), "member of site") {
		t.Errorf("a deletion of a member: %v", err)
	}
	changed := slo.ObjectiveSpec{Name: "shop", Match: slo.Match{Zone: "shop"}, Target: 99, Window: "month"}
	if _, err := w.f.Replace(t.Context(), acme, a.ID, changed, nil); !errs.Is(err, errs.CodeStateConflict) {
		t.Errorf("another window of a member: %v", err)
	}
	if err := w.f.Remove(t.Context(), acme, good.ID, nil); err != nil {
		t.Error(err)
	}
	if err := w.f.Remove(t.Context(), acme, a.ID, nil); err != nil {
		t.Error(err)
	}
}
