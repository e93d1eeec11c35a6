package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/record"
)

// A template of a catalogue may ask an event for what it does not have, or has no
// more: the sentence is then another one, and never one with a hole.
func TestNoSentenceOfACatalogueHasAHole(t *testing.T) {
	template := regexp.MustCompile(`(?:sentence|failure): ("(?:[^"\\]|\\.)*")`)
	place := regexp.MustCompile(`\{[^}]*\}`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "faults") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".yaml" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range template.FindAllSubmatch(text, -1) {
			sentence, err := strconv.Unquote(string(m[1]))
			if err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
				continue
			}
			found++
			// The words of the template's own may ask something.
			own := strings.Contains(place.ReplaceAllString(sentence, ""), "?")
			for name, e := range poorEvents() {
				r := record.Record{Event: e}
				if got := r.Sentence(sentence); got == "" || strings.Contains(got, "?") && !own || strings.Contains(got, "{") ||
					strings.Contains(got, "  ") {
					t.Errorf("%s: %q of an event %s: %q", path, sentence, name, got)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 60 {
		t.Errorf("only %d sentences found", found)
	}
}

// poorEvents lack what templates ask for, in every way.
func poorEvents() map[string]record.Event {
	bare := record.Event{
		Action:   record.Action{Type: "update"},
		Actor:    record.Actor{Type: "user", ID: "u-1"},
		Resource: record.Resource{Product: "p", Type: "t", ID: "r-1"},
	}
	with := func(change func(*record.Event)) record.Event {
		e := bare
		change(&e)
		return e
	}
	return map[string]record.Event{
		"with nothing more": bare,
		"without names": with(func(e *record.Event) {
			e.Actor = record.Actor{Type: "user"}
			e.Resource = record.Resource{Product: "p", Type: "t"}
		}),
		"with other members": with(func(e *record.Event) {
			e.Before = jsontext.Value(`{"x":1}`)
			e.After = jsontext.Value(`{"x":2}`)
			e.Metadata = jsontext.Value(`{}`)
		}),
		"with values that are no objects": with(func(e *record.Event) {
			e.Before = jsontext.Value(`null`)
			e.After = jsontext.Value(`"text"`)
		}),
		"with only one side": with(func(e *record.Event) { e.After = jsontext.Value(`{"role":"admin","value":1}`) }),
		"that failed":        with(func(e *record.Event) { e.Action.Result = "failure" }),
	}
}
