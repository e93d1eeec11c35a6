package merkle

import (
	"fmt"
	"strconv"
	"strings"
)

// Path returns the tile's path below the log's prefix, such as
// "tile/0/x001/x234/067" or "tile/1/000.p/17".
func (t Tile) Path() string {
	b := append(make([]byte, 0, 48), "tile/"...)
	b = strconv.AppendUint(b, uint64(t.Level), 10)
	return string(t.appendIndex(append(b, '/')))
}

// EntriesPath returns the path of the bundle of the entries under a tile of
// level 0, such as "tile/entries/x001/x234/067".
func (t Tile) EntriesPath() string {
	b := append(make([]byte, 0, 48), "tile/entries/"...)
	return string(t.appendIndex(b))
}

// appendIndex appends <N>[.p/<W>]: the index in groups of three digits, each but
// the last with an x before it.
func (t Tile) appendIndex(b []byte) []byte {
	groups := 1
	unit := uint64(1)
	for t.Index/unit >= 1000 {
		unit *= 1000
		groups++
	}
	for ; groups > 0; groups-- {
		n := t.Index / unit % 1000
		unit /= 1000
		if groups > 1 {
			b = append(b, 'x')
		}
		b = append(b, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
		if groups > 1 {
			b = append(b, '/')
		}
	}
	if !t.Full() {
		b = append(b, ".p/"...)
		b = strconv.AppendInt(b, int64(t.Width), 10)
	}
	return b
}

// ParseTilePath reads what Path and EntriesPath write and nothing else: no
// further zeroes, groups or slashes. For entries, the tile is that of level 0
// whose leaves they are. Whether a log has the tile is for Tile.In to say.
func ParseTilePath(path string) (t Tile, entries bool, err error) {
	bad := func(expected string) (Tile, bool, error) {
		return Tile{}, false, fmt.Errorf("%w: tile path %q: expected %s", ErrFormat, path, expected)
	}
	// The longest index, 2^63-1, has seven groups.
	if len(path) > len("tile/entries/")+7*len("x000/")+len(".p/255") {
		return Tile{}, false, fmt.Errorf("%w: a tile path of %d characters", ErrFormat, len(path))
	}
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return bad("tile/<level>/<index>")
	}
	level, rest, _ := strings.Cut(rest, "/")
	if entries = level == "entries"; !entries {
		n, err := strconv.ParseUint(level, 10, 8)
		if err != nil || n > maxTileLevel {
			return bad("a level from 0 to 63, or entries")
		}
		t.Level = uint(n)
	}
	index, width, partial := strings.Cut(rest, ".p/")
	t.Width = TileWidth
	if partial {
		n, err := strconv.ParseUint(width, 10, 8)
		if err != nil || n == 0 {
			return bad("a width from 1 to 255 after .p/")
		}
		t.Width = int(n)
	}
	for group := range strings.SplitSeq(index, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(group, "x"), 10, 64)
		if err != nil || n > 999 || t.Index > (MaxSize-n)/1000 {
			return bad("an index in groups of three digits")
		}
		t.Index = t.Index*1000 + n
	}
	// The reading above is lenient about zeroes and x; only the one spelling
	// that comes out again is accepted.
	canonical := t.Path()
	if entries {
		canonical = t.EntriesPath()
	}
	if canonical != path {
		return bad(canonical)
	}
	return t, entries, nil
}
