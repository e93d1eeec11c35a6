package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestWhatWasErasedIsInNoFileOfTheDatabaseAfterAScrub(t *testing.T) {
	dir := t.TempDir()
	d, err := db.Open(t.Context(), db.Config{Feature: "test", DataDir: dir, Schemas: []db.Schema{things}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(query string, args ...any) {
		t.Helper()
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), query, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Small rows share pages with rows that stay; large rows have pages of their own.
	for i := range 200 {
		body := []byte(fmt.Sprintf("short-secret-%d", i))
		if i%10 == 0 {
			body = bytes.Repeat([]byte("long-secret-"), 2000)
		}
		write(`INSERT INTO thing (id, n, body) VALUES ($1, $2, $3)`, fmt.Sprintf("thing-%03d", i), i, body)
	}
	if err := d.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(`UPDATE thing SET body = NULL WHERE n % 2 = 0`)
	write(`DELETE FROM thing WHERE n % 2 = 1`)

	ended := make(chan struct{})
	reading := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.View(t.Context(), func(tx *db.Tx) error {
			var n int
			err := tx.QueryRow(t.Context(), `SELECT count(*) FROM thing`).Scan(&n)
			close(reading)
			<-ended
			return err
		})
	}()
	<-reading
	write(`UPDATE thing SET n = n + 1`) // the reader now needs the log's earlier pages
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var described *errs.Error
	if err := d.Scrub(short); !errors.As(err, &described) || described.Code != errs.CodeUnavailable {
		t.Fatalf("a scrub beside a reader said %v", err)
	}
	close(ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := d.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"short-secret", "long-secret"} {
			if n := bytes.Count(content, []byte(secret)); n != 0 {
				t.Errorf("%s still has %q %d times", filepath.Base(file), secret, n)
			}
		}
	}
	write(`UPDATE thing SET n = n - 1`)
}
