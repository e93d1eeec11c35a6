package merkle_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// mutations yields every proof that is one flipped bit, one dropped, one added
// or one swapped pair of hashes away.
func mutations(proof []merkle.Hash, visit func(what string, changed []merkle.Hash)) {
	for i := range proof {
		for bit := range 256 {
			changed := slices.Clone(proof)
			changed[i] = flipped(changed[i], bit)
			visit(fmt.Sprintf("bit %d of hash %d flipped", bit, i), changed)
		}
		visit(fmt.Sprintf("hash %d dropped", i), slices.Delete(slices.Clone(proof), i, i+1))
		if i > 0 {
			changed := slices.Clone(proof)
			changed[i-1], changed[i] = changed[i], changed[i-1]
			visit(fmt.Sprintf("hashes %d and %d swapped", i-1, i), changed)
		}
	}
	for i := range len(proof) + 1 {
		visit(fmt.Sprintf("a hash added at %d", i), slices.Insert(slices.Clone(proof), i, merkle.Hash{byte(i)}))
	}
	if len(proof) > 0 {
		visit("the last hash doubled", append(slices.Clone(proof), proof[len(proof)-1]))
	}
}

func TestAChangedInclusionProofIsRefused(t *testing.T) {
	const limit = 20
	tree := newTree(limit)
	for size := 1; size <= limit; size++ {
		root := tree.root(t, size)
		for index := range size {
			leaf := tree.leaves()[index]
			proof, err := merkle.InclusionProof(uint64(size), uint64(index), tree.read)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(what string, leaf merkle.Hash, index, size int, proof []merkle.Hash, root merkle.Hash) {
				t.Helper()
				if err := merkle.VerifyInclusion(leaf, uint64(index), uint64(size), proof, root); !errors.Is(err, merkle.ErrProof) {
					t.Errorf("leaf %d of %d: %s: %v", index, size, what, err)
				}
			}
			mutations(proof, func(what string, changed []merkle.Hash) { refused(what, leaf, index, size, changed, root) })
			for bit := range 256 {
				refused("leaf changed", flipped(leaf, bit), index, size, proof, root)
				refused("root changed", leaf, index, size, proof, flipped(root, bit))
			}
			for other := range limit + 2 {
				if other != index {
					refused("another index", leaf, other, size, proof, root)
				}
			}
		}
	}
}

func TestAChangedConsistencyProofIsRefused(t *testing.T) {
	const limit = 14
	tree := newTree(limit)
	for newer := 1; newer <= limit; newer++ {
		newRoot := tree.root(t, newer)
		for older := range newer + 1 {
			oldRoot := tree.root(t, older)
			proof, err := merkle.ConsistencyProof(uint64(older), uint64(newer), tree.read)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(what string, older, newer int, proof []merkle.Hash, oldRoot, newRoot merkle.Hash) {
				t.Helper()
				if err := merkle.VerifyConsistency(uint64(older), uint64(newer), proof, oldRoot, newRoot); !errors.Is(err,
					merkle.ErrProof) {
					t.Errorf("%d to %d: %s: %v", older, newer, what, err)
				}
			}
			mutations(proof, func(what string, changed []merkle.Hash) { refused(what, older, newer, changed, oldRoot, newRoot) })
			for bit := range 256 {
				refused("old root changed", older, newer, proof, flipped(oldRoot, bit), newRoot)
				if older > 0 {
					refused("new root changed", older, newer, proof, oldRoot, flipped(newRoot, bit))
				}
			}
			for other := range limit + 2 {
				if other != older {
					refused("another old size", other, newer, proof, oldRoot, newRoot)
				}
			}
		}
	}
}

func TestARewrittenLogIsNotConsistent(t *testing.T) {
	honest := newTree(100)
	var forged merkle.Frontier
	for i, leaf := range honest.leaves() {
		if i == 37 {
			leaf = merkle.LeafHash([]byte("rewritten"))
		}
		forged.Append(leaf)
	}
	proof, err := merkle.ConsistencyProof(60, 100, honest.read)
	if err != nil {
		t.Fatal(err)
	}
	if err := merkle.VerifyConsistency(60, 100, proof, honest.root(t, 60), forged.Root()); !errors.Is(err,
		merkle.ErrProof) {
		t.Errorf("a rewritten leaf was not noticed: %v", err)
	}
}

func TestProofBoundsAreChecked(t *testing.T) {
	tree := newTree(4)
	if _, err := merkle.InclusionProof(4, 4, tree.read); err == nil {
		t.Error("a proof of a leaf past the end was made")
	}
	if _, err := merkle.InclusionProof(1<<63, 0, tree.read); err == nil {
		t.Error("a proof in a tree above MaxSize was made")
	}
	if _, err := merkle.ConsistencyProof(5, 4, tree.read); err == nil {
		t.Error("a proof from a larger to a smaller tree was made")
	}
	if _, err := merkle.TreeHash(1<<63, tree.read); err == nil {
		t.Error("a root above MaxSize was computed")
	}
	if err := merkle.VerifyInclusion(merkle.Hash{}, 0, 1<<63, nil, merkle.Hash{}); !errors.Is(err, merkle.ErrProof) {
		t.Errorf("a tree above MaxSize was verified: %v", err)
	}
}

func TestProofsFailWhenTheirReaderFails(t *testing.T) {
	broken := errors.New("disk on fire")
	read := func(uint, uint64) (merkle.Hash, error) { return merkle.Hash{}, broken }
	for name, f := range map[string]func() error{
		"InclusionProof":   func() error { _, err := merkle.InclusionProof(7, 3, read); return err },
		"ConsistencyProof": func() error { _, err := merkle.ConsistencyProof(3, 7, read); return err },
		"TreeHash":         func() error { _, err := merkle.TreeHash(7, read); return err },
		"LeftHashes":       func() error { _, err := merkle.LeftHashes(7, read); return err },
		"RightHashes":      func() error { _, err := merkle.RightHashes(3, 7, read); return err },
	} {
		if err := f(); !errors.Is(err, broken) {
			t.Errorf("%s hid the reader's error: %v", name, err)
		}
	}
}
