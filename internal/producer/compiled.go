package producer

import (
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Compiled is a declared product, ready for ingestion: what a name means is a
// look into a map, schemas are compiled. It never changes.
type Compiled struct {
	Name     string
	Title    string
	Category string // product_category; the title when the file has none
	Team     string // id of the owning team; empty for Belfry's own product

	// The entries of all resources of the product together, sorted. Those that
	// were personal once are among them for ever, whatever the file says now.
	Personal []string
	Secret   []string
	all      protection

	Decl Product

	types     []string // of resources, sorted
	resources map[string]*compiledResource
	alerts    []*Alert // in the file's order
}

type compiledResource struct {
	decl *Resource
	protection
	values   *schema // of before and after
	metadata *schema
	types    []string // of actions, sorted
	actions  map[string]*Action
}

// protection are the fields of events that a catalogue protects.
type protection struct{ personal, secret event.Fields }

// Compile readies a product of a file that no server knows yet.
func Compile(p Product) (*Compiled, error) { return compile(p, "", nil) }

// compile readies a declared product. remembered are the entries that were
// personal in any version, by resource type.
func compile(p Product, team string, remembered map[string][]string) (*Compiled, error) {
	c := &Compiled{Name: p.Product, Title: p.Title, Category: or(p.Category, p.Title), Team: team, Decl: p, resources: map[string]*compiledResource{}}
	for i := range p.Resources {
		r := &compiledResource{decl: &p.Resources[i], actions: map[string]*Action{}}
		for _, s := range []struct {
			raw Raw
			to  **schema
		}{{r.decl.Schema, &r.values}, {r.decl.MetadataSchema, &r.metadata}} {
			if s.raw == nil {
				continue
			}
			compiled, err := compileSchema(s.raw)
			if err != nil {
				return nil, fmt.Errorf("schema of %s/%s: %w", p.Product, r.decl.Type, err)
			}
			*s.to = compiled
		}
		personal := merge(r.decl.Personal, remembered[r.decl.Type])
		r.protection = protection{event.ParseFields(personal), event.ParseFields(r.decl.Secret)}
		c.Personal = merge(c.Personal, personal)
		c.Secret = merge(c.Secret, r.decl.Secret)
		for j := range r.decl.Actions {
			a := &r.decl.Actions[j]
			r.actions[a.Type] = a
			r.types = append(r.types, a.Type)
		}
		slices.Sort(r.types)
		c.resources[r.decl.Type] = r
		c.types = append(c.types, r.decl.Type)
	}
	for i := range p.AlertTypes {
		a := &Alert{AlertType: p.AlertTypes[i], Product: c.Name, Category: c.Category, Team: team}
		if a.Schema != nil {
			compiled, err := compileSchema(a.Schema)
			if err != nil {
				return nil, fmt.Errorf("schema of the alert type %s: %w", a.Type, err)
			}
			a.data = compiled
		}
		c.alerts = append(c.alerts, a)
	}
	slices.Sort(c.types)
	for _, entries := range remembered {
		c.Personal = merge(c.Personal, entries)
	}
	c.all = protection{event.ParseFields(c.Personal), event.ParseFields(c.Secret)}
	return c, nil
}

// merge is the sorted union of two lists.
func merge(a, b []string) []string {
	list := slices.Concat(a, b)
	slices.Sort(list)
	return slices.Compact(list)
}

// Action finds a declared action; ok is false when there is none.
func (c *Compiled) Action(resourceType, actionType string) (action Action, ok bool) {
	if r := c.resources[resourceType]; r != nil {
		if a := r.actions[actionType]; a != nil {
			return *a, true
		}
	}
	return Action{}, false
}

// Protected are the personal and secret fields of one resource type; of a type
// that the catalogue does not have, those of all types.
func (c *Compiled) Protected(resourceType string) (personal, secret event.Fields) {
	p := c.all
	if r := c.resources[resourceType]; r != nil {
		p = r.protection
	}
	return p.personal, p.secret
}

// Sentence is the template for an action with this result ("failure" or any
// other); empty when the file has none. failed reports that the template itself
// says the failure.
func (c *Compiled) Sentence(resourceType, actionType, result string) (template string, failed bool) {
	a, _ := c.Action(resourceType, actionType)
	if result == "failure" && a.Failure != "" {
		return a.Failure, true
	}
	return a.Sentence, false
}

// Check compares an event with the catalogue: its resource type and action must
// be declared (CodeActionUndeclared), and before, after and metadata must fit
// the schemas (CodeSchemaMismatch). The values are JSON; empty and null are not
// looked at. Pointers lead into the event. afford is asked for the steps of each
// comparison (nil = any).
func (c *Compiled) Check(resourceType, actionType string, before, after, metadata []byte, afford func(steps int) bool) errs.List {
	r := c.resources[resourceType]
	if r == nil {
		return errs.List{errs.At(errs.CodeActionUndeclared, "/resource/type", "the catalogue of %s has no resource type %s%s", c.Name, show(resourceType), meant(resourceType, c.types))}
	}
	if r.actions[actionType] == nil {
		return errs.List{errs.At(errs.CodeActionUndeclared, "/action/type", "the catalogue has no action %s for %s/%s%s", show(actionType), c.Name, resourceType, meant(actionType, r.types))}
	}
	if r.values == nil && r.metadata == nil {
		return nil
	}
	var list errs.List
	for _, v := range []struct {
		root  string
		value []byte
	}{{"/before", before}, {"/after", after}} {
		if string(v.value) != "null" {
			list = append(list, r.values.check(v.root, v.value, maxSteps, afford)...)
		}
	}
	return append(list, r.metadata.check("/metadata", metadata, maxSteps, afford)...)
}

func meant(name string, declared []string) string {
	if near := nearest(name, declared); near != "" {
		return "; is " + show(near) + " meant?"
	}
	const most = 8
	if len(declared) > most {
		return ""
	}
	s := "; it has "
	for i, d := range declared {
		if i > 0 {
			s += ", "
		}
		s += d
	}
	return s
}
