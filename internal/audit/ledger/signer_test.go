package ledger_test

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

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func TestEveryCheckpointIsConsistentWithEveryEarlierOne(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		s := w.Signer(w.DB, w.Memory())
		empty, _ := w.Checkpoint(s, accountA)
		if empty.Size != 0 || empty.Root != merkle.EmptyRoot() {
			t.Fatalf("%+v", empty)
		}
		all := []merkle.Checkpoint{empty}
		for _, size := range []int{1, 2, 255, 256, 257, 700} {
			w.FillTo(accountA, size)
			cp, _ := w.Checkpoint(s, accountA)
			leaves := w.Leaves(accountA)
			if cp.Size != uint64(size) || cp.Root != merkle.NewBatch(leaves).Root() {
				t.Fatalf("size %d: %+v", size, cp)
			}
			all = append(all, cp)
		}
		for i, older := range all {
			for _, newer := range all[i:] {
				proof, err := w.Reader.Consistency(t.Context(), accountA, older.Size, newer.Size)
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
	s := w.Signer(w.DB, w.Memory())
	w.FillTo(accountA, 3)
	first, text := w.Checkpoint(s, accountA)
	w.FillTo(accountA, 5)
	if again, err := s.Checkpoint(t.Context(), accountA); err != nil || !bytes.Equal(again, text) {
		t.Errorf("signed twice in a second: %v", err)
	}
	if covering, err := s.Covering(t.Context(), accountA, 5); err != nil ||
		openCheckpoint(t, s, accountA, covering).Size != 5 {
		t.Errorf("%v\n%s", err, covering)
	}
	if second, _ := w.Checkpoint(s, accountA); second.Size != 5 || first.Size != 3 {
		t.Errorf("%d then %d", first.Size, second.Size)
	}
	// The stored signature is returned; the head is not signed again.
	_, one := w.Checkpoint(s, accountA)
	if _, two := w.Checkpoint(w.Signer(w.DB, w.Memory()), accountA); !bytes.Equal(one, two) {
		t.Error("the same size was signed twice")
	}
}

// rollBack runs change over a database and then puts back what it was before,
// as a restore of a backup does. The world goes on with the restored one.
func (w *world) rollBack(change func(d *db.DB)) {
	w.T.Helper()
	if w.URL != "" {
		tables := []string{"account", "leaf", "entry", "reading", "head", "tile", "digest", "span", "rollup", "signed"}
		w.Unprotect()
		for _, table := range tables {
			w.Exec(`CREATE TABLE backup_` + table + ` AS SELECT * FROM ` + table)
		}
		change(w.DB)
		for _, table := range tables {
			w.Exec(`DELETE FROM ` + table)
			insert := `INSERT INTO ` + table + ` SELECT * FROM backup_` + table
			if table == "account" {
				insert = `INSERT INTO account OVERRIDING SYSTEM VALUE SELECT * FROM backup_account`
			}
			w.Exec(insert)
		}
		return
	}
	// VACUUM INTO is how a SQLite file is backed up while it is in use.
	backup := filepath.Join(w.T.TempDir(), "backup.db")
	file := filepath.Join(w.Dir, "audit.db")
	raw, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		w.T.Fatal(err)
	}
	_, err = raw.Exec(`VACUUM INTO '` + backup + `'`)
	if err := errors.Join(err, raw.Close()); err != nil {
		w.T.Fatal(err)
	}
	change(w.DB)
	w.Dir = w.T.TempDir()
	text, err := os.ReadFile(backup)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.Dir, "audit.db"), text, 0o600); err != nil {
		w.T.Fatal(err)
	}
	w.DB = w.Open()
	w.Reader = ledger.NewReader(w.DB, patientSearch)
	w.Ledger = w.Run(w.DB)
}

func TestAfterARollbackNothingIsSigned(t *testing.T) {
	for _, after := range []int{0, 5, 10, 40, 400} { // events appended to the restored database
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				memory, box := w.Memory(), w.Box("master")
				signer := func() *ledger.Signer {
					s, err := ledger.NewSigner(t.Context(), ledger.SignerConfig{
						DB:        w.DB,
						Box:       box,
						SignedLog: memory,
						Name:      "belfry-test",
						Epoch:     time.Hour,
						Now:       w.Clock.Now,
					})
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := signer()
				w.FillTo(accountA, 290)
				w.FillTo(accountB, 3)
				w.Checkpoint(s, accountA)
				w.rollBack(func(*db.DB) {
					w.FillTo(accountA, 300)
					if cp, _ := w.Checkpoint(s, accountA); cp.Size != 300 {
						t.Fatal(cp.Size)
					}
				})
				s = signer()
				var others []string
				for i := range after {
					others = append(others, complete(fmt.Sprint("other-", i), nil))
				}
				if after > 0 {
					w.Append(accountA, others...)
				}
				w.Clock.Add(2 * time.Second)
				if _, err := s.Checkpoint(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) ||
					errs.KindOf(err) != errs.Unavailable {
					t.Fatalf("want SigningStopped, got %v", err)
				}
				if err := s.Ready(); err == nil || !strings.Contains(err.Error(), accountA) {
					t.Fatalf("ready: %v", err)
				}
				// Other accounts are signed, and the stopped one is not by asking again.
				if cp, _ := w.Checkpoint(s, accountB); cp.Size != 3 {
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
				if w.URL != "" {
					change = strings.ReplaceAll(change, "$1 IS NOT NULL", "$1::bytea IS NOT NULL")
				}
				s := w.Signer(w.DB, w.Memory())
				w.FillTo(accountA, 300)
				w.Checkpoint(s, accountA)
				w.Unprotect()
				w.Exec(change, bytes.Repeat([]byte{7}, 32))
				w.Clock.Add(2 * time.Second)
				if text, err := s.Checkpoint(t.Context(), accountA); err == nil {
					t.Fatalf("signed\n%s", text)
				}
			})
		})
	}
}

