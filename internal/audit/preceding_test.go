package audit_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
)

func TestWhatPrecededIsRankedByNearnessThenTimeAndASetCountsOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Zones = knownZones
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
			at(43*time.Second, "cause", members{
				"zone":     "one.example",
				"resource": members{"product": "shop", "type": "setting", "id": "other"},
			}),
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
			events = append(events, at(5*time.Minute+
				time.Duration(i)*time.Second, fmt.Sprintf("apply-%02d",
				i), members{"zone": "one.example", "change_set": "terraform-7"}))
		}
		w.Append(accountA, events...)
		w.Append(accountB, at(43*time.Second, "another-account", in("one.example")))
		isView := func(r *record.Record) bool { return r.Event.Action.Type == "view" }
		incident := audit.Incident{
			Account: accountA,
			Zone:    "z-1",
			Product: "shop",
			Type:    "setting",
			ID:      "timeout",
			Began:   began,
		}
		recent := audit.NewRecent(w.DB, w.Clock.Now, isView)
		found, more, err := recent.Preceding(t.Context(), incident, 10)
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
		if found, more, err = recent.Preceding(t.Context(), incident, 2); err != nil || len(found) != 2 || more != 3 {
			t.Errorf("of five with room for two: %d and %d more, %v", len(found), more, err)
		}
	})
}

// TestAStormOfAlertsDecodesEachChangeOnce asks what preceded 1,000 alerts while
// Belfry's own events about them fill the record: of those none is decoded, and
// each change once, whatever the number of alerts.
func TestAStormOfAlertsDecodesEachChangeOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Zones = knownZones
		began := start.Add(-time.Minute)
		var changes []string
		for i := range 50 {
			changes = append(changes, minimal(members{"id": fmt.Sprint("change-", i), "zone": "one.example",
				"occurred_at": began.Add(-time.Duration(i+1) * time.Second).Format(time.RFC3339Nano)}))
		}
		w.Append(accountA, changes...)
		recent := audit.NewRecent(w.DB, w.Clock.Now, func(*record.Record) bool { return false })
		ask := func(i int) []audit.Preceding {
			t.Helper()
			list, _, err := recent.Preceding(t.Context(),
				audit.Incident{Account: accountA, Zone: "z-1", Product: "cdn", Type: "origin", ID: fmt.Sprint(i), Began: began}, 5)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		own := 0
		for i := range 1000 {
			if i%100 == 0 { // Belfry writes down that alerts started
				var list [][]byte
				for range 200 {
					e := event.NewAudit(accountA, "start", "alert", fmt.Sprint("alert-", own), "an origin fails").
						By(event.AuditActor{Type: "system", ID: "belfry"}, "SYSTEM").At(start)
					value, err := json.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, value)
					own++
				}
				if refused, err := w.intake().AppendOwn(t.Context(), w.Ledger, list); err != nil || len(refused) > 0 {
					t.Fatal(refused, err)
				}
			}
			if list := ask(i); len(list) != 5 || list[0].Record.Event.ID != "change-0" {
				t.Fatalf("alert %d: %+v", i, list)
			}
		}
		if recent.Decoded > 50+5 {
			t.Errorf("%d events were decoded for 1,000 alerts, 50 changes and %d own events", recent.Decoded, own)
		}
		if recent.Searched > 1000+10 {
			t.Errorf("the database was asked %d times for 1,000 alerts", recent.Searched)
		}
		// A change that comes later, with an earlier time, is there at once.
		w.Append(accountA, minimal(members{
			"id":          "late",
			"zone":        "one.example",
			"occurred_at": began.Add(-time.Millisecond).Format(time.RFC3339Nano),
		}))
		if list := ask(0); list[0].Record.Event.ID != "late" {
			t.Errorf("after a late change: %+v", list[0].Record.Event.ID)
		}
		// An erasure takes the opened events out of memory.
		if _, err := w.Erase(accountA, []int64{0}, []string{"/actor/id"}); err != nil {
			t.Fatal(err)
		}
		end := event.NewAudit(accountA, "erased", "record", accountA, "personal fields").
			By(event.AuditActor{Type: "system", ID: "belfry"}, "SYSTEM").At(start)
		erased, err := json.Marshal(end)
		if err != nil {
			t.Fatal(err)
		}
		if refused, err := w.intake().AppendOwn(t.Context(), w.Ledger, [][]byte{erased}); err != nil || len(refused) > 0 {
			t.Fatal(refused, err)
		}
		for _, p := range ask(0) {
			if p.Record.Event.ID == "change-0" && p.Record.Event.Actor.ID != "" {
				t.Error("an erased value is still listed")
			}
		}
	})
}

// TestWhatPrecededAReplayIsFound asks about alerts that lie weeks back, between
// changes that are newer and older.
func TestWhatPrecededAReplayIsFound(t *testing.T) {
	w := newWorld(t, "")
	past := start.Add(-21 * 24 * time.Hour)
	at := func(id string, when time.Time) string {
		return minimal(members{"id": id, "occurred_at": when.Format(time.RFC3339Nano)})
	}
	var events []string
	for i := range 48 {
		events = append(events, at(fmt.Sprint("hour-", i), past.Add(time.Duration(i-24)*time.Hour)))
	}
	w.Append(accountA, events...)
	recent := audit.NewRecent(w.DB, w.Clock.Now, func(*record.Record) bool { return false })
	for hours := range 10 {
		began := past.Add(time.Duration(hours)*time.Hour + 5*time.Minute)
		list, more, err := recent.Preceding(t.Context(), audit.Incident{Account: accountA, Zone: "z-1", Began: began}, 5)
		if err != nil || more != 0 || len(list) != 1 || list[0].Record.Event.ID != fmt.Sprint("hour-", hours+24) {
			t.Errorf("%d hours on: %v, %d more, %+v", hours, err, more, list)
		}
	}
}

func TestTheViewsOfRecentChangesAreBounded(t *testing.T) {
	w := newWorld(t, "")
	recent := audit.NewRecent(w.DB, w.Clock.Now, func(*record.Record) bool { return false })
	ask := func() []audit.Preceding {
		t.Helper()
		list, _, err := recent.Preceding(t.Context(), audit.Incident{Account: accountA, Began: start}, 5)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for batch := range 3 {
		var events []string
		for i := range 2500 {
			events = append(events, minimal(members{
				"id":          fmt.Sprint("b", batch, "-", i),
				"occurred_at": start.Add(time.Duration(i-2500*batch) * time.Millisecond).Format(time.RFC3339Nano),
				"resource":    members{"product": "dns", "type": "record", "id": fmt.Sprint(i)},
			}))
		}
		w.Append(accountA, events...)
		if list := ask(); len(list) != 5 || list[0].Record.Event.ID != "b0-2499" {
			t.Fatalf("%d changes are listed", len(list))
		}
	}
	if held, lists := recent.Held(accountA); held > 5000 || lists > 2500 {
		t.Errorf("a view holds %d changes in lists of %d resources", held, lists)
	}
}
