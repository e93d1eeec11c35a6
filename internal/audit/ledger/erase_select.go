package ledger

import (
	"context"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
)

// erasedPart is the part of an event that concerns the erased person.
type erasedPart int

const (
	noPart      erasedPart = iota
	wholeEvent             // the person did it, or the event was named
	onBehalfOf             // another did it for the person
	aboutPerson            // another did something to the person
)

// holds reports whether the part has the field.
func (p erasedPart) holds(pointer string) bool {
	switch p {
	case onBehalfOf:
		return inside(pointer, "/actor/on_behalf_of")
	case aboutPerson:
		return !inside(pointer, "/actor") && !inside(pointer, "/request")
	default:
		return true
	}
}

// inside reports whether a pointer is another one, or leads into its value.
func inside(pointer, parent string) bool {
	return pointer == parent || strings.HasPrefix(pointer, parent+"/")
}

// Selection says which values an erasure deletes. It belongs to one goroutine.
type Selection struct {
	// Fields are the pointers that were asked for; empty = every field that names the
	// person, and those that any version of the catalogue declares personal.
	Fields []string
	// Personal returns the fields that any version of any catalogue declared personal
	// for a resource type; nil = none.
	Personal func(ctx context.Context, product, resourceType string) (event.Fields, error)

	found map[string]bool // by field: some event has committed it
}

// Missing returns the fields that no event has committed by themselves: nothing of
// them was erased.
func (s *Selection) Missing() (list []string) {
	for _, f := range s.Fields {
		if !s.found[f] {
			list = append(list, f)
		}
	}
	return list
}

// choose returns the pointers of the openings that are deleted. A value is deleted
// together with the members that were cut out of it.
func (s *Selection) choose(
	ctx context.Context,
	rec *record.Record,
	openings []record.Opening,
	of erasedPart,
) (gone []string, err error) {
	if len(s.Fields) > 0 {
		s.see(rec, openings)
		for _, o := range openings {
			if of.holds(o.Path) && slices.ContainsFunc(s.Fields, func(f string) bool { return inside(o.Path, f) }) {
				gone = append(gone, o.Path)
			}
		}
		return gone, nil
	}
	var personal event.Fields
	if s.Personal != nil {
		if personal, err = s.Personal(ctx, rec.Event.Resource.Product, rec.Event.Resource.Type); err != nil {
			return nil, err
		}
	}
	named := slices.Concat(erasable, personal.Fixed())
	for _, o := range openings {
		if !of.holds(o.Path) {
			continue
		}
		yes := slices.ContainsFunc(named, func(f string) bool { return inside(o.Path, f) }) || personal.Covers(o.Path)
		if !yes {
			// A personal member that was not committed by itself (it was declared later,
			// or is inside a list) is erased with the value that contains it.
			if yes, err = holdsAny(personal, o); err != nil {
				return nil, err
			}
		}
		if yes {
			gone = append(gone, o.Path)
		}
	}
	return gone, nil
}

// see notes which of the fields the event has committed, erased or not.
func (s *Selection) see(rec *record.Record, openings []record.Opening) {
	if s.found == nil {
		s.found = map[string]bool{}
	}
	paths := slices.Clone(rec.Erased)
	for _, o := range openings {
		paths = append(paths, o.Path)
	}
	for _, f := range s.Fields {
		if slices.ContainsFunc(paths, func(path string) bool { return inside(path, f) }) {
			s.found[f] = true
		}
	}
}

// holdsAny reports whether a committed value has a personal member inside.
func holdsAny(personal event.Fields, o record.Opening) (bool, error) {
	if personal.NoMembers() || o.Value.Kind() != '{' && o.Value.Kind() != '[' {
		return false, nil
	}
	found, err := personal.Below(o.Path, o.Value)
	return len(found) > 0, err
}
