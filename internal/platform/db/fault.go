package db

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// describe gives an engine's fault its kind: faults that a restart or more disk space
// cures are Unavailable, and an I/O error of SQLite ends the DB.
func (d *DB) describe(err error) error {
	if err == nil {
		return nil
	}
	if diskFull(err) {
		d.full.Store(true)
	}
	var described *errs.Error
	var list errs.List
	if errors.As(err, &described) || errors.As(err, &list) {
		return err
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch code := lite.Code(); {
		case code&0xff == sqlite3.SQLITE_IOERR && code != sqlite3.SQLITE_IOERR_SHORT_READ ||
			code&0xff == sqlite3.SQLITE_CORRUPT:
			d.fail(err)
			return unavailable(err)
		case code&0xff == sqlite3.SQLITE_FULL, code&0xff == sqlite3.SQLITE_BUSY, code&0xff == sqlite3.SQLITE_LOCKED:
			return unavailable(err)
		}
		return err
	}
	if connectionLost(err) {
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error {
	return errs.New(errs.CodeUnavailable, "the database is not available at the moment").Because(err).After(time.Second)
}

// fail marks the DB as unusable. A full disk is not such a failure (SQLite
// reports it as SQLITE_FULL and rolls back); an error of write or fsync is: the
// kernel may have dropped the dirty pages, and a second fsync would succeed
// without them.
func (d *DB) fail(err error) {
	d.failOnce.Do(func() {
		d.down.Store(true)
		d.failed <- err
	})
}

func connectionLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if pg.Code == "25P03" { // this process did not go on with the transaction in time
			return true
		}
		switch pg.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system error
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// repeatable reports whether PostgreSQL undid the transaction for a reason
// that a repetition cures: 40001 serialisation failure, 40P01 deadlock.
func repeatable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// Unique reports whether err is a violated unique constraint, on either engine.
func Unique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) &&
		(lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Broken reports whether err is a fault of the database itself (or the end of the
// context), as opposed to an error in its content.
func Broken(err error) bool {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	return errors.As(err, &lite) || errors.As(err, &pg) || connectionLost(err) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
