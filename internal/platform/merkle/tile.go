package merkle

import (
	"fmt"
	"iter"
)

// Tiles are 8 levels high: 256 hashes of one level, from which the 8 levels
// above are recomputed (c2sp.org/tlog-tiles).
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
	// TileSize is the length of a full tile in bytes.
	TileSize = TileWidth * HashSize
	// maxTileLevel is the highest level a path may name.
	maxTileLevel = 63
)

// Tile names the Index-th tile of a tile level: Width consecutive hashes of the
// tree's level 8*Level, from index Index*256. Width is 256 for a full tile, 1 to
// 255 for a partial one.
type Tile struct {
	Level uint
	Index uint64
	Width int
}

// Full reports whether the tile is full, and so will never change.
func (t Tile) Full() bool { return t.Width == TileWidth }

// Start returns the index of the first leaf below the tile.
func (t Tile) Start() uint64 { return t.Index << (TileHeight * (t.Level + 1)) }

// TileAt returns the tile (level, index) as wide as it is in a tree of the given
// size; ok is false where that tree has none.
func TileAt(level uint, index, size uint64) (t Tile, ok bool) {
	hashes := size >> (TileHeight * level) // 0 for a level above the tree
	if index > hashes>>TileHeight || index<<TileHeight == hashes {
		return Tile{}, false
	}
	width := min(hashes-index<<TileHeight, TileWidth)
	return Tile{level, index, int(width)}, true
}

// In reports whether a tree of the given size has this tile at this width, or
// had it at a smaller size.
func (t Tile) In(size uint64) bool {
	at, ok := TileAt(t.Level, t.Index, size)
	return ok && t.Width >= 1 && t.Width <= at.Width
}

// NewFullTiles yields the tiles that become full when a tree grows from one size
// to another, level by level from the leaves up, so that the children of each
// tile come before it.
func NewFullTiles(from, to uint64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		from, to := from>>TileHeight, to>>TileHeight
		for level := uint(0); to > 0; level++ {
			for index := from; index < to; index++ {
				if !yield(Tile{level, index, TileWidth}) {
					return
				}
			}
			from, to = from>>TileHeight, to>>TileHeight
		}
	}
}

// PartialTiles yields the partial tiles of a tree of the given size, at most one
// a level, from the leaves up. Levels that end in a full tile have none.
func PartialTiles(size uint64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		for level := uint(0); size > 0; level++ {
			if width := int(size % TileWidth); width > 0 {
				if !yield(Tile{level, size / TileWidth, width}) {
					return
				}
			}
			size /= TileWidth
		}
	}
}

// AppendTile appends the bytes of a tile with these hashes.
func AppendTile(b []byte, hashes []Hash) []byte {
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

// TileRoot returns the root of a full tile from its 8,192 bytes: the hash that
// stands for it in the tile above. It costs 255 NodeHash and no allocation.
func TileRoot(tile []byte) (Hash, error) {
	if len(tile) != TileSize {
		return Hash{}, fmt.Errorf("%w: a full tile is %d bytes, not %d", ErrFormat, TileSize, len(tile))
	}
	var level [TileWidth]Hash
	for i := range level {
		level[i] = Hash(tile[i*HashSize:])
	}
	for n := TileWidth / 2; n > 0; n /= 2 {
		hashPairs(level[:n], level[:])
	}
	return level[0], nil
}

// TileFetch returns the bytes of a tile: at least its Width hashes. It may
// return more of them, as when the full tile has replaced a partial one.
type TileFetch func(Tile) ([]byte, error)

// ParentTile computes a tile of level 1 or above from the full tiles below it,
// of which it fetches t.Width.
func ParentTile(t Tile, fetch TileFetch) ([]byte, error) {
	if t.Level == 0 || t.Level > maxTileLevel || t.Width < 1 || t.Width > TileWidth {
		return nil, fmt.Errorf("merkle: tile %+v has no tiles below it", t)
	}
	parent := make([]byte, 0, t.Width*HashSize)
	for i := range t.Width {
		child := Tile{t.Level - 1, t.Index*TileWidth + uint64(i), TileWidth}
		b, err := fetch(child)
		if err != nil {
			return nil, err
		}
		root, err := TileRoot(b)
		if err != nil {
			return nil, fmt.Errorf("tile %s: %w", child.Path(), err)
		}
		parent = append(parent, root[:]...)
	}
	return parent, nil
}
