package delivery_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
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
		if !strings.Contains(plan, "delivery_subject (subject=?") {
			t.Errorf("%q: %s", rest, plan)
		}
	}
}
