package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/engines"
)

// A process that is frozen in the middle of a transaction sends nothing: PostgreSQL cannot
// tell it from one that thinks, and keeps its locks.
func TestATransactionThatDoesNotGoOnLosesItsLocks(t *testing.T) {
	url := engines.Postgres(t)
	open := func(url string) *db.DB {
		d, err := db.Open(t.Context(), db.Config{Feature: "test", URL: url, Schemas: []db.Schema{things}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	add := func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO thing (id, n) VALUES ('a', 1) ON CONFLICT (id) DO UPDATE SET n = thing.n + 1`)
		return err
	}
	frozen, other := open(url+"&idle_in_transaction_session_timeout=300"), open(url)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := true
	err := frozen.Tx(ctx, func(tx *db.Tx) error {
		if err := add(ctx, tx); err != nil || !first {
			return err
		}
		first = false
		if err := other.Tx(ctx, func(tx *db.Tx) error { return add(ctx, tx) }); err != nil {
			t.Errorf("the other process waits for a lock that nobody will give back: %v", err)
		}
		return add(ctx, tx)
	})
	if errs.KindOf(err) != errs.Unavailable {
		t.Errorf("the frozen process is told %v, want a fault that the same request may outlive", err)
	}
	err = other.View(t.Context(), func(tx *db.Tx) error {
		var n int
		var limit string
		if err := tx.QueryRow(t.Context(),
			`SELECT n, current_setting('idle_in_transaction_session_timeout') FROM thing`).Scan(&n, &limit); err != nil {
			return err
		}
		if n != 1 || limit != "15s" {
			t.Errorf("%d changes, limit %s; want the other process's change only, and 15s without a setting", n, limit)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
