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

// cost counts how many subschemas a validator looks at along one path into a
// value, in the worst case. Alternatives of alternatives double with each
// level, and a few lines of them could hold a processor for years.
type cost struct {
	known map[costKey]int
	open  map[costKey]bool // being counted: a schema met again is a loop
}

type costKey struct {
	schema *jsonschema.Schema
	depth  int
}

// affordable is nil when checking any event against s has a bounded price.
func affordable(s *jsonschema.Schema) error {
	c := cost{map[costKey]int{}, map[costKey]bool{}}
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

// here are the subschemas that look at the same value.
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

// below is the price of one member or item: its own subschema, the dearest that
// there is, and all that may apply beside it.
func (c cost) below(s *jsonschema.Schema, depth int) (int, error) {
	dearest, beside := 0, 0
	one := func(sub *jsonschema.Schema, sum bool) error {
		if sub == nil {
			return nil
		}
		n, err := c.of(sub, depth)
		if sum {
			beside += n
		} else {
			dearest = max(dearest, n)
		}
		return err
	}
	var list []error
	for _, sub := range s.Properties {
		list = append(list, one(sub, false))
	}
	for _, sub := range s.PrefixItems {
		list = append(list, one(sub, false))
	}
	for _, sub := range s.PatternProperties {
		list = append(list, one(sub, true))
	}
	if sub, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		list = append(list, one(sub, false))
	}
	for _, sub := range []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Items2020, s.Contains, s.UnevaluatedItems} {
		list = append(list, one(sub, true))
	}
	for _, err := range list {
		if err != nil {
			return 0, err
		}
	}
	return dearest + beside, nil
}
