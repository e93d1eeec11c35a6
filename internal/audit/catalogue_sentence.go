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
	text         string
	placeholders []string
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
	for rest := template; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			break
		}
		if rest[i] == '}' {
			return s, errors.New("a } has no { before it")
		}
		end := strings.IndexAny(rest[i+1:], "{}")
		if end < 0 || rest[i+1+end] == '{' {
			return s, errors.New("a { has no } after it")
		}
		name := rest[i+1 : i+1+end]
		if err := checkPlaceholder(name); err != nil {
			return s, err
		}
		if len(s.placeholders) == maxPlaceholders {
			return s, fmt.Errorf("a sentence has at most %d placeholders", maxPlaceholders)
		}
		s.placeholders = append(s.placeholders, name)
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
func (s Sentence) Placeholders() []string { return s.placeholders }
