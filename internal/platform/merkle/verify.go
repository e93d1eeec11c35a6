package merkle

import (
	"fmt"
	"math/bits"
)

// InclusionRoot returns the root that a tree of the given size has if leaf is at
// index and proof is its audit path (RFC 9162 section 2.1.3.2). It refuses a
// proof of the wrong length.
func InclusionRoot(leaf Hash, index, size uint64, proof []Hash) (Hash, error) {
	if index >= size || size > MaxSize {
		return Hash{}, fmt.Errorf("%w: want index < size <= %d, got index = %d, size = %d",
			ErrProof, uint64(MaxSize), index, size)
	}
	root := leaf
	node, last := index, size-1
	for i := range proof {
		if last == 0 {
			return Hash{}, fmt.Errorf("%w: %d hashes are too many for leaf %d of %d", ErrProof, len(proof), index, size)
		}
		if node&1 == 1 || node == last {
			root = NodeHash(proof[i], root)
			// The right edge is promoted over the levels where it has no
			// sibling, up to the next where it is a right child.
			promoted := uint(bits.TrailingZeros64(node))
			node, last = node>>promoted, last>>promoted
		} else {
			root = NodeHash(root, proof[i])
		}
		node, last = node>>1, last>>1
	}
	if last != 0 {
		return Hash{}, fmt.Errorf("%w: %d hashes are too few for leaf %d of %d", ErrProof, len(proof), index, size)
	}
	return root, nil
}

// VerifyInclusion checks that leaf is at index in the tree with this size and
// root.
func VerifyInclusion(leaf Hash, index, size uint64, proof []Hash, root Hash) error {
	got, err := InclusionRoot(leaf, index, size, proof)
	if err != nil {
		return err
	}
	if got != root {
		return fmt.Errorf("%w: leaf %d of %d leads to root %s, not %s", ErrProof, index, size, got, root)
	}
	return nil
}

// VerifyConsistency checks that the tree (newer, newRoot) begins with all leaves
// of the tree (older, oldRoot), in order (RFC 9162 section 2.1.4.2). The empty
// tree is a prefix of every tree; its root must be EmptyRoot.
func VerifyConsistency(older, newer uint64, proof []Hash, oldRoot, newRoot Hash) error {
	switch {
	case older > newer || newer > MaxSize:
		return fmt.Errorf("%w: want older <= newer <= %d, got older = %d, newer = %d",
			ErrProof, uint64(MaxSize), older, newer)
	case older == 0 && oldRoot != EmptyRoot(), newer == 0 && newRoot != EmptyRoot():
		return fmt.Errorf("%w: the root at size 0 is not that of the empty tree", ErrProof)
	case older == newer && oldRoot != newRoot:
		return fmt.Errorf("%w: two roots at size %d: %s and %s", ErrProof, older, oldRoot, newRoot)
	case older == newer || older == 0:
		if len(proof) != 0 {
			return fmt.Errorf("%w: %d hashes where none are needed", ErrProof, len(proof))
		}
		return nil
	}

	// Walk up from the smallest complete subtree of the older tree. When that
	// is the whole older tree, its root replaces the first hash.
	level := uint(bits.TrailingZeros64(older))
	node, last := (older-1)>>level, (newer-1)>>level
	seed := oldRoot
	if node != 0 {
		if len(proof) == 0 {
			return fmt.Errorf("%w: no hashes from size %d to %d", ErrProof, older, newer)
		}
		seed, proof = proof[0], proof[1:]
	}
	gotOld, gotNew := seed, seed
	for i := range proof {
		if last == 0 {
			return fmt.Errorf("%w: too many hashes from size %d to %d", ErrProof, older, newer)
		}
		if node&1 == 1 || node == last {
			gotOld = NodeHash(proof[i], gotOld)
			gotNew = NodeHash(proof[i], gotNew)
			promoted := uint(bits.TrailingZeros64(node))
			node, last = node>>promoted, last>>promoted
		} else {
			gotNew = NodeHash(gotNew, proof[i])
		}
		node, last = node>>1, last>>1
	}
	if last != 0 {
		return fmt.Errorf("%w: too few hashes from size %d to %d", ErrProof, older, newer)
	}
	if gotOld != oldRoot {
		return fmt.Errorf("%w: the proof leads to root %s at size %d, not %s", ErrProof, gotOld, older, oldRoot)
	}
	if gotNew != newRoot {
		return fmt.Errorf("%w: the proof leads to root %s at size %d, not %s", ErrProof, gotNew, newer, newRoot)
	}
	return nil
}
