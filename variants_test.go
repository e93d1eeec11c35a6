package belfry_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mostVariants bounds the places where the two engines need SQL of their own: each is a place that a test on one engine
// does not see.
const mostVariants = 11

var (
	// variantText is SQL, or a function, that only one of the engines has.
	variantText = regexp.MustCompile(`\b(FOR UPDATE|SKIP LOCKED|pg_[a-z_]+|hashtext|COPY|PRAGMA|pragma_[a-z_]+|` +
		`json_each|json_array_elements[a-z_]*|unnest|sqlite_[a-z]+)\b|::[a-z]+\b`)

	// variantName is the PostgreSQL half of a pair of constants.
	variantName = regexp.MustCompile(`Postgres$`)
)

// variantsOf lists the variants of a Go file: pairs of constants once, statements in other places, and COPY.
func variantsOf(t *testing.T, path string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	add := func(node ast.Node, what string) { list = append(list, fset.Position(node.Pos()).String()+": "+what) }
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.GenDecl:
			if n.Tok != token.CONST {
				return true
			}
			for _, spec := range n.Specs {
				if spec, ok := spec.(*ast.ValueSpec); ok && variantName.MatchString(spec.Names[0].Name) {
					add(spec, "the constant "+spec.Names[0].Name)
				}
			}
			return false // the text of constants is counted with their pair
		case *ast.BasicLit:
			if n.Kind == token.STRING && variantText.MatchString(n.Value) {
				add(n, variantText.FindString(n.Value))
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "CopyFrom" {
				add(n, "COPY")
			}
		}
		return true
	})
	return list
}

func TestVariantsOfSQLByEngineAreFew(t *testing.T) {
	var variants []string
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		slashed := filepath.ToSlash(path)
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, ".postgres.sql"):
			variants = append(variants, path)
		case strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".go"):
		case strings.HasPrefix(slashed, "internal/platform/db/") && !strings.HasSuffix(path, "insert.go"):
			// How the engines are opened, locked and migrated is this package's subject.
		default:
			variants = append(variants, variantsOf(t, path)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	list := strings.Join(variants, "\n")
	if len(variants) >= mostVariants {
		t.Errorf("%d variants, and fewer than %d are allowed: write one text for both engines\n%s",
			len(variants), mostVariants, list)
	}
	// The search sees what is known to be there.
	for _, known := range []string{"deletePostgres", "FOR UPDATE", "COPY", "bus.postgres.sql"} {
		if !strings.Contains(list, known) {
			t.Errorf("%s is not among the variants found:\n%s", known, list)
		}
	}
}
