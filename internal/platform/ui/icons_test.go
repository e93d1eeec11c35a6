package ui_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// TestEveryIconThatGoCodeNamesIsInTheSprite reads the source of all packages:
// what a field, parameter, variable or function with "icon" in its name gets as
// a literal must be a symbol of icons.svg. Names in templates are checked when
// these are parsed.
func TestEveryIconThatGoCodeNamesIsInTheSprite(t *testing.T) {
	sprite, err := os.ReadFile("assets/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`<symbol id="([^"]+)"`).FindAllStringSubmatch(string(sprite), -1) {
		known[m[1]] = true
	}
	found := 0
	root := filepath.Join("..", "..", "..")
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		set := token.NewFileSet()
		var sources []*ast.File
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			sources = append(sources, source)
		}
		for _, lit := range iconLiterals(sources) {
			name, err := strconv.Unquote(lit.Value)
			if err != nil {
				return err
			}
			if found++; name != "" && !known[name] {
				t.Errorf("%s: icons.svg has no icon %q", set.Position(lit.Pos()), name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 90 {
		t.Errorf("only %d names were found: the search has lost its objects", found)
	}
}

// iconLiterals finds the string literals that are names of icons in a package.
func iconLiterals(sources []*ast.File) (list []*ast.BasicLit) {
	structs := map[string]*ast.StructType{}
	params := map[string][]bool{} // of a function, which parameter is an icon
	for _, file := range sources {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					structs[n.Name.Name] = s
				}
			case *ast.FuncDecl:
				params[n.Name.Name] = iconsOf(n.Type.Params)
			case *ast.AssignStmt:
				if f, ok := n.Rhs[0].(*ast.FuncLit); ok && len(n.Lhs) == 1 {
					params[nameOf(n.Lhs[0])] = iconsOf(f.Type.Params)
				}
			}
			return true
		})
	}
	take := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && nameOf(call.Fun) != "" {
				return false // its arguments are something else
			}
			if binary, ok := n.(*ast.BinaryExpr); ok && binary.Op != token.ADD {
				return false // a comparison
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				list = append(list, lit)
			}
			return true
		})
	}
	positional := func(of *ast.StructType, elements []ast.Expr) {
		for i, isIcon := range iconsOf(of.Fields) {
			if isIcon && i < len(elements) {
				if _, keyed := elements[i].(*ast.KeyValueExpr); !keyed {
					take(elements[i])
				}
			}
		}
	}
	structOf := func(e ast.Expr) *ast.StructType {
		if s, ok := e.(*ast.StructType); ok {
			return s
		}
		return structs[nameOf(e)]
	}
	for _, file := range sources {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if isIconName(nameOf(n.Key)) {
					take(n.Value)
				}
			case *ast.CompositeLit:
				if array, ok := n.Type.(*ast.ArrayType); ok {
					for _, e := range n.Elts {
						if one, ok := e.(*ast.CompositeLit); ok && one.Type == nil && structOf(array.Elt) != nil {
							positional(structOf(array.Elt), one.Elts)
						}
					}
				} else if of := structOf(n.Type); of != nil {
					positional(of, n.Elts)
				}
			case *ast.CallExpr:
				for i, isIcon := range params[nameOf(n.Fun)] {
					if isIcon && i < len(n.Args) {
						take(n.Args[i])
					}
				}
			case *ast.AssignStmt:
				for i, to := range n.Lhs {
					if isIconName(nameOf(to)) && len(n.Rhs) == len(n.Lhs) {
						take(n.Rhs[i])
					}
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if isIconName(name.Name) && i < len(n.Values) {
						takeValues(n.Values[i], take)
					}
				}
			case *ast.FuncDecl:
				if results := iconsOf(n.Type.Results); n.Body != nil {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == len(results) {
							for i, e := range r.Results {
								if results[i] {
									take(e)
								}
							}
						}
						return true
					})
				}
				if isIconName(n.Name.Name) && n.Name.Name != "icon" && n.Name.Name != "loadIcons" && n.Body != nil {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) > 0 {
							take(r.Results[0])
						}
						return true
					})
				}
			}
			return true
		})
	}
	return list
}

// takeValues takes a literal, or the values of a map's literal.
func takeValues(e ast.Expr, take func(ast.Node)) {
	if c, ok := e.(*ast.CompositeLit); ok {
		for _, one := range c.Elts {
			if pair, ok := one.(*ast.KeyValueExpr); ok {
				take(pair.Value)
			}
		}
		return
	}
	take(e)
}

func isIconName(name string) bool { return strings.Contains(strings.ToLower(name), "icon") }

// iconsOf says of each field or parameter whether it is an icon.
func iconsOf(fields *ast.FieldList) (list []bool) {
	if fields == nil {
		return nil
	}
	for _, f := range fields.List {
		for _, name := range f.Names {
			list = append(list, isIconName(name.Name))
		}
		if len(f.Names) == 0 {
			list = append(list, false)
		}
	}
	return list
}

func nameOf(e ast.Node) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func TestAnIconThatIsMissingDrawsNothingAndIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	u, err := ui.New(ui.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	page, err := u.Parse(templateFiles(`{{define "x"}}[{{icon .}}]{{end}}`), "page.html")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := page.HTML("x", "nosuch"); err != nil || got != "[]" {
			t.Errorf("%q %v", got, err)
		}
	}
	if n := strings.Count(log.String(), "nosuch"); n != 1 {
		t.Errorf("it was logged %d times:\n%s", n, &log)
	}
}

func TestATemplateThatNamesWhatIsNotThereIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{{define "x"}}{{icon "nosuch"}}{{end}}`:                                        `no icon "nosuch"`,
		`{{define "x"}}{{template "button" (dict "Label" "a" "Icon" "nosuch")}}{{end}}`: `no icon "nosuch"`,
		`{{define "x"}}{{if .}}{{template "nosuch" .}}{{end}}{{end}}`:                   `"nosuch", which does not exist`,
	} {
		if _, err := newUI(t).Parse(templateFiles(text), "page.html"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
