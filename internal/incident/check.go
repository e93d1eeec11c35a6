package incident

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Limits.
const (
	maxComponents = 200
	maxName       = 200                  // characters
	maxMessage    = 10_000               // characters
	maxPostmortem = 50_000               // characters
	maxUpdates    = 200                  // of an incident
	maxOpen       = 100                  // incidents and maintenance that have not ended
	maxTemplates  = 50                   // texts of updates
	maxBack       = 366 * 24 * time.Hour // how far back an incident may begin
	maxAhead      = 366 * 24 * time.Hour // how far ahead a maintenance may lie
	maxLocation   = 16
)

// checker collects the faults of an input.
type checker struct{ faults errs.List }

func (c *checker) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, errs.At(errs.CodeInvalid, pointer, format, args...))
}

func (c *checker) err() error { return c.faults.Or() }

// line returns a name without spaces at its ends.
func (c *checker) line(pointer, text string, required bool) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "" && required:
		c.fault(pointer, "expected a text of 1 to %d characters", maxName)
	case utf8.RuneCountInString(text) > maxName:
		c.fault(pointer, "expected at most %d characters", maxName)
	case strings.ContainsFunc(text, unicode.IsControl):
		c.fault(pointer, "expected one line without control characters")
	}
	return text
}

// text returns a message of several lines.
func (c *checker) text(pointer, text string, limit int, required bool) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	forbidden := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	switch {
	case text == "" && required:
		c.fault(pointer, "expected a text of 1 to %d characters", limit)
	case utf8.RuneCountInString(text) > limit:
		c.fault(pointer, "expected at most %d characters", limit)
	case strings.ContainsFunc(text, forbidden):
		c.fault(pointer, "expected a text without control characters")
	}
	return text
}

// oneOf checks a word of a list.
func oneOf[T ~string](c *checker, pointer string, value T, list []T) T {
	if !slices.Contains(list, value) {
		words := make([]string, len(list))
		for i, one := range list {
			words[i] = string(one)
		}
		c.fault(pointer, "expected one of %s", strings.Join(words, ", "))
	}
	return value
}

// location returns the code of a site in capital letters.
func (c *checker) location(pointer, text string) string {
	text = strings.ToUpper(strings.TrimSpace(text))
	allowed := func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' }
	if len(text) > maxLocation || strings.ContainsFunc(text, func(r rune) bool { return !allowed(r) }) {
		c.fault(pointer, "expected at most %d letters, digits and hyphens, such as AMS", maxLocation)
	}
	return text
}

// link checks an address of a page.
func (c *checker) link(pointer, text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	web := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	if mail := err == nil && u.Scheme == "mailto" && u.Opaque != ""; len(text) > 500 || !web && !mail {
		c.fault(pointer, "expected an address such as https://support.example.com or mailto:support@example.com")
	}
	return text
}

// health checks the statuses of components, whose names it fills in.
func (c *checker) health(pointer string, list []ComponentHealth, known map[string]Component) []ComponentHealth {
	if len(list) > maxComponents {
		c.fault(pointer, "expected at most %d components", maxComponents)
		return nil
	}
	seen := map[string]bool{}
	out := make([]ComponentHealth, 0, len(list))
	for i, one := range list {
		at := fmt.Sprintf("%s/%d", pointer, i)
		component, ok := known[one.ID]
		switch {
		case !ok:
			c.fault(at+"/id", "there is no component with this id")
		case seen[one.ID]:
			c.fault(at+"/id", "the component is listed twice")
		}
		seen[one.ID] = true
		oneOf(c, at+"/status", one.Health, healths)
		out = append(out, ComponentHealth{ID: one.ID, Name: component.Name, Health: one.Health})
	}
	return out
}

// capital begins a word with a capital letter.
func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + strings.ReplaceAll(word[1:], "_", " ")
}

// lower begins a sentence's words with a small letter.
func lower(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToLower(words[:1]) + words[1:]
}
