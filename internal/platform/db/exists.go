package db

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Exists reports whether the feature's database was ever opened. Unlike [Open] it does
// not create one.
func Exists(ctx context.Context, cfg Config) (bool, error) {
	if cfg.URL == "" {
		_, err := os.Stat(filepath.Join(cfg.DataDir, cfg.Feature+".db"))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	cfg.Conns = 1
	d := &DB{Engine: Postgres, feature: cfg.Feature}
	if err := d.openPostgres(ctx, cfg); err != nil {
		return false, err
	}
	defer d.read.Close()
	var n int
	err := d.read.QueryRowContext(ctx,
		`SELECT count(*) FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'migration'`,
		cfg.Feature).Scan(&n)
	return n > 0, err
}
