package verifier

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileWidth is the number of hashes in a full tile (C2SP tlog-tiles).
const tileWidth = 256

// CheckTiles reads every tile and every entry bundle of a log through fetch, which gets
// C2SP paths such as "tile/0/x001/234.p/17" or "tile/entries/000", and checks them against
// the checkpoint: sizes, entries against their leaves, every level against the one below,
// and the root. It returns the leaves.
func CheckTiles(fetch func(path string) ([]byte, error), checkpoint Checkpoint) ([]tlog.Hash, error) {
	leaves, err := readLevel(fetch, 0, checkpoint.Size)
	if err != nil {
		return nil, err
	}
	if err := checkEntries(fetch, leaves); err != nil {
		return nil, err
	}
	below := leaves
	for level := 1; len(below) >= tileWidth; level++ {
		nodes, err := readLevel(fetch, level, int64(len(below)/tileWidth))
		if err != nil {
			return nil, err
		}
		for i, hash := range nodes {
			if rootOf(below[i*tileWidth:(i+1)*tileWidth]) != hash {
				return nil, fmt.Errorf("hash %d of level %d is not the root of the tile below it", i, level)
			}
		}
		below = nodes
	}
	if rootOf(leaves) != checkpoint.Root {
		return nil, errors.New("the leaves do not make the checkpoint's root")
	}
	return leaves, nil
}

func readLevel(fetch func(string) ([]byte, error), level int, count int64) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for n := int64(0); n*tileWidth < count; n++ {
		width := min(tileWidth, count-n*tileWidth)
		path := tilePath(fmt.Sprint(level), n, width)
		tile, err := fetch(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if int64(len(tile)) != width*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes, want %d", path, len(tile), width*tlog.HashSize)
		}
		for i := range width {
			all = append(all, tlog.Hash(tile[i*tlog.HashSize:(i+1)*tlog.HashSize]))
		}
	}
	return all, nil
}

func checkEntries(fetch func(string) ([]byte, error), leaves []tlog.Hash) error {
	count := int64(len(leaves))
	for n := int64(0); n*tileWidth < count; n++ {
		width := min(tileWidth, count-n*tileWidth)
		path := tilePath("entries", n, width)
		bundle, err := fetch(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for i := range width {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("%s is cut off at entry %d", path, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != leaves[n*tileWidth+i] {
				return fmt.Errorf("%s: entry %d is not what its leaf hashes", path, i)
			}
			bundle = bundle[end:]
		}
		if len(bundle) > 0 {
			return fmt.Errorf("%s: %d bytes follow the last entry", path, len(bundle))
		}
	}
	return nil
}

// tilePath writes n in groups of three digits, all but the last with an x before them.
func tilePath(kind string, n, width int64) string {
	number := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	path := "tile/" + kind + "/" + number
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

func rootOf(leaves []tlog.Hash) tlog.Hash {
	var tree frontier
	for _, leaf := range leaves {
		tree.add(0, leaf)
	}
	return tree.root()
}

// CheckPrefix proves that the tree of an older checkpoint is a prefix of these leaves.
func CheckPrefix(leaves []tlog.Hash, older Checkpoint) error {
	if older.Size > int64(len(leaves)) {
		return fmt.Errorf("the older checkpoint has %d leaves, there are %d", older.Size, len(leaves))
	}
	if rootOf(leaves[:older.Size]) != older.Root {
		return fmt.Errorf("the first %d leaves do not make the older checkpoint's root", older.Size)
	}
	return nil
}
