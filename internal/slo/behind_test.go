package slo_test

import (
	"fmt"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// TestReadingsThatAreBehindAreAddedUp has more series with objectives in a batch than readings that a batch writes. The
// statuses are those of the counts at any time, also when another process takes the shard in between; in the end every
// reading is written.
func TestReadingsThatAreBehindAreAddedUp(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const origins = 4100 // readings of three batches
		w.insertObjectives(origins)
		tick := func(n int64) event.Traffic {
			r := count(shop, fmt.Sprint("tick ", n))
			for i := range origins {
				r.Counts = append(r.Counts, event.Count{
					At: epoch + 10*n, Seconds: 10, Origin: fmt.Sprint("o", i), Total: int64(10 + i%7), Bad: int64(i % 2),
				})
			}
			return r
		}
		check := func(behind, ticks int64) {
			t.Helper()
			var is int64
			err := w.db.View(t.Context(), func(tx *db.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT behind FROM shard`).Scan(&is)
			})
			if err != nil || is != behind {
				t.Fatalf("behind %d, want %d: %v", is, behind, err)
			}
			for _, i := range []int64{0, 1, 1999, 2000, 2001, origins - 1} {
				_, s, err := w.f.Status(t.Context(), acme, objectiveOf(int(i)))
				if err != nil || s.Budget.Total != uint64(ticks*(10+i%7)) || s.Budget.Bad != uint64(ticks*(i%2)) ||
					s.DataAt.Unix() != epoch+10*ticks {
					t.Fatalf("objective %d after %d ticks: %v %+v, data until %v", i, ticks, err, s.Budget, s.DataAt)
				}
			}
		}
		w.setClock(epoch + 60)
		w.handle(tick(0))
		check(1, 1)
		w.f = w.another(nil)
		w.handle(tick(1))
		check(1, 2)
		// Nothing is counted but another property.
		for i := range int64(2) {
			w.handle(count(blog, fmt.Sprint("blog ", i), event.Count{At: epoch + 10, Seconds: 10, Total: 1}))
			w.f = w.another(nil)
		}
		for i := range int64(3) {
			w.handle(count(blog, fmt.Sprint("more ", i), event.Count{At: epoch + 10, Seconds: 10, Total: 1}))
		}
		check(0, 2)
		var readings int
		err := w.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM reading`).Scan(&readings)
		})
		if err != nil || readings != origins {
			t.Errorf("%d readings: %v", readings, err)
		}
	})
}

func objectiveOf(i int) string { return fmt.Sprintf("%032x", i) }

// insertObjectives stores objectives on origins of the shop, more than an account may create.
func (w *world) insertObjectives(n int) {
	w.t.Helper()
	var rows [][]any
	for i := range n {
		rows = append(rows, []any{
			objectiveOf(i),
			acme,
			fmt.Sprint("objective ", i),
			shop,
			"origin",
			fmt.Sprint("o", i),
			"",
			`{"target":50,"window":"30d","pairs":[{"long":"1h","short":"5m","factor":1,"severity":"page"}],` +
				`"guard":{"alpha":0.000001}}`,
			int64(0),
			int64(0),
		})
	}
	err := w.db.Tx(w.t.Context(), func(tx *db.Tx) error {
		return tx.Insert(w.t.Context(), "objective", []string{"id", "account_id", "name", "zone_id", "kind", "value", "sli",
			"config", "created_at", "modified_at"}, "", rows)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
