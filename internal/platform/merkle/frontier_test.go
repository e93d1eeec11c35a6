package merkle_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func TestAFrontierGoesOnFromItsBytes(t *testing.T) {
	tree := newTree(oracleSize)
	for _, size := range sizes(40, 20, oracleSize-1) {
		var f merkle.Frontier
		for _, leaf := range tree.leaves()[:size] {
			f.Append(leaf)
		}
		b, err := f.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		left, err := merkle.LeftHashes(uint64(size), tree.read)
		if err != nil || !bytes.Equal(tileBytes(left), b) {
			t.Fatalf("size %d: the frontier is not LeftHashes: %v", size, err)
		}
		for name, read := range map[string]func() (*merkle.Frontier, error){
			"ParseFrontier": func() (*merkle.Frontier, error) { return merkle.ParseFrontier(uint64(size), b) },
			"NewFrontier":   func() (*merkle.Frontier, error) { return merkle.NewFrontier(uint64(size), left) },
		} {
			g, err := read()
			if err != nil {
				t.Fatal(err)
			}
			g.Append(tree.leaves()[size])
			if g.Root() != tree.root(t, size+1) || g.Size() != uint64(size+1) {
				t.Fatalf("%s at size %d: the next root is wrong", name, size)
			}
		}
		if len(left) > 0 {
			if _, err := merkle.NewFrontier(uint64(size), left[1:]); !errors.Is(err, merkle.ErrFormat) {
				t.Fatalf("size %d: a missing hash was accepted: %v", size, err)
			}
		}
		for _, bad := range [][]byte{append(b[:len(b):len(b)], 0), append(b[:len(b):len(b)], make([]byte, 32)...),
			b[:max(len(b)-1, 0)]} {
			if len(bad) == len(b) {
				continue
			}
			if _, err := merkle.ParseFrontier(uint64(size), bad); !errors.Is(err, merkle.ErrFormat) {
				t.Fatalf("size %d: %d bytes instead of %d were accepted: %v", size, len(bad), len(b), err)
			}
		}
	}
	if _, err := merkle.ParseFrontier(1<<63, make([]byte, 32)); err == nil {
		t.Error("a size above MaxSize was accepted")
	}
}

func TestAClonedFrontierIsIndependent(t *testing.T) {
	tree := newTree(8)
	var f merkle.Frontier
	for _, leaf := range tree.leaves()[:6] {
		f.Append(leaf)
	}
	g := f.Clone()
	g.Append(tree.leaves()[6])
	g.Append(tree.leaves()[7])
	if f.Root() != tree.root(t, 6) || g.Root() != tree.root(t, 8) {
		t.Error("the clone and its source share hashes")
	}
}

func TestAppendVisitShowsEveryCompletedNodeOnce(t *testing.T) {
	tree := newTree(oracleSize)
	var f merkle.Frontier
	seen := map[merkle.Node]bool{}
	for _, leaf := range tree.leaves() {
		f.AppendVisit(leaf, func(level uint, index uint64, h merkle.Hash) {
			n := merkle.Node{Level: level, Index: index}
			want, err := tree.read(level, index)
			if err != nil || want != h || seen[n] {
				t.Fatalf("visited %+v with %s, want %s, seen before: %v, %v", n, h, want, seen[n], err)
			}
			seen[n] = true
		})
	}
	total := 0
	for _, level := range tree.levels[1:] {
		total += len(level)
	}
	if len(seen) != total {
		t.Errorf("visited %d nodes of %d", len(seen), total)
	}
}

func TestAFullFrontierPanicsInsteadOfWrapping(t *testing.T) {
	f, err := merkle.NewFrontier(merkle.MaxSize, make([]merkle.Hash, 63))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a leaf was appended past MaxSize")
		}
	}()
	f.Append(merkle.Hash{})
}
