package producer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Change is one difference between two versions of a catalogue.
type Change struct {
	Op       string `json:"op" enum:"added,changed,removed"`
	Kind     string `json:"kind" enum:"product,resource,action,alert_type,filter,topic"`
	Name     string `json:"name" doc:"Such as tls/zone_setting/update"`
	Field    string `json:"field,omitempty" doc:"Of what was changed"`
	Before   Raw    `json:"before,omitempty" doc:"The field's value before"`
	After    Raw    `json:"after,omitempty" doc:"The field's value after"`
	Breaking bool   `json:"breaking" doc:"What was accepted before may be refused now, or what was shown is not"`
	Why      string `json:"why,omitempty" doc:"Why it is breaking"`
}

// entry is a part of a catalogue as it is compared: what stands below another
// entry has a name that begins with the other's.
type entry struct {
	kind   string
	fields []field
}

type field struct {
	name string
	json []byte // nil = not there
	// breaks says why going from old to new is breaking; "" when it is not.
	breaks func(old, new []byte) string
}

// Diff lists what changes from old to new, sorted by name; what is breaking is
// marked with the reason.
func Diff(old, new Catalogue) []Change {
	from, to := old.entries(), new.entries()
	names := slices.Sorted(maps.Keys(from))
	for name := range to {
		if _, ok := from[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	list := []Change{}
	for _, name := range names {
		a, before := from[name]
		b, after := to[name]
		shown := name[strings.IndexByte(name, ' ')+1:]
		switch {
		case !before:
			why := ""
			if _, had := from[name[:max(0, strings.LastIndexByte(name, '/'))]]; had {
				why = addedWhy(b)
			}
			list = append(list, Change{Op: "added", Kind: b.kind, Name: shown, Breaking: why != "", Why: why})
		case !after:
			list = append(list, Change{Op: "removed", Kind: a.kind, Name: shown, Breaking: true, Why: removedWhy[a.kind]})
		default:
			for i, f := range b.fields {
				if was := a.fields[i].json; !bytes.Equal(was, f.json) {
					c := Change{Op: "changed", Kind: b.kind, Name: shown, Field: f.name, Before: was, After: f.json}
					if f.breaks != nil {
						c.Why = f.breaks(was, f.json)
						c.Breaking = c.Why != ""
					}
					list = append(list, c)
				}
			}
		}
	}
	return list
}

var removedWhy = map[string]string{
	"product":    "events of the product are no longer checked, and the team's tokens may not send them",
	"resource":   "events of this resource type will be refused",
	"action":     "events with this action will be refused",
	"alert_type": "alerts of this type will be refused, and policies for it match nothing",
	"filter":     "policies that use the filter match nothing",
	"topic":      "the topic has no owner any more",
}

// addedWhy: a filter that every policy must have makes the present ones of its
// alert type invalid.
func addedWhy(e entry) string {
	if e.kind == "filter" && bytes.Equal(e.get("required"), []byte("true")) {
		return "policies without the filter are not complete any more"
	}
	return ""
}

func (e entry) get(name string) []byte {
	for _, f := range e.fields {
		if f.name == name {
			return f.json
		}
	}
	return nil
}

// entries lists the catalogue's parts. The name's first word keeps kinds apart
// and sorts a product's own parts before its alert types and topics.
func (c Catalogue) entries() map[string]entry {
	m := map[string]entry{}
	for _, p := range c.Products {
		m["1 "+p.Product] = entry{"product", []field{
			val("title", p.Title), val("description", p.Description), val("category", p.Category)}}
		for _, r := range p.Resources {
			at := p.Product + "/" + r.Type
			m["1 "+at] = entry{"resource", []field{
				val("title", r.Title),
				{"schema", r.Schema, schemaBreaks}, {"metadata_schema", r.MetadataSchema, schemaBreaks},
				val("personal", r.Personal), val("secret", r.Secret)}}
			for _, a := range r.Actions {
				m["1 "+at+"/"+a.Type] = entry{"action", []field{
					val("title", a.Title), val("sentence", a.Sentence), val("failure", a.Failure), val("view", a.View)}}
			}
		}
		for _, a := range p.AlertTypes {
			at := p.Product + "/" + a.Type
			m["2 "+at] = entry{"alert_type", []field{
				val("title", a.Title), val("description", a.Description),
				{"severities", val("", a.Severities).json, severitiesBreak},
				{"schema", a.Schema, schemaBreaks}, {"sample", a.Sample, nil}}}
			for _, f := range a.Filters {
				required := val("required", f.Required)
				required.breaks = func(_, new []byte) string {
					if new == nil {
						return ""
					}
					return "policies without the filter are not complete any more"
				}
				single := val("single", f.Single)
				single.breaks = func(_, new []byte) string {
					if new == nil {
						return ""
					}
					return "policies with several values are not valid any more"
				}
				values := val("values", f.Values)
				values.breaks = valuesBreak
				m["2 "+at+"/"+f.Key] = entry{"filter", []field{val("title", f.Title), required, single, values}}
			}
		}
		for _, t := range p.Topics {
			m["3 "+p.Product+"/"+t.Topic] = entry{"topic", []field{
				val("title", t.Title), val("description", t.Description),
				{"key", val("", t.Key).json, func(_, _ []byte) string { return "the order of records changes" }},
				{"schema", t.Schema, schemaBreaks}}}
		}
	}
	return m
}

// val is a field by its JSON; zero values and empty lists are not there.
func val[T any](name string, v T) field {
	b, err := json.Marshal(v)
	if s := string(b); err != nil || s == `""` || s == "false" || s == "null" || s == "[]" {
		b = nil
	}
	return field{name: name, json: b}
}

func severitiesBreak(old, new []byte) string {
	return missing(old, new, "alerts of the severity %s will be refused")
}

func valuesBreak(old, new []byte) string {
	if len(old) == 0 {
		return "policies with other values match nothing"
	}
	if len(new) == 0 {
		return ""
	}
	return missing(old, new, "policies for the value %s match nothing")
}

func missing(old, new []byte, format string) string {
	var was, is []string
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(new, &is) != nil {
		return ""
	}
	for _, w := range was {
		if !slices.Contains(is, w) {
			return fmt.Sprintf(format, w)
		}
	}
	return ""
}

// schemaBreaks: whether one schema takes all that another takes cannot be
// decided in general. Notes to the reader do not matter, dropping a schema or
// opening one widens it; everything else is taken for a narrowing.
func schemaBreaks(old, new []byte) string {
	const why = "values that fitted the schema before may be refused"
	switch {
	case len(new) == 0:
		return ""
	case len(old) == 0:
		return "values were not checked before, and may be refused now"
	}
	var a, b any
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(new, &b) != nil || !wider(a, b) {
		return why
	}
	return ""
}

var notes = []string{"title", "description", "examples", "default", "deprecated", "$comment", "readOnly", "writeOnly"}

// wider reports whether the schema b surely takes what a takes: equal but for
// notes, new optional properties of a closed object, and required ones fewer.
func wider(a, b any) bool {
	x, ok1 := a.(map[string]any)
	y, ok2 := b.(map[string]any)
	if !ok1 || !ok2 {
		return same(a, b) || b == true
	}
	for _, key := range union(x, y) {
		v, had := x[key]
		w, has := y[key]
		switch {
		case slices.Contains(notes, key):
		case key == "properties":
			props, _ := v.(map[string]any)
			now, _ := w.(map[string]any)
			for name, p := range props {
				q, kept := now[name]
				if !kept && x["additionalProperties"] == false && y["additionalProperties"] == false || kept && !wider(p, q) {
					return false
				}
			}
			for name := range now {
				if _, was := props[name]; !was && (x["additionalProperties"] != false || x["patternProperties"] != nil) {
					return false // it could hold anything before
				}
			}
		case key == "required":
			was, _ := v.([]any)
			is, _ := w.([]any)
			for _, name := range is {
				if !slices.Contains(was, name) {
					return false
				}
			}
		case key == "additionalProperties" && v == false && (!has || w == true):
		case had != has || !same(v, w):
			return false
		}
	}
	return true
}

func union(a, b map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// WriteDiff writes the changes for people: one a line, + added, ~ changed,
// - removed, and why one is breaking on a line of its own.
func WriteDiff(w io.Writer, changes []Change) error {
	var b strings.Builder
	breaking := 0
	for _, c := range changes {
		mark := cmp.Or(map[string]string{"added": "+", "removed": "-"}[c.Op], "~")
		fmt.Fprintf(&b, "%s %-10s %s", mark, strings.ReplaceAll(c.Kind, "_", " "), c.Name)
		if c.Field != "" {
			fmt.Fprintf(&b, ": %s %s -> %s", c.Field, brief(c.Before), brief(c.After))
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

func brief(v Raw) string {
	if v == nil {
		return "(none)"
	}
	if runes := []rune(string(v)); len(runes) > 100 {
		return string(runes[:99]) + "…"
	}
	return string(v)
}
