package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"unicode/utf8"
)

// width is a line's length in characters; a tab counts as one, as "awk length" and the linter lll count it here.
func width(line string) int { return utf8.RuneCountInString(line) }

func (s *source) widerThan(columns int) int {
	count := 0
	for _, line := range s.text {
		if width(line) > columns {
			count++
		}
	}
	return count
}

// blankLines counts lines of white space, those within comments and raw strings too.
func (s *source) blankLines() int {
	count := 0
	for _, line := range s.text {
		if strings.TrimSpace(line) == "" {
			count++
		}
	}
	return count
}

// commentLines counts the lines that hold nothing but a comment, and the lines of code with a comment at their end.
func (s *source) commentLines() (whole, trailing int) {
	for _, group := range s.syntax.Comments {
		for _, comment := range group.List {
			first := s.fset.Position(comment.Pos())
			last := s.line(comment.End() - 1)
			if strings.TrimSpace(s.text[first.Line-1][:first.Column-1]) == "" {
				whole += last - first.Line + 1
			} else {
				trailing++
			}
		}
	}
	return whole, trailing
}

// commentsLike counts the comments (neighbouring lines are one) with the pattern in them.
func (s *source) commentsLike(pattern *regexp.Regexp) int {
	count := 0
	for _, group := range s.syntax.Comments {
		if pattern.MatchString(strings.Join(strings.Fields(group.Text()), " ")) {
			count++
		}
	}
	return count
}

// functions are the declared functions and methods that have a body; a function literal is part of the one around it.
func (s *source) functions() []*ast.FuncDecl {
	var list []*ast.FuncDecl
	for _, declaration := range s.syntax.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Body != nil {
			list = append(list, f)
		}
	}
	return list
}

// length is the number of lines from "func" to the closing brace.
func (s *source) length(f *ast.FuncDecl) int { return s.line(f.End()-1) - s.line(f.Pos()) + 1 }

// parameters is the number of a function's parameters, without its receiver.
func parameters(f *ast.FuncDecl) int {
	count := 0
	for _, field := range f.Type.Params.List {
		count += max(1, len(field.Names))
	}
	return count
}

// cyclomatic is McCabe's number: one, and one more for each if, for, case that is not the default, && and ||.
func cyclomatic(f *ast.FuncDecl) int {
	count := 1
	ast.Inspect(f.Body, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			count++
		case *ast.CaseClause:
			if n.List != nil {
				count++
			}
		case *ast.CommClause:
			if n.Comm != nil {
				count++
			}
		case *ast.BinaryExpr:
			if n.Op == token.LAND || n.Op == token.LOR {
				count++
			}
		}
		return true
	})
	return count
}

// parallel gives the assignments and variable declarations that set so many names or more from as many values. One
// call or lookup that gives several values is none.
func (s *source) parallel(names int) []ast.Node {
	var list []ast.Node
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.AssignStmt:
			if len(n.Lhs) >= names && len(n.Lhs) == len(n.Rhs) {
				list = append(list, n)
			}
		case *ast.ValueSpec:
			if len(n.Names) >= names && len(n.Names) == len(n.Values) {
				list = append(list, n)
			}
		}
		return true
	})
	return list
}

// mapTernaries gives the map literals of one or two entries that are indexed in place. More entries are a table.
func (s *source) mapTernaries() []ast.Node {
	var list []ast.Node
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		index, ok := node.(*ast.IndexExpr)
		if !ok {
			return true
		}
		if literal, ok := index.X.(*ast.CompositeLit); ok {
			if _, ok := literal.Type.(*ast.MapType); ok && len(literal.Elts) <= 2 {
				list = append(list, index)
			}
		}
		return true
	})
	return list
}

// rowWidth is the number of values from which a []any literal is a row: a swapped pair of fewer is seen.
const rowWidth = 4

// packedRows gives the []any literals (those within [][]any too) of rowWidth values or more that have several values
// on one line: a swapped pair of columns compiles, and cannot be seen.
func (s *source) packedRows() []ast.Node {
	var list []ast.Node
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		literal, ok := node.(*ast.CompositeLit)
		if !ok {
			return true
		}
		rows := []ast.Expr{literal}
		if element, ok := sliceOf(literal.Type); ok && isAnySlice(element) {
			rows = literal.Elts
		} else if !isAnySlice(literal.Type) {
			return true
		}
		for _, row := range rows {
			row, ok := row.(*ast.CompositeLit)
			if ok && (row == literal || row.Type == nil) && s.packed(row) {
				list = append(list, row)
			}
		}
		return true
	})
	return list
}

func (s *source) packed(row *ast.CompositeLit) bool {
	if len(row.Elts) < rowWidth {
		return false
	}
	for i, value := range row.Elts[1:] {
		if s.line(value.Pos()) == s.line(row.Elts[i].Pos()) {
			return true
		}
	}
	return false
}

func sliceOf(expression ast.Expr) (ast.Expr, bool) {
	slice, ok := expression.(*ast.ArrayType)
	if !ok || slice.Len != nil {
		return nil, false
	}
	return slice.Elt, true
}

func isAnySlice(expression ast.Expr) bool {
	element, ok := sliceOf(expression)
	if !ok {
		return false
	}
	name, ok := element.(*ast.Ident)
	return ok && name.Name == "any"
}
