package catalogue

import (
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	maxCost    = 10_000 // evaluations of subschemas along one path into a value
	valueDepth = 32     // of an event's values
)

var (
	errLoop = errors.New("the schema refers to itself without going into a member")
	errCost = fmt.Errorf("the schema branches too much: one value could need more than %d comparisons", maxCost)
)

// cost counts the subschemas that a validator evaluates along one path into a
// value, in the worst case. Alternatives of alternatives double with each level: a
// few lines of them could occupy a processor for years.
type cost struct {
	known map[costKey]int
	open  map[costKey]bool // being counted: a schema that is met again is a loop
}

type costKey struct {
	schema *jsonschema.Schema
	depth  int
}

// affordable is nil when checking any event against s has a bounded cost.
func affordable(s *jsonschema.Schema) error {
	c := cost{known: map[costKey]int{}, open: map[costKey]bool{}}
	_, err := c.of(s, valueDepth)
	return err
}

func (c cost) of(s *jsonschema.Schema, depth int) (int, error) {
	if s == nil || s.Bool != nil || depth == 0 {
		return 1, nil
	}
	key := costKey{s, depth}
	if n, ok := c.known[key]; ok {
		return n, nil
	}
	if c.open[key] {
		return 0, errLoop
	}
	c.open[key] = true
	defer delete(c.open, key)
	total := 1
	for _, sub := range here(s) {
		n, err := c.of(sub, depth)
		if err != nil {
			return 0, err
		}
		if total += n; total > maxCost {
			return 0, errCost
		}
	}
	below, err := c.below(s, depth-1)
	if err != nil {
		return 0, err
	}
	if total += below; total > maxCost {
		return 0, errCost
	}
	c.known[key] = total
	return total, nil
}

// here are the subschemas that check the same value.
func here(s *jsonschema.Schema) []*jsonschema.Schema {
	list := []*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		list = append(list, s.DynamicRef.Ref)
	}
	list = append(append(append(list, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, sub := range s.DependentSchemas {
		list = append(list, sub)
	}
	kept := list[:0]
	for _, sub := range list {
		if sub != nil {
			kept = append(kept, sub)
		}
	}
	return kept
}

// below is the cost of one member or item: the most expensive subschema of its
// own, and all subschemas that may apply in addition.
func (c cost) below(s *jsonschema.Schema, depth int) (int, error) {
	var own, further []*jsonschema.Schema
	for _, sub := range s.Properties {
		own = append(own, sub)
	}
	own = append(own, s.PrefixItems...)
	if sub, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		own = append(own, sub)
	}
	for _, sub := range s.PatternProperties {
		further = append(further, sub)
	}
	further = append(further,
		s.PropertyNames, s.UnevaluatedProperties, s.Items2020, s.Contains, s.UnevaluatedItems)

	highest := 0
	for _, sub := range own {
		n, err := c.of(sub, depth)
		if err != nil {
			return 0, err
		}
		highest = max(highest, n)
	}
	total := highest
	for _, sub := range further {
		if sub == nil {
			continue
		}
		n, err := c.of(sub, depth)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
