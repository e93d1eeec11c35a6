package slo_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo"
)

// gathered is the value of a counter.
func gathered(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestAChangedObjectiveReadsItsOwnSeriesOnly counts what shards read when objectives change.
func TestAChangedObjectiveReadsItsOwnSeriesOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := prometheus.NewRegistry()
		w.f = w.another(r)
		w.addPartition(1)
		one := w.create(checkoutSpec())
		countBoth := func(from, until int64) {
			w.handle(steady(shop, from, until, 100, 0)...)
			b := w.batch(steady(blog, from, until, 100, 1)...)
			b.Partition = 1
			if err := w.f.Handle(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(reads, refreshed float64) {
			t.Helper()
			if got := gathered(t, r, "belfry_slo_shard_reads_total"); got != reads {
				t.Errorf("%v shards read, want %v", got, reads)
			}
			if got := gathered(t, r, "belfry_slo_series_refreshed_total"); got != refreshed {
				t.Errorf("%v series refreshed, want %v", got, refreshed)
			}
		}
		countBoth(epoch, epoch+600)
		expect(2, 0)

		spec := slo.ObjectiveSpec{Name: "blog", Match: slo.Match{Zone: "blog"}, Target: 99.5, Window: "90d"}
		w.setClock(epoch + 600)
		two := w.create(spec)
		countBoth(epoch+600, epoch+1200)
		expect(2, 1)

		spec.Target = 99
		spec.Window = "week"
		if _, err := w.f.Replace(t.Context(), acme, two.ID, spec, nil); err != nil {
			t.Fatal(err)
		}
		part := slo.ObjectiveSpec{Name: "part", Match: slo.Match{Zone: "blog", Origin: "o"}, Target: 99}
		three := w.create(part) // it has no series yet
		countBoth(epoch+1200, epoch+1800)
		expect(2, 2)

		if err := w.f.Remove(t.Context(), acme, one.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.f.Remove(t.Context(), acme, three.ID, nil); err != nil {
			t.Fatal(err)
		}
		countBoth(epoch+1800, epoch+2400)
		expect(2, 3)
		w.setClock(epoch + 2400)
		_, s, err := w.f.Status(t.Context(), acme, two.ID)
		if err != nil || s.Budget.Total != 24_000 || s.Budget.Bad != 240 || s.Budget.Window.String() != "week" {
			t.Errorf("%v %+v", err, s.Budget)
		}
	})
}

// TestShardsThatRefreshEqualShardsThatRead changes objectives between batches and compares with a process that reads
// everything before each batch.
func TestShardsThatRefreshEqualShardsThatRead(t *testing.T) {
	run := func(always bool) string {
		rng := rand.New(rand.NewPCG(2, 2))
		w := newWorld(t, "")
		var ids []string
		names := ""
		for i := range int64(60) {
			w.setClock(epoch + i*100)
			windows := []string{"7d", "28d", "month", "quarter", "45d"}
			match := []slo.Match{{Zone: "shop"}, {Zone: "blog"}, {Zone: "shop", Origin: "o1"}, {Zone: "shop", Origin: "o2"}}
			spec := slo.ObjectiveSpec{
				Name:   fmt.Sprint("objective ", i),
				Match:  match[rng.IntN(4)],
				Target: 94 + float64(rng.IntN(6)),
				Window: windows[rng.IntN(5)],
			}
			at := rng.IntN(max(1, len(ids)))
			switch n := rng.IntN(6); {
			case n < 2:
				ids = append(ids, w.create(spec).ID)
			case n == 2 && len(ids) > 0:
				if _, err := w.f.Replace(t.Context(), acme, ids[at], spec, nil); err != nil {
					t.Fatal(err)
				}
			case n == 3 && len(ids) > 0:
				if err := w.f.Remove(t.Context(), acme, ids[at], nil); err != nil {
					t.Fatal(err)
				}
				ids = append(ids[:at], ids[at+1:]...)
			}
			if always {
				w.f = w.another(nil)
			}
			for n := range rng.Int64N(5) {
				from := epoch + i*100 + n*20
				bad := rng.Int64N(80)
				w.handle(count(shop, fmt.Sprint("s", from),
					event.Count{At: from, Seconds: 10, Total: 100, Bad: bad, Origin: fmt.Sprint("o", 1+n%2)}),
					count(blog, fmt.Sprint("b", from), event.Count{At: from, Seconds: 10, Total: 50, Bad: rng.Int64N(3)}))
			}
		}
		for _, objectiveID := range ids {
			o, s, err := w.f.Status(t.Context(), acme, objectiveID)
			if err != nil {
				t.Fatal(err)
			}
			names += fmt.Sprintf("%s %s %+v %v", o.Name, s.State, s.Budget.Total, s.Budget.Bad)
			for _, p := range s.Pairs {
				names += fmt.Sprintf(" %s %s %v", p.Pair, p.State, p.Long)
			}
			names += "\n"
		}
		for _, a := range w.alerts() {
			names += fmt.Sprintf("%s %s %s\n", a.Event, a.OccurredAt, a.Summary)
		}
		return names
	}
	want, got := run(true), run(false)
	if got != want {
		report(t, want, got)
		t.Error("a shard that applies changes differs from one that reads its state")
	}
}

// TestAnObjectiveThatChangesWhileABatchIsCounted is created after the batch was begun: the batch is stored, nothing is
// read again as a whole, and the objective is evaluated on the batch.
func TestAnObjectiveThatChangesWhileABatchIsCounted(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
		r := prometheus.NewRegistry()
		create := func() {}
		f, err := slo.New(slo.Config{
			Env: feature.Env{
				DB:         w.db,
				Record:     feature.NewRecorder(w.record),
				Registerer: r,
				Now: func() time.Time { // the first call is made when the batch has been begun
					act := create
					create = func() {}
					act()
					return w.Now()
				},
			},
			Zone: w.zone,
		})
		if err != nil {
			t.Fatal(err)
		}
		other := w.f
		w.f = f
		w.handle(steady(shop, epoch+3600, epoch+3610, 100, 0)...)
		w.setClock(epoch + 3610)
		create = func() {
			if _, err := other.Create(t.Context(), acme, checkoutSpec()); err != nil {
				t.Error(err)
			}
		}
		w.handle(steady(shop, epoch+3610, epoch+3700, 100, 60)...)
		if n := gathered(t, r, "belfry_slo_shard_reads_total"); n != 1 {
			t.Errorf("%v shards read", n)
		}
		list := w.alerts()
		if len(list) != 1 || list[0].Event != "start" {
			t.Errorf("alerts: %+v", list)
		}
		_, s, err := w.f.Status(t.Context(), acme, w.objectiveID())
		if err != nil || s.State != slo.Burning || s.Budget.Total != 37_000 {
			t.Errorf("%v %+v", err, s)
		}
		w.handle(steady(shop, epoch+3700, epoch+3800, 100, 60)...)
		if list := w.alerts(); len(list) != 1 {
			t.Errorf("alerts of the next batch: %+v", list)
		}
	})
}

// addPartition adds the row of a further partition's offset.
func (w *world) addPartition(n int) {
	w.t.Helper()
	err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO bus_offset (grp, topic, partition, next, epoch, updated_at)
			VALUES ($1, $2, $3, 0, 0, 0)`, slo.Group, event.TopicTrafficSharded, n)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