func TestTheDatabaseAndTheMemoryMustAgree(t *testing.T) {
	w := newWorld(t, "")
	memory := w.Memory()
	s := w.Signer(w.DB, memory)
	w.FillTo(accountA, 10)
	w.Checkpoint(s, accountA)
	w.Exec(`UPDATE signed SET root = $1`, bytes.Repeat([]byte{7}, 32))
	w.Clock.Add(2 * time.Second)
	if _, err := s.Checkpoint(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) || s.Ready() == nil {
		t.Fatalf("%v, ready %v", err, s.Ready())
	}
}

// failingMemory is a memory that cannot be written.
type failingMemory struct{ ledger.SignedLog }

func (failingMemory) Record(context.Context, []ledger.Signed) error {
	return errors.New("the disk is full")
}

func TestNothingIsSignedThatTheMemoryDoesNotKeep(t *testing.T) {
	w := newWorld(t, "")
	memory := w.Memory()
	s := w.Signer(w.DB, failingMemory{memory})
	w.FillTo(accountA, 10)
	if text, err := s.Checkpoint(t.Context(), accountA); err == nil {
		t.Fatalf("signed\n%s", text)
	}
	if n := w.Count(`SELECT COUNT(*) FROM signed`); n != 0 {
		t.Error("the database remembers a checkpoint that nobody has")
	}
	if cp, _ := w.Checkpoint(w.Signer(w.DB, memory), accountA); cp.Size != 10 {
		t.Errorf("%+v", cp)
	}
}

func TestTheKeyStaysAndOpensOnlyUnderItsMasterKey(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		first := w.Signer(w.DB, w.Memory()).Keys()[0]
		cfg := ledger.SignerConfig{
			DB:        w.Open(),
			Box:       w.Box("master"),
			SignedLog: w.Memory(),
			Name:      "another-name",
			Epoch:     time.Hour,
			Now:       w.Clock.Now,
		}
		s, err := ledger.NewSigner(t.Context(), cfg)
		if err != nil || s.Keys()[0] != first || !strings.HasPrefix(first.VKey, "belfry-test+"+first.ID+"+") {
			t.Fatalf("%v %+v, want %+v", err, s.Keys(), first)
		}
		cfg.Box = w.Box("another")
		if _, err := ledger.NewSigner(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another master key") {
			t.Fatal(err)
		}
		if n := w.Count(`SELECT COUNT(*) FROM signing_key`); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

// countingMemory tells which accounts were signed.
type countingMemory struct {
	ledger.SignedLog
	recorded chan ledger.Signed
}

func (m countingMemory) Record(ctx context.Context, list []ledger.Signed) error {
	if err := m.SignedLog.Record(ctx, list); err != nil {
		return err
	}
	for _, s := range list {
		m.recorded <- s
	}
	return nil
}

func TestAnEpochSignsTheAccountsThatGrew(t *testing.T) {
	w := newWorld(t, "")
	memory := countingMemory{w.Memory(), make(chan ledger.Signed, 100)}
	w.FillTo(accountA, 4) // before the signer ran: a crash between the commit and the epoch
	s, err := ledger.NewSigner(t.Context(), ledger.SignerConfig{
		DB:        w.DB,
		Box:       w.Box("master"),
		SignedLog: memory,
		Epoch:     5 * time.Millisecond,
		Now:       w.Clock.Now,
		Log:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Grown = s.Grown
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
	w.Append(accountB, complete("b-1", nil))
	next(accountB, 1)
	w.Append(accountA, complete("a-1", nil))
	next(accountA, 5)
	w.Append(accountA, complete("a-1", nil)) // a duplicate: nothing grew
	w.Append(accountB, complete("b-2", nil))
	next(accountB, 2)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(memory.recorded) != 0 {
		t.Errorf("also signed %+v", <-memory.recorded)
	}
}
