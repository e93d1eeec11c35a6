package ui

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"sort"
	"strings"
	"text/template/parse"
)

// component is a template's contract, read from the comment above it:
//
//	{{/* component NAME: Required*, Optional, ...
//	     words */}}
type component struct {
	params   map[string]bool // name -> required
	declared string
}

var componentComment = regexp.MustCompile(`\{\{-? ?/\* component ([a-z-]+):([^\n]*)`)

func readComponents(fsys fs.FS) (map[string]component, error) {
	files, err := fs.Glob(fsys, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]component{}
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		for _, m := range componentComment.FindAllStringSubmatch(string(text), -1) {
			c := component{
				params:   map[string]bool{},
				declared: strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(m[2]), "*/}}")),
			}
			for _, p := range strings.Split(c.declared, ",") {
				name := strings.TrimSpace(p)
				if name == "" {
					continue
				}
				c.params[strings.TrimSuffix(name, "*")] = strings.HasSuffix(name, "*")
			}
			all[m[1]] = c
		}
	}
	return all, nil
}

func (u *UI) lint(fsys fs.FS, patterns []string) error {
	var files []string
	for _, p := range patterns {
		found, err := fs.Glob(fsys, p)
		if err != nil {
			return fmt.Errorf("ui: pattern %q: %w", p, err)
		}
		if len(found) == 0 {
			return fmt.Errorf("ui: pattern %q matches no file", p)
		}
		files = append(files, found...)
	}
	return u.lintFiles(fsys, files)
}

func (u *UI) lintFiles(fsys fs.FS, files []string) error {
	var faults []error
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return fmt.Errorf("ui: %w", err)
		}
		faults = append(faults, lintMarkup(file, string(text))...)
		faults = append(faults, u.lintCalls(file, string(text))...)
	}
	return errors.Join(faults...)
}

var (
	actionTag = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	tag       = regexp.MustCompile(`<([a-zA-Z][a-zA-Z0-9-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>`)
	attribute = regexp.MustCompile(`([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>]+))?`)
	foreign   = regexp.MustCompile(`^(?:[a-z]+:)?//`)
)

// lintMarkup looks at the HTML with the template's actions blanked out.
func lintMarkup(file, text string) (faults []error) {
	blank := actionTag.ReplaceAllStringFunc(text, func(s string) string {
		return " " + strings.Repeat("\n", strings.Count(s, "\n"))
	})
	for _, m := range tag.FindAllStringSubmatchIndex(blank, -1) {
		line := 1 + strings.Count(blank[:m[0]], "\n")
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
		}
		element := strings.ToLower(blank[m[2]:m[3]])
		src := false
		kind := ""
		for _, a := range attribute.FindAllStringSubmatch(blank[m[4]:m[5]], -1) {
			name := strings.ToLower(a[1])
			value := strings.Trim(a[2], `"'`)
			switch name {
			case "src":
				src = true
			case "type":
				kind = strings.TrimSpace(value)
			}
			if why := refusedAttr(element, name, value); why != "" {
				fault("<%s %s>: %s", element, name, why)
			}
		}
		switch {
		case element == "style":
			fault("<style>: the policy blocks inline styles; use a class")
		case element == "base":
			fault("<base>: the policy blocks it")
		case element == "script" && !src && kind != "application/json":
			fault("<script>: the policy blocks inline scripts; use a module and Shell.Modules")
		}
	}
	return faults
}

// refusedAttr is why an attribute may not be in a page, or "".
func refusedAttr(element, name, value string) string {
	value = strings.TrimSpace(strings.ToLower(value))
	hx := strings.TrimPrefix(name, "data-")
	switch {
	case strings.HasPrefix(hx, "hx-on"):
		return "hx-on evaluates a string, which the policy blocks; use a module"
	case strings.HasPrefix(name, "on") && !strings.Contains(name, "-"):
		return "inline handlers are blocked by the policy; use a module"
	case name == "style":
		return "inline styles are blocked by the policy; use a class"
	case name == "srcdoc":
		return "srcdoc is a page without our policy"
	case strings.HasPrefix(hx, "hx-trigger") && strings.Contains(value, "["):
		return "trigger filters evaluate a string, which the policy blocks"
	case strings.HasPrefix(value, "js:") || strings.HasPrefix(value, "javascript:"):
		return "a script in a value is blocked by the policy"
	case foreign.MatchString(value) &&
		(name == "src" || name == "srcset" || element == "link" || name == "action" || name == "formaction"):
		return "another origin is blocked by the policy; vendor the file"
	case foreign.MatchString(value) && strings.HasPrefix(hx, "hx-"):
		return "htmx talks to our own origin only"
	}
	return ""
}

