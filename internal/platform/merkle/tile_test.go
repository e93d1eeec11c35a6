package merkle_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func TestTileAtKnowsTheEdgesOfATree(t *testing.T) {
	for _, c := range []struct {
		level       uint
		index, size uint64
		width       int
	}{
		{0, 0, 0, 0}, {0, 0, 1, 1}, {0, 0, 256, 256}, {0, 1, 256, 0}, {0, 1, 257, 1}, {0, 2, 257, 0},
		{1, 0, 255, 0}, {1, 0, 256, 1}, {1, 0, 70_000, 256}, {1, 1, 70_000, 17}, {2, 0, 70_000, 1}, {3, 0, 70_000, 0},
		{7, 0, merkle.MaxSize, 127}, {8, 0, merkle.MaxSize, 0}, {63, 0, merkle.MaxSize, 0}, {0, 1<<64 - 1, merkle.MaxSize, 0},
	} {
		tile, ok := merkle.TileAt(c.level, c.index, c.size)
		if ok != (c.width > 0) || tile.Width != c.width {
			t.Errorf("tile (%d, %d) of %d: %+v, %v, want width %d", c.level, c.index, c.size, tile, ok, c.width)
		}
		if ok {
			wider, less := tile, tile
			wider.Width++
			less.Width--
			if !tile.In(c.size) || wider.In(c.size) || less.In(c.size) != (less.Width > 0) {
				t.Errorf("%+v: In is wrong at size %d", tile, c.size)
			}
		}
	}
}

func TestTheTileReaderReadsEverySubtree(t *testing.T) {
	tree := newTree(2*65536 + 3*256 + 77)
	for _, size := range []uint64{1, 2, 77, 255, 256, 257, 700, 65535, 65536, 65537, uint64(len(tree.leaves()))} {
		r, err := merkle.NewTileReader(size, tree.tile)
		if err != nil {
			t.Fatal(err)
		}
		for level, hashes := range tree.levels {
			count := size >> level
			step := max(count/400, 1)
			for index := uint64(0); index < count; index += step {
				if got, err := r.Hash(uint(level), index); err != nil || got != hashes[index] {
					t.Fatalf("size %d: (%d, %d) is %s, %v", size, level, index, got, err)
				}
			}
			if _, err := r.Hash(uint(level), count); err == nil {
				t.Fatalf("size %d: (%d, %d) is past the end and was read", size, level, count)
			}
		}
		if _, err := r.Hash(64, 0); err == nil {
			t.Fatal("a level above every tree was read")
		}
	}
	if _, err := merkle.NewTileReader(1<<63, tree.tile); err == nil {
		t.Error("a size above MaxSize was accepted")
	}
}

