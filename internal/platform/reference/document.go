package reference

import (
	"encoding/json"
	"fmt"
	"strings"
)

// document is the part of an OpenAPI 3.1 document that the pages show.
type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]*schema }
}

// operation is one operation of the document.
type operation struct {
	OperationID, Summary, Description string

	Tags        []string
	Parameters  []parameter
	RequestBody struct{ Content map[string]media }
	Responses   map[string]struct{ Content map[string]media }
	Scope       string `json:"x-scope"`
	Permission  string `json:"x-permission"`
}

type parameter struct {
	Name, In, Description string

	Required bool
	Schema   *schema
}

type media struct{ Schema *schema }

// schema is a JSON Schema, as far as the API uses it.
type schema struct {
	Ref         string   `json:"$ref"`
	Type        typeName `json:"type"`
	Format      string
	Description string
	Enum        []any
	Default     any
	Pattern     string

	Minimum, Maximum     *float64
	MinLength, MaxLength *int
	MinItems, MaxItems   *int
	Properties           map[string]*schema
	Required             []string
	Items                *schema
	OneOf                []*schema
	AdditionalProperties *additional
}

// typeName is the member "type": a word, or a list of words with "null".
type typeName struct {
	Word string
	Null bool
}

// UnmarshalJSON takes both forms.
func (t *typeName) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &t.Word)
	}
	var words []string
	if err := json.Unmarshal(b, &words); err != nil {
		return err
	}
	for _, w := range words {
		if w == "null" {
			t.Null = true
		} else {
			t.Word = w
		}
	}
	return nil
}

// additional is the member "additionalProperties": a schema or a boolean.
type additional struct{ Schema *schema }

// UnmarshalJSON takes both forms.
func (a *additional) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, &a.Schema)
}

func parseDocument(text []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("reference: the OpenAPI document: %w", err)
	}
	return d, nil
}

// deref follows a reference and returns the name of the type; nil stays nil.
func (d *document) deref(s *schema) (*schema, string) {
	name := ""
	for s != nil && s.Ref != "" {
		name = s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		s = d.Components.Schemas[name]
	}
	return s, name
}
