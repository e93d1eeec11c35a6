package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// ahead is a clock that a test can move on.
type ahead struct{ by atomic.Int64 }

func (c *ahead) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

// of are Belfry's own events of an action on a type of resource.
func (w *world) of(resource, action string) (list []event.Audit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.recorded {
		if e.Resource.Type == resource && e.Action.Type == action {
			list = append(list, e)
		}
	}
	return list
}

// count is a number that the database gives.
func (w *world) count(query string) (n int) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error { return tx.QueryRow(w.t.Context(), query).Scan(&n) })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// flood sends alerts, many in a request.
func (w *world) flood(n int, alert func(i int) map[string]any) {
	w.t.Helper()
	for first := 0; first < n; first += 100 {
		var list []map[string]any
		for i := first; i < min(first+100, n); i++ {
			list = append(list, alert(i))
		}
		w.must("POST", "/alerts", list, nil)
	}
}

func starting(i int) map[string]any {
	return map[string]any{
		"id":             fmt.Sprint("s", i),
		"alert_type":     "shop_down",
		"event":          "start",
		"zone":           "shop.example",
		"correlation_id": fmt.Sprint("c", i),
	}
}

func ending(i int) map[string]any {
	a := starting(i)
	a["id"] = fmt.Sprint("e", i)
	a["event"] = "end"
	return a
}

// silent is a channel that delivers at once, so that a storm costs no sockets.
type silent struct{ sent atomic.Int64 }

func (*silent) Traits() notify.Traits { return notify.Traits{Type: notify.TypeGeneric} }

func (*silent) Preview(*notify.Message) (notify.Rendered, error) { return notify.Rendered{}, nil }

func (s *silent) Send(context.Context, *notify.Message) delivery.Result {
	s.sent.Add(1)
	return delivery.Result{Status: 200}
}

// await returns when so many were sent.
func (s *silent) await(t *testing.T, n int64) {
	t.Helper()
	for next := s.sent.Load(); next < n; {
		next = min(n, next+1000)
		until(t, fmt.Sprint(next, " messages are sent"), func() bool { return s.sent.Load() >= next })
	}
}

