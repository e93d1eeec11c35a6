package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/belfryhq/belfry/internal/platform/seal"
)

// openKeys opens the master key, from the settings or from the data directory.
func (a *App) openKeys(context.Context) (err error) {
	switch {
	case a.Config.MasterKey != "":
		a.box, err = seal.New(a.Config.MasterKey)
	case a.Config.MasterKeyFile != "":
		if open, err := readableByOthers(a.Config.MasterKeyFile); err == nil && open {
			a.Log.Warn("the master key's file is readable by other users of this machine", "file", a.Config.MasterKeyFile)
		}
		a.box, err = seal.Load(a.Config.MasterKeyFile)
	default:
		a.box, err = a.ownKey()
	}
	return err
}

// ownKey reads the master key in the data directory, or creates it before the first databases. It creates none if
// there are databases, because a new key would only hide that theirs is missing.
func (a *App) ownKey() (*seal.Box, error) {
	file := filepath.Join(a.keyDir(), "master.key")
	open, err := readableByOthers(file)
	switch {
	case err == nil && open:
		return nil, fmt.Errorf("%s is readable by other users of this machine; close it with: chmod 600 %s", file, file)
	case err == nil:
		return seal.Load(file)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	databases, err := filepath.Glob(filepath.Join(a.Config.DataDir, "db", "*.db"))
	if err != nil {
		return nil, err
	}
	if len(databases) > 0 {
		return nil, fmt.Errorf("%s is missing, and the databases in %s are encrypted with it: restore the copy of the "+
			"key, or set BELFRY_MASTER_KEY or BELFRY_MASTER_KEY_FILE (no other key opens them)",
			file, filepath.Join(a.Config.DataDir, "db"))
	}
	return seal.LoadOrCreate(file)
}

// readableByOthers reports whether other users than the owner may read a file.
func readableByOthers(file string) (bool, error) {
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	return info.Mode().Perm()&0o077 != 0, nil
}
