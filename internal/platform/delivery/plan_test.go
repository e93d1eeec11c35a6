package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/test/engines"
)

// Every end of an incident asks for the deliveries of its subject: without the
// index a storm reads the whole table for each of its alerts.
func TestDeliveriesOfASubjectAreFoundByTheirIndex(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{
		Feature: "notify",
		DataDir: t.TempDir(),
		Schemas: []db.Schema{delivery.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, rest := range []string{"", " AND tenant = $2", " AND tenant = $2 AND state <> 'waiting'"} {
		args := []any{"root", "acme"}[:1+strings.Count(rest, "$2")]
		plan := ""
		err := d.View(t.Context(), func(tx *db.Tx) error {
			query := "EXPLAIN QUERY PLAN SELECT id FROM delivery d WHERE " + delivery.OfSubject + rest + " ORDER BY id"
			return db.Each(t.Context(), tx, func(row db.Row) error {
				var id, parent, unused int
				var step string
				err := row.Scan(&id, &parent, &unused, &step)
				plan += step + "; "
				return err
			}, query, args...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "delivery_of_subject (subject=?") {
			t.Errorf("%q: %s", rest, plan)
		}
	}
}

// PostgreSQL has not analysed a table that a storm fills, and expects that few deliveries wait.
func TestABatchReadsItsOwnDeliveriesOfAStormOnly(t *testing.T) {
	const waiting, ended = 5_000, 100
	r := newRig(t, engines.Postgres(t))
	list := make([]*delivery.Item, waiting)
	for i := range list {
		list[i] = &delivery.Item{
			Tenant:      "acme",
			Destination: "hook",
			Subject:     fmt.Sprint(i),
			Labels:      "{}",
			HoldUntil:   time.Now().Add(time.Hour),
		}
	}
	var read int
	err := r.db.Tx(t.Context(), func(tx *db.Tx) error { return r.q.Insert(t.Context(), tx, list) })
	if err != nil {
		t.Fatal(err)
	}
	closing := make([]*delivery.Closing, ended)
	for i, it := range list[:ended] {
		closing[i] = &delivery.Closing{Item: it, State: delivery.StateSuperseded}
	}
	err = r.db.Tx(t.Context(), func(tx *db.Tx) error {
		if err := r.q.End(t.Context(), tx, closing); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `SELECT SUM(idx_tup_fetch + seq_tup_read) FROM pg_stat_xact_user_tables
			WHERE relname = 'delivery' AND schemaname = current_schema()`).Scan(&read)
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < ended || read > 2*ended {
		t.Errorf("ending %d of %d deliveries read %d", ended, waiting, read)
	}
}
