package main

import (
	"fmt"
	"go/ast"
	"io"
	"maps"
	"slices"
	"strings"
)

// rule lists the places of one file that break it, each as "path:line: sentence". Tests are held to all rules.
type rule func(s *source, names packageNames) []string

// rules are those that golangci-lint has no linter for.
var rules = map[string]rule{
	"shadow": func(s *source, names packageNames) []string {
		list := shadowed(s, names[s.key()], "a name of the package")
		return append(list, shadowed(s, s.importNames(), "an import")...)
	},
	"parallel": func(s *source, _ packageNames) []string {
		return found(s, s.parallel(3), "three or more values are assigned in parallel: one statement for each")
	},
	"ternary": func(s *source, _ packageNames) []string {
		return found(s, s.mapTernaries(), "a map literal is indexed in place: use if or switch")
	},
	"rows": func(s *source, _ packageNames) []string {
		return found(s, s.packedRows(), "a row with several values on one line: one column a line")
	},
	"parameters": func(s *source, _ packageNames) []string {
		var list []ast.Node
		for _, f := range s.functions() {
			if parameters(f) > 6 {
				list = append(list, f)
			}
		}
		return found(s, list, "more than six parameters: pass a struct")
	},
}

func ruleNames() []string { return slices.Sorted(maps.Keys(rules)) }

func found(s *source, nodes []ast.Node, sentence string) []string {
	var list []string
	for _, node := range nodes {
		list = append(list, s.position(node)+": "+sentence)
	}
	return list
}

func shadowed(s *source, set map[string]bool, what string) []string {
	var list []string
	for _, name := range s.shadows(set) {
		list = append(list, fmt.Sprintf("%s: %s shadows %s", s.position(name), name.Name, what))
	}
	return list
}

// report prints the findings of the named rules and how many each folder has, and reports whether there are any.
func report(out io.Writer, files []*source, names []string, under string) (bool, error) {
	declared := namesOf(files)
	counts := map[string]int{} // by folder
	for _, name := range names {
		check, ok := rules[name]
		if !ok {
			return false, fmt.Errorf("no rule %q; there are %s", name, strings.Join(ruleNames(), ", "))
		}
		for _, s := range files {
			if !strings.HasPrefix(s.path, under) {
				continue
			}
			for _, finding := range check(s, declared) {
				fmt.Fprintf(out, "%s (%s)\n", finding, name)
				counts[s.folder()]++
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%5d %s\n", counts[folder], folder)
	}
	return len(counts) > 0, nil
}