// lintCalls parses the templates and checks how they call components.
func (u *UI) lintCalls(file, text string) (faults []error) {
	tree := parse.New(file)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", set); err != nil {
		return []error{err}
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if u.reserved[name] {
			faults = append(faults, fmt.Errorf("%s: template %q: the name is one of ui's", file, name))
		}
		if set[name].Root == nil {
			continue
		}
		walk(set[name].Root, func(n *parse.TemplateNode) {
			if c, ok := u.components[n.Name]; ok {
				for _, why := range c.check(n.Pipe) {
					faults = append(faults, fmt.Errorf("%s:%d: component %s: %s", file, n.Line, n.Name, why))
				}
			}
		})
	}
	for _, m := range namedIcon.FindAllStringSubmatchIndex(text, -1) {
		if name := text[m[2]:m[3]]; !u.icons[name] {
			line := 1 + strings.Count(text[:m[0]], "\n")
			faults = append(faults, fmt.Errorf("%s:%d: icons.svg has no icon %q", file, line, name))
		}
	}
	return faults
}

// namedIcon finds the icons that a template names itself: {{icon "bell"}} and
// (dict "Icon" "bell").
var namedIcon = regexp.MustCompile(`(?:\bicon|"Icon") "([^"]*)"`)

// undefined names the templates that a parsed set calls and does not have.
// html/template would report them when the page is rendered first.
func undefined(set *template.Template) error {
	var faults []error
	for _, t := range set.Templates() {
		if t.Tree == nil || t.Tree.Root == nil {
			continue
		}
		walk(t.Tree.Root, func(n *parse.TemplateNode) {
			if set.Lookup(n.Name) == nil {
				faults = append(faults, fmt.Errorf("template %q calls the template %q, which does not exist", t.Name(), n.Name))
			}
		})
	}
	return errors.Join(faults...)
}

// check compares the literal keys of a dict with the component's parameters.
// Calls whose argument is not a literal dict (data passed on) are not checked.
func (c component) check(pipe *parse.PipeNode) (faults []string) {
	args := dictArgs(pipe)
	if args == nil {
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i < len(args); i += 2 {
		key, ok := args[i].(*parse.StringNode)
		if !ok {
			return nil
		}
		if _, known := c.params[key.Text]; !known {
			faults = append(faults, fmt.Sprintf("no parameter %q; it takes %s", key.Text, c.declared))
		}
		seen[key.Text] = true
	}
	for name, required := range c.params {
		if required && !seen[name] {
			faults = append(faults, fmt.Sprintf("the parameter %q is missing", name))
		}
	}
	sort.Strings(faults)
	return faults
}

// dictArgs are the arguments of (dict ...) or dict ..., or nil.
func dictArgs(pipe *parse.PipeNode) []parse.Node {
	if pipe == nil || len(pipe.Cmds) != 1 {
		return nil
	}
	args := pipe.Cmds[0].Args
	if inner, ok := args[0].(*parse.PipeNode); ok && len(args) == 1 {
		return dictArgs(inner)
	}
	if id, ok := args[0].(*parse.IdentifierNode); ok && id.Ident == "dict" {
		return args[1:]
	}
	return nil
}

// walk visits every {{template}} below n.
func walk(n parse.Node, visit func(*parse.TemplateNode)) {
	branch := func(b *parse.BranchNode) {
		walk(b.List, visit)
		if b.ElseList != nil {
			walk(b.ElseList, visit)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			walk(c, visit)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		visit(n)
	}
}
