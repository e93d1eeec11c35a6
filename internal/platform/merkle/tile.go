package merkle

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

// TileFetch returns the bytes of a tile: at least its Width hashes. It may
// return more of them, as when the full tile has replaced a partial one.
type TileFetch func(Tile) ([]byte, error)