// TestAStormOf10000AlertsWritesABoundedNumberOfAuditEvents counts what starts and
// ends of 10,000 alerts, each of its own cause, ask and write.
func TestAStormOf10000AlertsWritesABoundedNumberOfAuditEvents(t *testing.T) {
	const storm = 10_000
	clock := &ahead{}
	channel := &silent{}
	var asked atomic.Int64
	w := newWorld(t, "", func(d *notify.Config) {
		d.Now = clock.now
		d.Channels = []notify.Channel{channel}
		d.Changes = func(context.Context, notify.ChangesQuery) ([]notify.Change, int, error) {
			asked.Add(1)
			return nil, 0, nil
		}
	})
	w.policy(map[string]any{"mechanisms": to(w.hook("http://127.0.0.1:1"))})
	tests := channel.sent.Load()
	before := w.deps.DB.Statements()
	w.flood(storm, starting)
	channel.await(t, tests+storm)
	w.flood(storm, ending)
	channel.await(t, tests+2*storm)
	until(t, "all outcomes are stored", func() bool {
		return w.count(`SELECT count(*) FROM delivery WHERE state = 'waiting'`) == 0
	})
	// A transaction has the same number of statements, more than ten, for one alert as
	// for a batch. A slow machine makes smaller batches.
	if n := w.deps.DB.Statements() - before; n > 4*storm {
		t.Errorf("%d statements for %d deliveries", n, 2*storm)
	} else {
		t.Logf("%d statements for %d deliveries", n, 2*storm)
	}
	clock.by.Store(int64(time.Hour))
	until(t, "the last window is recorded", func() bool { return w.count(`SELECT count(*) FROM gathered`) == 0 })

	// Once for a batch and second, not once for an alert.
	if n := asked.Load(); n < 1 || n > storm/20 {
		t.Errorf("what preceded was asked %d times", n)
	}
	for table, want := range map[string]int{
		"alert":    2 * storm,
		"cause":    storm,
		"delivery": 2 * storm,
		"attempt":  2 * storm,
	} {
		if n := w.count(`SELECT count(*) FROM ` + table); n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
	for _, action := range []string{"start", "end", "deliver"} {
		singly, gathered := w.of("alert", action), w.of("alert_group", action)
		counted := len(singly)
		for _, e := range gathered {
			counted += int(e.Metadata["count"].(int64))
		}
		if counted != storm {
			t.Errorf("%s: %d of %d alerts are recorded or counted", action, counted, storm)
		}
		// A slow machine may need several windows of a minute for the storm.
		if len(gathered) == 0 || len(gathered) > 5 || len(singly) > 5*len(gathered) {
			t.Errorf("%s: %d events of alerts and %d of groups", action, len(singly), len(gathered))
		}
	}
}

// TestGatheredAlertsAreRecordedOnceHoweverOftenTheirWindowEnds counts also what
// happened before a process ended, and after the next began.
func TestGatheredAlertsAreRecordedOnceHoweverOftenTheirWindowEnds(t *testing.T) {
	clock := &ahead{}
	everywhereWith(t, func(d *notify.Config) { d.Now = clock.now }, func(t *testing.T, w *world) {
		began := time.Now().UTC().Truncate(time.Second).Add(-10 * time.Minute)
		clock.by.Store(0)
		at := func(i int) map[string]any {
			a := starting(i)
			a["occurred_at"] = began.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
			return a
		}
		w.flood(20, at)
		lone := starting(1000)
		lone["zone"] = "try.example"
		w.must("POST", "/alerts", lone, nil)
		if n := len(w.of("alert", "start")); n != 6 {
			t.Fatalf("%d starts are recorded singly", n)
		}
		w.stop()
		w.deps.Registerer = nil
		w.start()
		w.flood(10, func(i int) map[string]any { return at(20 + i) })
		if n := len(w.of("alert", "start")); n != 6 {
			t.Fatalf("%d starts are recorded singly after a restart", n)
		}
		if err := w.n.RecordGathered(t.Context()); err != nil || len(w.of("alert_group", "start")) != 0 {
			t.Fatalf("recorded before the window ended: %v", err)
		}
		w.stop() // so that only the test ends the window
		clock.by.Store(int64(2 * time.Minute))
		failed := errors.New("the disk is full")
		deps := w.deps
		deps.Record = func(context.Context, *db.Tx, ...event.Audit) error { return failed }
		broken, err := notify.New(deps)
		if err != nil {
			t.Fatal(err)
		}
		if err := broken.RecordGathered(t.Context()); !errors.Is(err, failed) {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.n.RecordGathered(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		list := w.of("alert_group", "start")
		if len(list) != 1 {
			t.Fatalf("%d gathered events", len(list))
		}
		e := list[0]
		var ids []string
		for i := range 20 {
			ids = append(ids, fmt.Sprint("s", 5+i))
		}
		const format = "2006-01-02T15:04:05.000000Z"
		want := map[string]any{
			"alert_type":  "shop_down",
			"count":       25,
			"alerts":      "25 further alerts",
			"first_alert": "s5",
			"last_alert":  "s29",
			"alert_ids":   ids,
			"from":        began.Add(5 * time.Second).Format(format),
			"to":          began.Add(29 * time.Second).Format(format),
		}
		got, err := json.Marshal(e.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		expected, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(expected) {
			t.Errorf("got  %s\nwant %s", got, expected)
		}
		if e.Account != acme || e.Zone != zoneID || e.Resource.Name != "Shop down on shop.example" ||
			e.OccurredAt != want["to"] {
			t.Errorf("%+v", e)
		}
		if n := w.count(`SELECT count(*) FROM gathered`); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// TestEventsThatAreRecordedSinglyKeepTheirOrder sends causes that start and end
// in one transaction, in two properties.
func TestEventsThatAreRecordedSinglyKeepTheirOrder(t *testing.T) {
	w := newWorld(t, "", nil)
	var list []map[string]any
	for i := range 4 {
		start, end := starting(i), ending(i)
		if i%2 == 1 {
			start["zone"], end["zone"] = "try.example", "try.example"
		}
		list = append(list, start, end)
	}
	w.must("POST", "/alerts", list, nil)
	want := []string{"start", "end", "start", "end", "start", "end", "start", "end"}
	if got := w.records("alert"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
