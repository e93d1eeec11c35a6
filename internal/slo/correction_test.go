package slo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
)

func between(from, to int64) slo.ObjectiveCorrectionCreate {
	return slo.ObjectiveCorrectionCreate{
		Reason: "database upgrade",
		From:   web.TimeOf(from * 1e6),
		To:     web.TimeOf(to * 1e6),
	}
}

func as(t *testing.T, kind web.Kind, name string) context.Context {
	p := &web.Principal{Kind: kind, ID: name, Name: name, AccountID: acme, Permissions: web.Permissions{"*"}}
	return web.WithPrincipal(t.Context(), p, web.AccountRef{ID: acme})
}

// TestPlannedMaintenanceSendsNoAlert corrects an outage before it happens.
func TestPlannedMaintenanceSendsNoAlert(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := w.create(checkoutSpec())
		broke := int64(epoch + 4*3600)
		w.handle(steady(shop, epoch, broke-600, 100, 0)...)
		w.setClock(broke - 600)
		c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme,
			slo.CorrectionCreate{Zone: "shop", ObjectiveCorrectionCreate: between(broke, broke+600)})
		if err != nil || c.State != slo.Active || c.Zone != shop {
			t.Fatalf("%v %+v", err, c)
		}
		w.handle(steady(shop, broke-600, broke, 100, 0)...)
		w.handle(steady(shop, broke, broke+180, 100, 60)...)
		w.f = w.another(nil) // a restart in the middle
		w.handle(steady(shop, broke+180, broke+780, 100, 0)...)
		if list := w.alerts(); len(list) != 0 {
			t.Fatalf("alerts in maintenance: %+v", list)
		}
		w.setClock(broke + 780)
		_, s, err := w.f.Status(t.Context(), acme, o.ID)
		if err != nil || s.Budget.Left != 1 || s.Budget.Excluded != 6000 || s.Budget.ExcludedBad != 18*60 ||
			s.Budget.Total != 100*(4*3600+180)/10 || s.State != slo.Healthy {
			t.Fatalf("%v %+v", err, s.Budget)
		}
		if len(s.Corrections) != 1 || s.Corrections[0].Reason != "database upgrade" || s.Corrections[0].Bad != 18*60 ||
			s.Corrections[0].Kind != slo.Maintenance || s.Corrections[0].From.Unix() != broke {
			t.Errorf("%+v", s.Corrections)
		}
		rg, _ := slo.RangeOf("1h")
		series, err := w.f.Series(t.Context(), o, rg)
		if err != nil || len(series.Corrections) != 1 {
			t.Fatal(err, series.Corrections)
		}
		bad := uint64(0)
		for _, p := range series.Points {
			bad += p.Bad
			if p.BudgetLeft != nil && *p.BudgetLeft != 1 || p.Burn["5m"] != 0 {
				t.Errorf("at %v: %+v", p.At, p)
			}
		}
		if bad != 18*60 {
			t.Errorf("the chart has %d failures", bad)
		}

		// An objective that is created later has the property's corrections too.
		later := w.create(slo.ObjectiveSpec{Name: "later", Match: slo.Match{Zone: "shop"}, Target: 99.9})
		if _, s, err := w.f.Status(t.Context(), acme, later.ID); err != nil || s.Budget.Bad != 0 {
			t.Errorf("%v %+v", err, s.Budget)
		}

		// Taken back, the failures count again, and alert.
		if _, err := w.f.RemoveCorrection(as(t, web.KindUser, "ann"), acme, c.ID); err != nil {
			t.Fatal(err)
		}
		_, s, err = w.f.Status(t.Context(), acme, o.ID)
		if err != nil || s.Budget.Bad != 18*60 || s.Budget.Excluded != 0 || len(s.Corrections) != 0 {
			t.Errorf("taken back: %v %+v", err, s.Budget)
		}
		w.handle(steady(shop, broke+780, broke+800, 100, 0)...)
		_, s, err = w.f.Status(t.Context(), acme, o.ID)
		if err != nil || s.Budget.Bad != 18*60 || s.Budget.Total != 100*(4*3600+800)/10 {
			t.Errorf("after the next batch: %v %+v", err, s.Budget)
		}
	})
}

