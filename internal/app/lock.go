package app

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps a second process out of the data directory: SQLite would admit it, and each process would assume that
// it is alone. The kernel releases the lock when the process ends, also when it is killed.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process uses %s; stop it, or give this one a BELFRY_DATA_DIR of its own", dir)
	}
	return f.Close, nil
}
