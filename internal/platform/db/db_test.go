package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/engines"
)

func schema(files map[string]string) db.Schema {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return db.Schema{Source: "test", Files: m}
}

var things = schema(map[string]string{
	"0001_thing.sql": `CREATE TABLE thing (
		id TEXT PRIMARY KEY, n BIGINT NOT NULL, body BYTEA, on_ BOOLEAN NOT NULL DEFAULT FALSE);`,
	"0002_index.sqlite.sql":   `CREATE INDEX thing_n ON thing (n); CREATE INDEX thing_on ON thing (on_);`,
	"0002_index.postgres.sql": `CREATE INDEX thing_n ON thing (n); CREATE INDEX thing_on ON thing (on_);`,
})

// onBoth runs a test on SQLite and, where one is given, on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, open func(...db.Schema) (*db.DB, error))) {
	opener := func(t *testing.T, cfg db.Config) func(...db.Schema) (*db.DB, error) {
		return func(s ...db.Schema) (*db.DB, error) {
			c := cfg
			c.Schemas = s
			d, err := db.Open(t.Context(), c)
			if err == nil {
				t.Cleanup(func() { d.Close() })
			}
			return d, err
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		test(t, opener(t, db.Config{Feature: "test", DataDir: t.TempDir()}))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, opener(t, db.Config{Feature: "test", URL: engines.Postgres(t)}))
	})
}

func TestMigrationsAreAppliedOnceAndAChangedOneIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		for range 2 {
			d, err := open(things)
			if err != nil {
				t.Fatal(err)
			}
			list, err := d.Migrations(t.Context())
			if err != nil || len(list) != 2 || list[0].Name != "0001_thing" {
				t.Fatalf("%v %v", list, err)
			}
			d.Close()
		}
		if _, err := open(schema(map[string]string{"0001_thing.sql": `SELECT 1`, "0002_index.sql": `SELECT 1`})); err == nil {
			t.Fatal("a changed migration was accepted")
		}
		if _, err := open(schema(nil)); err == nil {
			t.Fatal("a database newer than the program was accepted")
		}
	})
}

func TestARolledBackTxLeavesNothingAndACommittedOneIsSeen(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(things)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		boom := errors.New("boom")
		insert := func(id string, fail error) error {
			return d.Tx(ctx, func(tx *db.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO thing (id, n, body, on_) VALUES ($1, $2, $3, $4)`, id, 1, []byte{0, 1},
					true); err != nil {
					return err
				}
				return fail
			})
		}
		if err := insert("a", boom); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if err := insert("b", nil); err != nil {
			t.Fatal(err)
		}
		if err := insert("b", nil); !db.Unique(err) {
			t.Fatalf("a second b: %v", err)
		}
		func() {
			defer func() { recover() }()
			d.Tx(ctx, func(tx *db.Tx) error {
				tx.Exec(ctx, `INSERT INTO thing (id, n) VALUES ('c', 1)`)
				panic("in the middle")
			})
		}()
		var ids string
		var on bool
		err = d.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT MAX(id), MAX(CASE WHEN on_ THEN 1 ELSE 0 END) = 1 FROM thing`).Scan(&ids, &on)
		})
		if err != nil || ids != "b" || !on {
			t.Fatalf("%q %v %v", ids, on, err)
		}
		err = d.View(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM thing`)
			return err
		})
		if err == nil {
			t.Fatal("a View could write")
		}
	})
}

func TestConcurrentTransactionsAreAllKept(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(...db.Schema) (*db.DB, error)) {
		d, err := open(things)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for j := range 10 {
					err := d.Tx(t.Context(), func(tx *db.Tx) error {
						_, err := tx.Exec(t.Context(),
							`INSERT INTO thing (id, n) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = thing.n + 1`, fmt.Sprint((i+j)%5))
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var sum int
		err = d.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT CAST(SUM(n) AS BIGINT) FROM thing`).Scan(&sum)
		})
		if err != nil || sum != 160 {
			t.Fatalf("%d of 160, %v", sum, err)
		}
	})
}

func TestAWriterGathersWaitingCallersAndDrainsAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		hold := make(chan struct{})
		w := db.NewWriter(db.Limits{
			Batch: 50,
			Queue: 1000,
			Lanes: 1,
		}, func(int) int { return 1 }, func(_ context.Context, items []int) error {
			<-hold
			sizes = append(sizes, len(items))
			for _, it := range items {
				if it < 0 {
					return errors.New("negative")
				}
			}
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		var callers, runner sync.WaitGroup
		runner.Go(func() { w.Run(ctx) })
		do := func(i int) {
			callers.Go(func() {
				if err := w.Do(t.Context(), i); err != nil {
					t.Error(err)
				}
			})
		}
		do(0)
		synctest.Wait() // the first is being flushed; the others gather behind it
		for i := range 199 {
			do(i)
		}
		synctest.Wait()
		close(hold)
		callers.Wait()
		if got := fmt.Sprint(sizes); got != "[1 50 50 50 49]" {
			t.Fatalf("flushes of %s items", got)
		}
		if err := w.Do(t.Context(), -1); err == nil || err.Error() != "negative" {
			t.Fatalf("the flush's error did not reach the caller: %v", err)
		}
		cancel()
		runner.Wait()
		if err := w.Do(t.Context(), 1); errs.KindOf(err) != errs.Unavailable {
			t.Fatalf("a stopped writer answered %v", err)
		}
	})
}

func TestAFullQueueAnswersUnavailable(t *testing.T) {
	w := db.NewWriter(db.Limits{
		Batch: 10,
		Queue: 10,
		Lanes: 1,
	}, func(n int) int { return n }, func(context.Context, []int) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Do(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := w.Do(ctx, 1); errs.KindOf(err) != errs.Unavailable {
		t.Fatal(err)
	}
}

func TestTheCachesOfAllConnectionsStayWithinTheirBound(t *testing.T) {
	const bound = 12 << 10 // KiB
	const conns = 4
	d, err := db.Open(t.Context(), db.Config{Feature: "test", DataDir: t.TempDir(), Conns: conns, Cache: bound << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cacheOf := func(tx *db.Tx) (kib int64, err error) {
		err = tx.QueryRow(t.Context(), `SELECT -cache_size FROM pragma_cache_size`).Scan(&kib)
		return kib, err
	}
	var sum int64
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		kib, err := cacheOf(tx)
		sum += kib
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Every reader at once, so that each is another connection.
	var mu sync.Mutex
	var reading, readers sync.WaitGroup
	reading.Add(conns)
	for range conns {
		readers.Go(func() {
			err := d.View(t.Context(), func(tx *db.Tx) error {
				kib, err := cacheOf(tx)
				mu.Lock()
				sum += kib
				mu.Unlock()
				reading.Done()
				reading.Wait()
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	if sum > bound || sum < bound*9/10 {
		t.Fatalf("the caches may hold %d KiB together; the bound is %d", sum, bound)
	}
}
