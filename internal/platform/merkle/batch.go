package merkle

import (
	"fmt"
	"math/bits"
	"slices"
)

// Batch is the complete tree over a known set of leaves, kept so that the root
// and the proof of every leaf cost n-1 hashes together instead of n log n. It is
// read-only after NewBatch and safe for concurrent use.
type Batch struct {
	size int
	// nodes holds level after level from the leaves up, each with half as many
	// as the one before, rounded up. A last node without a sibling is repeated
	// one level higher as it is: that makes the tree of RFC 6962, whose left
	// subtrees are the largest powers of two.
	nodes []Hash
}

// NewBatch hashes the tree over the leaves, which it copies.
func NewBatch(leaves []Hash) *Batch {
	total := len(leaves)
	for width := len(leaves); width > 1; {
		width = (width + 1) / 2
		total += width
	}
	nodes := make([]Hash, total)
	below := nodes[:copy(nodes, leaves)]
	for rest := nodes[len(below):]; len(rest) > 0; {
		level := rest[:(len(below)+1)/2]
		hashPairs(level[:len(below)/2], below)
		if len(below)%2 == 1 {
			level[len(level)-1] = below[len(below)-1]
		}
		below, rest = level, rest[len(level):]
	}
	return &Batch{size: len(leaves), nodes: nodes}
}

// Root returns the root of the tree.
func (b *Batch) Root() Hash {
	if b.size == 0 {
		return EmptyRoot()
	}
	return b.nodes[len(b.nodes)-1]
}

// AppendProof appends the inclusion proof of leaf i to proof, without hashing.
func (b *Batch) AppendProof(proof []Hash, i int) ([]Hash, error) {
	if i < 0 || i >= b.size {
		return nil, fmt.Errorf("merkle: no leaf %d in a batch of %d", i, b.size)
	}
	proof = slices.Grow(proof, bits.Len(uint(b.size-1)))
	level := b.nodes
	for width := b.size; width > 1; width = (width + 1) / 2 {
		if sibling := i ^ 1; sibling < width {
			proof = append(proof, level[sibling])
		}
		level = level[width:]
		i /= 2
	}
	return proof, nil
}
