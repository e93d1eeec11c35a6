package db_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAFullDiskIsSaidByPingUntilAWriteSucceeds(t *testing.T) {
	dir := t.TempDir()
	d, err := db.Open(t.Context(), db.Config{Feature: "test", DataDir: dir, Schemas: []db.Schema{things}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	limit := func(pages string) error {
		return d.Tx(t.Context(), func(tx *db.Tx) error {
			var n int
			return tx.QueryRow(t.Context(), `PRAGMA max_page_count = `+pages).Scan(&n)
		})
	}
	insert := func() error {
		return d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO thing (id, n, body) VALUES ($1, 1, $2)`, "big", make([]byte, 1<<20))
			return err
		})
	}
	if err := limit("1"); err != nil { // SQLite keeps what there is, and adds no page
		t.Fatal(err)
	}
	// SQLite is full now; the file system is not, so that a file tells what Ping finds.
	blocked := filepath.Join(dir, "test.db-room")
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Ping(t.Context()); err != nil {
		t.Fatalf("before any write: %v", err)
	}
	if err := insert(); errs.KindOf(err) != errs.Unavailable {
		t.Fatalf("a write without room: %v", err)
	}
	for range 2 {
		if err := d.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "disk was full") {
			t.Fatalf("ping: %v", err)
		}
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := limit("1000000"); err != nil {
		t.Fatal(err)
	}
	if err := d.Ping(t.Context()); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(blocked); !os.IsNotExist(err) {
		t.Fatalf("Ping left its file: %v", err)
	}
}
