package catalogue

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// SchemaBreaks returns why a changed JSON Schema is breaking, or "". Whether one
// schema takes all that another takes cannot be decided in general: annotations
// do not matter, dropping a schema or opening one widens it, and every other
// change counts as a narrowing.
func SchemaBreaks(before, after Raw) string {
	const why = "values that fitted the schema before may be refused"
	switch {
	case len(after) == 0:
		return ""
	case len(before) == 0:
		return "values were not checked before, and may be refused now"
	}
	var a, b any
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil || !wider(a, b) {
		return why
	}
	return ""
}

// annotations are the keywords that check nothing.
var annotations = []string{
	"title", "description", "examples", "default", "deprecated", "$comment", "readOnly", "writeOnly",
}

// schemaObject is a schema that is a JSON object, or its properties.
type schemaObject = map[string]any

// wider reports whether the schema after surely takes every value that before
// takes.
func wider(before, after any) bool {
	a, ok1 := before.(schemaObject)
	b, ok2 := after.(schemaObject)
	if !ok1 || !ok2 {
		return equal(before, after) || after == true
	}
	for _, keyword := range union(a, b) {
		if !slices.Contains(annotations, keyword) && !keywordWider(keyword, a, b) {
			return false
		}
	}
	return true
}

func keywordWider(keyword string, before, after schemaObject) bool {
	switch {
	case keyword == "properties":
		return propertiesKept(before, after) && propertiesAddable(before, after)
	case keyword == "required":
		return requiredWider(before, after)
	case keyword == "additionalProperties" && opened(before, after):
		return true
	}
	a, had := before[keyword]
	b, has := after[keyword]
	return had == has && equal(a, b)
}

func closed(schema schemaObject) bool { return schema["additionalProperties"] == false }

// opened reports whether additionalProperties was false and is now true or missing.
func opened(before, after schemaObject) bool {
	more, has := after["additionalProperties"]
	return closed(before) && (!has || more == true)
}

func propertiesOf(schema schemaObject) schemaObject {
	p, _ := schema["properties"].(schemaObject)
	return p
}

// propertiesKept reports whether no declared property became narrower. A property
// that is no longer declared takes any value, unless the object is closed.
func propertiesKept(before, after schemaObject) bool {
	now := propertiesOf(after)
	for name, was := range propertiesOf(before) {
		is, kept := now[name]
		if kept && !wider(was, is) || !kept && closed(before) && closed(after) {
			return false
		}
	}
	return true
}

// propertiesAddable reports whether new properties narrow nothing: in an object that
// was open, or had a pattern for names, they could have any value before.
func propertiesAddable(before, after schemaObject) bool {
	if closed(before) && before["patternProperties"] == nil {
		return true
	}
	was := propertiesOf(before)
	for name := range propertiesOf(after) {
		if _, declared := was[name]; !declared {
			return false
		}
	}
	return true
}

func requiredWider(before, after schemaObject) bool {
	was, _ := before["required"].([]any)
	is, _ := after["required"].([]any)
	for _, name := range is {
		if !slices.Contains(was, name) {
			return false
		}
	}
	return true
}

// union is the sorted keywords of both.
func union(a, b schemaObject) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
