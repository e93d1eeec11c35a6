package merkle

import (
	"fmt"
	"iter"
	"math/bits"
)

// Node names a subtree: the leaves [Index<<Level, (Index+1)<<Level).
type Node struct {
	Level uint
	Index uint64
}

// Cover yields the maximal aligned subtrees that make up [from, to), left to
// right: the compact range. First their levels rise, then they fall; with
// from = 0 they only fall, and are the complete subtrees of the tree of size to.
// It yields nothing when from >= to.
func Cover(from, to uint64) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for from < to {
			n := firstNode(from, to)
			if !yield(n) {
				return
			}
			from += 1 << n.Level
		}
	}
}

// CoverLen returns how many subtrees Cover yields: at most 63 from either end,
// so at most 126 in all.
func CoverLen(from, to uint64) int {
	if from >= to {
		return 0
	}
	// Below the level where the two ends part, every set bit of -from (going
	// up) and of to (going down) is one subtree.
	if from == 0 {
		return bits.OnesCount64(to)
	}
	split := uint(bits.Len64((from-1)^to) - 1)
	mask := uint64(1)<<split - 1
	return bits.OnesCount64(^(from-1)&mask) + bits.OnesCount64(to&mask)
}

// firstNode returns the largest subtree that starts at from and ends within to.
func firstNode(from, to uint64) Node {
	level := uint(bits.Len64(to-from) - 1)
	if from != 0 {
		level = min(level, uint(bits.TrailingZeros64(from)))
	}
	return Node{level, from >> level}
}

// HashReader returns the hash of the complete subtree (level, index).
// TileReader.Hash is one.
type HashReader func(level uint, index uint64) (Hash, error)

// LeftHashes returns the hashes of Cover(0, from): what a verifier needs of the
// leaves before an exported range.
func LeftHashes(from uint64, read HashReader) ([]Hash, error) {
	if from > MaxSize {
		return nil, fmt.Errorf("merkle: from = %d is above the maximum of %d", from, uint64(MaxSize))
	}
	return readCover(0, from, read)
}

// RightHashes returns the hashes of Cover(to, size): what a verifier needs of
// the leaves after an exported range to reach the root at size.
func RightHashes(to, size uint64, read HashReader) ([]Hash, error) {
	if to > size || size > MaxSize {
		return nil, fmt.Errorf("merkle: want to <= size <= %d, got to = %d, size = %d", uint64(MaxSize), to, size)
	}
	return readCover(to, size, read)
}

// TreeHash returns the root of the tree of the given size.
func TreeHash(size uint64, read HashReader) (Hash, error) {
	if size == 0 {
		return EmptyRoot(), nil
	}
	if size > MaxSize {
		return Hash{}, fmt.Errorf("merkle: size = %d is above the maximum of %d", size, uint64(MaxSize))
	}
	return suffixHash(0, size, read)
}

// readCover reads the hashes of Cover(from, to). The result is empty, not nil,
// for an empty range, so that it is written as [] in JSON.
func readCover(from, to uint64, read HashReader) ([]Hash, error) {
	hashes := make([]Hash, 0, CoverLen(from, to))
	for n := range Cover(from, to) {
		h, err := read(n.Level, n.Index)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// suffixHash returns the hash of the rightmost subtree of a tree of size to
// whose leaves start at from, where from is aligned to that subtree and below
// to. Such a subtree may be incomplete; then it exists only at this size.
func suffixHash(from, to uint64, read HashReader) (Hash, error) {
	var stack [maxLevels]Hash
	n := 0
	for node := range Cover(from, to) {
		h, err := read(node.Level, node.Index)
		if err != nil {
			return Hash{}, err
		}
		stack[n] = h
		n++
	}
	return foldRight(stack[:n]), nil
}

// foldRight joins the complete subtrees of a tree, largest first, into its
// root. It needs at least one.
func foldRight(hashes []Hash) Hash {
	root := hashes[len(hashes)-1]
	for i := len(hashes) - 2; i >= 0; i-- {
		root = NodeHash(hashes[i], root)
	}
	return root
}
