package slo_test

import (
	"context"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
)

func (w *world) upkeep() {
	w.t.Helper()
	if err := w.f.Upkeep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// silence lists the alerts about missing data as "event name".
func (w *world) silence() string {
	w.t.Helper()
	var list []string
	for _, a := range w.alerts() {
		if a.Type == slo.NoDataAlertType {
			list = append(list, string(a.Event)+" "+a.Resource.Name)
		}
	}
	return strings.Join(list, ", ")
}

// TestARequestlessObjectiveIsReported has a shard that gets no more counts: by the clock of the machine, the state is
// no data, and an alert is sent. It ends when counts arrive.
func TestARequestlessObjectiveIsReported(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := w.create(checkoutSpec())
		spec := checkoutSpec()
		spec.Name = "patient"
		spec.NoData = "1h"
		w.create(spec)
		spec.Name = "off"
		spec.NoData = "off"
		w.create(spec)
		const last = epoch + 3*3600
		w.handle(steady(shop, epoch, last, 100, 0)...)
		state := func(at int64) slo.State {
			t.Helper()
			w.setClock(at)
			_, s, err := w.f.Status(t.Context(), acme, o.ID)
			if err != nil {
				t.Fatal(err)
			}
			return s.State
		}
		w.setClock(last + 899)
		w.upkeep()
		if got := w.silence(); got != "" || state(last+899) != slo.Healthy {
			t.Errorf("after 899 seconds: %q", got)
		}
		if got := state(last + 901); got != slo.NoData {
			t.Errorf("after 901 seconds: %s", got)
		}
		w.upkeep()
		w.upkeep()
		if got := w.silence(); got != "start checkout" {
			t.Errorf("after 901 seconds: %q", got)
		}
		w.setClock(last + 3601)
		w.upkeep()
		if got := w.silence(); got != "start checkout, start patient" {
			t.Errorf("after an hour: %q", got)
		}
		// Another process has read nothing of the partition. It sends the ends.
		w.handle(steady(shop, last+3600, last+3620, 100, 0)...)
		w.f = w.another(nil)
		w.upkeep()
		if got := w.silence(); !strings.HasPrefix(got, "start checkout, start patient, end ") ||
			strings.Count(got, "end") != 2 {
			t.Errorf("after new counts: %q", got)
		}
		list := w.alerts()
		if first := list[0]; first.Correlation != first.ID || first.Severity != "warning" ||
			!strings.Contains(first.Summary, "no request was counted since 03:00 UTC") {
			t.Errorf("%+v", first)
		}
	})
}

func TestSilenceIsNotReportedWhereItIsNormal(t *testing.T) {
	for name, c := range map[string]struct {
		traffic func(w *world)
		at      int64
	}{
		"little traffic": {func(w *world) {
			for at := int64(epoch); at < epoch+86_400; at += 600 {
				w.handle(steady(shop, at, at+10, 1, 0)...)
			}
		}, epoch + 86_400 + 1800},
		"history that is replayed": {func(w *world) { w.handle(steady(shop, epoch, epoch+3600, 100, 0)...) },
			epoch + 30*86_400},
		"found two hours later": {func(w *world) { w.handle(steady(shop, epoch, epoch+3600, 100, 0)...) },
			epoch + 3600 + 2*3600},
		"maintenance": {func(w *world) {
			w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
			w.setClock(epoch + 3600)
			_, err := w.f.Correct(as(t, web.KindUser, "ann"), acme,
				slo.CorrectionCreate{Zone: "shop", ObjectiveCorrectionCreate: between(epoch+3600, epoch+2*3600)})
			if err != nil {
				t.Fatal(err)
			}
		}, epoch + 3600 + 1800},
	} {
		w := newWorld(t, "")
		w.create(checkoutSpec())
		c.traffic(w)
		w.setClock(c.at)
		w.upkeep()
		if got := w.silence(); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestADeletedObjectiveEndsItsSilence(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
	w.setClock(epoch + 3600 + 1000)
	w.upkeep()
	if err := w.f.Remove(t.Context(), acme, o.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.silence(); got != "start checkout, end checkout" {
		t.Errorf("%q", got)
	}
}

func TestPoliciesOfOriginErrorsHaveTheirObjectives(t *testing.T) {
	w := newWorld(t, "")
	var policies []slo.OriginPolicy
	var err error
	w.f, err = slo.New(slo.Config{
		Env:            feature.Env{DB: w.db, Record: feature.NewRecorder(w.record), Now: w.Now},
		Zone:           w.zone,
		OriginPolicies: func(context.Context) ([]slo.OriginPolicy, error) { return policies, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	policies = []slo.OriginPolicy{
		{Account: acme, Zones: []string{"shop", "unknown.example"}, Target: "99.9"},
		{Account: acme, Zones: []string{shop}, Target: "99.9"},
		{Account: acme, Zones: []string{"blog"}, Target: "99.7"},
		{Account: acme, Zones: []string{"blog"}, Target: "42"},
		{Account: otherAccount, Zones: []string{"shop"}, Target: "99.9"}, // not a zone of this account
	}
	w.upkeep()
	w.upkeep()
	list, err := w.f.Objectives(t.Context(), acme, "", 100)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v %+v", err, list)
	}
	byName := map[string]*slo.Objective{}
	for _, o := range list {
		byName[o.Name] = o
	}
	o := byName["Origin errors of shop.example at 99.9 %"]
	if o == nil || o.AlertType != slo.OriginErrorAlertType || o.Target != 99.9 ||
		byName["Origin errors of blog.example at 99.7 %"] == nil {
		t.Fatalf("%+v", list)
	}
	if _, err := w.f.Replace(t.Context(), acme, o.ID, checkoutSpec(), nil); !errs.Is(err, errs.CodeStateConflict) {
		t.Errorf("a change: %v", err)
	}
	if err := w.f.Remove(t.Context(), acme, o.ID, nil); !errs.Is(err, errs.CodeStateConflict) {
		t.Errorf("a deletion: %v", err)
	}
	w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
	w.handle(steady(shop, epoch+3600, epoch+3900, 100, 60)...)
	alerts := w.alerts()
	if len(alerts) != 1 || alerts[0].Type != slo.OriginErrorAlertType || alerts[0].Event != event.AlertStart ||
		alerts[0].Filters["slo"][0] != "99.9" || alerts[0].Filters["zones"][0] != shop {
		t.Errorf("%+v", alerts)
	}
	policies = policies[2:3]
	w.upkeep()
	list, err = w.f.Objectives(t.Context(), acme, "", 100)
	if err != nil || len(list) != 1 || list[0].Target != 99.7 {
		t.Errorf("%v %+v", err, list)
	}
	if alerts := w.alerts(); len(alerts) != 2 || alerts[1].Event != event.AlertEnd {
		t.Errorf("the alert of a policy that is gone: %+v", alerts)
	}
}
