package audit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/catalogue"
)

// Sentence is a template that puts an action into words:
//
//	{actor} lowered the minimum TLS version of {resource} from {before.value} to {after.value}
//
// Placeholders: {actor}, {resource}, {resource.type}, {resource.id}, {zone},
// {action}, {result}, and {before.x}, {after.x}, {metadata.x} with x a path of
// member names. There is no way to write a brace itself: no sentence needs one.
type Sentence struct {
	text  string
	parts []templatePart
}

// templatePart is literal text, or a placeholder's name.
type templatePart struct {
	text        string
	placeholder bool
}

const (
	maxSentence     = 500 // bytes
	maxPlaceholders = 20
)

var plainPlaceholders = []string{"actor", "resource", "resource.type", "resource.id", "zone", "action", "result"}

// ParseSentence reads a template. Its error is for the author of the file.
func ParseSentence(template string) (Sentence, error) {
	s := Sentence{text: template}
	switch {
	case strings.TrimSpace(template) != template || template == "":
		return s, errors.New("a sentence is not empty and has no space at its ends")
	case len(template) > maxSentence:
		return s, fmt.Errorf("a sentence has at most %d bytes", maxSentence)
	case strings.ContainsFunc(template, breaksLine):
		return s, errors.New("a sentence is one line without control characters")
	}
	count := 0
	for rest := template; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			s.parts = append(s.parts, templatePart{text: rest})
			break
		}
		if rest[i] == '}' {
			return s, errors.New("a } has no { before it")
		}
		if i > 0 {
			s.parts = append(s.parts, templatePart{text: rest[:i]})
		}
		end := strings.IndexAny(rest[i+1:], "{}")
		if end < 0 || rest[i+1+end] == '{' {
			return s, errors.New("a { has no } after it")
		}
		name := rest[i+1 : i+1+end]
		if err := checkPlaceholder(name); err != nil {
			return s, err
		}
		if count++; count > maxPlaceholders {
			return s, fmt.Errorf("a sentence has at most %d placeholders", maxPlaceholders)
		}
		s.parts = append(s.parts, templatePart{text: name, placeholder: true})
		rest = rest[i+1+end+1:]
	}
	return s, nil
}

func breaksLine(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 }

func checkPlaceholder(name string) error {
	if slices.Contains(plainPlaceholders, name) {
		return nil
	}
	root, path, dotted := strings.Cut(name, ".")
	if root != "before" && root != "after" && root != "metadata" {
		hint := ""
		if near := catalogue.Suggest(name, plainPlaceholders); near != "" {
			hint = fmt.Sprintf(" (is {%s} meant?)", near)
		}
		return fmt.Errorf("{%s} is not a placeholder%s; there are {%s}, {before.x}, {after.x} and {metadata.x}",
			name, hint, strings.Join(plainPlaceholders, "}, {"))
	}
	if !dotted {
		return fmt.Errorf("{%s} needs a member: {%s.x}", name, root)
	}
	for member := range strings.SplitSeq(path, ".") {
		if member == "" || strings.ContainsAny(member, " \t") {
			return fmt.Errorf("{%s} has an empty member or a space", name)
		}
	}
	return nil
}

// String is the template.
func (s Sentence) String() string { return s.text }

// Placeholders lists the names between braces, in their order.
func (s Sentence) Placeholders() []string {
	var names []string
	for _, p := range s.parts {
		if p.placeholder {
			names = append(names, p.text)
		}
	}
	return names
}

// Render fills the placeholders; value gives the text for a name.
func (s Sentence) Render(value func(placeholder string) string) string {
	var b strings.Builder
	for _, p := range s.parts {
		if p.placeholder {
			b.WriteString(value(p.text))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}
