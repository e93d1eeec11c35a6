package ledger_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func TestProofsOfRandomPairsVerify(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.FillTo(accountB, 10) // another log in the same tables
		w.FillTo(accountA, 1400)
		leaves := w.Leaves(accountA)
		var f merkle.Frontier
		roots := []merkle.Hash{f.Root()}
		for _, h := range leaves {
			f.Append(h)
			roots = append(roots, f.Root())
		}
		r := rand.New(rand.NewPCG(9, 10))
		for i := range 150 {
			size := 1 + r.Uint64N(1400)
			seq := r.Uint64N(size)
			if i < 4 {
				size, seq = 1400, []uint64{0, 255, 256, 1399}[i]
			}
			proof, err := w.Reader.Inclusion(t.Context(), accountA, seq, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyInclusion(leaves[seq], seq, size, proof, roots[size]); err != nil {
				t.Errorf("%d in %d: %v", seq, size, err)
			}
			older := r.Uint64N(size + 1)
			proof, err = w.Reader.Consistency(t.Context(), accountA, older, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyConsistency(older, size, proof, roots[older], roots[size]); err != nil {
				t.Errorf("%d to %d: %v", older, size, err)
			}
		}
		for _, c := range [][2]uint64{{0, 1401}, {5, 5}, {1 << 62, 1 << 63}} {
			if _, err := w.Reader.Inclusion(t.Context(), accountA, c[0], c[1]); !errs.Is(err, errs.CodeOutOfRange) {
				t.Errorf("inclusion of %d in %d: %v", c[0], c[1], err)
			}
		}
		for _, c := range [][2]uint64{{0, 1401}, {6, 5}} {
			if _, err := w.Reader.Consistency(t.Context(), accountA, c[0], c[1]); !errs.Is(err, errs.CodeOutOfRange) {
				t.Errorf("consistency of %d with %d: %v", c[0], c[1], err)
			}
		}
	})
}

func TestEntryTilesAreTheHashedBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var want [][]byte
		for i := range 3 {
			var list []string
			for n := range 100 {
				list = append(list, complete(fmt.Sprint(i, "-", n), members{"metadata": members{"n": n}}))
			}
			for _, p := range w.Append(accountA, list...) {
				want = append(want, p.Envelope())
			}
		}
		leaves := w.Leaves(accountA)
		for _, tile := range []merkle.Tile{
			{Index: 0, Width: 256},
			{Index: 0, Width: 7},
			{Index: 1, Width: 44},
			{Index: 1, Width: 1},
		} {
			b, err := w.Reader.Tile(t.Context(), accountA, tile, true)
			if err != nil {
				t.Fatal(err)
			}
			var bundle []byte
			for i := range tile.Width {
				seq := int(tile.Index)*256 + i
				if merkle.LeafHash(want[seq]) != leaves[seq] {
					t.Fatalf("leaf %d is not the hash of its entry", seq)
				}
				if bundle, err = merkle.AppendEntry(bundle, want[seq]); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(b, bundle) {
				t.Fatalf("the bundle of %d entries from %d is another", tile.Width, tile.Index*256)
			}
		}
		if _, err := w.Reader.Tile(t.Context(), accountA, merkle.Tile{Index: 1, Width: 45},
			true); !errs.Is(err, errs.CodeNotFound) {
			t.Error(err)
		}
	})
}
