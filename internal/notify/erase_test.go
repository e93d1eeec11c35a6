package notify_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/db"
)

func TestAnErasureRemovesTheChangesOfAlertsAndTheBodiesThatListThem(t *testing.T) {
	changes := func(d *notify.Config) {
		d.Changes = func(_ context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			list := []notify.Change{{
				EventID: "stays",
				At:      q.Until.Add(-time.Minute),
				Actor:   "Bo",
				Summary: "Bo raised the limit",
			}}
			if q.Resource.ID == "checkout" {
				list = append(list, notify.Change{
					EventID: "e1",
					At:      q.Until.Add(-time.Second),
					Actor:   "Zoe",
					Summary: "Zoe lowered the timeout",
					URL:     "/e1",
				})
			}
			return list, 0, nil
		}
	}
	everywhereWith(t, changes, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		w.alert(map[string]any{
			"id":       "a1",
			"event":    "start",
			"resource": map[string]string{"product": "slo", "type": "objective", "id": "checkout"},
		})
		w.alert(map[string]any{
			"id":       "a2",
			"event":    "start",
			"resource": map[string]string{"product": "slo", "type": "objective", "id": "another"},
		})
		bodies := func() (list []string) {
			err := w.db.View(t.Context(), func(tx *db.Tx) error {
				list = nil
				rows, err := tx.Query(t.Context(),
					`SELECT attempt.body FROM attempt JOIN delivery ON delivery.id = attempt.delivery_id WHERE delivery.payload <> ''`)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var body []byte
					if err := rows.Scan(&body); err != nil {
						return err
					}
					list = append(list, string(body))
				}
				return rows.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		until(t, "both messages are on record", func() bool { return len(bodies()) == 2 })
		if !strings.Contains(strings.Join(bodies(), ""), "Zoe") {
			t.Fatal("no message listed the change")
		}
		for range 2 { // an erasure may come twice
			if err := w.n.Erased(t.Context(), acme, map[string]bool{"e1": true, "unknown": true}); err != nil {
				t.Fatal(err)
			}
		}
		d := w.decision("a1")
		if len(d.Changes) != 2 || d.Changes[0].Summary != "Bo raised the limit" || d.Changes[1].Actor != "" ||
			d.Changes[1].Summary != "A change whose personal data was erased on request" || d.Changes[1].URL != "/e1" {
			t.Errorf("%+v", d.Changes)
		}
		all := strings.Join(bodies(), "\n")
		if strings.Contains(all, "Zoe") || strings.Count(all, "[erased on request]") != 1 ||
			!strings.Contains(all, "Bo raised the limit") {
			t.Error(all)
		}
		// The same event of another account is another event.
		if err := w.n.Erased(t.Context(), other, map[string]bool{"stays": true}); err != nil {
			t.Fatal(err)
		}
		if d := w.decision("a2"); len(d.Changes) != 1 || d.Changes[0].Actor != "Bo" {
			t.Errorf("%+v", d.Changes)
		}
	})
}

// TestAMessageThatWaitedOverAnErasureHasNothingOfIt: the changes before an alert wait in memory with its first attempt.
func TestAMessageThatWaitedOverAnErasureHasNothingOfIt(t *testing.T) {
	everywhereWith(t, func(d *notify.Config) {
		d.Limits.PerDestination = 1
		d.Changes = func(_ context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			return []notify.Change{{EventID: "e1", At: q.Until, Actor: "Zoe", Summary: "Zoe lowered the timeout"}}, 0, nil
		}
	}, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		release := make(chan struct{})
		r.answers(func(received) int {
			<-release
			return 200
		})
		w.alert(map[string]any{"id": "sent", "event": "start", "correlation_id": "c"})
		until(t, "the first message is on its way", func() bool { return len(r.all()) == 1 })
		w.alert(map[string]any{"id": "waits", "event": "start", "correlation_id": "d"})
		w.alert(map[string]any{"id": "end", "event": "end", "correlation_id": "c"})
		if err := w.n.Erased(t.Context(), acme, map[string]bool{"e1": true}); err != nil {
			t.Fatal(err)
		}
		close(release)
		until(t, "the others are sent", func() bool { return len(r.all()) == 3 })
		for _, m := range r.all()[1:] {
			if strings.Contains(string(m.Raw), "Zoe") || !strings.Contains(string(m.Raw), "erased on request") {
				t.Errorf("%s: %s", m.Body.AlertID, m.Raw)
			}
		}
	})
}
