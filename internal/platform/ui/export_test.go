package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Lint checks every .html file of fsys as [UI.Parse] does. The error names each fault with file and line.
func Lint(fsys fs.FS) error {
	u, err := New(Options{})
	if err != nil {
		return err
	}
	var files []string
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".html") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ui: lint: %w", err)
	}
	if len(files) == 0 {
		return errors.New("ui: lint: no .html file")
	}
	return u.lintFiles(fsys, files)
}
