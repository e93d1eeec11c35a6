package ui

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The modules of the dashboard are small files, which a browser would load one
// after another. They are served as one file for each module that a page names:
// that module and all that it imports, in the order in which a browser runs them.
// A module that two of them import is in both files, so a page that loads both
// runs it twice.
var (
	importLine = regexp.MustCompile(`(?m)^import \{ ([\w$]+(?:, [\w$]+)*) \} from "(\.[^"]+)";$`)
	exportLine = regexp.MustCompile(`(?m)^export ((?:async )?function|class|const) ([\w$]+)`)
	otherLine  = regexp.MustCompile(`(?m)^(?:import|export)\b.*|\bimport\(.*`)
)

// module is a parsed file.
type module struct {
	name    string
	body    string   // without import and export
	imports []string // names of files, in their order
	exports []string
	index   int // in a bundle
}

// bundleModules replaces each module that no other one imports by its bundle, and deletes the imported ones.
func bundleModules(files map[string][]byte) error {
	modules := map[string]*module{}
	imported := map[string]bool{}
	for name, text := range files {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "third_party/") {
			continue
		}
		m, err := parseModule(name, string(text))
		if err != nil {
			return err
		}
		modules[name] = m
		for _, other := range m.imports {
			if files[other] == nil {
				return fmt.Errorf("%s imports %s, which does not exist", name, other)
			}
			imported[other] = true
		}
	}
	for name, m := range modules {
		if imported[name] || len(m.imports) == 0 {
			continue
		}
		b := bundle{modules: modules, placed: map[string]bool{}}
		if err := b.place(m, nil); err != nil {
			return err
		}
		files[name] = b.out.Bytes()
	}
	for name := range imported {
		delete(files, name)
	}
	return nil
}

// parseModule reads the subset of module syntax that the sources use, and refuses the rest.
func parseModule(name, text string) (*module, error) {
	m := &module{name: name}
	for _, found := range importLine.FindAllStringSubmatch(text, -1) {
		m.imports = append(m.imports, path.Join(path.Dir(name), found[2]))
	}
	for _, found := range exportLine.FindAllStringSubmatch(text, -1) {
		m.exports = append(m.exports, found[2])
	}
	m.body = exportLine.ReplaceAllString(text, "$1 $2")
	rest := importLine.ReplaceAllString(m.body, "")
	if found := otherLine.FindString(rest); found != "" {
		return nil, fmt.Errorf(`%s: %q: only import { a, b } from "./file.js", and export before function, class or const`,
			name, found)
	}
	return m, nil
}

// bundle is the text of a module and of its imports.
type bundle struct {
	modules map[string]*module
	placed  map[string]bool
	out     bytes.Buffer
}

// place writes a module after the ones that it imports. above are the modules that import it.
func (b *bundle) place(m *module, above []string) error {
	if slices.Contains(above, m.name) {
		return fmt.Errorf("modules import each other: %s, %s", strings.Join(above, ", "), m.name)
	}
	if b.placed[m.name] {
		return nil
	}
	for _, name := range m.imports {
		if err := b.place(b.modules[name], append(above, m.name)); err != nil {
			return err
		}
	}
	if len(above) > 0 && path.Dir(above[0]) != path.Dir(m.name) && strings.Contains(m.body, "import.meta") {
		return fmt.Errorf("%s uses import.meta, which is that of %s in a bundle", m.name, above[0])
	}
	m.index = len(b.placed)
	b.placed[m.name] = true
	body := importLine.ReplaceAllStringFunc(m.body, func(line string) string {
		parts := importLine.FindStringSubmatch(line)
		other := b.modules[path.Join(path.Dir(m.name), parts[2])]
		return fmt.Sprintf("const { %s } = $module%d;", parts[1], other.index)
	})
	fmt.Fprintf(&b.out, "// %s\nconst $module%d = (() => {\n%s\nreturn { %s };\n})();\n", m.name, m.index,
		strings.TrimSpace(body), strings.Join(m.exports, ", "))
	return nil
}