// TestACorrectionEndsTheAlertOfItsTime corrects an incident while its alert fires.
func TestACorrectionEndsTheAlertOfItsTime(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := w.create(checkoutSpec())
		broke := int64(epoch + 4*3600)
		w.handle(steady(shop, epoch, broke, 100, 0)...)
		w.handle(steady(shop, broke, broke+60, 100, 60)...)
		w.setClock(broke + 60)
		in := between(broke, broke+600)
		in.Kind = slo.Incident
		c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme,
			slo.CorrectionCreate{Objectives: []string{o.ID}, ObjectiveCorrectionCreate: in})
		if err != nil {
			t.Fatal(err)
		}
		// 360 failures of 144,600 requests at 99.95 % are five budgets.
		if c.State != slo.Pending || len(c.GivesBack) != 1 || c.GivesBack[0].Bad != 360 || c.GivesBack[0].Budget < 4.9 ||
			!strings.Contains(c.Approval, "gives back") {
			t.Fatalf("%+v", c)
		}
		if list := w.alerts(); len(list) != 1 || list[0].Event != "start" {
			t.Fatalf("a pending correction: %+v", list)
		}

		var e *errs.Error
		for kind, name := range map[web.Kind]string{web.KindUser: "ann", web.KindToken: "a token"} {
			if _, err := w.f.Approve(as(t, kind, name), acme, c.ID); !errors.As(err, &e) || e.Code != errs.CodeForbidden {
				t.Errorf("%s approves: %v", name, err)
			}
		}
		if _, err := w.f.Approve(as(t, web.KindUser, "bob"), otherAccount, c.ID); !errs.Is(err, errs.CodeNotFound) {
			t.Errorf("another account: %v", err)
		}
		c, err = w.f.Approve(as(t, web.KindUser, "bob"), acme, c.ID)
		if err != nil || c.State != slo.Active || c.DecidedBy.ID != "bob" || c.RequestedBy.ID != "ann" {
			t.Fatalf("%v %+v", err, c)
		}
		list := w.alerts()
		if len(list) != 2 || list[1].Event != "end" || list[1].Correlation != list[0].ID {
			t.Fatalf("%+v", list)
		}
		w.handle(steady(shop, broke+60, broke+180, 100, 60)...)
		w.handle(steady(shop, broke+180, broke+780, 100, 0)...)
		if list := w.alerts(); len(list) != 2 {
			t.Errorf("%+v", list)
		}
		if _, err := w.f.Approve(as(t, web.KindUser, "eve"), acme, c.ID); !errs.Is(err, errs.CodeStateConflict) {
			t.Errorf("twice: %v", err)
		}
		var acts []string
		for _, e := range w.recorded {
			if e.Resource.Type == "correction" {
				acts = append(acts, fmt.Sprint(e.Action.Type, " ", e.Before != nil, " ", e.After != nil))
			}
		}
		if !slices.Equal(acts, []string{"create false true", "approve true true"}) {
			t.Errorf("audit: %v", acts)
		}
	})
}

func TestAResetLeavesOutEverythingBefore(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	w.handle(steady(shop, epoch, epoch+86_400, 10, 1)...)
	w.setClock(epoch + 86_400)
	c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme, slo.CorrectionCreate{
		Objectives:                []string{o.ID},
		ObjectiveCorrectionCreate: slo.ObjectiveCorrectionCreate{Kind: slo.Reset, Reason: "a new owner"},
	})
	if err != nil || c.State != slo.Pending {
		t.Fatalf("%v %+v", err, c)
	}
	if _, err = w.f.Approve(as(t, web.KindPortal, "bob"), acme, c.ID); err != nil {
		t.Fatal(err)
	}
	w.handle(steady(shop, epoch+86_410, epoch+86_500, 10, 0)...)
	w.setClock(epoch + 86_500)
	_, s, err := w.f.Status(t.Context(), acme, o.ID)
	if err != nil || s.Budget.Left != 1 || s.Budget.Total != 90 || s.Budget.Excluded != 86_400 {
		t.Errorf("%v %+v", err, s.Budget)
	}
}

func TestACorrectionThatCannotBeIsRefusedWithTheField(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	one := []string{o.ID}
	long := between(epoch, epoch+60)
	long.Reason = strings.Repeat("x", 501)
	for pointer, list := range map[string][]slo.CorrectionCreate{
		"/reason": {
			{Objectives: one, ObjectiveCorrectionCreate: slo.ObjectiveCorrectionCreate{Kind: slo.Reset}},
			{Objectives: one, ObjectiveCorrectionCreate: long},
		},
		"/to": {
			{Objectives: one, ObjectiveCorrectionCreate: between(epoch, epoch)},
			{Objectives: one, ObjectiveCorrectionCreate: between(epoch, epoch+100*86_400)},
		},
		"/from": {
			{Objectives: one, ObjectiveCorrectionCreate: between(epoch-100*86_400, epoch)},
			{Objectives: one, ObjectiveCorrectionCreate: slo.ObjectiveCorrectionCreate{Reason: "x"}},
		},
		"/kind": {{Objectives: one, ObjectiveCorrectionCreate: slo.ObjectiveCorrectionCreate{
			Kind: "holiday", Reason: "x", From: web.TimeOf(epoch * 1e6), To: web.TimeOf((epoch + 60) * 1e6)}}},
		"/objectives": {
			{ObjectiveCorrectionCreate: between(epoch, epoch+60)},
			{Zone: "shop", Objectives: one, ObjectiveCorrectionCreate: between(epoch, epoch+60)},
		},
		"/objectives/0": {{Objectives: []string{"none"}, ObjectiveCorrectionCreate: between(epoch, epoch+60)}},
		"/zone":         {{Zone: "nowhere", ObjectiveCorrectionCreate: between(epoch, epoch+60)}},
	} {
		for _, in := range list {
			_, err := w.f.Correct(t.Context(), acme, in)
			if err == nil || errs.All(err)[0].Pointer != pointer {
				t.Errorf("%+v: %v, want %s", in, err, pointer)
			}
		}
	}
	_, err := w.f.Correct(t.Context(), otherAccount,
		slo.CorrectionCreate{Objectives: one, ObjectiveCorrectionCreate: between(epoch, epoch+60)})
	if err == nil {
		t.Error("another account's objective was corrected")
	}
}

