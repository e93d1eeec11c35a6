package ledger

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// tileFetch reads the hash tiles of one account: full ones as they were written by
// the append that filled them, the partial ones at the right edge derived from
// the leaves and from the roots of the tiles below.
func tileFetch(ctx context.Context, tx *db.Tx, account int64) merkle.TileFetch {
	return func(t merkle.Tile) ([]byte, error) {
		if t.Full() {
			var b []byte
			err := tx.QueryRow(ctx, `SELECT hashes FROM tile WHERE account = $1 AND level = $2 AND n = $3`, account,
				int64(t.Level), int64(t.Index)).Scan(&b)
			if err != nil {
				return nil, fmt.Errorf("tile %s: %w", t.Path(), err)
			}
			return b, nil
		}
		text := `SELECT hash FROM leaf WHERE account = $1 AND seq >= $2 AND seq < $3 ORDER BY seq`
		first := int64(t.Index) * merkle.TileWidth // in hashes of the tile's own level
		args := []any{account, first, first + int64(t.Width)}
		if t.Level > 0 {
			text = `SELECT root FROM tile WHERE account = $1 AND n >= $2 AND n < $3 AND level = $4 ORDER BY n`
			args = append(args, int64(t.Level)-1)
		}
		return readHashes(ctx, tx, t, text, args...)
	}
}

func readHashes(ctx context.Context, tx *db.Tx, t merkle.Tile, text string, args ...any) ([]byte, error) {
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]byte, 0, t.Width*merkle.HashSize)
	for rows.Next() {
		var h []byte
		if err := rows.Scan(&h); err != nil {
			return nil, err
		}
		out = append(out, h...)
	}
	if len(out) != t.Width*merkle.HashSize && rows.Err() == nil {
		return nil, fmt.Errorf("tile %s: the tables hold %d of its %d hashes", t.Path(), len(out)/merkle.HashSize, t.Width)
	}
	return out, rows.Err()
}

// Tile returns a tile of hashes, or, with entries, the bundle of its envelopes
// (C2SP tlog-tiles). NotFound past the log's end.
func (r *Reader) Tile(ctx context.Context, account string, t merkle.Tile, entries bool) ([]byte, error) {
	var out []byte
	err := r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil {
			return err
		}
		if !t.In(h.frontier.Size()) {
			return errs.New(errs.CodeNotFound, "the log has no such tile; it has %d events", h.frontier.Size())
		}
		if entries {
			out, err = entryBundle(ctx, tx, key, t)
			return err
		}
		b, err := tileFetch(ctx, tx, key)(t)
		if err == nil {
			out = b[:t.Width*merkle.HashSize]
		}
		return err
	})
	return out, err
}

func entryBundle(ctx context.Context, tx *db.Tx, account int64, t merkle.Tile) ([]byte, error) {
	rows, err := tx.Query(ctx, `SELECT e.envelope
		FROM leaf l JOIN entry e ON e.pos = l.pos WHERE l.account = $1 AND l.seq >= $2 AND l.seq < $3 ORDER BY l.seq`,
		account, int64(t.Start()), int64(t.Start())+int64(t.Width))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var bundle []byte
	n := 0
	for rows.Next() {
		var envelope []byte
		if err := rows.Scan(&envelope); err != nil {
			return nil, err
		}
		if bundle, err = merkle.AppendEntry(bundle, envelope); err != nil {
			return nil, err
		}
		n++
	}
	if n != t.Width && rows.Err() == nil {
		return nil, errs.New(errs.CodeNotFound, "the retention period has dropped entries of this tile")
	}
	return bundle, rows.Err()
}

// openLog finds an account's log; an account without events has an empty one.
func openLog(ctx context.Context, tx *db.Tx, account string) (int64, *head, error) {
	key, err := accountKey(ctx, tx, account)
	if err != nil {
		return 0, nil, err
	}
	h, err := readHead(ctx, tx, key)
	return key, h, err
}

// Inclusion returns the proof that the event at seq is in the log of this size.
func (r *Reader) Inclusion(ctx context.Context, account string, seq, size uint64) (proof []merkle.Hash, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil {
			return err
		}
		if seq >= size || size > h.frontier.Size() {
			return errs.New(errs.CodeOutOfRange, "seq must be below size, and size at most %d, the log's size",
				h.frontier.Size())
		}
		tr, err := merkle.NewTileReader(size, tileFetch(ctx, tx, key))
		if err != nil {
			return err
		}
		proof, err = merkle.InclusionProof(size, seq, tr.Hash)
		return err
	})
	return proof, err
}

// Consistency returns the proof that the log of one size begins with that of a
// smaller one.
func (r *Reader) Consistency(
	ctx context.Context,
	account string,
	older, newer uint64,
) (proof []merkle.Hash, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil {
			return err
		}
		if older > newer || newer > h.frontier.Size() {
			return errs.New(errs.CodeOutOfRange, "sizes must be ascending and at most %d, the log's size", h.frontier.Size())
		}
		tr, err := merkle.NewTileReader(newer, tileFetch(ctx, tx, key))
		if err != nil {
			return err
		}
		proof, err = merkle.ConsistencyProof(older, newer, tr.Hash)
		return err
	})
	return proof, err
}
