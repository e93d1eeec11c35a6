package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/test/engines"
)

// leaves reads all leaf hashes of an account, past everything else.
func (w *world) leaves(account string) []merkle.Hash {
	w.t.Helper()
	var list []merkle.Hash
	err := w.db.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(context.Background(), `SELECT l.hash, l.seq FROM leaf l JOIN account a ON a.key = l.account WHERE a.id = $1 ORDER BY l.seq`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h []byte
			var seq int
			if err := rows.Scan(&h, &seq); err != nil {
				return err
			}
			if seq != len(list) || len(h) != merkle.HashSize {
				return fmt.Errorf("leaf %d has seq %d and %d bytes", len(list), seq, len(h))
			}
			list = append(list, merkle.Hash(h))
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// checkTree compares everything that is derived with what merkle makes of all
// the leaves.
func (w *world) checkTree(account string) {
	w.t.Helper()
	leaves := w.leaves(account)
	size := uint64(len(leaves))
	var head, frontier []byte
	err := w.db.View(context.Background(), func(tx *db.Tx) error {
		var n uint64
		err := tx.QueryRow(context.Background(), `SELECT h.size, h.frontier FROM head h JOIN account a ON a.key = h.account WHERE a.id = $1`, account).Scan(&n, &head)
		if n != size {
			return fmt.Errorf("the head's size is %d, there are %d leaves", n, size)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var f merkle.Frontier
	tiles := map[string][]byte{}
	level := leaves
	for l := uint(0); len(level) > 0; l++ { // every tile of the tree, full or not
		var above []merkle.Hash
		for n := 0; n*256 < len(level); n++ {
			part := level[n*256 : min(len(level), n*256+256)]
			t := merkle.Tile{Level: l, Index: uint64(n), Width: len(part)}
			tiles[t.Path()] = merkle.AppendTile(nil, part)
			if got, err := w.reader.Tile(w.t.Context(), account, t, false); err != nil || !bytes.Equal(got, tiles[t.Path()]) {
				w.t.Fatalf("at size %d: %s is another: %v", size, t.Path(), err)
			}
			if t.Full() {
				root, _ := merkle.TileRoot(tiles[t.Path()])
				above = append(above, root)
			}
		}
		level = above
	}
	for _, h := range leaves {
		f.Append(h)
	}
	if frontier, _ = f.MarshalBinary(); !bytes.Equal(frontier, head) {
		w.t.Fatalf("at size %d the head's frontier is not that of the leaves", size)
	}
	tr, err := merkle.NewTileReader(size, func(t merkle.Tile) ([]byte, error) { return w.reader.Tile(w.t.Context(), account, t, false) })
	if err != nil {
		w.t.Fatal(err)
	}
	if root, err := merkle.TreeHash(size, tr.Hash); err != nil || root != f.Root() || root != merkle.NewBatch(leaves).Root() {
		w.t.Fatalf("at size %d the tiles' root is another (%v)", size, err)
	}
	if n := w.count(`SELECT COUNT(*) FROM digest d JOIN account a ON a.key = d.account WHERE a.id = $1`, account); n != int64(size/256) {
		w.t.Fatalf("at size %d there are %d digests", size, n)
	}
}

func TestTilesAndFrontierAreThoseOfTheLeavesAtEverySize(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, size := range []int{1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 1023, 1025, 1800} {
			w.fillTo(accountA, size)
			w.checkTree(accountA)
		}
		if got, err := w.reader.Tile(t.Context(), accountA, merkle.Tile{Level: 0, Index: 3, Width: 7}, false); err != nil || len(got) != 7*merkle.HashSize {
			t.Errorf("a narrower tile of what is full by now: %d bytes, %v", len(got), err)
		}
		for _, tile := range []merkle.Tile{{Level: 0, Index: 7, Width: 9}, {Level: 0, Index: 8, Width: 1}, {Level: 1, Index: 0, Width: 8}, {Level: 2, Index: 0, Width: 1}, {Level: 60, Index: 1 << 40, Width: 256}} {
			if _, err := w.reader.Tile(t.Context(), accountA, tile, false); !errs.Is(err, errs.CodeNotFound) {
				t.Errorf("%+v: %v", tile, err)
			}
		}
		w.checkDigests(accountA)
	})
}

// checkDigests looks for every event of every full tile in the tile's filter, and
// of every full span in the span's.
func (w *world) checkDigests(account string) {
	w.t.Helper()
	size, err := w.reader.Size(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkDigestsOf("digest", 256, account, size)
	w.checkDigestsOf("span", 4096, account, size)
}

func (w *world) checkDigestsOf(table string, events int64, account string, size int64) {
	w.t.Helper()
	type digest struct {
		low, high int64
		bloom     []byte
	}
	var list []digest
	err := w.db.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(context.Background(), `SELECT d.min_at, d.max_at, d.bloom FROM `+table+` d JOIN account a ON a.key = d.account WHERE a.id = $1 ORDER BY d.n`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d digest
			if err := rows.Scan(&d.low, &d.high, &d.bloom); err != nil {
				return err
			}
			list = append(list, d)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if int64(len(list)) != size/events {
		w.t.Fatalf("%s: %d at size %d", table, len(list), size)
	}
	wrong, asked := 0, 0
	for n, d := range list {
		records, err := w.reader.Range(w.t.Context(), account, int64(n)*events, int64(n+1)*events, int(events))
		if err != nil || int64(len(records)) != events {
			w.t.Fatalf("%d events: %v", len(records), err)
		}
		low, high := records[0].Event.At().UnixMicro(), records[0].Event.At().UnixMicro()
		for _, r := range records {
			at := r.Event.At().UnixMicro()
			low, high = min(low, at), max(high, at)
			for _, k := range audit.FacetKeys(&r.Event) {
				if k != 0 && !audit.BloomMayHold(d.bloom, k) {
					w.t.Fatalf("%s %d: the filter denies what is in event %d", table, n, r.Seq)
				}
			}
		}
		if d.low != low || d.high != high {
			w.t.Errorf("%s %d: from %d to %d, want %d to %d", table, n, d.low, d.high, low, high)
		}
		for i := range 1000 {
			e := audit.Event{Actor: audit.Actor{ID: fmt.Sprint("stranger-", i)}}
			asked++
			if audit.BloomMayHold(d.bloom, audit.FacetKeys(&e)[0]) {
				wrong++
			}
		}
	}
	if wrong*20 > asked {
		w.t.Errorf("%s: the filters say maybe to %d of %d strangers", table, wrong, asked)
	}
}

// The tile of level 1 is full at 65,536 events.
func TestALogOf65536EventsHasItsTileOfLevel1(t *testing.T) {
	w := newWorld(t, "")
	w.fillTo(accountA, 65_535)
	w.checkTree(accountA)
	w.fillTo(accountA, 65_536)
	w.fillTo(accountA, 65_537)
	w.fillTo(accountA, 65_800)
	w.checkTree(accountA)
	if n := w.count(`SELECT COUNT(*) FROM tile WHERE level = 1`); n != 1 {
		t.Errorf("%d tiles of level 1", n)
	}
	leaves := w.leaves(accountA)
	for _, older := range []uint64{1, 256, 65_535, 65_536, 65_537} {
		proof, err := w.reader.Consistency(t.Context(), accountA, older, 65_800)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyConsistency(older, 65_800, proof, merkle.NewBatch(leaves[:older]).Root(), merkle.NewBatch(leaves).Root()); err != nil {
			t.Error(err)
		}
	}
}

// Two processes with two lanes each append to the same accounts, with the same
// ids among theirs.
func TestTwoProcessesAppendToTheSameAccounts(t *testing.T) {
	w := newWorld(t, engines.Postgres(t))
	second := w.run(w.open())
	accounts := []string{accountB, accountA, "0192f7c417d170008000000000000003"}
	const workers, rounds = 8, 12
	prepared := make([][][]*audit.Pending, workers)
	for i := range prepared {
		for round := range rounds {
			var list []*audit.Pending
			for n := range 60 {
				id := fmt.Sprintf("%d-%d-%d", i, round, n)
				if n < 5 {
					id = fmt.Sprintf("shared-%d-%d", round, n) // every worker sends it
				}
				list = append(list, w.prepare(accounts[(i+n)%3], minimal(members{"id": id, "occurred_at": "2026-11-22T09:00:00Z"}))...)
			}
			prepared[i] = append(prepared[i], list)
		}
	}
	var done sync.WaitGroup
	failed := make([]error, workers)
	for i := range workers {
		ledger := []*audit.Ledger{w.ledger, second}[i%2]
		done.Go(func() {
			for _, list := range prepared[i] {
				failed[i] = errors.Join(failed[i], ledger.Append(t.Context(), list, nil))
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
				if p.Status == audit.Accepted {
					if old, ok := accepted[place{p.Account, p.Seq}]; ok {
						t.Fatalf("%s and %s are both event %d of %s", old, p.Event.ID, p.Seq, p.Account)
					}
					accepted[place{p.Account, p.Seq}] = p.Event.ID
					ids[p.Account+p.Event.ID]++
				} else if p.Status != audit.Duplicate {
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
		w.checkTree(a)
		records, err := w.reader.Range(t.Context(), a, 0, 100_000, 100_000)
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
	w.append(accountA, minimal(nil))
	w.ledger.SetPatience(300 * time.Millisecond)
	let, locked, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	other := w.open()
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
	err := w.ledger.Append(t.Context(), w.prepare(accountA, minimal(members{"id": "late"})), nil)
	if errs.KindOf(err) != errs.Unavailable {
		t.Errorf("want Unavailable, got %v", err)
	}
	close(let)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p := w.append(accountA, minimal(members{"id": "late"}))[0]; p.Status != audit.Accepted || p.Seq != 1 {
		t.Errorf("%s at %d", p.Status, p.Seq)
	}
}
