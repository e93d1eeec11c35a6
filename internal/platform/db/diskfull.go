package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A full disk fails writes but not reads, so a health check that only reads would
// pass. After the first write that failed for it, Ping writes itself until that
// succeeds:
//
//	ok --a write fails--> full --checkDisk--> ok
//
// A small write proves little, because SQLite puts it into the part of the WAL that
// is allocated already. So on SQLite a file of probeBytes is written first.

// probeBytes must fit on the disk of a SQLite file before writes count as possible.
const probeBytes = 1 << 20

// diskFull reports whether err means that the disk (or its quota) is full.
func diskFull(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == sqlite3.SQLITE_FULL
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53100"
}

// checkDisk writes as a caller would; the disk is no longer full if that succeeds.
func (d *DB) checkDisk(ctx context.Context) error {
	if d.Engine == SQLite {
		if err := ProbeDisk(d.file+"-room", probeBytes); err != nil {
			return fmt.Errorf("writes are refused since the disk was full: %w", err)
		}
	}
	// Cleared first: a write that fails meanwhile sets it again.
	d.full.Store(false)
	err := d.Tx(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM room`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO room (at) VALUES ($1)`, time.Now().UnixMicro())
		return err
	})
	if err != nil {
		d.full.Store(true)
		return fmt.Errorf("writes are refused since the disk was full: %w", err)
	}
	return nil
}

// ProbeDisk writes a file of so many bytes, with an fsync, and removes it. An error
// means that the disk has no space for it.
func ProbeDisk(name string, bytes int) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	if _, err := f.Write(make([]byte, bytes)); err != nil {
		return err
	}
	return f.Sync()
}
