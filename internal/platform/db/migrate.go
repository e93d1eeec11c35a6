package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"time"
)

// Schema is one source of migrations: files NNNN_name.sql, applied once each in
// the order of their names, forward only. Where DDL must differ, the file is
// NNNN_name.sqlite.sql beside NNNN_name.postgres.sql.
type Schema struct {
	Source string // who owns the tables: "bus", "audit", ...
	Files  fs.FS  // the files at its root
}

// Applied is one migration as the database remembers it.
type Applied struct {
	Source, Name string
	At           time.Time
}

func (d *DB) migrate(ctx context.Context, schemas []Schema) error {
	if d.Engine == Postgres {
		// Two processes may start at once: CREATE SCHEMA IF NOT EXISTS alone races.
		err := d.Tx(ctx, func(tx *Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(4207102, 1)`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS "`+d.feature+`"`)
			return err
		})
		if err != nil {
			return err
		}
	}
	return d.Tx(ctx, func(tx *Tx) error {
		if d.Engine == Postgres {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(4207102, hashtext($1))`, d.feature); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS migration (source TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (source, name))`)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS room (at BIGINT NOT NULL)`); err != nil { // of findRoom
			return err
		}
		for _, s := range schemas {
			if err := apply(ctx, tx, s); err != nil {
				return fmt.Errorf("migrate %s: %w", s.Source, err)
			}
		}
		return nil
	})
}

func apply(ctx context.Context, tx *Tx, s Schema) error {
	done := map[string]string{}
	err := Each(ctx, tx, func(row Row) error {
		var name, sum string
		err := row.Scan(&name, &sum)
		done[name] = sum
		return err
	}, `SELECT name, sha256 FROM migration WHERE source = $1`, s.Source)
	if err != nil {
		return err
	}

	entries, err := fs.ReadDir(s.Files, ".")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		base := strings.TrimSuffix(e.Name(), ".sql")
		other := map[Engine]string{SQLite: ".postgres", Postgres: ".sqlite"}[tx.Engine]
		if base != e.Name() && !strings.HasSuffix(base, other) {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	for _, file := range names {
		text, err := fs.ReadFile(s.Files, file)
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(file, ".")
		sum := sha256.Sum256(text)
		hexSum := hex.EncodeToString(sum[:])
		if old, ok := done[name]; ok {
			if old != hexSum {
				return fmt.Errorf("%s was applied with another text: add a new file instead of changing it", name)
			}
			delete(done, name)
			continue
		}
		// database/sql without arguments takes several statements on both drivers.
		if _, err := tx.tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO migration (source, name, sha256, at) VALUES ($1, $2, $3, $4)`, s.Source, name, hexSum, time.Now().UnixMicro()); err != nil {
			return err
		}
	}
	for name := range done {
		return fmt.Errorf("the database has migration %s, which this version does not know: run a newer version", name)
	}
	return nil
}

// Migrations lists the applied migrations, oldest first.
func (d *DB) Migrations(ctx context.Context) (list []Applied, err error) {
	err = d.View(ctx, func(tx *Tx) error {
		list, err = Collect(ctx, tx, scanApplied, `SELECT source, name, at FROM migration ORDER BY at, source, name`)
		return err
	})
	return list, err
}

func scanApplied(row Row) (Applied, error) {
	var a Applied
	var at int64
	err := row.Scan(&a.Source, &a.Name, &at)
	a.At = time.UnixMicro(at).UTC()
	return a, err
}
