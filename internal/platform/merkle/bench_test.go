package merkle_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func BenchmarkLeafHash(b *testing.B) {
	for _, n := range []int{100, 400, 2000, 65535} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				merkle.LeafHash(data)
			}
		})
	}
}

// BenchmarkNodeHash compares the hash as it is with a digest kept between calls
// and with the oracles.
func BenchmarkNodeHash(b *testing.B) {
	var l, r merkle.Hash
	b.Run("belfry", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l = merkle.NodeHash(l, r)
		}
	})
	b.Run("reused-digest", func(b *testing.B) {
		b.ReportAllocs()
		digest := sha256.New()
		var buf [65]byte
		buf[0] = 1
		for b.Loop() {
			digest.Reset()
			copy(buf[1:], l[:])
			copy(buf[33:], r[:])
			digest.Write(buf[:])
			digest.Sum(l[:0])
		}
	})
	b.Run("tlog", func(b *testing.B) {
		b.ReportAllocs()
		h := tlog.Hash(l)
		for b.Loop() {
			h = tlog.NodeHash(h, tlog.Hash(r))
		}
	})
	b.Run("transparency-dev", func(b *testing.B) {
		b.ReportAllocs()
		h := l[:]
		for b.Loop() {
			h = rfc6962.DefaultHasher.HashChildren(h, r[:])
		}
	})
}

func BenchmarkFrontierAppend(b *testing.B) {
	leaf := merkle.LeafHash(nil)
	b.Run("belfry", func(b *testing.B) {
		b.ReportAllocs()
		var f merkle.Frontier
		for b.Loop() {
			f.Append(leaf)
		}
	})
	b.Run("transparency-dev", func(b *testing.B) {
		b.ReportAllocs()
		factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
		f := factory.NewEmptyRange(0)
		for b.Loop() {
			if err := f.Append(leaf[:], nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkFrontierRootAtAMillion(b *testing.B) {
	f, err := merkle.NewFrontier(1<<20-1, make([]merkle.Hash, 20))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Root()
	}
}

// BenchmarkBatch measures the receipts of a commit of a thousand events.
func BenchmarkBatch(b *testing.B) {
	leaves := newTree(1000).leaves()
	b.ReportAllocs()
	var proof []merkle.Hash
	for b.Loop() {
		batch := merkle.NewBatch(leaves)
		for i := range leaves {
			var err error
			if proof, err = batch.AppendProof(proof[:0], i); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkInclusionProofFromTiles(b *testing.B) {
	const size = 100_000
	tree := newTree(size)
	tiles := map[merkle.Tile][]byte{}
	fetch := func(t merkle.Tile) ([]byte, error) {
		if tile, ok := tiles[t]; ok {
			return tile, nil
		}
		tile, err := tree.tile(t)
		tiles[t] = tile
		return tile, err
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := merkle.NewTileReader(size, fetch)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := merkle.InclusionProof(size, 54321, r.Hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("next", func(b *testing.B) { // one reader for a run of leaves
		r, err := merkle.NewTileReader(size, fetch)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			if _, err := merkle.InclusionProof(size, i%size, r.Hash); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerifyInclusion(b *testing.B) {
	const size = 1 << 17
	tree := newTree(size)
	proof, err := merkle.InclusionProof(size, 54321, tree.read)
	if err != nil {
		b.Fatal(err)
	}
	root, err := merkle.TreeHash(size, tree.read)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := merkle.VerifyInclusion(tree.leaves()[54321], 54321, size, proof, root); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRangeVerifier is the hashing of an offline verification, an event of
// 400 bytes each.
func BenchmarkRangeVerifier(b *testing.B) {
	envelope := make([]byte, 400)
	v, err := merkle.NewRangeVerifier(0, merkle.MaxSize, merkle.MaxSize, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Append(merkle.LeafHash(envelope)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignCheckpoint(b *testing.B) {
	signer, _ := testKey(b, testKeyName, 1)
	c := merkle.Checkpoint{Origin: testOrigin, Size: 1 << 20}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := merkle.SignCheckpoint(c, signer); err != nil {
			b.Fatal(err)
		}
	}
}
