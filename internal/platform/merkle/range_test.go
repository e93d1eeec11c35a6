package merkle_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// rebuild runs a whole range through a RangeVerifier.
func rebuild(from, to, size int, left, leaves, right []merkle.Hash) (merkle.Hash, error) {
	v, err := merkle.NewRangeVerifier(uint64(from), uint64(to), uint64(size), left)
	if err != nil {
		return merkle.Hash{}, err
	}
	for _, leaf := range leaves {
		if err := v.Append(leaf); err != nil {
			return merkle.Hash{}, err
		}
	}
	return v.Finish(right)
}

func ends(t *testing.T, tree *testTree, from, to, size int) (left, right []merkle.Hash) {
	t.Helper()
	left, err := merkle.LeftHashes(uint64(from), tree.read)
	if err != nil {
		t.Fatal(err)
	}
	right, err = merkle.RightHashes(uint64(to), uint64(size), tree.read)
	if err != nil {
		t.Fatal(err)
	}
	return left, right
}

func TestARangeRebuildsEveryRootOnItsWay(t *testing.T) {
	tree := newTree(oracleSize)
	check := func(from, to, size int) {
		left, right := ends(t, tree, from, to, size)
		v, err := merkle.NewRangeVerifier(uint64(from), uint64(to), uint64(size), left)
		if err != nil {
			t.Fatal(err)
		}
		for older := from; ; older++ {
			if v.Next() != uint64(older) || v.Root() != tree.root(t, older) {
				t.Fatalf("[%d, %d) of %d: the root at %d is wrong", from, to, size, older)
			}
			if older == to {
				break
			}
			if err := v.Append(tree.leaves()[older]); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // Finish leaves the verifier as it was
			if root, err := v.Finish(right); err != nil || root != tree.root(t, size) {
				t.Fatalf("[%d, %d) of %d: root %s, %v", from, to, size, root, err)
			}
		}
		if err := v.Append(merkle.Hash{}); !errors.Is(err, merkle.ErrProof) {
			t.Fatalf("[%d, %d) of %d: a leaf too many was taken: %v", from, to, size, err)
		}
	}
	for size := range 20 {
		for to := range size + 1 {
			for from := range to + 1 {
				check(from, to, size)
			}
		}
	}
	for _, r := range [][3]int{{0, 700, 700}, {3, 257, 700}, {256, 512, 513}, {255, 511, 699}, {300, 300, 301},
		{699, 700, 700}} {
		check(r[0], r[1], r[2])
	}
}

func TestAChangedRangeNeverReachesTheRoot(t *testing.T) {
	tree := newTree(40)
	for _, r := range [][3]int{{5, 13, 29}, {0, 7, 11}, {8, 16, 32}, {3, 3, 9}, {9, 27, 27}} {
		from := r[0]
		to := r[1]
		size := r[2]
		left, right := ends(t, tree, from, to, size)
		leaves := tree.leaves()[from:to]
		want := tree.root(t, size)
		refused := func(what string, left, leaves, right []merkle.Hash) {
			t.Helper()
			if got, err := rebuild(from, to, size, left, leaves, right); err == nil && got == want {
				t.Errorf("%v: %s was not noticed", r, what)
			}
		}
		// A wrong count is refused as such, whatever root it would lead to.
		miscounted := func(what string, left, leaves, right []merkle.Hash) {
			t.Helper()
			if _, err := rebuild(from, to, size, left, leaves, right); !errors.Is(err, merkle.ErrProof) {
				t.Errorf("%v: %s was not refused: %v", r, what, err)
			}
		}
		if got, err := rebuild(from, to, size, left, leaves, right); err != nil || got != want {
			t.Fatalf("%v: %v", r, err)
		}
		for which, list := range [][]merkle.Hash{left, leaves, right} {
			parts := func(changed []merkle.Hash) (l, m, r []merkle.Hash) {
				all := [3][]merkle.Hash{left, leaves, right}
				all[which] = changed
				return all[0], all[1], all[2]
			}
			for i := range list {
				for bit := range 256 {
					changed := slices.Clone(list)
					changed[i] = flipped(changed[i], bit)
					l, m, r := parts(changed)
					refused("a flipped bit", l, m, r)
				}
				l, m, r := parts(slices.Delete(slices.Clone(list), i, i+1))
				miscounted("a dropped hash", l, m, r)
				l, m, r = parts(slices.Insert(slices.Clone(list), i, list[i]))
				miscounted("a doubled hash", l, m, r)
				if i > 0 {
					swapped := slices.Clone(list)
					swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
					l, m, r = parts(swapped)
					refused("swapped hashes", l, m, r)
				}
			}
			l, m, r := parts(append(slices.Clone(list), merkle.Hash{}))
			miscounted("an extra hash", l, m, r)
		}
	}
}

func TestRangeBoundsAreChecked(t *testing.T) {
	for _, r := range [][3]uint64{{2, 1, 3}, {0, 4, 3}, {0, 1, 1 << 63}} {
		if _, err := merkle.NewRangeVerifier(r[0], r[1], r[2], nil); err == nil {
			t.Errorf("the range %v was accepted", r)
		}
	}
	tree := newTree(4)
	if _, err := merkle.RightHashes(3, 2, tree.read); err == nil {
		t.Error("RightHashes accepted to > size")
	}
	if _, err := merkle.LeftHashes(1<<63, tree.read); err == nil {
		t.Error("LeftHashes accepted a size above the maximum")
	}
}
