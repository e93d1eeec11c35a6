package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
)

// ResourceType is a type of resources as a catalogue file declares it.
type ResourceType struct {
	Type           string        `json:"type" doc:"The name in events: resource.type"`
	Title          string        `json:"title"`
	Actions        []ActionType  `json:"actions"`
	Schema         catalogue.Raw `json:"schema,omitempty" doc:"JSON Schema 2020-12 of before and after"`
	MetadataSchema catalogue.Raw `json:"metadata_schema,omitempty" doc:"JSON Schema 2020-12 of metadata"`
	Personal       []string      `json:"personal,omitempty" doc:"Fields that are committed with a salt of their own, so that they can be erased. A name holds for every member of that name in before, after and metadata, at any depth and in any letter case; a pointer goes through lists"`
	Secret         []string      `json:"secret,omitempty" doc:"Pointers or names, as in personal, whose values never reach the record"`
}

// ActionType is an action on a resource as a catalogue file declares it.
type ActionType struct {
	Type     string `json:"type" doc:"The name in events: action.type"`
	Title    string `json:"title"`
	Sentence string `json:"sentence,omitempty" doc:"How the action is said: {actor} renamed {resource} to {after.name}"`
	Failure  string `json:"failure,omitempty" doc:"How it is said when it failed"`
	View     bool   `json:"view,omitempty" doc:"Nothing is changed, something is looked at: hidden by default"`
}

// PublicResourceType is the part of a resource type that accounts may see.
type PublicResourceType struct {
	Type    string       `json:"type"`
	Title   string       `json:"title"`
	Actions []ActionType `json:"actions"`
}

// Limits of one catalogue file.
const (
	maxResourceTypes = 500    // of a product
	maxActionTypes   = 500    // of a resource type
	maxDeclared      = 10_000 // resource types and actions of a file
	maxDeclaredPaths = 100    // of personal or secret, as written
)

// CatalogueSection declares what a product may write into the record.
func CatalogueSection() catalogue.Section {
	return catalogue.Define(catalogue.Definition[ResourceType, *Declared]{
		Key:       "resources",
		Noun:      "the resource type",
		Max:       maxResourceTypes,
		Kinds:     []string{"resource", "action"},
		Name:      func(r ResourceType) string { return r.Type },
		Decode:    decodeResourceType,
		Check:     checkDeclared,
		Compile:   compileDeclared,
		Diff:      resourceTypeParts,
		Lasting:   func(r ResourceType) []string { return r.Personal },
		Retracted: retractedPersonal,
		Public: func(r ResourceType) any {
			return PublicResourceType{Type: r.Type, Title: r.Title, Actions: r.Actions}
		},
		Count: countDeclared,
		Show:  showResourceTypes,
	})
}

func decodeResourceType(d *catalogue.Decoder, n *catalogue.Node) (r ResourceType, ok bool) {
	m, ok := d.Mapping(n, "a resource",
		"type", "title", "actions", "schema", "metadata_schema", "personal", "secret")
	if !ok {
		return r, false
	}

	r.Type = m.Name("type")
	r.Title = m.Title(r.Type)
	var values, metadata *catalogue.Schema
	r.Schema, values = m.Schema("schema")
	r.MetadataSchema, metadata = m.Schema("metadata_schema")
	r.Personal = m.Texts("personal", maxDeclaredPaths, personalFault)
	r.Secret = m.Texts("secret", maxDeclaredPaths, secretFault)

	actions := m.Member("actions")
	if actions == nil {
		d.Fault(n, "actions is missing: a resource has at least one action")
	} else if actions.EmptyList() {
		d.Fault(actions, "a resource has at least one action")
	}
	rules := sentenceRules{values: values, metadata: metadata, secret: event.ParseFields(r.Secret)}
	seen := catalogue.Seen{}
	for _, item := range m.List("actions", maxActionTypes) {
		if a, ok := decodeActionType(d, item, rules); ok {
			d.Unique(seen, item, "the action", a.Type)
			r.Actions = append(r.Actions, a)
		}
	}
	return r, true
}

func personalFault(entry string) string {
	switch {
	case strings.HasPrefix(entry, "/") && (!record.Committable(entry) || !escapesValid(entry)):
		return catalogue.Quote(entry) + " cannot be personal: only members below /before, /after and /metadata can, and " +
			strings.Join(record.AlsoCommittable(), ", ")
	case !strings.HasPrefix(entry, "/") && strings.Contains(entry, "/"):
		return catalogue.Quote(entry) + " is neither a name nor a pointer (a pointer begins with /)"
	}
	return ""
}

func secretFault(entry string) string {
	switch {
	case strings.HasPrefix(entry, "/") && (!record.Redactable(entry) || !escapesValid(entry)):
		return catalogue.Quote(entry) + " cannot be secret: only members below /before, /after and /metadata can"
	case !strings.HasPrefix(entry, "/") && strings.Contains(entry, "/"):
		return catalogue.Quote(entry) + " is neither a name nor a pointer (a pointer begins with /)"
	}
	return ""
}

// escapesValid reports whether each ~ is ~0 or ~1 (RFC 6901, 3).
func escapesValid(pointer string) bool {
	for i := range len(pointer) {
		if pointer[i] == '~' && (i+1 == len(pointer) || pointer[i+1] != '0' && pointer[i+1] != '1') {
			return false
		}
	}
	return true
}

