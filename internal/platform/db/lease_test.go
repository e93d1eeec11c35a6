package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

var leaseTables = schema(map[string]string{
	"0001_lease.sql": `
		CREATE TABLE shard_lease (shard BIGINT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL, note TEXT);
		CREATE TABLE work (a TEXT, b TEXT, state TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '',
		lease BIGINT NOT NULL DEFAULT 0,
			n BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (a, b));
		INSERT INTO work (a, b, state) VALUES ('x', 'y', 'open'), ('x', 'z', 'ended');`,
})

var (
	shards = db.NewLeases(db.LeaseTable{
		Name:   "shard_lease",
		Key:    []string{"shard"},
		Holder: "holder",
		Until:  "until",
		Set:    []string{"note"},
	})
	work = db.NewLeases(db.LeaseTable{
		Name:     "work",
		Key:      []string{"a", "b"},
		Holder:   "owner",
		Until:    "lease",
		Set:      []string{"n"},
		Existing: true,
		Where:    "state = 'open'",
	})
)

// leased runs a test over both kinds of tables, on both engines: a, b and c are
// three holders of the same lease. set is what a claim writes besides.
func leased(
	t *testing.T, test func(t *testing.T, tx func(func(context.Context, *db.Tx) error) error, a, b, c db.Lease, set any),
) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(leaseTables)
		if err != nil {
			t.Fatal(err)
		}
		tx := func(fn func(context.Context, *db.Tx) error) error {
			return d.Tx(t.Context(), func(tx *db.Tx) error { return fn(t.Context(), tx) })
		}
		t.Run("rows of their own", func(t *testing.T) {
			test(t, tx, shards.Of("a", 7), shards.Of("b", 7), shards.Of("c", 7), "note")
		})
		t.Run("existing rows", func(t *testing.T) {
			test(t, tx, work.Of("a", "x", "y"), work.Of("b", "x", "y"), work.Of("c", "x", "y"), 5)
		})
	})
}

func TestALeaseHasOneHolder(t *testing.T) {
	leased(t, func(t *testing.T, tx func(func(context.Context, *db.Tx) error) error, a, b, c db.Lease, set any) {
		claim := func(l db.Lease, ttl time.Duration, want bool) {
			t.Helper()
			err := tx(func(ctx context.Context, tx *db.Tx) error {
				held, err := l.Claim(ctx, tx, ttl, set)
				if held != want {
					t.Errorf("claimed: %v, want %v", held, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		fence := func(l db.Lease, want error) {
			t.Helper()
			if err := tx(l.Fence); !errors.Is(err, want) {
				t.Errorf("fence: %v, want %v", err, want)
			}
		}
		renew := func(l db.Lease, want bool) {
			t.Helper()
			err := tx(func(ctx context.Context, tx *db.Tx) error {
				held, err := l.Renew(ctx, tx, time.Hour)
				if held != want {
					t.Errorf("renewed: %v, want %v", held, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		release := func(l db.Lease, pause time.Duration) {
			t.Helper()
			err := tx(func(ctx context.Context, tx *db.Tx) error { return l.Release(ctx, tx, pause) })
			if err != nil {
				t.Error(err)
			}
		}

		fence(a, db.ErrLeaseLost)
		claim(a, time.Hour, true)
		claim(b, time.Hour, false)
		claim(a, -time.Second, true) // its own, and ended at once
		fence(a, nil)                // no other holder has taken it
		renew(a, true)
		claim(b, time.Hour, false)
		claim(a, -time.Second, true)
		claim(b, time.Hour, true)
		fence(a, db.ErrLeaseLost)
		fence(b, nil)
		renew(a, false)
		release(a, 0) // not its own any more
		fence(b, nil)
		release(b, time.Hour)
		fence(b, db.ErrLeaseLost)
		claim(c, time.Hour, false) // in the pause
	})
}

func TestAReleasedLeaseIsFree(t *testing.T) {
	leased(t, func(t *testing.T, tx func(func(context.Context, *db.Tx) error) error, a, b, _ db.Lease, set any) {
		err := tx(func(ctx context.Context, tx *db.Tx) error {
			if held, err := a.Claim(ctx, tx, time.Hour, set); err != nil || !held {
				t.Errorf("claimed: %v, %v", held, err)
			}
			if err := a.Release(ctx, tx, 0); err != nil {
				return err
			}
			held, err := b.Claim(ctx, tx, time.Hour, set)
			if !held {
				t.Error("the lease is not free")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAClaimWritesItsColumnsAndTakesNoRowThatDoesNotFit(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(leaseTables)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		err = d.Tx(ctx, func(tx *db.Tx) error {
			for _, c := range []struct {
				lease db.Lease
				set   any
				want  bool
			}{
				{work.Of("a", "x", "y"), 5, true},
				{work.Of("a", "x", "z"), 5, false}, // has ended
				{work.Of("a", "x", "?"), 5, false}, // there is no such row
				{shards.Of("a", 1), "one", true},
			} {
				if held, err := c.lease.Claim(ctx, tx, time.Hour, c.set); err != nil || held != c.want {
					t.Errorf("%v: claimed %v, %v", c.lease, held, err)
				}
			}
			list, err := db.Collect(ctx, tx, db.ScanText, `SELECT note FROM shard_lease`)
			if err != nil || len(list) != 1 || list[0] != "one" {
				t.Errorf("notes %q, %v", list, err)
			}
			var n int
			if err := tx.QueryRow(ctx, `SELECT n FROM work WHERE b = 'y'`).Scan(&n); n != 5 {
				t.Errorf("n is %d", n)
			} else if err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestKeepEndsWhenTheLeaseIsLostOrNotNeeded(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(leaseTables)
		if err != nil {
			t.Fatal(err)
		}
		a, b := shards.Of("a", 7), shards.Of("b", 7)
		claim := func(l db.Lease, ttl time.Duration) {
			err := d.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := l.Claim(t.Context(), tx, ttl, "")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}

		claim(a, time.Minute)
		ctx, stop := context.WithCancel(t.Context())
		beats := 0
		// A renewal on a loaded machine may take a second; it must not come after the end of the lease.
		err = a.Keep(ctx, d, 3*time.Second, func(context.Context, *db.Tx) error {
			if beats++; beats == 2 {
				stop()
			}
			return nil
		})
		if err != nil || beats != 2 {
			t.Errorf("%d renewals, %v", beats, err)
		}

		claim(a, -time.Second)
		claim(b, time.Minute)
		if err := a.Keep(t.Context(), d, 30*time.Millisecond, nil); !errors.Is(err, db.ErrLeaseLost) {
			t.Errorf("the lease is another's: %v", err)
		}
		failing := errors.New("down")
		err = b.Keep(t.Context(), d, 30*time.Millisecond, func(context.Context, *db.Tx) error { return failing })
		if !errors.Is(err, db.ErrLeaseLost) {
			t.Errorf("never renewed: %v", err)
		}
	})
}
