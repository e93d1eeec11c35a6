package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/test/engines"
)

const (
	accountA = "0192f7c417d170008000000000000001"
	accountB = "0192f7c417d170008000000000000002"
)

// start is where the tests' clocks stand.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// clock is a time that a test moves by hand.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(start)
	return c
}

func (c *clock) now() time.Time      { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) set(t time.Time)     { c.micros.Store(t.UnixMicro()) }
func (c *clock) add(d time.Duration) { c.micros.Add(d.Microseconds()) }

// thorough is how much of a long search a test does: all of it in CI, a part of
// it every day.
func thorough(all, everyday int) int {
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		return all
	}
	return everyday
}

// world is a ledger over a database of its own, running.
type world struct {
	t      testing.TB
	dir    string // of the SQLite file
	url    string // of PostgreSQL
	db     *db.DB
	clock  *clock
	ledger *audit.Ledger
	intake *audit.Intake
	reader *audit.Reader
	grown  func([]string) // set before anything is appended
}

// everywhere runs a test on SQLite and on PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, engines.Postgres(t))) })
}

func newWorld(t testing.TB, url string) *world {
	w := &world{t: t, dir: t.TempDir(), url: url, clock: newClock()}
	w.db = w.open()
	w.intake = audit.NewIntake(plainSources(), w.clock.now)
	w.reader = audit.NewReader(w.db)
	w.reader.SetBudget(patientSearch)
	w.ledger = w.run(w.db)
	return w
}

// open opens the database once more, as another process would.
func (w *world) open() *db.DB {
	w.t.Helper()
	d, err := db.Open(w.t.Context(), db.Config{Feature: "audit", DataDir: w.dir, URL: w.url, Schemas: []db.Schema{bus.Schema(), audit.Schema()}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { d.Close() })
	return d
}

// run runs a ledger until the test ends.
func (w *world) run(d *db.DB) *audit.Ledger {
	l := audit.NewLedger(d, w.clock.now, func(accounts []string) {
		if w.grown != nil {
			w.grown(accounts)
		}
	}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return l
}

// signer makes a signer with a memory beside the database's folder.
func (w *world) signer(d *db.DB, memory audit.Memory) *audit.Signer {
	w.t.Helper()
	s, err := audit.NewSigner(w.t.Context(), audit.SignerConfig{DB: d, Box: w.box("master"), Memory: memory, Name: "belfry-test", Epoch: time.Hour, Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) box(name string) *seal.Box {
	w.t.Helper()
	box, err := seal.LoadOrCreate(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return box
}

func (w *world) memory() *audit.FileMemory {
	w.t.Helper()
	m, err := audit.OpenFileMemory(filepath.Join(w.dir, "outside", "signed"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { m.Close() })
	return m
}

func plainSources() audit.Sources {
	return audit.Sources{
		Rules:   func(context.Context, string, string) (*audit.Rules, error) { return nil, nil },
		Zone:    func(context.Context, string, string) (string, string, error) { return "", "", nil },
		Account: func(_ context.Context, ref string) (string, error) { return ref, nil },
	}
}

// token is who the tests' requests come from.
var token = audit.Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}

// members are the members of an event or of an object in one.
type members map[string]any

// minimal is the least that an event has; more adds members or, with nil, takes
// them out.
func minimal(more members) string {
	m := members{
		"action":   members{"type": "update"},
		"actor":    members{"type": "user", "id": "u-1"},
		"resource": members{"product": "dns", "type": "record", "id": "r-1"},
	}
	maps.Copy(m, more)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return asJSON(m)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// complete is an event with every field.
func complete(id string, more members) string {
	m := members{
		"id": id, "occurred_at": "2026-11-22T09:59:59.123456Z",
		"action":    members{"type": "update", "description": "lower the time to live", "result": "success"},
		"actor":     members{"type": "staff", "id": "s-7", "email": "ana@example.com", "name": "Ana", "ip_address": "192.0.2.7", "token_id": "t-1", "token_name": "laptop", "on_behalf_of": members{"type": "user", "id": "u-9", "email": "bo@example.com"}},
		"interface": "API", "resource": members{"product": "dns", "type": "record", "id": "r-1", "name": "www", "scope": "zones"},
		"zone": "shop.example", "before": members{"ttl": 300, "list": []any{1, "two"}}, "after": members{"ttl": 60, "list": []any{1, "two"}},
		"reason": members{"text": "a migration", "url": "https://tickets.example/214"}, "change_set": "apply-31",
		"related":  []any{members{"type": "zone", "id": "z-1", "name": "shop.example"}},
		"request":  members{"id": "8f0", "method": "PATCH", "uri": "/zones/z-1", "status_code": 200, "user_agent": "curl/8"},
		"metadata": members{"region": "eu"},
	}
	maps.Copy(m, more)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return asJSON(m)
}

// prepare readies events of one account, which must be good.
func (w *world) prepare(account string, events ...string) []*audit.Pending {
	w.t.Helper()
	list := make([]*audit.Pending, len(events))
	for i, e := range events {
		p, err := w.intake.Prepare(w.t.Context(), audit.Origin{Account: account, By: token, Interface: "API"}, []byte(e), [32]byte{byte(i), 1})
		if err != nil || p.Status == audit.Rejected {
			w.t.Fatalf("%s: %v %v", e, err, p.Faults)
		}
		list[i] = p
	}
	return list
}

// append stores events of one account in one call.
func (w *world) append(account string, events ...string) []*audit.Pending {
	w.t.Helper()
	list := w.prepare(account, events...)
	if err := w.ledger.Append(w.t.Context(), list, nil); err != nil {
		w.t.Fatal(err)
	}
	return list
}

// fillTo appends small events until the account has n.
func (w *world) fillTo(account string, n int) {
	w.t.Helper()
	size, err := w.reader.Size(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := int(size); i < n; {
		var list []string
		for ; i < n && len(list) < 4000; i++ {
			list = append(list, fmt.Sprintf(`{"id":"fill-%d","action":{"type":"a%d"},"actor":{"type":"user","id":"u%d"},"resource":{"product":"p","type":"t","id":"r%d"}}`, i, i%3, i%7, i%1000))
		}
		for _, p := range w.append(account, list...) {
			if p.Status != audit.Accepted {
				w.t.Fatalf("%s: %s", p.Event.ID, p.Status)
			}
		}
	}
}

// exec runs a statement past everything that protects the tables.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.try(query, args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

func (w *world) try(query string, args ...any) error {
	return w.db.Tx(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	})
}

// unprotect drops the triggers that keep the record, as somebody with the
// database's password can.
func (w *world) unprotect() {
	w.t.Helper()
	if w.url != "" {
		w.exec(`DROP TRIGGER leaf_is_kept ON leaf`)
		w.exec(`DROP TRIGGER entry_is_kept ON entry`)
		return
	}
	for _, name := range []string{"leaf_is_kept", "leaf_is_fixed", "entry_is_kept", "entry_is_fixed"} {
		w.exec(`DROP TRIGGER ` + name)
	}
}

// count asks for one number.
func (w *world) count(query string, args ...any) (n int64) {
	w.t.Helper()
	err := w.db.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow(context.Background(), query, args...).Scan(&n)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// scan asks for one row.
func (w *world) scan(query string, args []any, to ...any) {
	w.t.Helper()
	err := w.db.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow(context.Background(), query, args...).Scan(to...)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// patientSearch is the time of a page in tests that are not about it: a loaded
// machine must not cut their pages.
const patientSearch = time.Hour
