package slo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/slo"
)

// story is four hours of clean requests, three minutes at 60 % errors, and ten
// clean minutes.
func story() []event.Traffic {
	broke := int64(epoch + 4*3600)
	list := steady(shop, epoch, broke, 100, 0)
	list = append(list, steady(shop, broke, broke+180, 100, 60)...)
	return append(list, steady(shop, broke+180, broke+780, 100, 0)...)
}

func TestAnOutageFiresWithinATickAndEndsWithTheSameCorrelation(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		o := w.create(checkoutSpec())
		w.handle(story()...)
		list := w.alerts()
		if len(list) != 2 {
			t.Fatalf("%d alerts: %+v", len(list), list)
		}
		start, end := list[0], list[1]
		broke := time.Unix(epoch+4*3600, 0).UTC()
		at, err := time.Parse(time.RFC3339Nano, start.OccurredAt)
		if err != nil {
			t.Fatal(err)
		}
		// 60 % against 99.95 %: 43.2 s, and the tick that it is noticed at.
		if took := at.Sub(broke); took != 50*time.Second {
			t.Errorf("noticed after %v", took)
		}
		began, err := time.Parse(time.RFC3339Nano, start.BeganAt)
		if err != nil || !began.Equal(broke) {
			t.Errorf("began at %v (%v), want %v", began, err, broke)
		}
		if start.Type != slo.AlertType || start.Event != "start" || start.Severity != "critical" || start.Zone != shop ||
			start.Resource.ID != o.ID ||
			start.Filters["objectives"][0] != o.ID || start.Filters["zones"][0] != shop ||
			start.URL != "/accounts/"+acme+"/objectives/"+o.ID || start.Account != acme {
			t.Errorf("%+v", start)
		}
		if !strings.HasPrefix(start.Summary, "checkout is burning its budget 16 times too fast.") {
			t.Errorf("%q", start.Summary)
		}
		if start.ID != start.Correlation || end.Correlation != start.ID || end.ID == start.ID || end.Event != "end" ||
			!strings.Contains(end.Summary, "no longer burns") {
			t.Errorf("start %s %s, end %+v", start.ID, start.Correlation, end)
		}
		var data map[string]any
		if err := json.Unmarshal(start.Data, &data); err != nil || data["detection_seconds"] != 50.0 ||
			data["pair"].(map[string]any)["long"] != "1h" {
			t.Errorf("%v %s", err, start.Data)
		}
		past, err := w.f.Transitions(t.Context(), o, 0, slo.NewestPast, 10)
		if err != nil || len(past) != 2 || past[0].Event != "end" || past[1].At.Unix() != at.Unix() ||
			past[1].Correlation != start.ID || !past[0].Told {
			t.Errorf("%v %+v", err, past)
		}
	})
}

// TestACrashAtAnyPointLeavesTheSameState compares an uninterrupted run with ones
// that are cut: before the commit, after it, and with other batches afterwards.
func TestACrashAtAnyPointLeavesTheSameState(t *testing.T) {
	both(t, func(t *testing.T, database func() string) {
		list := story()
		list = append(list, count(shop, "late", event.Count{At: epoch + 3600, Seconds: 300, Total: 7000, Bad: 11}))
		list = append(list, steady(shop, epoch+4*3600+780, epoch+4*3600+900, 100, 0)...)
		never := func(int) bool { return false }
		run := func(size int, released bool, crash func(i int) bool) string {
			w := newWorld(t, database())
			another := func() {
				w.f = w.another(nil)
				if released {
					w.f.KeepNoBlocks()
				}
			}
			another()
			w.create(checkoutSpec())
			normal := w.objectiveID()
			for i := 0; len(list) > i*size; i++ {
				part := list[i*size : min(len(list), (i+1)*size)]
				b := w.batch(part...)
				if crash(i) {
					// The transaction fails: nothing of the batch is there.
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if err := w.f.Handle(ctx, b); err == nil {
						t.Fatal("a batch was stored without a database")
					}
					if i%2 == 0 {
						w.f = w.another(nil) // another process starts from the committed state
					}
				}
				if err := w.f.Handle(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				if crash(i) {
					another()
				}
			}
			return strings.ReplaceAll(w.dump(), normal, "OBJECTIVE")
		}
		strip := func(s string) string { return alertIDs.ReplaceAllString(s, "ID") }
		want := strip(run(100, false, never))
		if got := strip(run(100, false, func(i int) bool { return i%3 == 1 })); got != want {
			t.Error("a run with crashes differs")
			report(t, want, got)
		}
		if got := strip(run(100, false, func(i int) bool { return true })); got != want {
			t.Error("a run with a crash at every batch differs")
			report(t, want, got)
		}
		if got := strip(run(100, true, func(i int) bool { return i%5 == 2 })); got != want {
			t.Error("a run that reads every block from the database differs")
			report(t, want, got)
		}
		// Counts in order give the same with any batches.
		if got := strip(run(7, false, func(i int) bool { return i%50 == 3 })); got != want {
			t.Error("a run with other batches differs")
			report(t, want, got)
		}
	})
}

func report(t *testing.T, want, got string) {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Logf("first difference in line %d of %d and %d:\n%.300s\n%.300s", i, len(a), len(b), a[i], b[i])
			return
		}
	}
}

