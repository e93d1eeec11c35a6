package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// SignedSize is the size of the account's last signed checkpoint.
func (r *Reader) SignedSize(ctx context.Context, account string) (size int64, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COALESCE(MAX(s.size), 0)
			FROM signed s JOIN account a ON a.key = s.account WHERE a.id = $1`, account).Scan(&size)
	})
	return size, err
}

// Products are the products in the account's record, by name.
func (r *Reader) Products(ctx context.Context, account string) (list []string, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		key, err := accountKey(ctx, tx, account)
		if err != nil || key == 0 {
			return err
		}
		list, err = db.Collect(ctx, tx, db.ScanText,
			`SELECT DISTINCT product FROM rollup WHERE account = $1 ORDER BY product LIMIT $2`, key, maxGroups)
		return err
	})
	return list, err
}

// SignedHead is the last checkpoint of an account that was signed and stored.
type SignedHead struct {
	Size int64
	At   time.Time
	Note string
}

// SignedHead returns the zero value for an account that was never signed for.
func (r *Reader) SignedHead(ctx context.Context, account string) (h SignedHead, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `SELECT s.size, s.at, s.note
			FROM signed s JOIN account a ON a.key = s.account WHERE a.id = $1`, account).Scan(&h.Size, &at, &h.Note)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		h.At = time.UnixMicro(at).UTC()
		return err
	})
	return h, err
}
