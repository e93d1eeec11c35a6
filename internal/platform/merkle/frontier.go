package merkle

import (
	"fmt"
	"math/bits"
	"slices"
)

// Frontier is the right edge of a growing tree: the hashes of the complete
// subtrees that make up [0, size). It is all that is needed to append leaves and
// to know the root, at most 63 hashes. The zero value is the empty tree.
//
// A Frontier belongs to one goroutine. Copy it with Clone: a plain copy shares
// its hashes.
type Frontier struct {
	size uint64
	// hashes belong to Cover(0, size), largest first: popcount(size) of them.
	hashes []Hash
}

// NewFrontier returns the frontier of a tree of the given size from its
// complete subtrees, left to right; there must be exactly popcount(size). The
// hashes are copied.
func NewFrontier(size uint64, hashes []Hash) (*Frontier, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("merkle: size = %d is above the maximum of %d", size, uint64(MaxSize))
	}
	if want := bits.OnesCount64(size); len(hashes) != want {
		return nil, fmt.Errorf("%w: a frontier of size %d has %d hashes, not %d", ErrFormat, size, want, len(hashes))
	}
	return &Frontier{size: size, hashes: slices.Clone(hashes)}, nil
}

// ParseFrontier reads what AppendBinary writes for a tree of the given size.
func ParseFrontier(size uint64, b []byte) (*Frontier, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("merkle: size = %d is above the maximum of %d", size, uint64(MaxSize))
	}
	if want := bits.OnesCount64(size) * HashSize; len(b) != want {
		return nil, fmt.Errorf("%w: a frontier of size %d has %d bytes, not %d", ErrFormat, size, want, len(b))
	}
	f := &Frontier{size: size, hashes: make([]Hash, len(b)/HashSize)}
	for i := range f.hashes {
		f.hashes[i] = Hash(b[i*HashSize:])
	}
	return f, nil
}

// AppendBinary appends the hashes to b, left to right, 32 bytes each. The size
// is not part of it: store the size with a frontier.
func (f *Frontier) AppendBinary(b []byte) ([]byte, error) {
	for i := range f.hashes {
		b = append(b, f.hashes[i][:]...)
	}
	return b, nil
}

// MarshalBinary returns what AppendBinary appends.
func (f *Frontier) MarshalBinary() ([]byte, error) {
	return f.AppendBinary(make([]byte, 0, len(f.hashes)*HashSize))
}

// Clone returns a frontier that shares nothing with f.
func (f *Frontier) Clone() *Frontier {
	return &Frontier{size: f.size, hashes: slices.Clone(f.hashes)}
}

// Size returns the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Root returns the root of the tree. It costs one hash a subtree but one.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return EmptyRoot()
	}
	return foldRight(f.hashes)
}

// Append adds one leaf. On average it costs one NodeHash; it allocates only
// when the tree grows a level. It panics at MaxSize, which no log reaches.
func (f *Frontier) Append(leaf Hash) { f.push(0, leaf, nil) }

// AppendVisit is Append and calls visit with each interior node that the leaf
// completes, from the lowest level up. A node at level 8L is the root of a full
// tile and so the next hash of the tile at level L above it.
func (f *Frontier) AppendVisit(leaf Hash, visit func(level uint, index uint64, h Hash)) {
	f.push(0, leaf, visit)
}

// push adds the root of a complete subtree of 1<<level leaves; size must be a
// multiple of 1<<level. Then every set bit of size from that level up, without
// a gap, is a left sibling waiting to be joined.
func (f *Frontier) push(level uint, h Hash, visit func(uint, uint64, Hash)) {
	if f.size > MaxSize-1<<level {
		panic("merkle: the tree is full")
	}
	n := len(f.hashes)
	for index := f.size >> level; index&1 == 1; {
		n--
		h = NodeHash(f.hashes[n], h)
		level++
		index >>= 1
		if visit != nil {
			visit(level, index, h)
		}
	}
	f.hashes = append(f.hashes[:n], h)
	// Joining moved level up; the joined part below it was counted already.
	f.size = (f.size>>level + 1) << level
}
