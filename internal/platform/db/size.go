package db

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Size is the space that the database takes on the disk, in bytes: on SQLite the file and its log, on PostgreSQL the
// tables and indexes of the feature's schema.
func (d *DB) Size(ctx context.Context) (bytes int64, err error) {
	if d.Engine == SQLite {
		for _, name := range []string{d.file, d.file + "-wal"} {
			info, err := os.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return 0, err
			}
			bytes += info.Size()
		}
		return bytes, nil
	}
	err = d.View(ctx, func(tx *Tx) error {
		return tx.QueryRow(ctx, `SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::BIGINT
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relkind = 'r'`, d.feature).Scan(&bytes)
	})
	return bytes, err
}
