package main

import "go/ast"

// exported counts the exported names of a file, and those without a comment: functions, methods of exported types,
// types, constants and variables (a comment above their group, above them or at their line's end), interface methods.
func (s *source) exported() (all, undocumented int) {
	add := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		all++
		for _, doc := range docs {
			if doc != nil {
				return
			}
		}
		undocumented++
	}
	for _, declaration := range s.syntax.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || receiverIsExported(d) {
				add(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						add(name, d.Doc, spec.Doc, spec.Comment)
					}
				case *ast.TypeSpec:
					add(spec.Name, d.Doc, spec.Doc, spec.Comment)
					for _, method := range methodsOf(spec) {
						add(method.Names[0], method.Doc, method.Comment)
					}
				}
			}
		}
	}
	return all, undocumented
}

// interfaces counts the declared interfaces with at least one method: constraints of type parameters are none.
func (s *source) interfaces() int {
	count := 0
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		if spec, ok := node.(*ast.TypeSpec); ok && len(methodsOf(spec)) > 0 {
			count++
		}
		return true
	})
	return count
}

func methodsOf(spec *ast.TypeSpec) []*ast.Field {
	definition, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return nil
	}
	var methods []*ast.Field
	for _, field := range definition.Methods.List {
		if len(field.Names) == 1 {
			methods = append(methods, field)
		}
	}
	return methods
}

func receiverIsExported(f *ast.FuncDecl) bool {
	expression := f.Recv.List[0].Type
	for {
		switch e := expression.(type) {
		case *ast.StarExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.IndexListExpr:
			expression = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}
