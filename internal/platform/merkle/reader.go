package merkle

import (
	"fmt"
)

// maxCachedTiles bounds what a TileReader holds, at about 16 KiB a tile. A proof
// touches at most two tiles a tile level, so none is fetched twice for it.
const maxCachedTiles = 2 * (maxLevels/TileHeight + 1)

// TileReader reads subtree hashes of a tree of one size out of its tiles,
// fetching each tile once and hashing in it only as far up as it was asked. Make
// one for a proof or for a run of proofs near each other, then drop it; it
// belongs to one goroutine. Its tiles are not verified: a caller that does not trust
// their source verifies the proofs built from them.
type TileReader struct {
	size  uint64
	fetch TileFetch
	// tiles are the last maxCachedTiles fetched; next is replaced next.
	tiles []cachedTile
	next  int
}

// cachedTile is a fetched tile and the levels computed above it.
type cachedTile struct {
	tile Tile
	// nodes holds level after level: tile.Width hashes of the tile itself,
	// then Width/2, Width/4 and so on, complete subtrees only. All levels
	// together fit in its capacity of 2*Width.
	nodes []Hash
	// levels is how many levels nodes holds, starts where each begins.
	levels int
	starts [TileHeight]int
}

// NewTileReader returns a reader of the tree of the given size. It fetches
// tiles at the width they have at that size.
func NewTileReader(size uint64, fetch TileFetch) (*TileReader, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("merkle: size = %d is above the maximum of %d", size, uint64(MaxSize))
	}
	return &TileReader{size: size, fetch: fetch}, nil
}

// Hash returns the hash of the complete subtree (level, index). It is a
// HashReader.
func (r *TileReader) Hash(level uint, index uint64) (Hash, error) {
	if level > maxLevels || index >= r.size>>level {
		return Hash{}, fmt.Errorf("merkle: a tree of size %d has no complete subtree (%d, %d)", r.size, level, index)
	}
	// Within its tile the subtree is `height` levels up; its first hash in the
	// tile's own level is index<<height.
	height := int(level % TileHeight)
	tile, ok := TileAt(level/TileHeight, index<<height>>TileHeight, r.size)
	if !ok {
		return Hash{}, fmt.Errorf("merkle: a tree of size %d has no tile for (%d, %d)", r.size, level, index)
	}
	c, err := r.tile(tile)
	if err != nil {
		return Hash{}, err
	}
	return c.node(height, int(index-tile.Index<<TileHeight>>height)), nil
}

// tile returns a tile from the cache or fetches it.
func (r *TileReader) tile(t Tile) (*cachedTile, error) {
	for i := range r.tiles {
		if r.tiles[i].tile == t {
			return &r.tiles[i], nil
		}
	}
	b, err := r.fetch(t)
	if err != nil {
		return nil, err
	}
	if len(b) < t.Width*HashSize || len(b) > TileSize || len(b)%HashSize != 0 {
		return nil, fmt.Errorf("%w: tile %s has %d bytes, not %d", ErrFormat, t.Path(), len(b), t.Width*HashSize)
	}
	if len(r.tiles) < maxCachedTiles {
		r.tiles = append(r.tiles, cachedTile{})
	}
	c := &r.tiles[r.next]
	r.next = (r.next + 1) % maxCachedTiles
	// The memory of the tile that is replaced is used again.
	*c = cachedTile{tile: t, nodes: c.nodes[:0], levels: 1}
	if cap(c.nodes) < 2*t.Width {
		c.nodes = make([]Hash, 0, 2*t.Width)
	}
	for i := range t.Width {
		c.nodes = append(c.nodes, Hash(b[i*HashSize:]))
	}
	return c, nil
}

// node returns the i-th hash at a height of 0 to 7 above the tile's level,
// computing the levels up to there when they were not yet.
func (c *cachedTile) node(height, i int) Hash {
	for ; c.levels <= height; c.levels++ {
		below := c.nodes[c.starts[c.levels-1]:]
		c.starts[c.levels] = len(c.nodes)
		c.nodes = c.nodes[:len(c.nodes)+len(below)/2]
		hashPairs(c.nodes[c.starts[c.levels]:], below)
	}
	return c.nodes[c.starts[height]+i]
}
