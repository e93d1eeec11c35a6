package main

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// packageKey names one package: a folder may hold a package and its external tests.
type packageKey struct{ folder, name string }

func (s *source) key() packageKey { return packageKey{s.folder(), s.syntax.Name.Name} }

// packageNames are the names that each package declares at its top. Methods and fields are none of them. Names that
// only its tests declare count for its tests alone.
type packageNames map[packageKey]map[string]bool

func namesOf(files []*source) packageNames {
	names := packageNames{}
	for _, s := range files {
		if names[s.key()] == nil {
			names[s.key()] = map[string]bool{}
		}
		for _, declaration := range s.syntax.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[s.key()][d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, name := range declaredNames(d) {
					names[s.key()][name.Name] = true
				}
			}
		}
	}
	return names
}

func declaredNames(d *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			names = append(names, spec.Names...)
		case *ast.TypeSpec:
			names = append(names, spec.Name)
		}
	}
	return names
}

// shadows gives the names (receivers, parameters, results, variables, constants, types) that functions of the file
// declare though the set has them; a name counts once in each declared function.
func (s *source) shadows(set map[string]bool) []*ast.Ident {
	var list []*ast.Ident
	for _, declaration := range s.syntax.Decls {
		seen := map[string]bool{"_": true}
		for _, name := range locals(declaration) {
			if set[name.Name] && !seen[name.Name] {
				seen[name.Name] = true
				list = append(list, name)
			}
		}
	}
	return list
}

// locals are the names that are declared within a declaration's functions.
func locals(declaration ast.Decl) []*ast.Ident {
	var names []*ast.Ident
	fields := func(lists ...*ast.FieldList) {
		for _, list := range lists {
			if list == nil {
				continue
			}
			for _, field := range list.List {
				names = append(names, field.Names...)
			}
		}
	}
	define := func(expressions ...ast.Expr) {
		for _, e := range expressions {
			if name, ok := e.(*ast.Ident); ok {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(declaration, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncDecl:
			fields(n.Recv, n.Type.TypeParams, n.Type.Params, n.Type.Results)
		case *ast.FuncLit:
			fields(n.Type.Params, n.Type.Results)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				define(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				define(n.Key, n.Value)
			}
		case *ast.DeclStmt:
			if d, ok := n.Decl.(*ast.GenDecl); ok {
				names = append(names, declaredNames(d)...)
			}
		}
		return true
	})
	return names
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// importNames are the names by which the file uses its imports, as far as their paths tell them.
func (s *source) importNames() map[string]bool {
	names := map[string]bool{}
	for _, spec := range s.syntax.Imports {
		if spec.Name != nil {
			names[spec.Name.Name] = true
			continue
		}
		imported := strings.Trim(spec.Path.Value, `"`)
		if majorVersion.MatchString(path.Base(imported)) {
			imported = path.Dir(imported)
		}
		name := strings.TrimPrefix(path.Base(imported), "go-")
		names[strings.TrimSuffix(name, "-go")] = true
	}
	delete(names, "_")
	delete(names, ".")
	return names
}
