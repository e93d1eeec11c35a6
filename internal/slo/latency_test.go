package slo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/slo"
)

func TestAnObjectiveAboutLatencyCountsItsThreshold(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		fast := w.create(slo.ObjectiveSpec{
			Name: "fast", Match: slo.Match{Zone: "shop"}, Latency: &slo.Latency{Threshold: "0.3s"}, Target: 99,
		})
		w.create(slo.ObjectiveSpec{Name: "slow", Match: slo.Match{Zone: "shop"}, SLI: "latency:1.5s", Target: 99.9})
		w.create(slo.ObjectiveSpec{Name: "other", Match: slo.Match{Zone: "blog"}, SLI: "latency:2s", Target: 99.9})
		w.create(slo.ObjectiveSpec{Name: "free", Match: slo.Match{Zone: "shop"}, SLI: "latency:soon", Target: 99.9})
		list, err := w.f.LatencyThresholds(t.Context(), acme, shop)
		if err != nil || !slices.Equal(list, []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond}) {
			t.Errorf("%v %v", err, list)
		}
		if list, err := w.f.LatencyThresholds(t.Context(), otherAccount, shop); err != nil || list != nil {
			t.Errorf("another account: %v %v", err, list)
		}
		w.handle(count(shop, "x",
			event.Count{At: epoch, Seconds: 10, Total: 100, Bad: 50},
			event.Count{At: epoch, Seconds: 10, Total: 100, Bad: 7, SLI: event.LatencySLI(300 * time.Millisecond)},
			event.Count{At: epoch, Seconds: 10, Total: 100, Bad: 1, SLI: event.LatencySLI(1500 * time.Millisecond)}))
		o, s, err := w.f.Status(t.Context(), acme, fast.ID)
		if err != nil || s.Budget.Total != 100 || s.Budget.Bad != 7 || o.Latency.Threshold != "300ms" ||
			o.SLI != "latency:300ms" {
			t.Errorf("%v %+v %+v", err, s.Budget, o)
		}
	})
}

func TestALatencyThatCannotBeIsRefused(t *testing.T) {
	w := newWorld(t, "")
	for threshold, sli := range map[string]string{"": "", "300": "", "-1s": "", "1us": "", "11m": "", "1s": "other"} {
		_, err := w.f.Create(t.Context(), acme, slo.ObjectiveSpec{
			Name: "x", Match: slo.Match{Zone: "shop"}, SLI: sli, Target: 99, Latency: &slo.Latency{Threshold: threshold},
		})
		want := "/latency/threshold"
		if sli != "" {
			want = "/sli"
		}
		if err == nil || errs.All(err)[0].Pointer != want {
			t.Errorf("%q: %v", threshold, err)
		}
	}
}
