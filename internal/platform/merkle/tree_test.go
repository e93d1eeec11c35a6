package merkle_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// tree keeps every complete subtree of a log in memory, level by level: the
// source of truth that readers and tiles of the tests are cut from.
type testTree struct{ levels [][]merkle.Hash }

func newTree(size int) *testTree {
	leaves := make([]merkle.Hash, size)
	for i := range leaves {
		leaves[i] = merkle.LeafHash(entry(i))
	}
	t := &testTree{levels: [][]merkle.Hash{leaves}}
	for below := leaves; len(below) > 1; {
		level := make([]merkle.Hash, len(below)/2)
		for i := range level {
			level[i] = merkle.NodeHash(below[2*i], below[2*i+1])
		}
		t.levels = append(t.levels, level)
		below = level
	}
	return t
}

func entry(i int) []byte { return binary.BigEndian.AppendUint64([]byte("entry "), uint64(i)) }

func (t *testTree) leaves() []merkle.Hash { return t.levels[0] }

func (t *testTree) read(level uint, index uint64) (merkle.Hash, error) {
	if level >= uint(len(t.levels)) || index >= uint64(len(t.levels[level])) {
		return merkle.Hash{}, fmt.Errorf("no subtree (%d, %d)", level, index)
	}
	return t.levels[level][index], nil
}

// tile cuts a tile out of the tree, without the code under test.
func (t *testTree) tile(tile merkle.Tile) ([]byte, error) {
	if tile.Level*merkle.TileHeight >= uint(len(t.levels)) {
		return nil, fmt.Errorf("no tile %+v", tile)
	}
	hashes := t.levels[tile.Level*merkle.TileHeight]
	start := int(tile.Index) * merkle.TileWidth
	if start+tile.Width > len(hashes) {
		return nil, fmt.Errorf("no tile %+v", tile)
	}
	return tileBytes(hashes[start : start+tile.Width]), nil
}

func tileBytes(hashes []merkle.Hash) []byte {
	var b []byte
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func (t *testTree) root(tb testing.TB, size int) merkle.Hash {
	tb.Helper()
	root, err := merkle.TreeHash(uint64(size), t.read)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// sizes returns every size up to small and then random ones up to large, always
// with large itself and the sizes around a tile's width.
func sizes(small, random, large int) []int {
	rng := rand.New(rand.NewPCG(6962, 9162))
	var all []int
	for n := range small + 1 {
		all = append(all, n)
	}
	for range random {
		all = append(all, small+rng.IntN(large-small))
	}
	for _, n := range []int{255, 256, 257, 511, 512, 513, large} {
		if n > small && n <= large {
			all = append(all, n)
		}
	}
	return all
}

func flipped(h merkle.Hash, bit int) merkle.Hash {
	h[bit/8] ^= 1 << (bit % 8)
	return h
}

func hexHash(tb testing.TB, s string) (h merkle.Hash) {
	tb.Helper()
	if n, err := hex.Decode(h[:], []byte(s)); err != nil || n != len(h) {
		tb.Fatalf("bad hash in the test: %q", s)
	}
	return h
}
