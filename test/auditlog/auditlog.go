// Package auditlog is a ledger over a database of its own, running, for the tests of
// the audit log: with events, exports, checkpoints and a clock that a test moves.
package auditlog

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

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/test/engines"
	"golang.org/x/mod/sumdb/note"
)

const (
	AccountA = "0192f7c417d170008000000000000001"
	AccountB = "0192f7c417d170008000000000000002"
)

// Start is where the tests' clocks stand.
var Start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// Clock is a time that a test moves by hand.
type Clock struct{ micros atomic.Int64 }

func NewClock() *Clock {
	c := &Clock{}
	c.Set(Start)
	return c
}

func (c *Clock) Now() time.Time      { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *Clock) Set(t time.Time)     { c.micros.Store(t.UnixMicro()) }
func (c *Clock) Add(d time.Duration) { c.micros.Add(d.Microseconds()) }

// Thorough is how much of a long search a test does: all of it in CI, a part of
// it every day.
func Thorough(all, everyday int) int {
	if os.Getenv("BELFRY_TEST_ALL") == "1" {
		return all
	}
	return everyday
}

// World is a ledger over a database of its own, running.
type World struct {
	T      testing.TB
	Dir    string // of the SQLite file
	URL    string // of PostgreSQL
	DB     *db.DB
	Clock  *Clock
	Ledger *ledger.Ledger
	Reader *ledger.Reader

	// These are set before anything is appended.
	Grown    func([]string)
	Zones    map[string]string // id of each known zone, by name
	Personal event.Fields      // committed in addition to the fields of every envelope
}

