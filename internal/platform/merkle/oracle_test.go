package merkle_test

import (
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The two independent implementations that every root and proof is compared
// with: the Go checksum database's tlog and transparency-dev's merkle.

const oracleSize = 700

// tlogReader stores a tree the way tlog does, built by tlog.
func tlogReader(t *testing.T, size int) tlog.HashReader {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			hashes[i] = stored[n]
		}
		return hashes, nil
	})
	for i := range size {
		hashes, err := tlog.StoredHashes(int64(i), entry(i), read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	return read
}

func TestRootsAgreeWithBothOracles(t *testing.T) {
	ours, theirs := newTree(oracleSize), tlogReader(t, oracleSize)
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	other := factory.NewEmptyRange(0)
	var frontier merkle.Frontier
	for size := range oracleSize + 1 {
		root := ours.root(t, size)
		if frontier.Root() != root || frontier.Size() != uint64(size) {
			t.Fatalf("size %d: the frontier has size %d and root %s, not %s", size, frontier.Size(), frontier.Root(), root)
		}
		want, err := tlog.TreeHash(int64(size), theirs)
		if err != nil {
			t.Fatal(err)
		}
		if merkle.Hash(want) != root {
			t.Fatalf("size %d: root %s, tlog says %s", size, root, want)
		}
		if size > 0 {
			if want, err := other.GetRootHash(nil); err != nil || merkle.Hash(want) != root {
				t.Fatalf("size %d: root %s, transparency-dev says %x, %v", size, root, want, err)
			}
		}
		if size < oracleSize {
			frontier.Append(merkle.LeafHash(entry(size)))
			if err := other.Append(rfc6962.DefaultHasher.HashLeaf(entry(size)), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestInclusionProofsAgreeWithBothOracles(t *testing.T) {
	ours, theirs := newTree(oracleSize), tlogReader(t, oracleSize)
	for _, size := range sizes(70, 12, oracleSize) {
		root := ours.root(t, size)
		for index := range size {
			got, err := merkle.InclusionProof(uint64(size), uint64(index), ours.read)
			if err != nil {
				t.Fatal(err)
			}
			want, err := tlog.ProveRecord(int64(size), int64(index), theirs)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, func(a merkle.Hash, b tlog.Hash) bool { return a == merkle.Hash(b) }) {
				t.Fatalf("leaf %d of %d: proof %v, tlog says %v", index, size, got, want)
			}
			leaf := ours.leaves()[index]
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], rawHashes(got),
				root[:]); err != nil {
				t.Fatalf("leaf %d of %d: transparency-dev: %v", index, size, err)
			}
			if err := merkle.VerifyInclusion(leaf, uint64(index), uint64(size), got, root); err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
		}
	}
}

func TestConsistencyProofsAgreeWithBothOracles(t *testing.T) {
	ours, theirs := newTree(oracleSize), tlogReader(t, oracleSize)
	for _, newer := range sizes(70, 12, oracleSize) {
		newRoot := ours.root(t, newer)
		for older := range newer + 1 {
			oldRoot := ours.root(t, older)
			got, err := merkle.ConsistencyProof(uint64(older), uint64(newer), ours.read)
			if err != nil {
				t.Fatal(err)
			}
			if older > 0 {
				want, err := tlog.ProveTree(int64(newer), int64(older), theirs)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.EqualFunc(got, want, func(a merkle.Hash, b tlog.Hash) bool { return a == merkle.Hash(b) }) {
					t.Fatalf("%d to %d: proof %v, tlog says %v", older, newer, got, want)
				}
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), uint64(newer), rawHashes(got), oldRoot[:],
				newRoot[:]); err != nil {
				t.Fatalf("%d to %d: transparency-dev: %v", older, newer, err)
			}
			if err := merkle.VerifyConsistency(uint64(older), uint64(newer), got, oldRoot, newRoot); err != nil {
				t.Fatalf("%d to %d: %v", older, newer, err)
			}
		}
	}
}

func TestCoverAgreesWithTheOracle(t *testing.T) {
	check := func(from, to uint64) {
		t.Helper()
		var got []compact.NodeID
		for n := range merkle.Cover(from, to) {
			got = append(got, compact.NewNodeID(n.Level, n.Index))
		}
		if want := compact.RangeNodes(from, to, nil); !slices.Equal(got, want) {
			t.Fatalf("[%d, %d): %v, transparency-dev says %v", from, to, got, want)
		}
		if n := merkle.CoverLen(from, to); n != len(got) {
			t.Fatalf("[%d, %d): CoverLen = %d, Cover yields %d", from, to, n, len(got))
		}
	}
	for from := range uint64(130) {
		for to := from; to < 130; to++ {
			check(from, to)
		}
	}
	for _, n := range []uint64{0, 1, 2, 3, 1 << 32, 1<<62 - 1, 1 << 62, merkle.MaxSize - 1, merkle.MaxSize} {
		for _, m := range []uint64{n, 1<<62 + 1, merkle.MaxSize} {
			if n <= m {
				check(n, m)
			}
		}
	}
}

func rawHashes(hashes []merkle.Hash) [][]byte {
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	return raw
}