func TestAProofFetchesEachTileOnceAndAtMostTwoALevel(t *testing.T) {
	const size = 2*65536 + 3*256 + 77
	tree := newTree(size)
	root := tree.root(t, size)
	for _, index := range []uint64{0, 1, 255, 256, 65535, 65536, 131071, 131072, size - 78, size - 1} {
		fetched := map[string]int{}
		r, err := merkle.NewTileReader(size, func(tile merkle.Tile) ([]byte, error) {
			if !tile.In(size) {
				return nil, fmt.Errorf("%s is not in the tree", tile.Path())
			}
			fetched[tile.Path()]++
			return tree.tile(tile)
		})
		if err != nil {
			t.Fatal(err)
		}
		inclusion, err := merkle.InclusionProof(size, index, r.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyInclusion(tree.leaves()[index], index, size, inclusion, root); err != nil {
			t.Fatal(err)
		}
		consistency, err := merkle.ConsistencyProof(index, size, r.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyConsistency(index, size, consistency, tree.root(t, int(index)), root); err != nil {
			t.Fatal(err)
		}
		if got, err := merkle.TreeHash(size, r.Hash); err != nil || got != root {
			t.Fatalf("root %s, %v", got, err)
		}
		perLevel := map[byte]int{}
		for path, n := range fetched {
			if n != 1 {
				t.Errorf("leaf %d: %s was fetched %d times", index, path, n)
			}
			perLevel[path[len("tile/")]]++
		}
		// Leaf and predecessor may lie in neighbouring tiles, beside the edge's.
		for level, n := range perLevel {
			if n > 3 {
				t.Errorf("leaf %d: %d tiles of level %c", index, n, level)
			}
		}
	}
}

func TestTheTileReaderRefusesTilesOfAnotherLength(t *testing.T) {
	for n, ok := range map[int]bool{
		0:                    false,
		32:                   false,
		63:                   false,
		64:                   true,
		65:                   false,
		96:                   true,
		merkle.TileSize:      true,
		merkle.TileSize + 32: false,
	} {
		r, err := merkle.NewTileReader(2, func(merkle.Tile) ([]byte, error) { return make([]byte, n), nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Hash(1, 0); (err == nil) != ok || (!ok && !errors.Is(err, merkle.ErrFormat)) {
			t.Errorf("a tile of 2 hashes in %d bytes: %v", n, err)
		}
	}
	broken := errors.New("disk on fire")
	r, err := merkle.NewTileReader(2, func(merkle.Tile) ([]byte, error) { return nil, broken })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Hash(0, 0); !errors.Is(err, broken) {
		t.Errorf("the fetch error was hidden: %v", err)
	}
}

func TestTilePathsAreThoseOfTheSpecification(t *testing.T) {
	for path, want := range map[string]merkle.Tile{
		"tile/0/000":                               {Level: 0, Index: 0, Width: 256},
		"tile/0/x001/x234/067":                     {Level: 0, Index: 1234067, Width: 256},
		"tile/0/x001/234.p/17":                     {Level: 0, Index: 1234, Width: 17},
		"tile/63/999.p/255":                        {Level: 63, Index: 999, Width: 255},
		"tile/1/x001/000.p/1":                      {Level: 1, Index: 1000, Width: 1},
		"tile/0/x009/x223/x372/x036/x854/x775/807": {Level: 0, Index: merkle.MaxSize, Width: 256},
	} {
		got, entries, err := merkle.ParseTilePath(path)
		if err != nil || got != want || entries {
			t.Errorf("%s: %+v, %v, %v", path, got, entries, err)
		}
		if got := want.Path(); got != path {
			t.Errorf("%+v: path %s, want %s", want, got, path)
		}
	}
	got, entries, err := merkle.ParseTilePath("tile/entries/x001/234.p/17")
	if want := (merkle.Tile{
		Index: 1234,
		Width: 17,
	}); err != nil || got != want || !entries || want.EntriesPath() != "tile/entries/x001/234.p/17" {
		t.Errorf("entries: %+v, %v, %v", got, entries, err)
	}
}

func TestTilePathsHaveOneSpelling(t *testing.T) {
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile/00/000", "tile/+0/000", "tile/64/000", "tile/-1/000",
		"tile//000", "Tile/0/000",
		"tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000", "tile/0/x000/001", "tile/0/001/002", "tile/0/x001/x002",
		"tile/0/x001//002", "tile/0/x001/2",
		"tile/0/000/", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256",
		"tile/0/000.p/+1", "tile/0/000.p/1/",
		"tile/0/000.p/1.p/1", "tile/0/0x0", "tile/0/xx01/000", "tile/0/-01", "tile/0/ 01", "tile/entries", "tile/entries/",
		"tile/entries/1", "tile/data/000",
		"tile/0/x009/x223/x372/x036/x854/x775/808", "tile/0/x018/x446/x744/x073/x709/x551/615",
		"tile/0/x001/x000/x000/x000/x000/x000/x000/000",
		"tile/8/000/../000", "tile/0/000?x", "tile/0/%30%30%30",
	} {
		if tile, _, err := merkle.ParseTilePath(path); !errors.Is(err, merkle.ErrFormat) {
			t.Errorf("%q was read as %+v, %v", path, tile, err)
		}
	}
}

func TestBundlesHoldExactlyTheirEntries(t *testing.T) {
	want := [][]byte{{}, []byte("a"), bytes.Repeat([]byte("b"), merkle.MaxEntrySize), []byte("last")}
	var bundle []byte
	for _, e := range want {
		var err error
		if bundle, err = merkle.AppendEntry(bundle, e); err != nil {
			t.Fatal(err)
		}
	}
	rest := bundle
	for i, e := range want {
		size := int(rest[0])<<8 | int(rest[1])
		if size != len(e) || !bytes.Equal(rest[2:2+size], e) {
			t.Fatalf("entry %d of %d bytes came back with %d", i, len(e), size)
		}
		rest = rest[2+size:]
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes after the last entry", len(rest))
	}
	if _, err := merkle.AppendEntry(nil, make([]byte, merkle.MaxEntrySize+1)); err == nil {
		t.Error("an entry above 65,535 bytes was written")
	}
}