func TestARepeatedBatchIsCountedOnce(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	list := steady(shop, epoch, epoch+100, 10, 1)
	w.handle(list...)
	w.handle(list...)
	w.f = w.another(nil)
	w.handle(list...)
	w.setClock(epoch + 100)
	_, s, err := w.f.Status(t.Context(), acme, o.ID)
	if err != nil || s.Budget.Total != 100 || s.Budget.Bad != 10 {
		t.Errorf("%v %+v", err, s.Budget)
	}
}

func TestAnOwnerThatWasReplacedStoresNothing(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	w.handle(steady(shop, epoch, epoch+100, 10, 0)...)
	// Another process goes on; the first one does not know.
	first := w.f
	w.f = w.another(nil)
	w.handle(steady(shop, epoch+100, epoch+200, 10, 0)...)
	w.f = first
	w.handle(steady(shop, epoch+200, epoch+300, 10, 0)...) // it reads the state again
	w.setClock(epoch + 300)
	_, s, err := w.f.Status(t.Context(), acme, o.ID)
	if err != nil || s.Budget.Total != 300 {
		t.Errorf("%v %+v", err, s.Budget)
	}
	// A claim that was lost commits nothing.
	before := w.dump()
	err = w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE bus_offset SET epoch = 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = w.f.Handle(t.Context(), w.batch(steady(shop, epoch+300, epoch+400, 10, 0)...))
	if !errors.Is(err, bus.ErrFenced) {
		t.Errorf("%v", err)
	}
	if w.dump() != before {
		t.Error("it stored something")
	}
}

func TestAnObjectiveIsJudgedByWhatItsZoneCountedBefore(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.handle(steady(shop, epoch, epoch+3600, 100, 1)...)
		w.setClock(epoch + 3610)
		o := w.create(checkoutSpec())
		if _, s, err := w.f.Status(t.Context(), acme, o.ID); err != nil ||
			s.Budget.Total != 36_000 || s.State != slo.Burning || s.DataAt.Unix() != epoch+3600 ||
			s.Pairs[0].Long.Total != 36_000 {
			t.Errorf("at once: %v %+v", err, s)
		}
		// The alert needs no further count, of this zone or another one.
		list := w.alerts()
		if len(list) != 1 || list[0].Event != "start" || list[0].Resource.ID != o.ID {
			t.Errorf("alerts at once: %+v", list)
		}
		part := w.create(slo.ObjectiveSpec{
			Name:   "origin",
			Match:  slo.Match{Zone: "shop", Origin: "10.0.0.1:443"},
			Target: 99,
		})
		slow := w.create(slo.ObjectiveSpec{Name: "latency", Match: slo.Match{Zone: "shop"}, SLI: "latency", Target: 99})
		w.handle(count(shop, "x", event.Count{At: epoch + 3600, Seconds: 10, Total: 100, Bad: 1, Origin: "10.0.0.1:443"},
			event.Count{At: epoch + 3600, Seconds: 10, Total: 50, Bad: 1, Origin: "10.0.0.2:443"},
			event.Count{At: epoch + 3600, Seconds: 10, Total: 9, Bad: 2, SLI: "latency"}))
		w.setClock(epoch + 3620)
		for id, want := range map[string][2]uint64{o.ID: {36_150, 362}, part.ID: {100, 1}, slow.ID: {9, 2}} {
			_, s, err := w.f.Status(t.Context(), acme, id)
			if err != nil || s.Budget.Total != want[0] || s.Budget.Bad != want[1] {
				t.Errorf("%v %+v, want %v", err, s.Budget, want)
			}
		}
		// The shard goes on from the alert that was sent: it sends no second one.
		if list := w.alerts(); len(list) != 1 {
			t.Errorf("alerts after the next counts: %+v", list)
		}
		// A target that the failures meet ends the alert, again without a count.
		spec := checkoutSpec()
		spec.Target = 90
		spec.Pairs = []slo.Pair{{Long: slo.H1, Short: slo.M5, Factor: 5, Severity: slo.Page}}
		if _, err := w.f.Replace(t.Context(), acme, o.ID, spec, nil); err != nil {
			t.Fatal(err)
		}
		list = w.alerts()
		if len(list) != 2 || list[1].Event != "end" || list[1].Correlation != list[0].ID {
			t.Errorf("alerts after the target was lowered: %+v", list)
		}
		// One that they miss by far starts one.
		spec.Target = 99.99
		if _, err := w.f.Replace(t.Context(), acme, o.ID, spec, nil); err != nil {
			t.Fatal(err)
		}
		if list = w.alerts(); len(list) != 3 || list[2].Event != "start" {
			t.Errorf("alerts after the target was raised: %+v", list)
		}
	})
}

