package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// openCheckpoint checks a checkpoint's signature and origin.
func openCheckpoint(t testing.TB, s *audit.Signer, account string, text []byte) merkle.Checkpoint {
	t.Helper()
	v, err := note.NewVerifier(s.Keys()[0].VKey)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := merkle.OpenCheckpoint(text, s.Origin(account), note.VerifierList(v))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cp
}

// checkpoint asks for a fresh one.
func (w *world) checkpoint(s *audit.Signer, account string) (merkle.Checkpoint, []byte) {
	w.t.Helper()
	w.clock.add(2 * time.Second)
	text, err := s.Checkpoint(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	return openCheckpoint(w.t, s, account, text), text
}

func TestEveryCheckpointIsConsistentWithEveryEarlierOne(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		s := w.signer(w.db, w.memory())
		empty, _ := w.checkpoint(s, accountA)
		if empty.Size != 0 || empty.Root != merkle.EmptyRoot() {
			t.Fatalf("%+v", empty)
		}
		all := []merkle.Checkpoint{empty}
		for _, size := range []int{1, 2, 255, 256, 257, 700} {
			w.fillTo(accountA, size)
			cp, _ := w.checkpoint(s, accountA)
			leaves := w.leaves(accountA)
			if cp.Size != uint64(size) || cp.Root != merkle.NewBatch(leaves).Root() {
				t.Fatalf("size %d: %+v", size, cp)
			}
			all = append(all, cp)
		}
		for i, older := range all {
			for _, newer := range all[i:] {
				proof, err := w.reader.Consistency(t.Context(), accountA, older.Size, newer.Size)
				if err != nil {
					t.Fatal(err)
				}
				if err := merkle.VerifyConsistency(older.Size, newer.Size, proof, older.Root, newer.Root); err != nil {
					t.Error(err)
				}
			}
		}
		if err := s.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestACheckpointIsAtMostASecondOld(t *testing.T) {
	w := newWorld(t, "")
	s := w.signer(w.db, w.memory())
	w.fillTo(accountA, 3)
	first, text := w.checkpoint(s, accountA)
	w.fillTo(accountA, 5)
	if again, err := s.Checkpoint(t.Context(), accountA); err != nil || !bytes.Equal(again, text) {
		t.Errorf("signed twice in a second: %v", err)
	}
	if covering, err := s.Covering(t.Context(), accountA, 5); err != nil || openCheckpoint(t, s, accountA, covering).Size != 5 {
		t.Errorf("%v\n%s", err, covering)
	}
	if second, _ := w.checkpoint(s, accountA); second.Size != 5 || first.Size != 3 {
		t.Errorf("%d then %d", first.Size, second.Size)
	}
	// What was signed is given again, not signed anew.
	_, one := w.checkpoint(s, accountA)
	if _, two := w.checkpoint(w.signer(w.db, w.memory()), accountA); !bytes.Equal(one, two) {
		t.Error("the same size was signed twice")
	}
}

// rollBack runs change over a database and then puts back what it was before,
// as a restore of a backup does. The world goes on with the restored one.
func (w *world) rollBack(change func(d *db.DB)) {
	w.t.Helper()
	if w.url != "" {
		tables := []string{"account", "leaf", "entry", "reading", "head", "tile", "digest", "span", "rollup", "signed"}
		w.unprotect()
		for _, table := range tables {
			w.exec(`CREATE TABLE backup_` + table + ` AS SELECT * FROM ` + table)
		}
		change(w.db)
		for _, table := range tables {
			w.exec(`DELETE FROM ` + table)
			insert := `INSERT INTO ` + table + ` SELECT * FROM backup_` + table
			if table == "account" {
				insert = `INSERT INTO account OVERRIDING SYSTEM VALUE SELECT * FROM backup_account`
			}
			w.exec(insert)
		}
		return
	}
	// VACUUM INTO is how a SQLite file is backed up while it is in use.
	backup := filepath.Join(w.t.TempDir(), "backup.db")
	file := filepath.Join(w.dir, "audit.db")
	raw, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = raw.Exec(`VACUUM INTO '` + backup + `'`)
	if err := errors.Join(err, raw.Close()); err != nil {
		w.t.Fatal(err)
	}
	change(w.db)
	w.dir = w.t.TempDir()
	text, err := os.ReadFile(backup)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "audit.db"), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.db = w.open()
	w.reader = audit.NewReader(w.db)
	w.reader.SetBudget(patientSearch)
	w.ledger = w.run(w.db)
}

func TestAfterARollbackNothingIsSigned(t *testing.T) {
	for _, after := range []int{0, 5, 10, 40, 400} { // events appended to the restored database
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				memory, box := w.memory(), w.box("master")
				signer := func() *audit.Signer {
					s, err := audit.NewSigner(t.Context(), audit.SignerConfig{DB: w.db, Box: box, Memory: memory, Name: "belfry-test", Epoch: time.Hour, Now: w.clock.now})
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := signer()
				w.fillTo(accountA, 290)
				w.fillTo(accountB, 3)
				w.checkpoint(s, accountA)
				w.rollBack(func(*db.DB) {
					w.fillTo(accountA, 300)
					if cp, _ := w.checkpoint(s, accountA); cp.Size != 300 {
						t.Fatal(cp.Size)
					}
				})
				s = signer()
				var others []string
				for i := range after {
					others = append(others, complete(fmt.Sprint("other-", i), nil))
				}
				if after > 0 {
					w.append(accountA, others...)
				}
				w.clock.add(2 * time.Second)
				if _, err := s.Checkpoint(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) || errs.KindOf(err) != errs.Unavailable {
					t.Fatalf("want SigningStopped, got %v", err)
				}
				if err := s.Ready(); err == nil || !strings.Contains(err.Error(), accountA) {
					t.Fatalf("ready: %v", err)
				}
				// Other accounts are signed, and the stopped one is not by asking again.
				if cp, _ := w.checkpoint(s, accountB); cp.Size != 3 {
					t.Errorf("%+v", cp)
				}
				if _, err := s.Covering(t.Context(), accountA, 1); !errs.Is(err, errs.CodeSigningStopped) {
					t.Error(err)
				}
				if s.Ready() == nil {
					t.Error("ready again")
				}
			})
		})
	}
}

