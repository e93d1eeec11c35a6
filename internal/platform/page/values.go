package page

import (
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// maxChoice is the most bytes that a field with the label of a choice may have.
const maxChoice = 4096

// Values are the values of a field that takes several: a [ui.Picker] sends one
// field for each, and a text area one a line. They are without surrounding
// spaces, empty ones and repetitions, and each is cut to at most limit bytes.
func (v *Visit) Values(name string, limit int) []string {
	var values []string
	seen := map[string]bool{}
	for _, field := range v.Fields(name) {
		for line := range strings.Lines(field) {
			value := strings.TrimSpace(Cut(strings.TrimSpace(line), limit))
			if value != "" && !seen[value] {
				seen[value] = true
				values = append(values, value)
			}
		}
	}
	return values
}

// Choices are [Visit.Values] with the labels that the picker had shown, for a form
// that is shown again. The labels come from the browser: they are only good to
// be shown to the person who sent them.
func (v *Visit) Choices(name string, limit int) []ui.Choice {
	labels := map[string]ui.Choice{}
	for _, field := range v.Fields(name + ".chosen") {
		var choice ui.Choice
		if len(field) <= maxChoice && json.Unmarshal([]byte(field), &choice) == nil {
			labels[choice.Value] = choice
		}
	}
	var choices []ui.Choice
	for _, value := range v.Values(name, limit) {
		choice, known := labels[value]
		if !known {
			choice = ui.Choice{Value: value}
		}
		choices = append(choices, choice)
	}
	return choices
}

// Excludes reports whether the mode of a [ui.Picker] was set to "is not".
func (v *Visit) Excludes(mode string) bool { return v.Field(mode, 8) == "not" }