func TestAnObjectiveOnOldFailuresSendsNoAlert(t *testing.T) {
	w := newWorld(t, "")
	w.handle(steady(shop, epoch, epoch+3600, 100, 60)...)
	w.setClock(epoch + 3600 + 7200) // nothing was counted for two hours
	o := w.create(checkoutSpec())
	_, s, err := w.f.Status(t.Context(), acme, o.ID)
	if err != nil || s.State != slo.Burning || !strings.Contains(s.Sentence, "There has been no data since") {
		t.Errorf("%v %s %q", err, s.State, s.Sentence)
	}
	if list := w.alerts(); list != nil {
		t.Errorf("alerts: %+v", list)
	}
}

// TestEveryPlaceSaysTheSameState goes through an outage and its end: status and
// summary name the same state, with sentences and numbers that fit it.
func TestEveryPlaceSaysTheSameState(t *testing.T) {
	const broke = epoch + 4*3600
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	at := func(now int64, state slo.State, texts ...string) slo.Status {
		t.Helper()
		w.setClock(now)
		_, s, err := w.f.Status(t.Context(), acme, o.ID)
		if err != nil || s.State != state {
			t.Fatalf("%v: state %s, want %s: %s", err, s.State, state, s.Sentence)
		}
		list, err := w.f.Summaries(t.Context(), acme)
		if err != nil || len(list) != 1 || list[0].State != s.State || list[0].Sentence != s.Sentence ||
			list[0].Tone != s.BudgetTone() {
			t.Errorf("%v: the summary says %+v, the status %s %q", err, list, s.State, s.Sentence)
		}
		for _, text := range texts {
			if !strings.Contains(s.Sentence, text) {
				t.Errorf("%q is missing in %q", text, s.Sentence)
			}
		}
		return s
	}
	var weeks []event.Traffic
	for hour := int64(epoch - 20*86400); hour < epoch; hour += 3600 {
		weeks = append(weeks, count(shop, fmt.Sprint("hour ", hour), event.Count{At: hour, Seconds: 3600, Total: 36_000}))
	}
	w.handle(weeks...)
	w.handle(steady(shop, epoch, broke, 100, 0)...)
	at(broke, slo.Healthy, "is on track")
	w.handle(steady(shop, broke, broke+180, 100, 60)...)
	burning := at(broke+180, slo.Burning, "times too fast")
	if burning.Budget.ExhaustedIn == nil || burning.Tone() != ui.Bad {
		t.Errorf("burning: %+v", burning)
	}
	// Two good ticks are no repair, three are.
	w.handle(steady(shop, broke+180, broke+200, 100, 0)...)
	at(broke+200, slo.Burning)
	w.handle(steady(shop, broke+200, broke+240, 100, 0)...)
	recovering := at(broke+240, slo.Recovering, "is recovering", "stopped 1:00 ago", "ends in")
	if recovering.Budget.ExhaustedIn != nil || recovering.Tone() != ui.Warn || recovering.EndText() != "paused" ||
		recovering.Pace() != "no failures for 1:00" {
		t.Errorf("recovering: %+v, ends %q, %q", recovering, recovering.EndText(), recovering.Pace())
	}
	// A failure takes it back.
	w.handle(steady(shop, broke+240, broke+250, 100, 60)...)
	at(broke+250, slo.Burning)
	// Silence is no repair.
	at(broke+250+3600, slo.Burning, "There has been no data since")
	w.handle(steady(shop, broke+250, broke+600, 100, 0)...)
	after := at(broke+600, slo.Healthy, "is on track")
	if after.Budget.ExhaustedIn != nil || after.BurnNow().Window != slo.M5 || after.BurnNow().Burn != 0 ||
		after.EndText() != "not soon" || after.Tone() != ui.Good {
		t.Errorf("after: %+v, ends %q, burn %+v", after, after.EndText(), after.BurnNow())
	}
	for _, p := range after.Pairs {
		if p.State == "covered" && !strings.Contains(p.Why, "has ended") {
			t.Errorf("%s: %q", p.Pair, p.Why)
		}
	}
}

