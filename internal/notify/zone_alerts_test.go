package notify_test

import (
	"context"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

func TestTheAlertsOfAZone(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.alert(map[string]any{"id": "one", "event": "start", "correlation_id": "a"})
		w.alert(map[string]any{"id": "two", "event": "start", "correlation_id": "b"})
		w.alert(map[string]any{"id": "end", "event": "end", "correlation_id": "a"})
		w.alert(map[string]any{"id": "elsewhere", "zone": "try.example"})
		list, err := w.n.ZoneAlerts(t.Context(), acme, zoneID, 10)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		states := map[string]int{}
		for _, a := range list {
			states[a.State]++
			if (a.State == "ended") == a.EndedAt.IsZero() {
				t.Errorf("%s, ended at %s", a.State, a.EndedAt)
			}
		}
		if states["firing"] != 1 || states["ended"] != 1 {
			t.Errorf("states: %v", states)
		}
		if list, err := w.n.ZoneAlerts(t.Context(), other, zoneID, 10); err != nil || len(list) != 0 {
			t.Errorf("another account: %+v, %v", list, err)
		}
	})
}

func TestAClosedAccountRefusesAlerts(t *testing.T) {
	closed := func(cfg *notify.Config) {
		cfg.Closed = func(context.Context, string) error {
			return errs.At(errs.CodeStateConflict, "/account_id", "the account is closed")
		}
	}
	everywhereWith(t, closed, func(t *testing.T, w *world) {
		status, failures := w.call("acme", "POST", "/alerts", map[string]any{
			"id": "one", "alert_type": "shop_down", "event": "notice", "summary": "The shop is down",
		}, &[]ingest.ItemResult{})
		if status == 200 || len(failures) == 0 || failures[0].Code != int(errs.CodeStateConflict) {
			t.Errorf("%d %+v", status, failures)
		}
	})
}
