package web

import (
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Member is a member of a JSON object, for [API.DocumentMember].
type Member struct {
	Name     string
	Type     reflect.Type
	Required bool
}

// DocumentMember adds a member to the schema of a type whose JSON has more
// members than its fields. of is a value of the type.
func (a *API) DocumentMember(of any, m Member) {
	registry := a.huma.OpenAPI().Components.Schemas
	s := a.schemaOf(of)
	s.Properties[m.Name] = registry.Schema(m.Type, true, m.Name)
	if m.Required {
		s.Required = append(s.Required, m.Name)
	}
}

// DocumentValues adds the values of a member that is text.
func (a *API) DocumentValues(of any, name string, values []string) {
	p := a.schemaOf(of).Properties[name]
	if p == nil {
		panic(fmt.Sprintf("web: %T has no member %s", of, name))
	}
	p.Enum = nil
	for _, v := range values {
		p.Enum = append(p.Enum, v)
	}
}

// schemaOf is the schema of a struct type in the document.
func (a *API) schemaOf(of any) *huma.Schema {
	registry := a.huma.OpenAPI().Components.Schemas
	s := registry.Schema(reflect.TypeOf(of), true, "")
	if s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	if s == nil || s.Properties == nil {
		panic(fmt.Sprintf("web: %T is not documented as an object", of))
	}
	return s
}
