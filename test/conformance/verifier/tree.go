package verifier

import (
	"crypto/sha256"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A frontier is a Merkle tree that grows to the right (RFC 6962, section 2.1): the roots
// of the complete subtrees that cover it, largest first.
type frontier struct {
	size  int64
	nodes []node
}

type node struct {
	level int // it covers 1<<level leaves
	hash  tlog.Hash
}

// add appends a complete subtree; its first leaf must be a multiple of its width.
func (f *frontier) add(level int, hash tlog.Hash) {
	f.size += 1 << level
	for n := len(f.nodes); n > 0 && f.nodes[n-1].level == level; n = len(f.nodes) {
		hash = tlog.NodeHash(f.nodes[n-1].hash, hash)
		f.nodes = f.nodes[:n-1]
		level++
	}
	f.nodes = append(f.nodes, node{level, hash})
}

func (f *frontier) root() tlog.Hash {
	if len(f.nodes) == 0 {
		return sha256.Sum256(nil)
	}
	last := len(f.nodes) - 1
	hash := f.nodes[last].hash
	for _, n := range slices.Backward(f.nodes[:last]) {
		hash = tlog.NodeHash(n.hash, hash)
	}
	return hash
}

// subtrees returns the levels of the maximal aligned subtrees that cover [from, to), from
// left to right. For from = 0 they are the complete subtrees of a tree of that size.
func subtrees(from, to int64) []int {
	var levels []int
	for from < to {
		level := bits.Len64(uint64(to-from)) - 1
		if from > 0 {
			level = min(level, bits.TrailingZeros64(uint64(from)))
		}
		levels = append(levels, level)
		from += 1 << level
	}
	return levels
}
