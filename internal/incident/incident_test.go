package incident_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/poll"
)

func TestAnIncidentMakesItsComponentsWorseUntilItIsResolved(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		api := w.component("API")
		i := w.declare(incident.IncidentCreate{
			Name:       "Errors of the API",
			Impact:     incident.ImpactMajor,
			Components: down(api, incident.PartialOutage),
		})
		healthOf := func() incident.Health {
			c, err := w.f.Component(t.Context(), api.ID)
			if err != nil {
				t.Fatal(err)
			}
			return c.Health
		}
		if got := healthOf(); got != incident.PartialOutage {
			t.Errorf("the component is %s", got)
		}
		w.Pass(10 * time.Minute)
		w.publish(i.ID, incident.UpdateCreate{
			State: incident.Identified, Components: down(api, incident.MajorOutage),
		})
		if got := healthOf(); got != incident.MajorOutage {
			t.Errorf("after the update the component is %s", got)
		}
		w.Pass(10 * time.Minute)
		i = w.publish(i.ID, incident.UpdateCreate{State: incident.Resolved})
		if got := healthOf(); got != incident.Operational {
			t.Errorf("after the end the component is %s", got)
		}
		if len(i.Updates) != 3 || i.Updates[0].State != incident.Resolved ||
			i.ResolvedOn.Sub(i.StartedOn.Time) != 20*time.Minute {
			t.Errorf("%+v", i)
		}
		_, err := w.f.PublishUpdate(t.Context(), i.ID, incident.UpdateCreate{Message: "x"})
		if !errs.Is(err, errs.CodeStateConflict) {
			t.Errorf("an update after the end: %v", err)
		}
		if got := w.actions("incident"); !slices.Equal(got, []string{"publish", "publish", "publish"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestFaultsOfAnIncidentNameTheirFields(t *testing.T) {
	w := newWorld(t, "")
	api := w.component("API")
	_, err := w.f.DeclareIncident(t.Context(), incident.IncidentCreate{
		Impact:     "huge",
		State:      incident.Scheduled,
		StartedOn:  at(w.Now().Add(time.Hour)),
		Components: append(down(api, "sad"), incident.ComponentHealth{ID: "none", Health: incident.Degraded}),
	})
	var got []string
	for _, one := range errs.All(err) {
		got = append(got, one.Pointer)
	}
	want := []string{"/name", "/impact", "/status", "/started_at", "/message", "/components/0/status", "/components/1/id"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAMaintenanceBeginsAndEndsAsScheduled(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.policies = []string{"acme"}
		db := w.component("Database")
		start := w.Now().Add(time.Hour)
		m, err := w.f.ScheduleMaintenance(t.Context(), incident.MaintenanceCreate{
			Name: "Upgrade", Message: "Read-only for a moment.", Components: []string{db.ID},
			From: at(start), Until: at(start.Add(time.Hour)),
		})
		if err != nil || m.State != incident.Scheduled {
			t.Fatal(m, err)
		}
		w.run(w.f)
		state := func() incident.State {
			i, err := w.f.Incident(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			return i.State
		}
		w.Pass(61 * time.Minute)
		poll.Until(t, "it is in progress", func() bool { return state() == incident.InProgress })
		if c, err := w.f.Component(t.Context(), db.ID); err != nil || c.Health != incident.Maintained {
			t.Errorf("meanwhile the component is %s (%v)", c.Health, err)
		}
		w.Pass(time.Hour)
		poll.Until(t, "it is complete", func() bool { return state() == incident.Completed })
		poll.Until(t, "all of it is announced", func() bool { return len(w.alerts()) == 3 })
		var got []string
		for _, a := range w.alerts() {
			got = append(got, fmt.Sprintf("%s %v %v", a.Event, a.Filters["event_type"], a.Filters["airport_code"]))
		}
		want := []string{"notice [SCHEDULED] [AMS]", "start [STARTED] [AMS]", "end [COMPLETED] [AMS]"}
		if !slices.Equal(got, want) {
			t.Errorf("alerts %q, want %q", got, want)
		}
	})
}

func TestAnUpdateReachesEveryAccountOnceAlthoughTheBroadcastIsInterrupted(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const accounts = 1000
		for n := range accounts {
			w.policies = append(w.policies, fmt.Sprintf("account-%05d", n))
		}
		w.failAt = 3
		first := w.another(nil)
		stop := w.run(first)
		w.declare(incident.IncidentCreate{Name: "Errors of the API", Impact: incident.ImpactCritical})
		poll.Until(t, "the third page has failed", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.asked >= 3
		})
		stop() // another process goes on
		w.run(w.another(nil))
		w.run(w.another(nil))
		poll.Until(t, "all accounts have the alert", func() bool { return len(w.alerts()) >= accounts })
		seen := map[string]int{}
		for _, a := range w.alerts() {
			seen[a.Account]++
			if a.Type != incident.IncidentAlert || a.Event != event.AlertStart || a.Severity != "critical" ||
				!slices.Equal(a.Filters["incident_impact"], []string{"INCIDENT_IMPACT_CRITICAL"}) {
				t.Fatalf("%+v", a)
			}
		}
		if len(seen) != accounts || len(w.alerts()) != accounts {
			t.Errorf("%d alerts for %d accounts", len(w.alerts()), len(seen))
		}
	})
}

func TestASilentUpdateReachesNobody(t *testing.T) {
	w := newWorld(t, "")
	w.policies = []string{"acme"}
	i := w.declare(incident.IncidentCreate{Name: "Quiet", Silent: true})
	w.run(w.f)
	w.publish(i.ID, incident.UpdateCreate{State: incident.Resolved})
	poll.Until(t, "the loud update is announced", func() bool { return len(w.alerts()) > 0 })
	if got := w.alerts(); len(got) != 1 || got[0].Event != event.AlertEnd {
		t.Errorf("%+v", got)
	}
}

func TestACorrectedMessageIsShownAndNotSent(t *testing.T) {
	w := newWorld(t, "")
	w.policies = []string{"acme"}
	i := w.declare(incident.IncidentCreate{Name: "Errors", Message: "A cause is known."})
	i, err := w.f.CorrectUpdate(t.Context(), i.ID, i.Updates[0].ID, incident.MessageUpdate{Message: "The cause is known."})
	if err != nil || i.Updates[0].Message != "The cause is known." || i.Updates[0].ModifiedOn.IsZero() {
		t.Fatal(i, err)
	}
	_, err = w.f.CorrectUpdate(t.Context(), i.ID, "none", incident.MessageUpdate{Message: "x"})
	if !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("an update of another incident: %v", err)
	}
	w.run(w.f)
	poll.Until(t, "the first message is announced", func() bool { return len(w.alerts()) == 1 })
	if !strings.Contains(string(w.alerts()[0].Data), "A cause") {
		t.Errorf("%s", w.alerts()[0].Data)
	}
}

