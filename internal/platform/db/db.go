// Package db opens the database of one feature: a SQLite file with one process, a
// PostgreSQL schema with several processes. A feature writes ONE Store over
// database/sql for both: $1 parameters, TEXT/BIGINT/BYTEA/BOOLEAN, times as BIGINT
// microseconds.
//
// Writes go through [DB.Tx], reads through [DB.View]. SQLite has exactly one
// writing connection, so a Tx waits for the one before it; features that write
// for many callers gather them with a [Writer] first (group commit).
//
// [Collect] reads lists, [Leases] share work between processes, [Snapshot] keeps
// derived values in memory.
//
// Durability: SQLite runs in WAL mode with synchronous=FULL (NORMAL loses commits on
// power loss), PostgreSQL with its own synchronous_commit. After a failed fsync, the
// content of the page cache is unknown: the DB refuses everything from then on and
// reports it on [DB.Failed]; the process must end, not retry.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	_ "modernc.org/sqlite"             // registers "sqlite"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Engine is the database's kind, for the few statements that must differ.
type Engine string

// The two engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Config names one feature's database.
type Config struct {
	Feature string        // file name and schema: lower-case letters
	DataDir string        // SQLite: the folder of the files
	URL     string        // postgres://...; empty = SQLite
	Schemas []Schema      // applied in order when the database is opened
	Conns   int           // most connections at once; 0 = 8
	Cache   int64         // SQLite: bytes of the page caches of all connections together; 0 = 16 MiB
	Timeout time.Duration // longest a Tx or View may take when its context has no deadline; 0 = 30 s
}

// DB is one feature's database. Safe for concurrent use.
type DB struct {
	Engine  Engine
	feature string
	timeout time.Duration
	read    *sql.DB
	write   *sql.DB // PostgreSQL: the same pool as read

	// SQLite's only writing connection and its prepared statements. The goroutine
	// that holds the token of writer owns both.
	writer chan struct{}
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt

	failed   chan error // receives the one fatal error
	failOnce sync.Once
	down     atomic.Bool

	statements atomic.Int64

	full atomic.Bool // the last write failed because the disk is full; see Ping
	file string      // SQLite's file
}

// Open opens the database, creating and migrating it as needed.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	d := &DB{Engine: SQLite, feature: cfg.Feature, timeout: cfg.Timeout, failed: make(chan error, 1)}
	if d.timeout == 0 {
		d.timeout = 30 * time.Second
	}
	if cfg.Conns == 0 {
		cfg.Conns = 8
	}
	if cfg.Cache == 0 {
		cfg.Cache = 16 << 20
	}
	if cfg.URL != "" {
		d.Engine = Postgres
	}
	var err error
	if d.Engine == SQLite {
		err = d.openSQLite(ctx, cfg)
	} else {
		err = d.openPostgres(ctx, cfg)
	}
	if err == nil {
		err = d.migrate(ctx, cfg.Schemas)
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("open database %s: %w", cfg.Feature, err)
	}
	return d, nil
}

// busyTimeout is the time for which a connection of SQLite waits for the lock of
// another process.
const busyTimeout = 10 * time.Second

// caches divides the memory for page caches: two thirds for the writer, which
// keeps the upper pages of its trees, and the rest for the readers, whose caches
// are dropped after every write. SQLite does not free memory of its caches, so each
// connection takes its whole part in the end.
func (cfg *Config) caches() (writer, reader string) {
	kib := cfg.Cache >> 10
	of := func(n int64) string { return fmt.Sprintf("cache_size(-%d)", max(n, leastCache)) }
	return of(kib * 2 / 3), of(kib / 3 / int64(cfg.Conns))
}

// leastCache is the smallest page cache, in KiB: sixteen pages.
const leastCache = 64