func TestAChangedRecordIsNotSigned(t *testing.T) {
	for name, change := range map[string]string{
		"a leaf of the tail": `UPDATE leaf SET hash = $1 WHERE seq = 298`,
		"the root of a tile": `UPDATE tile SET root = $1 WHERE level = 0 AND n = 0`,
		"the head":           `UPDATE head SET size = 298, frontier = CAST($1 || $1 || $1 || $1 AS BYTEA)`,
		"a leaf that went":   `DELETE FROM leaf WHERE seq = 299 AND $1 IS NOT NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				if w.url != "" {
					change = strings.ReplaceAll(change, "$1 IS NOT NULL", "$1::bytea IS NOT NULL")
				}
				s := w.signer(w.db, w.memory())
				w.fillTo(accountA, 300)
				w.checkpoint(s, accountA)
				w.unprotect()
				w.exec(change, bytes.Repeat([]byte{7}, 32))
				w.clock.add(2 * time.Second)
				if text, err := s.Checkpoint(t.Context(), accountA); err == nil {
					t.Fatalf("signed\n%s", text)
				}
			})
		})
	}
}

func TestTheDatabaseAndTheMemoryMustAgree(t *testing.T) {
	w := newWorld(t, "")
	memory := w.memory()
	s := w.signer(w.db, memory)
	w.fillTo(accountA, 10)
	w.checkpoint(s, accountA)
	w.exec(`UPDATE signed SET root = $1`, bytes.Repeat([]byte{7}, 32))
	w.clock.add(2 * time.Second)
	if _, err := s.Checkpoint(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) || s.Ready() == nil {
		t.Fatalf("%v, ready %v", err, s.Ready())
	}
}

// failingMemory is a memory that cannot be written.
type failingMemory struct{ audit.Memory }

func (failingMemory) Record(context.Context, []audit.Signed) error {
	return errors.New("the disk is full")
}

func TestNothingIsSignedThatTheMemoryDoesNotKeep(t *testing.T) {
	w := newWorld(t, "")
	memory := w.memory()
	s := w.signer(w.db, failingMemory{memory})
	w.fillTo(accountA, 10)
	if text, err := s.Checkpoint(t.Context(), accountA); err == nil {
		t.Fatalf("signed\n%s", text)
	}
	if n := w.count(`SELECT COUNT(*) FROM signed`); n != 0 {
		t.Error("the database remembers a checkpoint that nobody has")
	}
	if cp, _ := w.checkpoint(w.signer(w.db, memory), accountA); cp.Size != 10 {
		t.Errorf("%+v", cp)
	}
}

func TestTheKeyStaysAndOpensOnlyUnderItsMasterKey(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		first := w.signer(w.db, w.memory()).Keys()[0]
		cfg := audit.SignerConfig{DB: w.open(), Box: w.box("master"), Memory: w.memory(), Name: "another-name", Epoch: time.Hour, Now: w.clock.now}
		s, err := audit.NewSigner(t.Context(), cfg)
		if err != nil || s.Keys()[0] != first || !strings.HasPrefix(first.VKey, "belfry-test+"+first.ID+"+") {
			t.Fatalf("%v %+v, want %+v", err, s.Keys(), first)
		}
		cfg.Box = w.box("another")
		if _, err := audit.NewSigner(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another master key") {
			t.Fatal(err)
		}
		if n := w.count(`SELECT COUNT(*) FROM signing_key`); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

// countingMemory tells which accounts were signed.
type countingMemory struct {
	audit.Memory
	recorded chan audit.Signed
}

func (m countingMemory) Record(ctx context.Context, list []audit.Signed) error {
	if err := m.Memory.Record(ctx, list); err != nil {
		return err
	}
	for _, s := range list {
		m.recorded <- s
	}
	return nil
}

func TestAnEpochSignsTheAccountsThatGrew(t *testing.T) {
	w := newWorld(t, "")
	memory := countingMemory{w.memory(), make(chan audit.Signed, 100)}
	w.fillTo(accountA, 4) // before the signer ran: a crash between the commit and the epoch
	s, err := audit.NewSigner(t.Context(), audit.SignerConfig{DB: w.db, Box: w.box("master"), Memory: memory, Epoch: 5 * time.Millisecond, Now: w.clock.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.grown = s.Grown
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	next := func(account string, size uint64) {
		t.Helper()
		select {
		case got := <-memory.recorded:
			if got.Account != account || got.Size != size {
				t.Errorf("signed %s at %d, want %s at %d", got.Account, got.Size, account, size)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s was not signed", account)
		}
	}
	next(accountA, 4)
	w.append(accountB, complete("b-1", nil))
	next(accountB, 1)
	w.append(accountA, complete("a-1", nil))
	next(accountA, 5)
	w.append(accountA, complete("a-1", nil)) // a duplicate: nothing grew
	w.append(accountB, complete("b-2", nil))
	next(accountB, 2)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(memory.recorded) != 0 {
		t.Errorf("also signed %+v", <-memory.recorded)
	}
}