// decodeActionType reads {type, ...}, or a plain name for an action that needs
// no more.
func decodeActionType(d *catalogue.Decoder, n *catalogue.Node, rules sentenceRules) (a ActionType, ok bool) {
	m, ok := d.NamedMapping(n, "type", "an action", "type", "title", "sentence", "failure", "view")
	if !ok {
		return a, false
	}
	a.Type = m.Name("type")
	a.Title = m.Title(a.Type)
	a.Sentence = rules.decode(d, m, "sentence")
	a.Failure = rules.decode(d, m, "failure")
	a.View = m.Flag("view")
	return a, true
}

// sentenceRules check the placeholders of a resource type's sentences.
type sentenceRules struct {
	values, metadata *catalogue.Schema
	secret           event.Fields
}

func (s sentenceRules) decode(d *catalogue.Decoder, m catalogue.Mapping, key string) string {
	n := m.Member(key)
	if n == nil {
		return ""
	}
	template := m.Text(key, false, maxSentence)
	if template == "" {
		return ""
	}
	parsed, err := ParseSentence(template)
	if err != nil {
		d.Fault(n, "%v", err)
		return ""
	}

	for _, placeholder := range parsed.Placeholders() {
		path := strings.Split(placeholder, ".")
		pointer := ""
		for _, member := range path {
			pointer += "/" + event.EscapeToken(member)
		}
		if !record.Redactable(pointer) {
			continue // {actor}, {resource.type}: not a member of before, after or metadata
		}
		schema := s.values
		if path[0] == "metadata" {
			schema = s.metadata
		}
		// A stored catalogue was checked by the rules of its time, and stays in force.
		if s.secret.Covers(pointer) && !d.Stored {
			d.Fault(n, "{%s} is declared secret: there would be nothing to show", placeholder)
		}
		if schema.Excludes(path[1:]) {
			d.Fault(n, "{%s} names a member that the schema does not have", placeholder)
		}
	}
	return parsed.String()
}

func checkDeclared(types []ResourceType) string {
	n := len(types)
	for _, r := range types {
		n += len(r.Actions)
	}
	if n > maxDeclared {
		return fmt.Sprintf("the file declares %d resources and actions; at most %d are taken", n, maxDeclared)
	}
	return ""
}

func countDeclared(types []ResourceType) string {
	actions := 0
	for _, r := range types {
		actions += len(r.Actions)
	}
	return fmt.Sprintf("resource types %d, actions %d", len(types), actions)
}

// resourceTypeParts are the parts that are compared between two versions.
func resourceTypeParts(product string, r ResourceType) []catalogue.Part {
	name := product + "/" + r.Type
	parts := []catalogue.Part{{
		Kind:    "resource",
		Name:    name,
		Removed: "events of this resource type will be refused",
		Fields: []catalogue.Field{
			catalogue.Value("title", r.Title),
			{Name: "schema", JSON: r.Schema, Breaks: catalogue.SchemaBreaks},
			{Name: "metadata_schema", JSON: r.MetadataSchema, Breaks: catalogue.SchemaBreaks},
			catalogue.Value("personal", r.Personal),
			catalogue.Value("secret", r.Secret),
		},
	}}
	for _, a := range r.Actions {
		parts = append(parts, catalogue.Part{
			Kind:    "action",
			Name:    name + "/" + a.Type,
			Removed: "events with this action will be refused",
			Fields: []catalogue.Field{
				catalogue.Value("title", a.Title),
				catalogue.Value("sentence", a.Sentence),
				catalogue.Value("failure", a.Failure),
				catalogue.Value("view", a.View),
			},
		})
	}
	return parts
}

// retractedPersonal: the record's format adds committed fields and never removes
// one.
func retractedPersonal(product string, r ResourceType, declared []string) (faults []string) {
	now := event.ParseFields(r.Personal)
	for _, entry := range declared {
		// An older version may have written out a name as pointers.
		kept := now.Covers(entry) ||
			slices.ContainsFunc(r.Personal, func(e string) bool { return strings.EqualFold(e, entry) })
		if !kept {
			faults = append(faults, fmt.Sprintf("%s of %s/%s was declared personal once and stays so: the record's format "+
				"adds committed fields and never removes one; put it back under personal", entry, product, r.Type))
		}
	}
	return faults
}

func showResourceTypes(types []ResourceType) (panels []catalogue.Panel) {
	for _, r := range types {
		p := catalogue.Panel{Title: r.Title, Name: r.Type, Columns: []string{"Action", "Sentence"}}
		if r.Schema != nil {
			p.Marks = append(p.Marks, "before and after are checked")
		}
		if r.MetadataSchema != nil {
			p.Marks = append(p.Marks, "metadata is checked")
		}
		for _, a := range r.Actions {
			action := catalogue.Cell{Text: a.Title, Name: a.Type}
			if a.View {
				action.Badge = "view"
			}
			p.Rows = append(p.Rows, []catalogue.Cell{action, {Sentence: true, Text: a.Sentence, Failure: a.Failure}})
		}
		if len(r.Personal) > 0 {
			p.Lists = append(p.Lists, catalogue.Listing{
				Label: "Personal", Names: r.Personal, Tone: "info", Icon: "user", Note: "can be erased",
			})
		}
		if len(r.Secret) > 0 {
			p.Lists = append(p.Lists, catalogue.Listing{
				Label: "Secret", Names: r.Secret, Tone: "warn", Icon: "lock", Note: "never reach the audit log",
			})
		}
		panels = append(panels, p)
	}
	return panels
}
