package ledger

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// fullTile is a tile that an append completed, by the node of its root.
type fullTile struct {
	node merkle.Node
	root merkle.Hash
}

var tileColumns = []string{"account", "level", "n", "root", "hashes"}

// row is the row of tileColumns.
func (t fullTile) row(account int64, hashes []byte) []any {
	return []any{
		account,
		int64(t.node.Level/8 - 1),
		int64(t.node.Index),
		t.root[:],
		hashes,
	}
}

var digestColumns = []string{"account", "n", "min_at", "max_at", "bloom"}

// completeTiles writes the tiles that the append filled: those of leaves, with
// the digests of their events, and those above.
func (w *writing) completeTiles(
	ctx context.Context,
	tx *db.Tx,
	key int64,
	oldSize uint64,
	fresh []*appended,
	full []fullTile,
) error {
	start := oldSize &^ 255
	tail, err := readTail(ctx, tx, key, start, oldSize)
	if err != nil {
		return err
	}
	if uint64(len(tail)) != oldSize-start {
		return fmt.Errorf("the log has %d of the %d events before %d: the tables do not agree", len(tail), oldSize-start,
			oldSize)
	}
	for _, r := range fresh {
		tail = append(tail, tailEntry{r.hash, r.at, r.keys})
	}
	done := map[merkle.Node]merkle.Hash{}
	for _, t := range full {
		node := t.node
		done[node] = t.root
		level, n := int64(node.Level/8-1), int64(node.Index)
		hashes := make([]byte, 0, 256*merkle.HashSize)
		if level == 0 {
			part := tail[node.Index*256-start:][:256]
			for _, e := range part {
				hashes = append(hashes, e.hash[:]...)
			}
			w.digest = append(w.digest, tileDigest(key, n, part))
		} else {
			for child := node.Index * 256; child < (node.Index+1)*256; child++ {
				h, ok := done[merkle.Node{Level: node.Level - 8, Index: child}]
				if !ok {
					if h, err = tileRoot(ctx, tx, key, level-1, int64(child)); err != nil {
						return err
					}
				}
				hashes = append(hashes, h[:]...)
			}
		}
		w.tiles = append(w.tiles, t.row(key, hashes))
	}
	return nil
}

// tileDigest is the row of digestColumns for the events of a tile or a span.
func tileDigest(account, n int64, part []tailEntry) []any {
	keys := map[int64]struct{}{}
	low, high := part[0].at, part[0].at
	for _, e := range part {
		low, high = min(low, e.at), max(high, e.at)
		for _, k := range e.keys {
			if k != 0 {
				keys[k] = struct{}{}
			}
		}
	}
	return []any{
		account,
		n,
		low,
		high,
		record.NewBloom(keys),
	}
}

func tileRoot(ctx context.Context, tx *db.Tx, account, level, n int64) (merkle.Hash, error) {
	var b []byte
	var h merkle.Hash
	if err := tx.QueryRow(ctx, `SELECT root FROM tile WHERE account = $1 AND level = $2 AND n = $3`, account, level, n).
		Scan(&b); err != nil {
		return h, fmt.Errorf("tile %d/%d: %w", level, n, err)
	}
	copy(h[:], b)
	return h, nil
}
