package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Declared holds the catalogue's declarations of a product's events, ready for
// ingestion: a name is found in a map, schemas are compiled. It never changes.
type Declared struct {
	// The entries of all resource types of the product together, sorted. Personal
	// has those of every version of the file.
	Personal []string
	Secret   []string

	product string
	all     protection

	types     []string // of resources, sorted
	resources map[string]*declaredResource
}

type declaredResource struct {
	protection
	values   *catalogue.Schema // of before and after
	metadata *catalogue.Schema
	types    []string // of actions, sorted
	actions  map[string]*ActionType
}

// protection are the fields of events that a catalogue protects.
type protection struct{ personal, secret event.Fields }

func compileDeclared(p *catalogue.Product, types []ResourceType, lasting map[string][]string) (*Declared, error) {
	d := &Declared{product: p.Name, resources: map[string]*declaredResource{}}
	for i := range types {
		r := &types[i]
		values, err := compileSchema(r.Schema)
		if err != nil {
			return nil, fmt.Errorf("schema of %s/%s: %w", p.Name, r.Type, err)
		}
		metadata, err := compileSchema(r.MetadataSchema)
		if err != nil {
			return nil, fmt.Errorf("metadata_schema of %s/%s: %w", p.Name, r.Type, err)
		}
		personal := union(r.Personal, lasting[r.Type])
		compiled := &declaredResource{
			protection: protection{personal: event.ParseFields(personal), secret: event.ParseFields(r.Secret)},
			values:     values,
			metadata:   metadata,
			actions:    map[string]*ActionType{},
		}
		for j := range r.Actions {
			a := &r.Actions[j]
			compiled.actions[a.Type] = a
			compiled.types = append(compiled.types, a.Type)
		}
		slices.Sort(compiled.types)

		d.resources[r.Type] = compiled
		d.types = append(d.types, r.Type)
		d.Personal = union(d.Personal, personal)
		d.Secret = union(d.Secret, r.Secret)
	}
	slices.Sort(d.types)
	for _, entries := range lasting {
		d.Personal = union(d.Personal, entries)
	}
	d.all = protection{personal: event.ParseFields(d.Personal), secret: event.ParseFields(d.Secret)}
	return d, nil
}

func compileSchema(raw catalogue.Raw) (*catalogue.Schema, error) {
	if raw == nil {
		return nil, nil
	}
	return catalogue.CompileSchema(raw)
}

// union is the sorted union of two lists.
func union(a, b []string) []string {
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}

// Action finds a declared action; ok is false when there is none.
func (d *Declared) Action(resourceType, actionType string) (action ActionType, ok bool) {
	if r := d.resources[resourceType]; r != nil {
		if a := r.actions[actionType]; a != nil {
			return *a, true
		}
	}
	return ActionType{}, false
}

// Protected are the personal and secret fields of one resource type; of a type
// that the catalogue does not have, those of all types.
func (d *Declared) Protected(resourceType string) (personal, secret event.Fields) {
	p := d.all
	if r := d.resources[resourceType]; r != nil {
		p = r.protection
	}
	return p.personal, p.secret
}

// Sentence is the template for an action with this result ("failure" or any
// other); empty when the file has none. saysFailure reports that the template
// itself is about the failure.
func (d *Declared) Sentence(resourceType, actionType, result string) (template string, saysFailure bool) {
	a, _ := d.Action(resourceType, actionType)
	if result == "failure" && a.Failure != "" {
		return a.Failure, true
	}
	return a.Sentence, false
}

// maxSchemaSteps bounds the comparison of before, after or metadata with its
// schema.
const maxSchemaSteps = 100_000

// Check compares an event with the catalogue: its resource type and action must
// be declared (CodeActionUndeclared), and before, after and metadata must fit
// the schemas (CodeSchemaMismatch). Pointers lead into the event. afford is asked
// for the steps of each comparison (nil = any number).
func (d *Declared) Check(e *record.Event, afford func(steps int) bool) errs.List {
	r := d.resources[e.Resource.Type]
	if r == nil {
		return errs.List{errs.At(errs.CodeActionUndeclared, "/resource/type", "the catalogue of %s has no resource type %s%s",
			d.product, catalogue.Quote(e.Resource.Type), suggestion(e.Resource.Type, d.types))}
	}
	if r.actions[e.Action.Type] == nil {
		return errs.List{errs.At(errs.CodeActionUndeclared, "/action/type", "the catalogue has no action %s for %s/%s%s",
			catalogue.Quote(e.Action.Type), d.product, e.Resource.Type, suggestion(e.Action.Type, r.types))}
	}
	if r.values == nil && r.metadata == nil {
		return nil
	}

	var faults errs.List
	if string(e.Before) != "null" {
		faults = append(faults, r.values.Check("/before", e.Before, maxSchemaSteps, afford)...)
	}
	if string(e.After) != "null" {
		faults = append(faults, r.values.Check("/after", e.After, maxSchemaSteps, afford)...)
	}
	return append(faults, r.metadata.Check("/metadata", e.Metadata, maxSchemaSteps, afford)...)
}

// suggestion ends the sentence about an unknown name: the name that was probably
// meant, or the names that there are when they are few.
func suggestion(name string, declared []string) string {
	if near := catalogue.Suggest(name, declared); near != "" {
		return "; is " + catalogue.Quote(near) + " meant?"
	}
	const most = 8
	if len(declared) > most {
		return ""
	}
	return "; it has " + strings.Join(declared, ", ")
}