// exact is the oracle of one objective's counts: every tick, and whether a correction covers it.
type exact map[int64][2]uint64

// TestCorrectionsEqualTheOracle makes, approves and removes random corrections, in the past and ahead, while counts
// arrive in order and late, and the process restarts. Corrections have the edges of the counts' resolution, so that the
// oracle knows them exactly.
func TestCorrectionsEqualTheOracle(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 77))
		w := newWorld(t, "")
		spec := checkoutSpec()
		spec.Window = []string{"28d", "7d", "month"}[seed%3]
		o := w.create(spec)
		counts := exact{}
		type known struct {
			id       string
			from, to int64
		}
		var active []known
		at := int64(epoch)
		for round := range int64(60) {
			var list []event.Traffic
			for i := range rng.Int64N(40) {
				at += 10 * (1 + rng.Int64N(3))
				when := at
				if rng.IntN(8) == 0 {
					when = max(epoch, at-10*rng.Int64N(1000))
				}
				total := 1 + rng.Int64N(50)
				bad := rng.Int64N(total+1) / 4
				list = append(list, count(shop, fmt.Sprintf("%d-%d", round, i),
					event.Count{At: when, Seconds: 10, Total: total, Bad: bad}))
				sum := counts[when]
				counts[when] = [2]uint64{sum[0] + uint64(total), sum[1] + uint64(bad)}
			}
			if len(list) > 0 {
				w.handle(list...)
			}
			w.setClock(at + 10)
			if rng.IntN(3) == 0 {
				w.f = w.another(nil)
			}
			switch n := rng.IntN(5); {
			case n < 2:
				from := (max(epoch, at-rng.Int64N(20_000)) + rng.Int64N(3)*2000) / 600 * 600
				to := from + 600*(1+rng.Int64N(6))
				c, err := w.f.Correct(as(t, web.KindUser, "ann"), acme,
					slo.CorrectionCreate{Objectives: []string{o.ID}, ObjectiveCorrectionCreate: between(from, to)})
				if err != nil {
					t.Fatal(err)
				}
				if c.State == slo.Pending {
					if rng.IntN(4) == 0 {
						break // it changes nothing
					}
					if _, err := w.f.Approve(as(t, web.KindUser, "bob"), acme, c.ID); err != nil {
						t.Fatal(err)
					}
				}
				active = append(active, known{c.ID, from, to})
			case n == 2 && len(active) > 0:
				k := rng.IntN(len(active))
				if _, err := w.f.RemoveCorrection(as(t, web.KindUser, "ann"), acme, active[k].id); err != nil {
					t.Fatal(err)
				}
				active = slices.Delete(active, k, k+1)
			}
			var want [2]uint64
			for tick, sum := range counts {
				in := func(k known) bool { return k.from <= tick && tick < k.to }
				if !slices.ContainsFunc(active, in) {
					want[0] += sum[0]
					want[1] += sum[1]
				}
			}
			_, s, err := w.f.Status(t.Context(), acme, o.ID)
			if err != nil || len(counts) > 0 && (s.Budget.Total != want[0] || s.Budget.Bad != want[1]) {
				t.Fatalf("seed %d, round %d: %v %d of %d failed, want %d of %d", seed, round, err, s.Budget.Bad,
					s.Budget.Total, want[1], want[0])
			}
			if achieved := 100 * (1 - float64(want[1])/float64(max(want[0], 1))); want[0] > 0 &&
				math.Abs(s.Budget.Achieved-achieved) > 1e-9 {
				t.Fatalf("achieved %v, want %v", s.Budget.Achieved, achieved)
			}
		}
	}
}
