package ui

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

// Picker is the data of the component "picker": a field for one or several
// objects that are chosen by typing (the ARIA combobox pattern).
//
// With Source, GET Source?kind=Kind&q=TEXT answers the suggestions as JSON:
//
//	{"groups":[{"kind":"zone","label":"Properties","items":[
//	  {"id":"...","title":"shop.example","detail":"production","icon":"globe","count":12}]}]}
//
// Without it, Options are all there is, filtered in the page.
//
// The form sends Name once for each value. Without scripts it sends one field
// with a value a line; [page.Visit.Values] reads both, and [page.Visit.Choices]
// gives the values back with their labels for a form that is shown again.
type Picker struct {
	Name, Label, Hint, Error string
	Placeholder              string
	Kind, Source             string // kinds of object, separated by commas, and a path
	Use                      string // the part of a suggestion that is the value: "id" (default), "title" or "detail"
	Options                  []Choice
	Selected                 []Choice
	Multiple                 bool
	AllowOther               bool // text that is no suggestion is a value too
	Required                 bool

	// Mode is the name of a field that says whether the values include or exclude
	// ("is", "is not"); "" = no such choice.
	Mode    string
	Exclude bool // the mode that is shown
}

// Choice is a value that can be or is chosen.
type Choice struct {
	Value  string `json:"value"`
	Label  string `json:"label,omitempty"` // default Value
	Detail string `json:"detail,omitempty"`
	Icon   string `json:"icon,omitempty"`
	Tone   Tone   `json:"tone,omitempty"`
	Count  int    `json:"count,omitempty"`
}

// Words is the label, or the value of a choice without one.
func (c Choice) Words() string {
	if c.Label != "" {
		return c.Label
	}
	return c.Value
}

// JSON is the choice as a form sends it back, so that its label is not lost.
func (c Choice) JSON() string {
	text, err := json.Marshal(c)
	if err != nil {
		return "" // unreachable: the fields are strings and a number
	}
	return string(text)
}

// Lines are the selected values, one a line.
func (p Picker) Lines() string {
	values := make([]string, len(p.Selected))
	for i, c := range p.Selected {
		values[i] = c.Value
	}
	return strings.Join(values, "\n")
}

// Has reports whether a value is selected.
func (p Picker) Has(value string) bool {
	for _, c := range p.Selected {
		if c.Value == value {
			return true
		}
	}
	return false
}

// choicesJSON are the options as the script reads them; see chartJSON.
func choicesJSON(list []Choice) (template.HTML, error) {
	if list == nil {
		return "", nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("picker: %w", err)
	}
	//nolint:gosec // escaped by encoding/json
	return template.HTML(`<script type="application/json">` + string(text) + `</script>`), nil
}
