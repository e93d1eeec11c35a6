package account

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Mark notes that something happened in an account. The first time is kept.
func (f *Feature) Mark(ctx context.Context, accountID, name string) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO account_mark (account_id, name, at) VALUES ($1, $2, $3)
			ON CONFLICT (account_id, name) DO NOTHING`, accountID, name, f.micros())
		return err
	})
}

// Unmark removes a mark.
func (f *Feature) Unmark(ctx context.Context, accountID, name string) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM account_mark WHERE account_id = $1 AND name = $2`, accountID, name)
		return err
	})
}

// Marks are the marks of an account with their times.
func (f *Feature) Marks(ctx context.Context, accountID string) (map[string]time.Time, error) {
	marks := map[string]time.Time{}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name, at FROM account_mark WHERE account_id = $1`, accountID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var at int64
			if err := rows.Scan(&name, &at); err != nil {
				return err
			}
			marks[name] = moment(at).Time
		}
		return rows.Err()
	})
	return marks, err
}