func TestAComponentThatAnOpenIncidentAffectsIsNotRemoved(t *testing.T) {
	w := newWorld(t, "")
	api := w.component("API")
	i := w.declare(incident.IncidentCreate{Name: "Errors", Components: down(api, incident.Degraded)})
	if err := w.f.DeleteComponent(t.Context(), api.ID); !errs.Is(err, errs.CodeStateConflict) {
		t.Fatalf("%v", err)
	}
	w.publish(i.ID, incident.UpdateCreate{State: incident.Resolved})
	if err := w.f.DeleteComponent(t.Context(), api.ID); err != nil {
		t.Fatal(err)
	}
	i, err := w.f.Incident(t.Context(), i.ID)
	if err != nil || len(i.Components) != 1 || i.Components[0].Name != "API" {
		t.Errorf("the incident of the past names %+v (%v)", i.Components, err)
	}
	if _, err := w.f.CreateComponent(t.Context(), incident.ComponentCreate{Name: "API", Group: "Core"}); err != nil {
		t.Errorf("the name is free again: %v", err)
	}
}

func TestCorrectionsAreRequestedOnceForEachTarget(t *testing.T) {
	w := newWorld(t, "")
	var asked []incident.CorrectionRequest
	f := w.another(func(c *incident.Config) {
		c.Account = func(_ context.Context, ref string) (string, error) { return "account-" + ref, nil }
		c.Targets = func(context.Context, string) ([]incident.Target, error) {
			return []incident.Target{{ID: "z1", Name: "shop.example"}, {ID: "z2", Name: "blog.example"}}, nil
		}
		c.Correct = func(_ context.Context, r incident.CorrectionRequest) (incident.Proposal, error) {
			asked = append(asked, r)
			if r.Zone == "z2" {
				return incident.Proposal{}, errs.New(errs.CodeLimit, "too many corrections")
			}
			return incident.Proposal{Target: r.Zone, Name: "shop.example", Correction: "c1", State: "pending"}, nil
		}
	})
	i := w.declare(incident.IncidentCreate{Name: "Errors", StartedOn: at(w.Now().Add(-time.Hour))})
	in := incident.CorrectionsCreate{Account: "acme", All: true}
	list, err := f.RequestCorrections(t.Context(), i.ID, in)
	if err != nil || len(list) != 2 || list[0].State != "pending" || list[1].State != "refused" {
		t.Fatal(list, err)
	}
	if r := asked[0]; r.Account != "account-acme" || r.Reason != "Errors" || r.To.Sub(r.From.Time) != time.Hour {
		t.Errorf("%+v", r)
	}
	if list, err = f.RequestCorrections(t.Context(), i.ID, in); err != nil || list[0].State != "known" || len(asked) != 3 {
		t.Errorf("again: %+v, %d requests (%v)", list, len(asked), err)
	}
	if got := w.actions("incident"); !slices.Contains(got, "correct_objectives") {
		t.Errorf("recorded %v", got)
	}
}
