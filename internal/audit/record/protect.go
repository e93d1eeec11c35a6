package record

import (
	"bytes"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxPersonalMembers is how many personal members of one event are committed each by
// itself. Where there are more, the part that holds them is one commitment, and
// is erased as a whole.
const MaxPersonalMembers = 64

// Protect removes the secrets from an event, and returns the pointers that are
// committed besides those of every envelope, as the catalogue declares them.
func Protect(e *Event, personal, secret event.Fields) (committed []string, err error) {
	if err := redact(e, secret); err != nil {
		return nil, err
	}
	members := map[string]bool{}
	for root, v := range e.openParts() {
		found, err := personal.Find(root, *v)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			// A commitment has a path of names: a list is committed as a whole.
			pointer := s.Pointer
			if s.List != "" {
				pointer = s.List
			}
			if pointer != "/"+root {
				members[pointer] = true
			}
		}
	}
	committed = slices.Clone(personal.Fixed())
	if len(members) <= MaxPersonalMembers {
		for pointer := range members {
			committed = append(committed, pointer)
		}
	}
	// Descending: /after/a/b is cut out before /after/a is.
	slices.SortFunc(committed, func(a, b string) int { return strings.Compare(b, a) })
	return committed, nil
}

// openParts are the parts of an event that hold what a product chooses.
func (e *Event) openParts() map[string]*jsontext.Value {
	return map[string]*jsontext.Value{"before": &e.Before, "after": &e.After, "metadata": &e.Metadata}
}

// redact replaces the secret members of before, after and metadata, so that they reach
// neither the record nor a page. A secret that changed is marked as changed.
func redact(e *Event, secrets event.Fields) error {
	if secrets.NoMembers() {
		return nil
	}
	found, err := secrets.Find("before", e.Before)
	if err != nil {
		return err
	}
	old := map[string]jsontext.Value{} // by the place below before
	for _, s := range found {
		old[strings.TrimPrefix(s.Pointer, "/before")] = s.Value
	}
	for root, v := range e.openParts() {
		*v, err = secrets.Replace(root, *v, func(s event.Selected) jsontext.Value {
			was, there := old[strings.TrimPrefix(s.Pointer, "/after")]
			if root == "after" && there && string(was) != `"`+Redacted+`"` && !sameJSON(was, s.Value) {
				return quote(nil, redactedDiff)
			}
			return quote(nil, Redacted)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sameJSON compares two values, however they are written.
func sameJSON(a, b jsontext.Value) bool {
	x, err := Canonical(a)
	y, err2 := Canonical(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
