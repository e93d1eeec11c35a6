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

// A disk without room fails writes and leaves reads alone, so that a check that
// only reads says that all is well. From the first write that found no room,
// Ping writes itself, until that succeeds:
//
//	ok --a write finds no room--> full --findRoom--> ok
//
// A small write alone proves little: SQLite takes it into the part of the WAL
// that it has already. So on SQLite a file of roomBytes comes first.

// roomBytes is how much the disk of a SQLite file must take before it counts as
// having room.
const roomBytes = 1 << 20

// noRoom reports whether err says that the disk (or its quota) is full.
func noRoom(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == sqlite3.SQLITE_FULL
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53100"
}

// findRoom writes as a caller would; when that succeeds, the disk counts as
// having room again.
func (d *DB) findRoom(ctx context.Context) error {
	if d.Engine == SQLite {
		if err := tryFile(d.file + "-room"); err != nil {
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

// tryFile writes a file of roomBytes, down to the disk, and removes it.
func tryFile(name string) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	if _, err := f.Write(make([]byte, roomBytes)); err != nil {
		return err
	}
	return f.Sync()
}
