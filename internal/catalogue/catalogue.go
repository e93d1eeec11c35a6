// Package catalogue reads the files in which product teams declare their
// products: strict YAML or JSON, checked offline, compared with the version in
// force and compiled for ingestion.
//
//	belfry.yaml -> Sections.Parse -> File -> Sections.Diff    (what changes, what breaks)
//	                                      -> Sections.Compile -> Product -> Compiled
//
// A product has a head (name, title, description, category) and sections, such
// as resources or alert_types. A section belongs to the feature that uses it:
// the feature defines it with [Define], the app puts it into its table of
// [Sections]. This package knows the file's syntax, JSON Schema and how two
// versions are compared, and no section.
package catalogue

import (
	"bytes"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/event"
)

// Catalogue is the content of one team's file. Titles that the file leaves out
// are made from the names.
type Catalogue struct {
	Version  int           `json:"version" doc:"Of the file's format: 1"`
	Products []Declaration `json:"products"`
}

// Declaration is one product as its file declares it. Its JSON has a member for
// each section that has entries.
type Declaration struct {
	Product     string `json:"product" doc:"The name in events: resource.product"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Category    string `json:"category,omitempty" doc:"product_category of the compatible API; the product's title when left out"`

	lists []declaredList
}

// declaredList is the declared entries of a section.
type declaredList struct {
	key     string
	entries any // a slice of the section's declared type, never empty
}

// Entries are the declared entries of the section with the declared type D.
func Entries[D any](p Declaration) []D {
	for _, l := range p.lists {
		if entries, ok := l.entries.([]D); ok {
			return entries
		}
	}
	return nil
}

// MarshalJSON writes the head and the sections.
func (p Declaration) MarshalJSON() ([]byte, error) {
	type head Declaration
	members := make([]Member, len(p.lists))
	for i, l := range p.lists {
		members[i] = Member{l.key, l.entries}
	}
	return AppendMembers(head(p), members)
}

// Member is a member of a JSON object.
type Member struct {
	Name  string
	Value any
}

// AppendMembers encodes an object, which has at least one member, and appends
// further members to it.
func AppendMembers(object any, members []Member) ([]byte, error) {
	b, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(b[:len(b)-1])
	for _, m := range members {
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		out.WriteByte(',')
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Raw is a JSON value as the file has it, in compact form.
type Raw = json.RawMessage

// Limits of one file.
const (
	MaxFile     = 1 << 20 // bytes
	MaxName     = 128     // bytes, as in events
	MaxTitle    = 200     // characters
	MaxText     = 2000
	maxProducts = 100
	maxSchemas  = 1_000
	maxFaults   = 50
)

// Reserved is the product of Belfry's own changes.
const Reserved = event.Product
