package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryTemplateAndFlashOfAPageExists reads the source of the packages with
// pages: each template and each key of a flash message that the code names must
// be defined, and each flash message must be used.
func TestEveryTemplateAndFlashOfAPageExists(t *testing.T) {
	pages, err := filepath.Glob("../*/page_*.html")
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := filepath.Glob("../*/*/page_*.html")
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string][]string{} // by folder
	for _, file := range append(pages, inbox...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\{\{-? ?define "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			defined[filepath.Dir(file)] = append(defined[filepath.Dir(file)], m[1])
		}
	}
	if len(defined) < 6 {
		t.Fatalf("only %d packages have pages", len(defined))
	}
	for folder, templates := range defined {
		checkNames(t, folder, templates)
	}
}

func checkNames(t *testing.T, folder string, templates []string) {
	t.Helper()
	set := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	messages, used := map[string]bool{}, map[string]bool{}
	inTemplates := func(name string) bool { return slices.Contains(templates, name) }
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if len(n.Names) == 1 && n.Names[0].Name == "flashes" {
					for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
						messages[literals(e.(*ast.KeyValueExpr).Key)[0]] = true
					}
				}
			case *ast.KeyValueExpr:
				key, ok := n.Key.(*ast.Ident)
				if words := literals(n.Value); ok && key.Name == "Template" && len(words) > 0 && !inTemplates(words[0]) {
					t.Errorf("%s names none of the templates of its package: %q", set.Position(n.Pos()), words)
				}
			case *ast.CallExpr:
				called := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					called = f.Name
				case *ast.SelectorExpr:
					called = f.Sel.Name
				}
				words := literals(n.Args...)
				switch {
				case called == "Redirect" && len(words) > 0 && words[len(words)-1] != "":
					used[words[len(words)-1]] = true
				case slices.Contains([]string{"Render", "HTML", "html", "show", "render"}, called) && len(words) > 0:
					if !slices.ContainsFunc(words, inTemplates) {
						t.Errorf("%s names none of the templates of its package: %q", set.Position(n.Pos()), words)
					}
				}
			}
			return true
		})
	}
	for key := range used {
		if !messages[key] {
			t.Errorf("%s: a form redirects with the key %q, which has no flash message", folder, key)
		}
	}
	for key := range messages {
		if !used[key] {
			t.Errorf("%s: no form redirects with the key %q of a flash message", folder, key)
		}
	}
}

// literals are the string literals among expressions.
func literals(list ...ast.Expr) (words []string) {
	for _, e := range list {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				words = append(words, s)
			}
		}
	}
	return words
}