func (d *DB) openSQLite(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(cfg.DataDir, cfg.Feature+".db")
	d.file = file
	pragma := func(p ...string) url.Values {
		return url.Values{"_pragma": p, "_txlock": {"immediate"}}
	}
	writerCache, readerCache := cfg.caches()
	busy := fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())
	writing := pragma(busy, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)",
		"wal_autocheckpoint(8000)", "journal_size_limit(67108864)", writerCache, "temp_store(MEMORY)")
	reading := pragma(busy, "query_only(ON)", readerCache, "temp_store(MEMORY)", "mmap_size(1073741824)")
	reading.Set("_txlock", "deferred")
	var err error
	if d.write, err = sql.Open("sqlite", "file:"+file+"?"+writing.Encode()); err != nil {
		return err
	}
	d.write.SetMaxOpenConns(1)
	if d.conn, err = d.write.Conn(ctx); err != nil {
		return err
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	d.writer = make(chan struct{}, 1)
	d.writer <- struct{}{}
	d.stmts = map[string]*sql.Stmt{}
	if d.read, err = sql.Open("sqlite", "file:"+file+"?"+reading.Encode()); err != nil {
		return err
	}
	d.read.SetMaxOpenConns(cfg.Conns)
	d.read.SetMaxIdleConns(cfg.Conns)
	return nil
}

// idleTransaction is the time for which PostgreSQL waits for the next statement of a
// transaction. A process that is suspended or disconnected in the middle of one keeps
// its locks until then, and blocks every other process.
const idleTransaction = 15 * time.Second

func (d *DB) openPostgres(ctx context.Context, cfg Config) error {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return errors.New("the database URL is not a URL") // its text may hold a password
	}
	q := u.Query()
	q.Set("search_path", cfg.Feature)
	// A prepared statement keeps the plan that it got while its table was empty
	// until the table is analysed: minutes of sequential scans on a table that
	// grows fast. Where no index serves, PostgreSQL still scans.
	q.Set("enable_seqscan", "off")
	// The same for a join that reads a whole index. SQLite has nested loops only, so
	// every join has an index for them.
	q.Set("enable_hashjoin", "off")
	q.Set("enable_mergejoin", "off")
	// A stored copy of the inner table makes a nested loop without its index look cheap:
	// before the first analysis, 200 ends of alerts each read the deliveries of all alerts.
	q.Set("enable_material", "off")
	// A plan that is turned off has a huge cost, for which PostgreSQL would compile a
	// statement that reads ten rows: 30 to 80 ms each time.
	q.Set("jit", "off")
	if q.Get("connect_timeout") == "" {
		q.Set("connect_timeout", "5")
	}
	if q.Get("idle_in_transaction_session_timeout") == "" {
		q.Set("idle_in_transaction_session_timeout", fmt.Sprint(idleTransaction.Milliseconds()))
	}
	u.RawQuery = q.Encode()
	if d.read, err = sql.Open("pgx", u.String()); err != nil {
		return err
	}
	d.write = d.read
	d.read.SetMaxOpenConns(cfg.Conns)
	d.read.SetMaxIdleConns(cfg.Conns)
	d.read.SetConnMaxIdleTime(5 * time.Minute)
	var collate, encoding string
	err = d.read.QueryRowContext(ctx, `SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database
		WHERE datname = current_database()`).Scan(&collate, &encoding)
	if err != nil {
		return err
	}
	// Keyset cursors compare text byte by byte; another collation skips rows.
	if c := strings.ToUpper(collate); c != "C" && c != "POSIX" && c != "C.UTF-8" && c != "C.UTF8" || encoding != "UTF8" {
		return fmt.Errorf("the PostgreSQL database has collation %s and encoding %s; create it with: CREATE DATABASE ... "+
			"TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", collate, encoding)
	}
	return nil
}

// Close ends the connections; a running Tx is rolled back.
func (d *DB) Close() error {
	var list []error
	for _, s := range d.stmts {
		list = append(list, s.Close())
	}
	if d.conn != nil {
		list = append(list, d.conn.Close())
	}
	if d.write != nil && d.write != d.read {
		list = append(list, d.write.Close())
	}
	if d.read != nil {
		list = append(list, d.read.Close())
	}
	return errors.Join(list...)
}

