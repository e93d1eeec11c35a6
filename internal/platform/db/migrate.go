package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// Schema is a set of migrations: files NNNN_name.sql, applied once each in the
// order of their names, forward only. Where the DDL of the engines differs, there
// are two files, NNNN_name.sqlite.sql and NNNN_name.postgres.sql.
type Schema struct {
	Source string  // owner of the tables: "bus", "audit", ...
	Files  fs.FS   // the files at its root
	More   []fs.FS // further files of the same sequence, with names of their own
}

// Applied is one migration in the record that the database keeps of them.
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
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS migration (
			source TEXT   NOT NULL,
			name   TEXT   NOT NULL,
			sha256 TEXT   NOT NULL,
			at     BIGINT NOT NULL,
			PRIMARY KEY (source, name)
		)`)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS room (at BIGINT NOT NULL)`); err != nil { // of checkDisk
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

	files, err := s.texts(tx.Engine)
	if err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text := files[file]
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
		_, err := tx.Exec(ctx, `INSERT INTO migration (source, name, sha256, at) VALUES ($1, $2, $3, $4)`,
			s.Source, name, hexSum, time.Now().UnixMicro())
		if err != nil {
			return err
		}
	}
	for name := range done {
		return fmt.Errorf("the database has migration %s, which this version does not know: run a newer version", name)
	}
	return nil
}

// texts reads the files for an engine, by name.
func (s Schema) texts(engine Engine) (map[string][]byte, error) {
	otherEngine := ".sqlite"
	if engine == SQLite {
		otherEngine = ".postgres"
	}
	files := map[string][]byte{}
	for _, part := range append([]fs.FS{s.Files}, s.More...) {
		entries, err := fs.ReadDir(part, ".")
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			base, isSQL := strings.CutSuffix(e.Name(), ".sql")
			if !isSQL || strings.HasSuffix(base, otherEngine) {
				continue
			}
			if _, twice := files[e.Name()]; twice {
				return nil, fmt.Errorf("two migrations are named %s", e.Name())
			}
			if files[e.Name()], err = fs.ReadFile(part, e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
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
