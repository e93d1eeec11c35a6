package merkle

import "fmt"

// RangeVerifier rebuilds the root of a tree from a contiguous range of its
// leaves, in one pass and with at most 63 hashes of memory. The leaves are
// [from, to) of a tree of size leaves; the caller brings the hashes of
// Cover(0, from) first and those of Cover(to, size) last. That the root agrees
// with a checkpoint proves that every leaf of the range was given, in order.
//
// The left hashes are only bound by the root that comes out: compare it (or an
// intermediate Root) with a signed one before trusting anything.
type RangeVerifier struct {
	tree           Frontier
	from, to, size uint64
}

// NewRangeVerifier starts the range [from, to) of a tree of the given size. It
// wants from <= to <= size and exactly one left hash for each subtree of
// Cover(0, from).
func NewRangeVerifier(from, to, size uint64, left []Hash) (*RangeVerifier, error) {
	if from > to || to > size || size > MaxSize {
		return nil, fmt.Errorf("merkle: want from <= to <= size <= %d, got from = %d, to = %d, size = %d",
			uint64(MaxSize), from, to, size)
	}
	if want := CoverLen(0, from); len(left) != want {
		return nil, fmt.Errorf("%w: the range from %d needs %d left hashes, not %d", ErrProof, from, want, len(left))
	}
	tree, err := NewFrontier(from, left)
	if err != nil {
		return nil, err
	}
	return &RangeVerifier{tree: *tree, from: from, to: to, size: size}, nil
}

// Append takes the next leaf. It refuses leaves at and after to.
func (v *RangeVerifier) Append(leaf Hash) error {
	if v.tree.size >= v.to {
		return fmt.Errorf("%w: a leaf after the end of the range [%d, %d)", ErrProof, v.from, v.to)
	}
	v.tree.Append(leaf)
	return nil
}

// Next returns the index of the leaf that Append expects, which is also the
// size that Root speaks of.
func (v *RangeVerifier) Next() uint64 { return v.tree.size }

// Root returns the root of the tree of size Next. To check the range against an
// older checkpoint of a size in [from, to], call it when Next has that size.
func (v *RangeVerifier) Root() Hash { return v.tree.Root() }

// Finish takes the right hashes, exactly one for each subtree of
// Cover(to, size), and returns the root at size. Every leaf of the range must
// have been appended. It leaves v as it was.
func (v *RangeVerifier) Finish(right []Hash) (Hash, error) {
	if v.tree.size != v.to {
		return Hash{}, fmt.Errorf("%w: the range [%d, %d) stops before leaf %d", ErrProof, v.from, v.to, v.tree.size)
	}
	if want := CoverLen(v.to, v.size); len(right) != want {
		return Hash{}, fmt.Errorf("%w: the range to %d of %d needs %d right hashes, not %d",
			ErrProof, v.to, v.size, want, len(right))
	}
	tree := v.tree.Clone()
	i := 0
	for n := range Cover(v.to, v.size) {
		tree.push(n.Level, right[i], nil)
		i++
	}
	return tree.Root(), nil
}
