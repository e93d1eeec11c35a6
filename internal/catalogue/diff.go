package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Change is one difference between two versions of a catalogue.
type Change struct {
	Op       string `json:"op" enum:"added,changed,removed"`
	Kind     string `json:"kind" doc:"Of the changed part"`
	Name     string `json:"name" doc:"Such as tls/zone_setting/update"`
	Field    string `json:"field,omitempty" doc:"Of what was changed"`
	Before   Raw    `json:"before,omitempty" doc:"The field's value before"`
	After    Raw    `json:"after,omitempty" doc:"The field's value after"`
	Breaking bool   `json:"breaking" doc:"What was accepted before may be refused now, or what was shown is not"`
	Why      string `json:"why,omitempty" doc:"Why it is breaking"`
}

// Part is a part of a product as two versions are compared.
type Part struct {
	Kind string // one of the section's kinds
	Name string // begins with the name of the part around it: tls/certificate/update

	// Why it is breaking to remove the part, and to add it to a part that was
	// there before; "" when it is not.
	Removed, Added string

	Fields []Field // the same ones in the same order for every part of a kind
}

// Field is a field of a part.
type Field struct {
	Name string
	JSON Raw // nil when the field is missing
	// Breaks returns why the change from before to after is breaking, or "".
	Breaks func(before, after Raw) string
}

// Value is a field by its JSON; zero values and empty lists count as missing.
func Value(name string, v any) Field {
	b, err := json.Marshal(v)
	if s := string(b); err != nil || s == `""` || s == "false" || s == "null" || s == "[]" {
		b = nil
	}
	return Field{Name: name, JSON: b}
}

// Diff lists the changes from one version to the next, sorted by section and
// name; a breaking one has its reason.
func (t Sections) Diff(before, after Catalogue) []Change {
	was := t.parts(before)
	is := t.parts(after)

	keys := make([]partKey, 0, len(was)+len(is))
	for key := range was {
		keys = append(keys, key)
	}
	for key := range is {
		if _, known := was[key]; !known {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, partKey.compare)

	changes := []Change{}
	for _, key := range keys {
		old, had := was[key]
		now, has := is[key]
		switch {
		case !had:
			_, around := was[key.around()]
			changes = append(changes, added(now, around))
		case !has:
			changes = append(changes, Change{
				Op: "removed", Kind: old.Kind, Name: old.Name, Breaking: true, Why: old.Removed,
			})
		default:
			changes = append(changes, changed(old, now)...)
		}
	}
	return changes
}

// added describes a part that is new; around says whether the part around it was
// there before.
func added(p Part, around bool) Change {
	c := Change{Op: "added", Kind: p.Kind, Name: p.Name}
	if around {
		c.Why = p.Added
		c.Breaking = c.Why != ""
	}
	return c
}

// changed lists the fields that differ.
func changed(before, after Part) (changes []Change) {
	for i, f := range after.Fields {
		was := before.Fields[i].JSON
		if bytes.Equal(was, f.JSON) {
			continue
		}
		c := Change{Op: "changed", Kind: after.Kind, Name: after.Name, Field: f.Name, Before: was, After: f.JSON}
		if f.Breaks != nil {
			c.Why = f.Breaks(was, f.JSON)
			c.Breaking = c.Why != ""
		}
		changes = append(changes, c)
	}
	return changes
}

// partKey keeps the sections apart: an alert type and a resource may have the
// same name.
type partKey struct {
	section int // in the table; products go with the first one
	name    string
}

func (k partKey) compare(other partKey) int {
	if k.section != other.section {
		return k.section - other.section
	}
	return strings.Compare(k.name, other.name)
}

// around is the key of the part that contains this one.
func (k partKey) around() partKey {
	return partKey{k.section, k.name[:max(0, strings.LastIndexByte(k.name, '/'))]}
}

func (t Sections) parts(c Catalogue) map[partKey]Part {
	parts := map[partKey]Part{}
	for _, p := range c.Products {
		parts[partKey{0, p.Product}] = Part{
			Kind:    "product",
			Name:    p.Product,
			Removed: "events of the product are no longer checked, and the team's tokens may not send them",
			Fields: []Field{
				Value("title", p.Title),
				Value("description", p.Description),
				Value("category", p.Category),
			},
		}
		for i, s := range t {
			for _, part := range s.diff(p) {
				parts[partKey{i, part.Name}] = part
			}
		}
	}
	return parts
}

// Missing returns the reason for the first text of a list that a new version no
// longer has, or "". The format takes the text.
func Missing(before, after Raw, format string) string {
	var was, is []string
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil {
		return ""
	}
	for _, w := range was {
		if !slices.Contains(is, w) {
			return fmt.Sprintf(format, w)
		}
	}
	return ""
}

var marks = map[string]string{"added": "+", "changed": "~", "removed": "-"}

// WriteDiff writes the changes for people: one a line, + added, ~ changed,
// - removed, and why one is breaking on a line of its own.
func WriteDiff(w io.Writer, changes []Change) error {
	var b strings.Builder
	breaking := 0
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %-10s %s", marks[c.Op], Spaced(c.Kind), c.Name)
		if c.Field != "" {
			fmt.Fprintf(&b, ": %s %s -> %s", c.Field, Brief(c.Before), Brief(c.After))
		}
		b.WriteByte('\n')
		if c.Breaking {
			breaking++
			fmt.Fprintf(&b, "             BREAKING: %s\n", c.Why)
		}
	}
	switch {
	case len(changes) == 0:
		b.WriteString("nothing changes\n")
	case breaking > 0:
		fmt.Fprintf(&b, "%d changes, %d breaking\n", len(changes), breaking)
	default:
		fmt.Fprintf(&b, "%d changes, none breaking\n", len(changes))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Spaced is a kind in words: alert_type becomes alert type.
func Spaced(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

// Brief is a value for a line of a list, cut to 100 characters.
func Brief(v Raw) string {
	if v == nil {
		return "(none)"
	}
	if runes := []rune(string(v)); len(runes) > 100 {
		return string(runes[:99]) + "…"
	}
	return string(v)
}
