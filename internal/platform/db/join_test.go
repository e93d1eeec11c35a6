package db_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// TestAStatementRunsForManyRows inserts, updates and reads with the same number of
// rows as several chunks of SQLite, of which some do not fit in the statement.
func TestAStatementRunsForManyRows(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(things)
		if err != nil {
			t.Fatal(err)
		}
		const n = 64 + 8 + 3
		var inserted, changed []string
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			var rows [][]any
			for i := range n {
				rows = append(rows, thingRow(i))
			}
			rows = append(rows, rows[0]) // known by then
			collect := func(to *[]string) func(db.Row) error {
				return func(row db.Row) error {
					id, err := db.ScanText(row)
					*to = append(*to, id)
					return err
				}
			}
			err := tx.Join(t.Context(), []string{"id", "n", "body", "on_"}, rows, `INSERT INTO thing (id, n, body, on_)
				SELECT id, n, body, on_ FROM input WHERE TRUE ON CONFLICT (id) DO NOTHING RETURNING id`, collect(&inserted))
			if err != nil {
				return err
			}
			var raise [][]any
			for i := range n + 5 { // five are not there
				raise = append(raise, []any{fmt.Sprintf("%03d", i), int64(1000)})
			}
			return tx.Join(t.Context(), []string{"id", "more"}, raise, `UPDATE thing SET n = n + input.more
				FROM input WHERE thing.id = input.id AND thing.on_ RETURNING thing.id`, collect(&changed))
		})
		if err != nil || len(inserted) != n || len(changed) != (n+1)/2 {
			t.Fatalf("%d inserted, %d changed, %v", len(inserted), len(changed), err)
		}
		var sum, body int
		err = d.View(t.Context(), func(tx *db.Tx) error {
			return tx.Join(t.Context(), []string{"id"}, [][]any{{"001"}, {"002"}, {"absent"}},
				`SELECT n, body FROM input CROSS JOIN thing WHERE thing.id = input.id`, func(row db.Row) error {
					var one int
					var b []byte
					err := row.Scan(&one, &b)
					sum += one
					body += int(b[0])
					return err
				})
		})
		if err != nil || sum != 1003 || body != 3 {
			t.Errorf("%d, %d, %v", sum, body, err)
		}
		slices.Sort(inserted)
		if len(slices.Compact(inserted)) != n {
			t.Error("a row is inserted twice")
		}
	})
}

// thingRow is a row of the table thing.
func thingRow(i int) []any {
	return []any{
		fmt.Sprintf("%03d", i),
		i,
		[]byte{byte(i)},
		i%2 == 0,
	}
}
