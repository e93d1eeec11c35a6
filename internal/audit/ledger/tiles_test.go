package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/test/engines"
)

func TestTilesAndFrontierAreThoseOfTheLeavesAtEverySize(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, size := range []int{1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 1023, 1025, 1800} {
			w.FillTo(accountA, size)
			w.CheckTree(accountA)
		}
		if got, err := w.Reader.Tile(t.Context(), accountA, merkle.Tile{Level: 0, Index: 3, Width: 7}, false); err != nil ||
			len(got) != 7*merkle.HashSize {
			t.Errorf("a narrower tile of what is full by now: %d bytes, %v", len(got), err)
		}
		for _, tile := range []merkle.Tile{
			{Level: 0, Index: 7, Width: 9},
			{Level: 0, Index: 8, Width: 1},
			{Level: 1, Index: 0, Width: 8},
			{Level: 2, Index: 0, Width: 1},
			{Level: 60, Index: 1 << 40, Width: 256},
		} {
			if _, err := w.Reader.Tile(t.Context(), accountA, tile, false); !errs.Is(err, errs.CodeNotFound) {
				t.Errorf("%+v: %v", tile, err)
			}
		}
		w.CheckDigests(accountA)
	})
}

// The tile of level 1 is full at 65,536 events.
func TestALogOf65536EventsHasItsTileOfLevel1(t *testing.T) {
	w := newWorld(t, "")
	w.FillTo(accountA, 65_535)
	w.CheckTree(accountA)
	w.FillTo(accountA, 65_536)
	w.FillTo(accountA, 65_537)
	w.FillTo(accountA, 65_800)
	w.CheckTree(accountA)
	if n := w.Count(`SELECT COUNT(*) FROM tile WHERE level = 1`); n != 1 {
		t.Errorf("%d tiles of level 1", n)
	}
	leaves := w.Leaves(accountA)
	for _, older := range []uint64{1, 256, 65_535, 65_536, 65_537} {
		proof, err := w.Reader.Consistency(t.Context(), accountA, older, 65_800)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyConsistency(older, 65_800, proof, merkle.NewBatch(leaves[:older]).Root(),
			merkle.NewBatch(leaves).Root()); err != nil {
			t.Error(err)
		}
	}
}

// Two processes with two lanes each append to the same accounts, with the same
// ids among theirs.
func TestTwoProcessesAppendToTheSameAccounts(t *testing.T) {
	w := newWorld(t, engines.Postgres(t))
	second := w.Run(w.Open())
	accounts := []string{accountB, accountA, "0192f7c417d170008000000000000003"}
	const workers, rounds = 8, 12
	prepared := make([][][]*ledger.Pending, workers)
	for i := range prepared {
		for round := range rounds {
			var list []*ledger.Pending
			for n := range 60 {
				id := fmt.Sprintf("%d-%d-%d", i, round, n)
				if n < 5 {
					id = fmt.Sprintf("shared-%d-%d", round, n) // every worker sends it
				}
				list = append(list, w.Prepare(accounts[(i+n)%3],
					minimal(members{"id": id, "occurred_at": "2026-11-22T09:00:00Z"}))...)
			}
			prepared[i] = append(prepared[i], list)
		}
	}
	var done sync.WaitGroup
	failed := make([]error, workers)
	for i := range workers {
		process := []*ledger.Ledger{w.Ledger, second}[i%2]
		done.Go(func() {
			for _, list := range prepared[i] {
				failed[i] = errors.Join(failed[i], process.Append(t.Context(), list, nil))
			}
		})
	}
	done.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	type place struct {
		account string
		seq     int64
	}
	accepted, ids := map[place]string{}, map[string]int{}
	for _, lists := range prepared {
		for _, list := range lists {
			for _, p := range list {
				if p.Status == ledger.Accepted {
					if old, ok := accepted[place{p.Account, p.Seq}]; ok {
						t.Fatalf("%s and %s are both event %d of %s", old, p.Event.ID, p.Seq, p.Account)
					}
					accepted[place{p.Account, p.Seq}] = p.Event.ID
					ids[p.Account+p.Event.ID]++
				} else if p.Status != ledger.Duplicate {
					t.Fatalf("%s: %s %v", p.Event.ID, p.Status, p.Faults)
				}
			}
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s was accepted %d times", id, n)
		}
	}
	for _, a := range accounts {
		w.CheckTree(a)
		records, err := w.Reader.Range(t.Context(), a, 0, 100_000, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for _, r := range records {
			if accepted[place{a, r.Seq}] != r.Event.ID {
				t.Fatalf("event %d of %s is %s, answered was %s", r.Seq, a, r.Event.ID, accepted[place{a, r.Seq}])
			}
			if r.RecordedAt < last {
				t.Fatalf("recorded_at decreases at %d", r.Seq)
			}
			last = r.RecordedAt
			delete(accepted, place{a, r.Seq})
		}
	}
	if len(accepted) != 0 {
		t.Errorf("%d answered events are not in the record", len(accepted))
	}
}

func TestACommitDoesNotWaitForEverForAnothersLock(t *testing.T) {
	w := newWorld(t, engines.Postgres(t))
	w.Append(accountA, minimal(nil))
	w.Ledger.SetPatience(300 * time.Millisecond)
	let := make(chan struct{})
	locked := make(chan struct{})
	done := make(chan error, 1)
	other := w.Open()
	go func() {
		done <- other.Tx(context.Background(), func(tx *db.Tx) error {
			if _, err := tx.Exec(context.Background(), `UPDATE head SET size = size`); err != nil {
				return err
			}
			close(locked)
			<-let
			return nil
		})
	}()
	<-locked
	err := w.Ledger.Append(t.Context(), w.Prepare(accountA, minimal(members{"id": "late"})), nil)
	if errs.KindOf(err) != errs.Unavailable {
		t.Errorf("want Unavailable, got %v", err)
	}
	close(let)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p := w.Append(accountA, minimal(members{"id": "late"}))[0]; p.Status != ledger.Accepted || p.Seq != 1 {
		t.Errorf("%s at %d", p.Status, p.Seq)
	}
}
