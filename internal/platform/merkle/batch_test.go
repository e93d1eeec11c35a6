package merkle_test

import (
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func TestABatchProvesEachOfItsLeaves(t *testing.T) {
	tree := newTree(oracleSize)
	for _, size := range sizes(70, 10, oracleSize) {
		batch := merkle.NewBatch(tree.leaves()[:size])
		root := tree.root(t, size)
		if batch.Root() != root {
			t.Fatalf("size %d: root %s, want %s", size, batch.Root(), root)
		}
		for i := range size {
			got, err := batch.AppendProof(nil, i)
			if err != nil {
				t.Fatal(err)
			}
			want, err := merkle.InclusionProof(uint64(size), uint64(i), tree.read)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("leaf %d of %d: proof %v, want %v, %v", i, size, got, want, err)
			}
		}
		for _, i := range []int{-1, size, size + 1} {
			if _, err := batch.AppendProof(nil, i); err == nil {
				t.Fatalf("a batch of %d proved leaf %d", size, i)
			}
		}
	}
}

func TestABatchCopiesItsLeaves(t *testing.T) {
	leaves := slices.Clone(newTree(3).leaves())
	batch := merkle.NewBatch(leaves)
	leaves[1] = merkle.Hash{}
	proof, err := batch.AppendProof(nil, 0)
	if err != nil || proof[0] == (merkle.Hash{}) {
		t.Errorf("the batch follows its caller's slice: %v, %v", proof, err)
	}
}
