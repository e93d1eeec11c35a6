package reference

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Field is one member of a body, a result or a list of parameters.
type Field struct {
	Name     string
	Type     string // in words: "string", "list of objects"
	Required bool
	Doc      string
	Limits   []string // "at most 64 characters"
	Values   []string // of an enumeration
	Default  string   // as JSON; "" = none
	Example  string   // of a parameter: the value of the recorded call
	Fields   []Field  // of an object, or of the objects of a list or map
}

// maxDepth ends the trees of recursive shapes.
const maxDepth = 8

// fields are the members of an object; of a list, those of its items. The second
// result says in words what s is.
func (d *document) fields(s *schema, seen []string) ([]Field, string) {
	s, name := d.deref(s)
	if s == nil {
		return nil, "any JSON"
	}
	if name != "" {
		if slices.Contains(seen, name) || len(seen) > maxDepth {
			return nil, "object, as above"
		}
		seen = append(slices.Clone(seen), name)
	}
	switch {
	case len(s.OneOf) > 0:
		return d.choice(s.OneOf, seen)
	case s.Type.Word == "array":
		list, kind := d.fields(s.Items, seen)
		return list, orNull("list of "+plural(kind), s.Type.Null)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil && len(s.Properties) == 0:
		list, kind := d.fields(s.AdditionalProperties.Schema, seen)
		return list, orNull("object: name to "+kind, s.Type.Null)
	case s.Type.Word == "object":
		list := make([]Field, 0, len(s.Properties))
		for _, name := range slices.SortedFunc(maps.Keys(s.Properties), d.order(s)) {
			f := d.field(name, s.Properties[name], seen)
			f.Required = slices.Contains(s.Required, name)
			list = append(list, f)
		}
		return list, orNull("object", s.Type.Null)
	}
	return nil, d.scalar(s)
}

// choice describes alternatives by the fields of the first object among them.
func (d *document) choice(all []*schema, seen []string) ([]Field, string) {
	var list []Field
	var kinds []string
	for _, one := range all {
		fields, kind := d.fields(one, seen)
		if list == nil {
			list = fields
		}
		kinds = append(kinds, kind)
	}
	return list, strings.Join(kinds, " or ")
}

func (d *document) field(name string, s *schema, seen []string) Field {
	f := Field{Name: name}
	f.Fields, f.Type = d.fields(s, seen)
	for at := s; at != nil; {
		f.Doc = cmp.Or(f.Doc, at.Description)
		if at.Ref == "" {
			break
		}
		at = d.Components.Schemas[at.Ref[strings.LastIndexByte(at.Ref, '/')+1:]]
	}
	resolved, _ := d.deref(s)
	if resolved == nil {
		return f
	}
	f.Limits = limits(resolved)
	f.Default = literal(resolved.Default)
	values := resolved
	if items, _ := d.deref(resolved.Items); items != nil {
		values = items
		f.Limits = append(f.Limits, limits(items)...)
	}
	for _, v := range values.Enum {
		if v != nil {
			f.Values = append(f.Values, fmt.Sprint(v))
		}
	}
	return f
}

// scalar names a type that has no members.
func (d *document) scalar(s *schema) string {
	kind := s.Type.Word
	switch {
	case kind == "":
		return "any JSON"
	case kind == "string" && s.Format == "date-time":
		kind = "time (RFC 3339)"
	case kind == "string" && s.Format != "":
		kind = "string (" + s.Format + ")"
	case kind == "integer":
		kind = "whole number"
	}
	return orNull(kind, s.Type.Null)
}

func orNull(kind string, null bool) string {
	if null {
		return kind + " or null"
	}
	return kind
}

// plural is the word for the items of a list.
func plural(kind string) string {
	switch {
	case kind == "any JSON", strings.Contains(kind, " "), strings.HasSuffix(kind, ")"):
		return kind
	}
	return kind + "s"
}

// limits are the bounds of a value, in words.
func limits(s *schema) (list []string) {
	between := func(low, high *int, noun string) {
		switch {
		case low != nil && high != nil && *low == *high:
			list = append(list, fmt.Sprintf("exactly %d %s", *low, noun))
		case low != nil && high != nil && *low > 0:
			list = append(list, fmt.Sprintf("%d to %d %s", *low, *high, noun))
		case high != nil:
			list = append(list, fmt.Sprintf("at most %d %s", *high, noun))
		case low != nil && *low > 0:
			list = append(list, fmt.Sprintf("at least %d %s", *low, noun))
		}
	}
	between(s.MinLength, s.MaxLength, "characters")
	between(s.MinItems, s.MaxItems, "items")
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		list = append(list, number(*s.Minimum)+" to "+number(*s.Maximum))
	case s.Minimum != nil:
		list = append(list, "at least "+number(*s.Minimum))
	case s.Maximum != nil:
		list = append(list, "at most "+number(*s.Maximum))
	}
	if s.Pattern != "" {
		list = append(list, "matches "+s.Pattern)
	}
	return list
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func literal(v any) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "" // a value of the document was JSON
	}
	return string(b)
}

// order sorts members: required ones first, ids and names before others.
func (d *document) order(s *schema) func(a, b string) int {
	rank := func(name string) int {
		i := slices.Index([]string{"id", "name", "type"}, name)
		if i < 0 {
			i = 3
		}
		if !slices.Contains(s.Required, name) {
			i += 10
		}
		return i
	}
	return func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }
}
