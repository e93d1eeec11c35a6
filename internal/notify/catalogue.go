package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// DeclaredAlertType is an alert type as a catalogue file declares it.
type DeclaredAlertType struct {
	Type        string        `json:"type" doc:"The name in alerts and policies: one of its kind in the installation"`
	Title       string        `json:"title"`
	Description string        `json:"description,omitempty"`
	Category    string        `json:"category,omitempty" doc:"Groups it in lists; the product's when left out"`
	Severities  []string      `json:"severities" doc:"Of info, warning, error, critical; mild to severe"`
	Filters     []Filter      `json:"filters,omitempty"`
	Schema      catalogue.Raw `json:"schema,omitempty" doc:"JSON Schema 2020-12 of the alert's data"`
	Sample      catalogue.Raw `json:"sample,omitempty" doc:"Data of an example, for previews and tests"`
	Unsent      bool          `json:"unsent,omitempty" doc:"No producer sends the type yet: pages say so until an alert arrives"`
}

// PublicAlertType is the part of an alert type that accounts may see.
type PublicAlertType struct {
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Severities  []string `json:"severities"`
	Filters     []Filter `json:"filters"`
}

// Limits of one catalogue file.
const (
	maxAlertTypes      = 500 // of a product
	maxDeclaredFilters = 20  // of an alert type
	maxFilterValues    = 200 // of a filter

	// maxSchemaSteps bounds the comparison of an alert's data with its schema.
	maxSchemaSteps = 20_000
)

// ReservedAlerts begins the names of Belfry's own alert types.
const ReservedAlerts = "belfry_"

// declarable are the severities of alerts, mild to severe.
var declarable = []string{"info", "warning", "error", "critical"}

// CatalogueSection declares the types of alerts that a product sends.
func CatalogueSection() catalogue.Section {
	return catalogue.Define(catalogue.Definition[DeclaredAlertType, *AlertTypes]{
		Key:     "alert_types",
		Noun:    "the alert type",
		Max:     maxAlertTypes,
		Kinds:   []string{"alert_type", "filter"},
		Unique:  true,
		Name:    func(a DeclaredAlertType) string { return a.Type },
		Decode:  decodeAlertType,
		Compile: compileAlertTypes,
		Diff:    alertTypeParts,
		Public:  publicAlertType,
		Count:   func(types []DeclaredAlertType) string { return fmt.Sprintf("alert types %d", len(types)) },
		Show:    showAlertTypes,
	})
}

func decodeAlertType(d *catalogue.Decoder, n *catalogue.Node) (a DeclaredAlertType, ok bool) {
	m, ok := d.Mapping(n, "an alert type",
		"type", "title", "description", "category", "severities", "filters", "schema", "sample", "unsent")
	if !ok {
		return a, false
	}

	a.Type = m.Name("type")
	if strings.HasPrefix(strings.ToLower(a.Type), ReservedAlerts) && !d.Builtin {
		d.Fault(m.Member("type"), "alert types that begin with %s are Belfry's own", ReservedAlerts)
	}
	a.Title = m.Title(a.Type)
	a.Description = m.Text("description", false, catalogue.MaxText)
	a.Category = m.Text("category", false, catalogue.MaxTitle)

	a.Severities = m.Texts("severities", len(declarable), severityFault)
	if len(a.Severities) == 0 {
		a.Severities = []string{"critical"}
	}
	slices.SortFunc(a.Severities, func(x, y string) int {
		return slices.Index(declarable, x) - slices.Index(declarable, y)
	})

	seen := catalogue.Seen{}
	for _, item := range m.List("filters", maxDeclaredFilters) {
		if f, ok := decodeFilter(d, item); ok {
			d.Unique(seen, item, "the filter", f.Key)
			a.Filters = append(a.Filters, f)
		}
	}

	a.Unsent = m.Flag("unsent")

	var schema *catalogue.Schema
	a.Schema, schema = m.Schema("schema")
	if sample := m.Member("sample"); sample != nil {
		a.Sample = sample.JSON()
		for _, wrong := range schema.Check("/sample", a.Sample, maxSchemaSteps, d.Afford) {
			d.Fault(sample, "%s", wrong.Message)
		}
	}
	return a, true
}

func severityFault(severity string) string {
	if slices.Contains(declarable, severity) {
		return ""
	}
	return catalogue.Quote(severity) + " is not a severity; there are " + strings.Join(declarable, ", ")
}

func decodeFilter(d *catalogue.Decoder, n *catalogue.Node) (f Filter, ok bool) {
	m, ok := d.Mapping(n, "a filter", "key", "title", "required", "single", "values")
	if !ok {
		return f, false
	}
	f.Key = m.Name("key")
	if strings.HasSuffix(f.Key, ".not") {
		d.Fault(m.Member("key"), "a filter's key must not end in .not: every filter has that already")
	}
	f.Title = m.Title(f.Key)
	f.Required = m.Flag("required")
	f.Single = m.Flag("single")
	f.Values = m.Texts("values", maxFilterValues, func(string) string { return "" })
	return f, true
}

