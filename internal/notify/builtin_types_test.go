package notify_test

import (
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// The ids of Belfry's own alerts can be computed from outside. A team's alert
// that has taken one first, or its correlation id, changes nothing of Belfry's.
func TestATeamsAlertTakesNoPlaceOfBelfrysOwn(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		own := func(id, event string) ingest.Status {
			var out []ingest.ItemResult
			status, failures := w.call("operator", "POST", "/alerts", map[string]any{
				"id": id, "correlation_id": "burn-start", "alert_type": "belfry_budget_burn", "event": event,
				"severity": "critical",
			}, &out)
			if status != 200 {
				t.Fatalf("%d %+v", status, failures)
			}
			return out[0].Status
		}
		teams := func(id, event string) ingest.Status {
			return w.alert(map[string]any{"id": id, "correlation_id": "burn-start", "event": event}).Status
		}
		for _, step := range []struct {
			name string
			got  ingest.Status
			want ingest.Status
		}{
			{"the team takes the id of the start", teams("burn-start", "start"), ingest.Accepted},
			{"the team takes the id of the end", teams("burn-end", "end"), ingest.Accepted},
			{"Belfry's start", own("burn-start", "start"), ingest.Accepted},
			{"Belfry's start again", own("burn-start", "start"), ingest.Duplicate},
			{"the team's start again", teams("burn-start", "start"), ingest.Duplicate},
		} {
			if step.got != step.want {
				t.Errorf("%s: %s, want %s", step.name, step.got, step.want)
			}
		}
		if a := w.decision("burn-start").Alert; a.Type != "belfry_budget_burn" || a.State != "firing" {
			t.Errorf("under the id stands %s, %s", a.Type, a.State)
		}
		if got := own("burn-end", "end"); got != ingest.Accepted {
			t.Errorf("Belfry's end: %s", got)
		}
		if a := w.decision("burn-start").Alert; a.Type != "belfry_budget_burn" || a.State != "ended" {
			t.Errorf("after the end: %s, %s", a.Type, a.State)
		}
	})
}

func TestAnUnknownFieldOfAnAlertDoesNotHideItsOtherFaults(t *testing.T) {
	w := newWorld(t, "", nil)
	body := `{"foo":1,"alert_type":"shop_down","event":"begin","severity":"loud","data":{"bad":1},` +
		`"resource":{"product":"p","type":"t","id":"i","why":1}}`
	_, failures := w.call("acme", "POST", "/alerts", body, nil)
	var got []string
	for _, f := range failures {
		got = append(got, f.Source.Pointer)
	}
	slices.Sort(got)
	if want := []string{"/data/bad", "/event", "/foo", "/resource/why", "/severity"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: %+v", got, want, failures)
	}
}
