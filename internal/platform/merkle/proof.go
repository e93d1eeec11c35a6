package merkle

import (
	"fmt"
	"math/bits"
)

// InclusionProof returns the audit path of a leaf in the tree of the given size
// (RFC 6962 section 2.1.1): the siblings from the leaf up to the child of the
// root, at most 63.
func InclusionProof(size, index uint64, read HashReader) ([]Hash, error) {
	if index >= size || size > MaxSize {
		return nil, fmt.Errorf("merkle: want index < size <= %d, got index = %d, size = %d", uint64(MaxSize), index, size)
	}
	proof := make([]Hash, 0, bits.Len64(size-1))
	return appendPath(proof, Node{0, index}, size, read)
}

// ConsistencyProof returns the proof that the tree of size older is a prefix of
// the tree of size newer (RFC 6962 section 2.1.2). It is empty where there is
// nothing to show: when the sizes are equal or older is 0.
func ConsistencyProof(older, newer uint64, read HashReader) ([]Hash, error) {
	if older > newer || newer > MaxSize {
		return nil, fmt.Errorf("merkle: want older <= newer <= %d, got older = %d, newer = %d", uint64(MaxSize), older, newer)
	}
	if older == newer || older == 0 {
		return []Hash{}, nil
	}
	// The path starts at the smallest complete subtree of the older tree, whose
	// siblings make up both roots. When it is the whole older tree, its hash
	// is the older root, which the verifier has.
	level := uint(bits.TrailingZeros64(older))
	start := Node{level, (older - 1) >> level}
	proof := make([]Hash, 0, 1+bits.Len64(newer-1)-int(level))
	if start.Index > 0 {
		h, err := read(start.Level, start.Index)
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
	}
	return appendPath(proof, start, newer, read)
}

// appendPath appends the siblings on the way from a complete subtree to the root
// of the tree of the given size.
func appendPath(proof []Hash, n Node, size uint64, read HashReader) ([]Hash, error) {
	for last := (size - 1) >> n.Level; last > 0; last >>= 1 {
		var h Hash
		var err error
		switch {
		case n.Index&1 == 1:
			h, err = read(n.Level, n.Index-1)
		case n.Index < last:
			// The right sibling may be cut off by the end of the tree.
			start := (n.Index + 1) << n.Level
			h, err = suffixHash(start, min(start+1<<n.Level, size), read)
		default:
			// The right edge has no sibling here and is promoted as it is.
			n = Node{n.Level + 1, n.Index >> 1}
			continue
		}
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
		n = Node{n.Level + 1, n.Index >> 1}
	}
	return proof, nil
}
