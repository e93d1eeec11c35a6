package slo_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/slo"
)

// TestCompositesEqualTheOracle counts random requests of two properties, in order, late and twice, and compares the
// budgets of composites over rolling and calendar windows with ratios that are added up from the beginning.
func TestCompositesEqualTheOracle(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 13))
		w := newWorld(t, "")
		window := []string{"28d", "week", "month"}[seed%3]
		spec := func(name, zone string) slo.ObjectiveSpec {
			return slo.ObjectiveSpec{Name: name, Match: slo.Match{Zone: zone}, Target: 99, Window: window}
		}
		a := w.create(spec("a", "shop"))
		b := w.create(spec("b", "blog"))
		all := compositeOf(slo.CompositeAll, memberOf(a), memberOf(b))
		all.Window = window
		all.Target = 95
		worst := w.create(all)
		weighted := compositeOf(slo.CompositeWeighted, slo.CompositeMember{Objective: a.ID, Weight: 30},
			slo.CompositeMember{Objective: b.ID, Weight: 70})
		weighted.Name = "weighted"
		weighted.Window = window
		weighted.Target = 95
		mixed := w.create(weighted)

		begins := int64(epoch)
		counts := map[string]map[int64][2]uint64{shop: {}, blog: {}}
		at := int64(epoch)
		for round := range 40 {
			var list []event.Traffic
			for i := range rng.IntN(30) {
				at += 10 * (1 + rng.Int64N(400))
				zone := []string{shop, blog}[rng.IntN(2)]
				when := at
				if rng.IntN(6) == 0 {
					when = max(epoch, at-10*rng.Int64N(500))
				}
				total := 1 + rng.Int64N(2000)
				bad := rng.Int64N(total+1) / 8
				one := count(zone, fmt.Sprintf("%d-%d", round, i), event.Count{At: when, Seconds: 10, Total: total, Bad: bad})
				list = append(list, one)
				if rng.IntN(5) == 0 {
					list = append(list, one) // twice
				}
				sum := counts[zone][when]
				counts[zone][when] = [2]uint64{sum[0] + uint64(total), sum[1] + uint64(bad)}
			}
			if len(list) == 0 {
				continue
			}
			w.handle(list...)
			if rng.IntN(3) == 0 {
				w.f = w.another(nil)
			}
			s := w.statusAt(worst.ID, at+10)
			clock := s.AsOf.Unix()
			if o := w.statusAt(a.ID, at+10); o.AsOf.Unix() > clock {
				t.Fatalf("the composite is as of %d, its member of %d", clock, o.AsOf.Unix())
			}
			if worst.Window.IsCalendar() {
				begins = worst.Window.Begins(clock)
			}
			ratio := func(zone string) (r float64, counted bool) {
				var total, bad uint64
				for tick, sum := range counts[zone] {
					if tick >= begins {
						total += sum[0]
						bad += sum[1]
					}
				}
				return float64(bad) / float64(max(total, 1)), total > 0
			}
			x, hasA := ratio(shop)
			y, hasB := ratio(blog)
			if !hasA || !hasB {
				continue
			}
			if got := 1 - s.Budget.Achieved/100; math.Abs(got-max(x, y)) > 1e-9 {
				t.Fatalf("seed %d, round %d, %s: the worst member fails %v, want %v", seed, round, window, got, max(x, y))
			}
			m := w.statusAt(mixed.ID, at+10)
			want := 0.3*x + 0.7*y
			if got := 1 - m.Budget.Achieved/100; math.Abs(got-want) > 2/float64(m.Budget.Total)+1e-9 {
				t.Fatalf("seed %d, round %d, %s: weighted %v, want %v of %d", seed, round, window, got, want, m.Budget.Total)
			}
		}
	}
}

// TestCompositesAreTheSameAfterCrashes fails every batch once, and lets another process repeat it.
func TestCompositesAreTheSameAfterCrashes(t *testing.T) {
	run := func(crash bool) (list []string) {
		w := newWorld(t, "")
		a, b := w.members()
		w.create(compositeOf(slo.CompositeAll, memberOf(a), memberOf(b)))
		records := append(steady(shop, epoch, epoch+7200, 100, 0), steady(shop, epoch+7200, epoch+8400, 100, 20)...)
		records = append(records, steady(shop, epoch+8400, epoch+12_000, 100, 0)...)
		for i := 0; i < len(records); i += 40 {
			part := slices.Clone(records[i:min(len(records), i+40)])
			for _, r := range part {
				r.Zone = blog
				r.ID = "blog " + r.ID
				r.Counts = []event.Count{{At: r.Counts[0].At, Seconds: 10, Total: 10}}
				part = append(part, r)
			}
			batch := w.batch(part...)
			if crash {
				w.f = w.another(nil)
			}
			if err := w.f.Handle(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		for _, alert := range w.alerts() {
			list = append(list, fmt.Sprint(alert.Event, " ", alert.Resource.Name, " ", alert.OccurredAt, " ", alert.BeganAt, " ",
				alert.Summary))
		}
		return list
	}
	want := run(false)
	if len(want) < 2 {
		t.Fatalf("%v", want)
	}
	if got := run(true); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}
