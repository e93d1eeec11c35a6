package db_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
)

func TestASnapshotIsLoadedAgainWhenItsClockHasMoved(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(things, db.Schema{Source: "clock", Files: schema(map[string]string{"0001_clock.sql": `
			CREATE TABLE clock (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
			INSERT INTO clock (id, n) VALUES (1, 0), (2, 0);`}).Files})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		loads := 0
		var broken error
		s := db.NewSnapshot(d, 2, func(ctx context.Context, tx *db.Tx, before []string) ([]string, error) {
			if loads++; loads > 1 && len(before) != loads-2 {
				t.Errorf("load %d gets %q of the load before", loads, before)
			}
			list, err := db.Collect(ctx, tx, db.ScanText, `SELECT id FROM thing ORDER BY id`)
			return list, errors.Join(err, broken)
		})
		check := func(wantLoads int, want ...string) {
			t.Helper()
			got, err := s.Get(ctx)
			if err != nil || !slices.Equal(got, want) || loads != wantLoads {
				t.Errorf("%q after %d loads, %v; want %q after %d", got, loads, err, want, wantLoads)
			}
		}
		add := func(thing string, clock int) {
			err := d.Tx(ctx, func(tx *db.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO thing (id, n) VALUES ($1, 1)`, thing); err != nil {
					return err
				}
				return db.Tick(ctx, tx, clock)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		refresh := func(want bool) {
			t.Helper()
			if changed, err := s.Refresh(ctx); changed != want || !errors.Is(err, broken) {
				t.Errorf("refreshed %v, %v; want %v", changed, err, want)
			}
		}

		check(1)
		refresh(false)
		add("a", 2)
		check(1)
		refresh(true)
		check(2, "a")
		add("b", 1) // another clock
		refresh(false)
		check(2, "a")
		broken = errors.New("not readable")
		add("c", 2)
		refresh(false)
		check(3, "a") // the value before stays
	})
}

func TestASnapshotThatCannotBeLoadedSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(things) // has no clock
		if err != nil {
			t.Fatal(err)
		}
		s := db.NewSnapshot(d, 1, func(context.Context, *db.Tx, int) (int, error) { return 1, nil })
		if v, err := s.Get(t.Context()); err == nil || v != 0 {
			t.Errorf("%d, %v", v, err)
		}
	})
}
