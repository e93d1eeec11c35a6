package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
)

func TestWhatPrecededIsRankedByNearnessThenTimeAndASetCountsOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		sources := plainSources()
		sources.Zone = func(_ context.Context, _, ref string) (string, string, error) { return knownZones[ref], ref, nil }
		w.intake = audit.NewIntake(sources, w.clock.now)
		began := start.Add(-10 * time.Minute)
		at := func(before time.Duration, id string, more members) string {
			m := members{"id": id, "occurred_at": began.Add(-before).Format(time.RFC3339Nano)}
			for k, v := range more {
				m[k] = v
			}
			return minimal(m)
		}
		setting := members{"product": "shop", "type": "setting", "id": "timeout"}
		in := func(zone string) members { return members{"zone": zone} }
		events := []string{
			at(43*time.Second, "cause", members{"zone": "one.example", "resource": members{"product": "shop", "type": "setting", "id": "other"}}),
			at(20*time.Minute, "same", members{"zone": "one.example", "resource": setting}),
			at(30*time.Second, "foreign", in("two.example")),
			at(2*time.Minute, "everywhere", nil),
			at(time.Minute, "seen", members{"zone": "one.example", "action": members{"type": "view"}}),
			at(time.Minute, "failed", members{"zone": "one.example", "action": members{"type": "update", "result": "failure"}}),
			at(61*time.Minute, "long-ago", in("one.example")),
			at(-20*time.Second, "in-the-bucket", in("one.example")),
			at(-5*time.Minute, "undo", in("one.example")),
		}
		for i := range 40 {
			events = append(events, at(5*time.Minute+time.Duration(i)*time.Second, fmt.Sprintf("apply-%02d", i), members{"zone": "one.example", "change_set": "terraform-7"}))
		}
		w.append(accountA, events...)
		w.append(accountB, at(43*time.Second, "another-account", in("one.example")))
		isView := func(r *audit.Record) bool { return r.Event.Action.Type == "view" }
		trouble := audit.Trouble{Account: accountA, Zone: "z-1", Product: "shop", Type: "setting", ID: "timeout", Began: began}
		found, more, err := w.reader.Preceding(t.Context(), trouble, 10, isView)
		if err != nil || more != 0 {
			t.Fatalf("%d more, %v", more, err)
		}
		var got []string
		for _, p := range found {
			got = append(got, fmt.Sprintf("%s %d %s", p.Record.Event.ID, p.Set, p.Near))
		}
		want := []string{"same 1 the same resource", "in-the-bucket 1 the same property", "cause 1 the same property",
			"apply-00 40 the same property", "everywhere 1 the whole account"}
		if !slices.Equal(got, want) {
			t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
		if found, more, err = w.reader.Preceding(t.Context(), trouble, 2, isView); err != nil || len(found) != 2 || more != 3 {
			t.Errorf("of five with room for two: %d and %d more, %v", len(found), more, err)
		}
	})
}
