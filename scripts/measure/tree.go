package main

import (
	"bufio"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// source is one Go file.
type source struct {
	path   string // from the repository's folder, with slashes
	module string // path of the module that holds it
	test   bool
	text   []string // lines
	fset   *token.FileSet
	syntax *ast.File
}

// folder is the file's folder, from the repository's folder.
func (s *source) folder() string { return path.Dir(s.path) }

// position is the beginning of a node, as compilers print it.
func (s *source) position(node ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.line(node.Pos()))
}

func (s *source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// readTree parses all Go files of the repository, those of nested modules too.
func readTree(root string) ([]*source, error) {
	var files []*source
	modules := map[string]string{} // by folder
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)

		if entry.IsDir() {
			if relative != "." && foreign(entry.Name()) {
				return filepath.SkipDir
			}
			modules[relative], err = moduleOf(file, modules[path.Dir(relative)])
			return err
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}

		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := parse(relative, modules[path.Dir(relative)], string(text))
		if err == nil && !ast.IsGenerated(parsed.syntax) {
			files = append(files, parsed)
		}
		return err
	})
	return files, err
}

// foreign tells folders whose code is not the repository's: caches, build output, other people's packages, test data.
func foreign(name string) bool {
	switch name {
	case "node_modules", "testdata", "vendor", "build", "bin":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// moduleOf reads the module's path from go.mod in the folder; without that file the folder belongs to its parent's.
func moduleOf(folder, parent string) (string, error) {
	file, err := os.Open(filepath.Join(folder, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return parent, nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()

	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if module, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(module), nil
		}
	}
	return "", fmt.Errorf("%s/go.mod names no module", folder)
}

func parse(name, module, text string) (*source, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{
		path:   name,
		module: module,
		test:   strings.HasSuffix(name, "_test.go"),
		text:   strings.Split(strings.TrimSuffix(text, "\n"), "\n"),
		fset:   fset,
		syntax: syntax,
	}, nil
}