// Everywhere runs a test on SQLite and on PostgreSQL.
func Everywhere(t *testing.T, test func(t *testing.T, w *World)) {
	t.Run("sqlite", func(t *testing.T) { test(t, New(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, New(t, engines.Postgres(t))) })
}

func New(t testing.TB, url string) *World {
	w := &World{T: t, Dir: t.TempDir(), URL: url, Clock: NewClock()}
	w.DB = w.Open()
	w.Reader = ledger.NewReader(w.DB, PatientSearch)
	w.Ledger = w.Run(w.DB)
	return w
}

// Open opens the database once more, as another process would.
func (w *World) Open() *db.DB {
	w.T.Helper()
	d, err := db.Open(w.T.Context(), db.Config{
		Feature: "audit",
		DataDir: w.Dir,
		URL:     w.URL,
		Schemas: []db.Schema{bus.Schema(), ledger.Schema()},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { d.Close() })
	return d
}

// Run runs a ledger until the test ends.
func (w *World) Run(d *db.DB) *ledger.Ledger {
	l := ledger.New(ledger.Config{DB: d, Now: w.Clock.Now, ZoneKey: account.ZoneKey, Grown: func(accounts []string) {
		if w.Grown != nil {
			w.Grown(accounts)
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Error(err)
		}
	})
	return l
}

// Signer makes a signer with a log of signed roots outside of the database's folder.
func (w *World) Signer(d *db.DB, memory ledger.SignedLog) *ledger.Signer {
	w.T.Helper()
	s, err := ledger.NewSigner(w.T.Context(), ledger.SignerConfig{
		DB:        d,
		Box:       w.Box("master"),
		SignedLog: memory,
		Name:      "belfry-test",
		Epoch:     time.Hour,
		Now:       w.Clock.Now,
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

func (w *World) Box(name string) *seal.Box {
	w.T.Helper()
	box, err := seal.LoadOrCreate(filepath.Join(w.Dir, name))
	if err != nil {
		w.T.Fatal(err)
	}
	return box
}

func (w *World) Memory() *ledger.FileLog {
	w.T.Helper()
	m, err := ledger.OpenFileLog(filepath.Join(w.Dir, "outside", "signed"))
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { m.Close() })
	return m
}

// Token is who the tests' requests come from.
var Token = record.Submitter{Type: "token", ID: "0192f7c417d17000800000000000aaaa"}

// Members are the Members of an event or of an object in one.
type Members map[string]any

// Minimal is the least that an event has; more adds Members or, with nil, takes
// them out.
func Minimal(more Members) string {
	m := Members{
		"action":   Members{"type": "update"},
		"actor":    Members{"type": "user", "id": "u-1"},
		"resource": Members{"product": "dns", "type": "record", "id": "r-1"},
	}
	maps.Copy(m, more)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return JSON(m)
}

func JSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Complete is an event with every field.
func Complete(id string, more Members) string {
	m := Members{
		"id":          id,
		"occurred_at": "2026-11-22T09:59:59.123456Z",
		"action":      Members{"type": "update", "description": "lower the time to live", "result": "success"},
		"actor": Members{
			"type":         "staff",
			"id":           "s-7",
			"email":        "ana@example.com",
			"name":         "Ana",
			"ip_address":   "192.0.2.7",
			"token_id":     "t-1",
			"token_name":   "laptop",
			"on_behalf_of": Members{"type": "user", "id": "u-9", "email": "bo@example.com"},
		},
		"interface":  "API",
		"resource":   Members{"product": "dns", "type": "record", "id": "r-1", "name": "www", "scope": "zones"},
		"zone":       "shop.example",
		"before":     Members{"ttl": 300, "list": []any{1, "two"}},
		"after":      Members{"ttl": 60, "list": []any{1, "two"}},
		"reason":     Members{"text": "a migration", "url": "https://tickets.example/214"},
		"change_set": "apply-31",
		"related":    []any{Members{"type": "zone", "id": "z-1", "name": "shop.example"}},
		"request": Members{
			"id":          "8f0",
			"method":      "PATCH",
			"uri":         "/zones/z-1",
			"status_code": 200,
			"user_agent":  "curl/8",
		},
		"metadata": Members{"region": "eu"},
	}
	maps.Copy(m, more)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return JSON(m)
}

// Prepare readies good events of one account, as the intake does for a token without
// a catalogue.
func (w *World) Prepare(accountID string, events ...string) []*ledger.Pending {
	w.T.Helper()
	list := make([]*ledger.Pending, len(events))
	for i, text := range events {
		e, err := record.Decode([]byte(text), w.Clock.Now())
		if err != nil {
			w.T.Fatalf("%s: %v", text, err)
		}
		committed, err := record.Protect(e, w.Personal, event.Fields{})
		if err != nil {
			w.T.Fatalf("%s: %v", text, err)
		}
		if name := e.Zone.Name; w.Zones[name] != "" {
			e.Zone = record.ZoneRef{ID: w.Zones[name], Name: name}
		} else if name != "" {
			e.Zone.Name = account.ZoneKey(name)
		}
		e.Fill(w.Clock.Now(), "API")
		p := &ledger.Pending{Account: accountID, Event: e, By: Token}
		if err := p.Seal(committed, [32]byte{byte(i), 1}); err != nil {
			w.T.Fatalf("%s: %v", text, err)
		}
		list[i] = p
	}
	return list
}

// Append stores events of one account in one call.
func (w *World) Append(accountID string, events ...string) []*ledger.Pending {
	w.T.Helper()
	list := w.Prepare(accountID, events...)
	if err := w.Ledger.Append(w.T.Context(), list, nil); err != nil {
		w.T.Fatal(err)
	}
	return list
}

// Erase deletes the values of pointers in events of an account; without pointers,
// those that name persons.
func (w *World) Erase(accountID string, seqs []int64, pointers []string) (erased int, err error) {
	var ids []string
	for _, seq := range seqs {
		list, err := w.Reader.Range(w.T.Context(), accountID, seq, seq+1, 1)
		if err != nil || len(list) != 1 {
			w.T.Fatalf("event %d: %d events, %v", seq, len(list), err)
		}
		ids = append(ids, list[0].Event.ID)
	}
	erased, unknown, err := w.Ledger.EraseEvents(w.T.Context(), w.Reader, accountID, ids,
		&ledger.Selection{Fields: pointers})
	if len(unknown) > 0 {
		w.T.Fatalf("the events %v are not found by their ids", unknown)
	}
	return erased, err
}

// FillTo appends small events until the account has n.
func (w *World) FillTo(accountID string, n int) {
	w.T.Helper()
	size, err := w.Reader.Size(w.T.Context(), accountID)
	if err != nil {
		w.T.Fatal(err)
	}
	for i := int(size); i < n; {
		var list []string
		for ; i < n && len(list) < 4000; i++ {
			list = append(list, fmt.Sprintf(`{"id":"fill-%d","action":{"type":"a%d"},"actor":{"type":"user","id":"u%d"},`+
				`"resource":{"product":"p","type":"t","id":"r%d"}}`,
				i, i%3, i%7, i%1000))
		}
		for _, p := range w.Append(accountID, list...) {
			if p.Status != ledger.Accepted {
				w.T.Fatalf("%s: %s", p.Event.ID, p.Status)
			}
		}
	}
}

// Exec runs a statement past everything that protects the tables.
func (w *World) Exec(query string, args ...any) {
	w.T.Helper()
	if err := w.Try(query, args...); err != nil {
		w.T.Fatalf("%s: %v", query, err)
	}
}

func (w *World) Try(query string, args ...any) error {
	return w.DB.Tx(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	})
}

// Unprotect drops the triggers that keep the record, as an intruder with the
// database's password can.
func (w *World) Unprotect() {
	w.T.Helper()
	if w.URL != "" {
		w.Exec(`DROP TRIGGER leaf_is_kept ON leaf`)
		w.Exec(`DROP TRIGGER entry_is_kept ON entry`)
		return
	}
	for _, name := range []string{"leaf_is_kept", "leaf_is_fixed", "entry_is_kept", "entry_is_fixed"} {
		w.Exec(`DROP TRIGGER ` + name)
	}
}

// Count asks for one number.
func (w *World) Count(query string, args ...any) (n int64) {
	w.T.Helper()
	err := w.DB.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow(context.Background(), query, args...).Scan(&n)
	})
	if err != nil {
		w.T.Fatalf("%s: %v", query, err)
	}
	return n
}

// Scan asks for one row.
func (w *World) Scan(query string, args []any, to ...any) {
	w.T.Helper()
	err := w.DB.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow(context.Background(), query, args...).Scan(to...)
	})
	if err != nil {
		w.T.Fatalf("%s: %v", query, err)
	}
}

// PatientSearch is the time of a page in tests that are not about it: a loaded
// machine must not cut their pages.
const PatientSearch = time.Hour

// OpenCheckpoint checks a checkpoint's signature and origin.
func OpenCheckpoint(t testing.TB, s *ledger.Signer, accountID string, text []byte) merkle.Checkpoint {
	t.Helper()
	v, err := note.NewVerifier(s.Keys()[0].VKey)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := merkle.OpenCheckpoint(text, s.Origin(accountID), note.VerifierList(v))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cp
}

// Checkpoint asks for a fresh one.
func (w *World) Checkpoint(s *ledger.Signer, accountID string) (merkle.Checkpoint, []byte) {
	w.T.Helper()
	w.Clock.Add(2 * time.Second)
	text, err := s.Checkpoint(w.T.Context(), accountID)
	if err != nil {
		w.T.Fatal(err)
	}
	return OpenCheckpoint(w.T, s, accountID, text), text
}
