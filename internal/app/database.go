package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

func (a *App) openDatabases(ctx context.Context) error {
	for _, m := range manifests() {
		opened, err := openDB(ctx, a.Config, m)
		if err != nil {
			return err
		}
		a.databases = append(a.databases, database{m, opened})
		a.closing("database "+m.Name, opened.Close)
		if opened.Engine == db.SQLite && m.Name != webManifest.Name { // the data directory is locked: no other process
			if err := bus.EndLease(ctx, opened); err != nil {
				return err
			}
		}
		a.Health.Add("database "+m.Name, opened.Ping)
	}
	return nil
}

// watchDatabases ends the process when a database must not be used any more.
func (a *App) watchDatabases(ctx context.Context) error {
	failed := make(chan error, 1)
	for _, d := range a.databases {
		go func() {
			select {
			case err := <-d.Failed():
				failed <- err
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("a write or fsync failed, and the content of the disk is unknown: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// openDB opens the database that a manifest describes.
func openDB(ctx context.Context, cfg Config, m feature.Manifest) (*db.DB, error) {
	c := dbConfig(cfg, m.Name)
	c.Cache = cacheOf(m.Name, cfg.SQLiteCacheMB)
	if m.Name != webManifest.Name { // which has no outbox and no consumer
		c.Schemas = append(c.Schemas, bus.Schema())
	}
	for _, schema := range m.Schemas {
		c.Schemas = append(c.Schemas, schema())
	}
	return db.Open(ctx, c)
}

// dbConfig locates a database.
func dbConfig(cfg Config, name string) db.Config {
	return db.Config{Feature: name, DataDir: filepath.Join(cfg.DataDir, "db"), URL: cfg.DatabaseURL}
}

// cacheOf is a database's part of the memory for SQLite's page caches, in bytes.
func cacheOf(name string, megabytes int) int64 {
	var own, all int64
	for _, m := range manifests() {
		all += m.Cache
		if m.Name == name {
			own = m.Cache
		}
	}
	return int64(megabytes) << 20 * own / all
}

// requireData refuses to continue where there is no installation: only serve and demo create one. A command in the
// wrong folder would create a second.
func requireData(ctx context.Context, cfg Config) error {
	exists, err := db.Exists(ctx, dbConfig(cfg, account.Manifest.Name))
	if err != nil || exists {
		return err
	}
	if cfg.DatabaseURL != "" {
		return errors.New("no Belfry data in the database of BELFRY_DATABASE_URL: " +
			"start belfry serve with it first, or set the URL of another database")
	}
	return fmt.Errorf("no Belfry data in %s: set BELFRY_DATA_DIR or --config as for the server", cfg.DataDir)
}

// Migrate brings every database up to this version and reports the applied migrations. It creates the tables in an
// empty PostgreSQL database, but nothing in an empty folder, which is most likely the wrong one.
func Migrate(ctx context.Context, cfg Config, report func(name string, applied []db.Applied)) error {
	if cfg.DatabaseURL == "" {
		if err := requireData(ctx, cfg); err != nil {
			return err
		}
	}
	for _, m := range manifests() {
		d, err := openDB(ctx, cfg, m)
		if err != nil {
			return err
		}
		list, err := d.Migrations(ctx)
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
		report(m.Name, list)
	}
	return nil
}
