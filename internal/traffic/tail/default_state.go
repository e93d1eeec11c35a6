package tail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// DefaultState is the state file in the user's cache folder, and the state files of
// the first version there (see [Config.Older]).
func DefaultState() (file string, older []string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(dir, "belfry")
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	for _, d := range names {
		if oldState.MatchString(d.Name()) {
			older = append(older, filepath.Join(dir, d.Name()))
		}
	}
	return filepath.Join(dir, "tail.json"), older, nil
}

var oldState = regexp.MustCompile(`^tail-[0-9a-f]{16}\.json$`)
