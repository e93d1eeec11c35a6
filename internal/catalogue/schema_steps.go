package catalogue

import (
	"encoding/json"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// pattern is a regular expression that knows the size of its program.
type pattern struct {
	*regexp.Regexp
	size int
}

func compilePattern(s string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	return pattern{re, len(program.Inst)}, nil
}

// patternShare is how many instructions of a regular expression, each for one
// byte, take about as long as a step.
const patternShare = 64

// counter counts the steps of a comparison down.
type counter struct{ left int }

// countSteps returns an upper bound of the steps of comparing a value with its
// schema, and false when it is above the limit. A step is one subschema that looks
// at one value. They are counted first because the validator cannot be stopped.
func countSteps(s *jsonschema.Schema, v any, limit int) (steps int, ok bool) {
	c := counter{limit}
	c.value(s, v, false)
	return limit - c.left, c.left >= 0
}

// value counts the steps at a value and below it. tracked says that a schema
// around this one asks which members were looked at: each subschema then makes a
// list of them.
func (c *counter) value(s *jsonschema.Schema, v any, tracked bool) {
	if c.left--; c.left < 0 || s == nil || s.Bool != nil {
		return
	}
	tracked = tracked || s.UnevaluatedProperties != nil || s.UnevaluatedItems != nil
	if s.Enum != nil {
		c.left -= len(s.Enum.Values)
	}
	switch v := v.(type) {
	case map[string]any:
		c.object(s, v, tracked)
	case []any:
		c.list(s, v, tracked)
	case string:
		c.text(s.Pattern, v)
		if s.Format != nil {
			c.left -= len(v) / patternShare
		}
	case json.Number:
		if s.MultipleOf != nil || s.Minimum != nil || s.Maximum != nil {
			c.left--
		}
	}
	for _, sub := range here(s) {
		if c.left < 0 {
			return
		}
		c.value(sub, v, tracked)
	}
}

func (c *counter) text(p jsonschema.Regexp, s string) {
	if p, ok := p.(pattern); ok {
		c.left -= p.size * len(s) / patternShare
	}
}

func (c *counter) object(s *jsonschema.Schema, v map[string]any, tracked bool) {
	c.left -= len(s.Required)
	if tracked {
		c.left -= len(v)
	}
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	for name, member := range v {
		if c.left < 0 {
			return
		}
		declared := s.Properties[name]
		if declared != nil {
			c.value(declared, member, false)
		}
		for p, sub := range s.PatternProperties {
			c.left--
			c.text(p, name)
			if c.left >= 0 && p.MatchString(name) {
				c.value(sub, member, false)
				declared = sub
			}
		}
		if declared == nil && additional != nil {
			c.value(additional, member, false)
		}
		if s.PropertyNames != nil {
			c.value(s.PropertyNames, name, false)
		}
		if s.UnevaluatedProperties != nil {
			c.value(s.UnevaluatedProperties, member, false)
		}
	}
}

func (c *counter) list(s *jsonschema.Schema, v []any, tracked bool) {
	if tracked {
		c.left -= len(v)
	}
	if s.UniqueItems {
		c.left -= countValues(v)
	}
	for i, item := range v {
		if c.left < 0 {
			return
		}
		if i < len(s.PrefixItems) {
			c.value(s.PrefixItems[i], item, false)
		} else if s.Items2020 != nil {
			c.value(s.Items2020, item, false)
		}
		if s.Contains != nil {
			c.value(s.Contains, item, false)
		}
		if s.UnevaluatedItems != nil {
			c.value(s.UnevaluatedItems, item, false)
		}
	}
}

// countValues counts a value and all values inside it.
func countValues(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += countValues(member)
		}
	case []any:
		for _, item := range v {
			n += countValues(item)
		}
	}
	return n
}