// AlertTypes are the alert types of one product, ready for ingestion. It never
// changes.
type AlertTypes struct {
	List []*AlertType // in the file's order

	byName map[string]*AlertType
}

// Find is the alert type of that name; nil when the product does not declare it.
func (t *AlertTypes) Find(name string) *AlertType { return t.byName[name] }

func compileAlertTypes(p *catalogue.Product, declared []DeclaredAlertType, _ map[string][]string) (*AlertTypes, error) {
	types := &AlertTypes{byName: map[string]*AlertType{}}
	for _, a := range declared {
		var schema *catalogue.Schema
		if a.Schema != nil {
			var err error
			if schema, err = catalogue.CompileSchema(a.Schema); err != nil {
				return nil, fmt.Errorf("schema of the alert type %s: %w", a.Type, err)
			}
		}
		compiled := &AlertType{
			Product:     p.Name,
			Category:    cmp.Or(a.Category, p.Category),
			Team:        p.Team,
			Type:        a.Type,
			Title:       a.Title,
			Description: a.Description,
			Severities:  a.Severities,
			Filters:     a.Filters,
			Sample:      a.Sample,
			Unsent:      a.Unsent,
			Check: func(data []byte) errs.List {
				return schema.Check("/data", data, maxSchemaSteps, nil)
			},
		}
		types.List = append(types.List, compiled)
		types.byName[a.Type] = compiled
	}
	return types, nil
}

// Why a changed filter is breaking.
const (
	incomplete = "policies without the filter are not complete any more"
	tooMany    = "policies with several values are not valid any more"
)

// alertTypeParts are the parts that are compared between two versions.
func alertTypeParts(product string, a DeclaredAlertType) []catalogue.Part {
	name := product + "/" + a.Type
	parts := []catalogue.Part{{
		Kind:    "alert_type",
		Name:    name,
		Removed: "alerts of this type will be refused, and policies for it match nothing",
		Fields: []catalogue.Field{
			catalogue.Value("title", a.Title),
			catalogue.Value("description", a.Description),
			catalogue.Value("category", a.Category),
			breaking(catalogue.Value("severities", a.Severities), severitiesBreak),
			{Name: "schema", JSON: a.Schema, Breaks: catalogue.SchemaBreaks},
			{Name: "sample", JSON: a.Sample},
			catalogue.Value("unsent", a.Unsent),
		},
	}}
	for _, f := range a.Filters {
		part := catalogue.Part{
			Kind:    "filter",
			Name:    name + "/" + f.Key,
			Removed: "policies that use the filter match nothing",
			Fields: []catalogue.Field{
				catalogue.Value("title", f.Title),
				breaking(catalogue.Value("required", f.Required), whenSet(incomplete)),
				breaking(catalogue.Value("single", f.Single), whenSet(tooMany)),
				breaking(catalogue.Value("values", f.Values), valuesBreak),
			},
		}
		if f.Required {
			part.Added = incomplete
		}
		parts = append(parts, part)
	}
	return parts
}

func breaking(f catalogue.Field, breaks func(before, after catalogue.Raw) string) catalogue.Field {
	f.Breaks = breaks
	return f
}

// whenSet is the reason when a flag becomes true.
func whenSet(why string) func(before, after catalogue.Raw) string {
	return func(_, after catalogue.Raw) string {
		if after == nil {
			return ""
		}
		return why
	}
}

func severitiesBreak(before, after catalogue.Raw) string {
	return catalogue.Missing(before, after, "alerts of the severity %s will be refused")
}

func valuesBreak(before, after catalogue.Raw) string {
	switch {
	case len(before) == 0:
		return "policies with other values match nothing"
	case len(after) == 0:
		return ""
	}
	return catalogue.Missing(before, after, "policies for the value %s match nothing")
}

func publicAlertType(a DeclaredAlertType) any {
	shown := PublicAlertType{
		Type:        a.Type,
		Title:       a.Title,
		Description: a.Description,
		Severities:  a.Severities,
		Filters:     a.Filters,
	}
	if shown.Filters == nil {
		shown.Filters = []Filter{}
	}
	return shown
}

func showAlertTypes(types []DeclaredAlertType) []catalogue.Panel {
	if len(types) == 0 {
		return nil
	}
	p := catalogue.Panel{
		Title:   "Alerts",
		Sub:     "that customers can subscribe to",
		Columns: []string{"Alert", "What it says", "Severities", "Filters"},
	}
	for _, a := range types {
		titles := make([]string, len(a.Filters))
		for i, f := range a.Filters {
			titles[i] = f.Title
		}
		p.Rows = append(p.Rows, []catalogue.Cell{
			{Text: a.Title, Name: a.Type},
			{Text: a.Description},
			{Text: strings.Join(a.Severities, ", ")},
			{Text: strings.Join(titles, ", ")},
		})
	}
	return []catalogue.Panel{p}
}