func TestHistoryIsReplayedAndNotTold(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	list := story()
	b := w.batch(list...)
	for i := range b.Records {
		b.Records[i].Time = time.Unix(epoch+30*86400, 0) // sent a month later
	}
	if err := w.f.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := w.alerts(); got != nil {
		t.Errorf("told: %+v", got)
	}
	past, err := w.f.Transitions(t.Context(), o, 0, slo.NewestPast, 10)
	if err != nil || len(past) != 2 || past[1].At.Unix() != epoch+4*3600+50 || past[1].Told {
		t.Errorf("%v %+v", err, past)
	}
}

func TestTwoZonesInOneBatchAreReplayedTogether(t *testing.T) {
	w := newWorld(t, "")
	a := w.create(checkoutSpec())
	spec := checkoutSpec()
	spec.Name = "blog"
	spec.Match.Zone = "blog"
	b := w.create(spec)
	list := story()
	for _, r := range story() {
		r.Zone = blog
		r.ID = "b" + r.ID
		list = append(list, r)
	}
	w.handle(list...)
	for _, o := range []*slo.Objective{a, b} {
		past, err := w.f.Transitions(t.Context(), o, 0, slo.NewestPast, 10)
		if err != nil || len(past) != 2 || past[1].At.Unix() != epoch+4*3600+50 {
			t.Errorf("%s: %v %+v", o.Name, err, past)
		}
	}
}

func TestWhatCannotBeCountedIsRefusedByReason(t *testing.T) {
	w := newWorld(t, "")
	registry := prometheus.NewRegistry()
	w.f = w.another(registry)
	good := event.Count{At: epoch, Seconds: 10, Total: 5, Bad: 1}
	bad := func(change func(*event.Count)) event.Count {
		c := good
		change(&c)
		return c
	}
	b := w.batch(count(shop, "1", good), count(shop, "1", good),
		count(shop, "2", bad(func(c *event.Count) { c.Bad = 6 }), bad(func(c *event.Count) { c.Total = -1 }),
			bad(func(c *event.Count) { c.Seconds = 4000 })),
		count(shop, "3", bad(func(c *event.Count) { c.At += 3600 })),
		count(shop, "4", bad(func(c *event.Count) { c.At -= 40 * 86400 })),
		event.Traffic{Account: "nobody", Zone: shop, ID: "5", Counts: []event.Count{good}})
	for i := range b.Records {
		b.Records[i].Time = time.Unix(epoch+20, 0)
	}
	b.Records = append(b.Records, bus.Record{Value: []byte(`{`), Time: time.Unix(epoch+20, 0)})
	if err := w.f.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families {
		for _, one := range m.GetMetric() {
			name := m.GetName()
			for _, l := range one.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = one.GetCounter().GetValue() + one.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"belfry_slo_refused_total unreadable": 5,
		"belfry_slo_refused_total repeat":     1,
		"belfry_slo_refused_total future":     1,
		"belfry_slo_refused_total old":        1,
		"belfry_slo_updates_total":            1,
		"belfry_slo_lines 0":                  1,
		"belfry_slo_watermark_seconds 0":      epoch + 10,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestCountsComeOverTheBus(t *testing.T) {
	w := newWorld(t, "")
	o := w.create(checkoutSpec())
	// The claim is the consumer's own.
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM bus_offset`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := running(t, w)
	now := time.Now().Unix() / 10 * 10
	var msgs []bus.Message
	for _, r := range append(steady(shop, now-3600, now-60, 100, 0), steady(shop, now-60, now, 100, 60)...) {
		value, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, bus.Message{Topic: event.TopicTrafficSharded, Key: []byte(shop), Value: value})
	}
	if err := p.Publish(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	w.setClock(now)
	deadline := time.Now().Add(time.Minute)
	for {
		_, s, err := w.f.Status(t.Context(), acme, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.State == slo.Burning && s.Budget.Bad == 360 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if list := w.alerts(); len(list) != 1 || list[0].Event != "start" {
		t.Errorf("%+v", list)
	}
}