// Statements is how many statements transactions have run since the database was
// opened. On PostgreSQL each is a round trip.
func (d *DB) Statements() int64 { return d.statements.Load() }

// Failed receives one error when the database must not be used any longer (an fsync
// failed). The process must end.
func (d *DB) Failed() <-chan error { return d.failed }

// Ping checks that the database answers and, after a write failed because the disk
// was full, that it can write again.
func (d *DB) Ping(ctx context.Context) error {
	if d.full.Load() {
		return d.checkDisk(ctx)
	}
	return d.View(ctx, func(tx *Tx) error {
		var one int
		return tx.QueryRow(ctx, `SELECT 1`).Scan(&one)
	})
}

// Tx is one transaction: [DB.Tx] begins a writing one, [DB.View] a read-only snapshot.
// It belongs to the goroutine that runs the function.
type Tx struct {
	Engine Engine
	tx     *sql.Tx
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt // SQLite's writer only: preparing costs more than most statements
	count  *atomic.Int64        // statements of the DB
}

// Tx runs fn in a writing transaction and commits it; when Tx returns nil, the
// change is durable. fn may run again after a deadlock or serialisation
// failure on PostgreSQL: it must have no effect outside the transaction.
func (d *DB) Tx(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := d.deadline(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := d.tx(ctx, fn)
		if err == nil || attempt == 5 || !repeatable(err) {
			return d.describe(err)
		}
	}
}

func (d *DB) tx(ctx context.Context, fn func(*Tx) error) error {
	if d.down.Load() {
		return errs.New(errs.CodeUnavailable, "the database failed and must be restarted")
	}
	t := &Tx{Engine: d.Engine, count: &d.statements}
	if d.Engine == SQLite {
		select {
		case <-d.writer:
			defer func() { d.writer <- struct{}{} }()
		case <-ctx.Done():
			return ctx.Err()
		}
		t.conn = d.conn
		t.stmts = d.stmts
	} else {
		conn, err := d.write.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		t.conn = conn
	}
	// database/sql rolls a Tx back as soon as its context ends, also between
	// statements; only the begin and the statements carry the deadline.
	tx, err := t.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t.tx = tx
	defer tx.Rollback() // does nothing after a commit
	if err := fn(t); err != nil {
		return err
	}
	return tx.Commit()
}

// View runs fn over one consistent snapshot. fn must not write.
func (d *DB) View(ctx context.Context, fn func(*Tx) error) error {
	ctx, cancel := d.deadline(ctx)
	defer cancel()
	opts := &sql.TxOptions{ReadOnly: true}
	if d.Engine == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := d.read.BeginTx(ctx, opts)
	if err != nil {
		return d.describe(err)
	}
	defer tx.Rollback()
	return d.describe(fn(&Tx{Engine: d.Engine, tx: tx, count: &d.statements}))
}

func (d *DB) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.timeout)
}

// Exec runs a statement and returns the number of rows that it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	t.count.Add(1)
	var res sql.Result
	var err error
	if s, prepErr := t.prepared(ctx, query); prepErr != nil {
		return 0, prepErr
	} else if s != nil {
		res, err = s.ExecContext(ctx, args...)
	} else {
		res, err = t.tx.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.count.Add(1)
	if s, err := t.prepared(ctx, query); err != nil {
		return nil, err
	} else if s != nil {
		return s.QueryContext(ctx, args...)
	}
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query for at most one row; no row is sql.ErrNoRows at Scan.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	t.count.Add(1)
	if s, err := t.prepared(ctx, query); err == nil && s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

// maxStatements limits the writer's cache. The texts of queries are constants: more of
// them mean that code builds query texts from data.
const maxStatements = 500

func (t *Tx) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.stmts == nil {
		return nil, nil
	}
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	if len(t.stmts) >= maxStatements {
		return nil, nil
	}
	s, err := t.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	t.stmts[query] = s
	return s, nil
}
