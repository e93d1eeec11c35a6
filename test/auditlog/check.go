package auditlog

import (
	"bytes"
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Leaves reads all leaf hashes of an account, past everything else.
func (w *World) Leaves(account string) []merkle.Hash {
	w.T.Helper()
	var list []merkle.Hash
	err := w.DB.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(context.Background(),
			`SELECT l.hash, l.seq FROM leaf l JOIN account a ON a.key = l.account WHERE a.id = $1 ORDER BY l.seq`, account)
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
		w.T.Fatal(err)
	}
	return list
}

// CheckTree compares everything that is derived with what merkle makes of all
// the leaves.
func (w *World) CheckTree(account string) {
	w.T.Helper()
	leaves := w.Leaves(account)
	size := uint64(len(leaves))
	var head, frontier []byte
	err := w.DB.View(context.Background(), func(tx *db.Tx) error {
		var n uint64
		err := tx.QueryRow(context.Background(),
			`SELECT h.size, h.frontier FROM head h JOIN account a ON a.key = h.account WHERE a.id = $1`, account).Scan(&n, &head)
		if n != size {
			return fmt.Errorf("the head's size is %d, there are %d leaves", n, size)
		}
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	var f merkle.Frontier
	level := leaves
	for l := uint(0); len(level) > 0; l++ { // every tile of the tree, full or not
		var above []merkle.Hash
		for n := 0; n*256 < len(level); n++ {
			part := level[n*256 : min(len(level), n*256+256)]
			t := merkle.Tile{Level: l, Index: uint64(n), Width: len(part)}
			var want []byte
			for _, h := range part {
				want = append(want, h[:]...)
			}
			if got, err := w.Reader.Tile(w.T.Context(), account, t, false); err != nil || !bytes.Equal(got, want) {
				w.T.Fatalf("at size %d: %s is another: %v", size, t.Path(), err)
			}
			if t.Full() {
				above = append(above, merkle.NewBatch(part).Root())
			}
		}
		level = above
	}
	for _, h := range leaves {
		f.Append(h)
	}
	if frontier, _ = f.MarshalBinary(); !bytes.Equal(frontier, head) {
		w.T.Fatalf("at size %d the head's frontier is not that of the leaves", size)
	}
	tr, err := merkle.NewTileReader(size, func(t merkle.Tile) ([]byte, error) {
		return w.Reader.Tile(w.T.Context(), account, t, false)
	})
	if err != nil {
		w.T.Fatal(err)
	}
	if root, err := merkle.TreeHash(size, tr.Hash); err != nil || root != f.Root() ||
		root != merkle.NewBatch(leaves).Root() {
		w.T.Fatalf("at size %d the tiles' root is another (%v)", size, err)
	}
	if n := w.Count(`SELECT COUNT(*) FROM digest d JOIN account a ON a.key = d.account WHERE a.id = $1`,
		account); n != int64(size/256) {
		w.T.Fatalf("at size %d there are %d digests", size, n)
	}
}

// CheckDigests looks for every event of every full tile in the tile's filter, and
// of every full span in the span's.
func (w *World) CheckDigests(account string) {
	w.T.Helper()
	size, err := w.Reader.Size(w.T.Context(), account)
	if err != nil {
		w.T.Fatal(err)
	}
	w.checkDigestsOf("digest", 256, account, size)
	w.checkDigestsOf("span", 4096, account, size)
}

func (w *World) checkDigestsOf(table string, events int64, account string, size int64) {
	w.T.Helper()
	type digest struct {
		low, high int64
		bloom     []byte
	}
	var list []digest
	err := w.DB.View(context.Background(), func(tx *db.Tx) error {
		rows, err := tx.Query(context.Background(),
			`SELECT d.min_at, d.max_at, d.bloom FROM `+table+
				` d JOIN account a ON a.key = d.account WHERE a.id = $1 ORDER BY d.n`, account)
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
		w.T.Fatal(err)
	}
	if int64(len(list)) != size/events {
		w.T.Fatalf("%s: %d at size %d", table, len(list), size)
	}
	wrong, asked := 0, 0
	for n, d := range list {
		records, err := w.Reader.Range(w.T.Context(), account, int64(n)*events, int64(n+1)*events, int(events))
		if err != nil || int64(len(records)) != events {
			w.T.Fatalf("%d events: %v", len(records), err)
		}
		low := records[0].Event.At().UnixMicro()
		high := records[0].Event.At().UnixMicro()
		for _, r := range records {
			at := r.Event.At().UnixMicro()
			low, high = min(low, at), max(high, at)
			for _, k := range record.FacetKeys(&r.Event) {
				if k != 0 && !record.BloomMayHold(d.bloom, k) {
					w.T.Fatalf("%s %d: the filter denies what is in event %d", table, n, r.Seq)
				}
			}
		}
		if d.low != low || d.high != high {
			w.T.Errorf("%s %d: from %d to %d, want %d to %d", table, n, d.low, d.high, low, high)
		}
		for i := range 1000 {
			e := record.Event{Actor: record.Actor{ID: fmt.Sprint("stranger-", i)}}
			asked++
			if record.BloomMayHold(d.bloom, record.FacetKeys(&e)[0]) {
				wrong++
			}
		}
	}
	if wrong*20 > asked {
		w.T.Errorf("%s: the filters say maybe to %d of %d strangers", table, wrong, asked)
	}
}
