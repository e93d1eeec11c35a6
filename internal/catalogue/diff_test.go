package catalogue_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/test/sections"
)

// Each folder of testdata/diff has old.yaml, new.yaml and what is said of them.
func TestADiffSaysWhatChangesAndWhatBreaks(t *testing.T) {
	folders, err := filepath.Glob("testdata/diff/*")
	if err != nil || len(folders) == 0 {
		t.Fatal("no folders", err)
	}
	for _, folder := range folders {
		name := filepath.Join("diff", filepath.Base(folder))
		t.Run(filepath.Base(folder), func(t *testing.T) {
			old := parse(t, string(read(t, filepath.Join(name, "old.yaml"))))
			now := parse(t, string(read(t, filepath.Join(name, "new.yaml"))))
			var b strings.Builder
			if err := catalogue.WriteDiff(&b, sections.All().Diff(old.Catalogue, now.Catalogue)); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(name, "golden.txt"), b.String())
		})
	}
}

func TestAWidenedSchemaBreaksNothing(t *testing.T) {
	file := func(schema string) catalogue.Catalogue {
		text := "version: 1\nproducts: [{product: p, resources: [{type: r, actions: [a], schema: " + schema + "}]}]\n"
		return parse(t, text).Catalogue
	}
	closed := `{type: object, additionalProperties: false, required: [a], properties: {a: {type: string}}}`
	for name, one := range map[string]struct {
		old, now string
		breaking bool
	}{
		"a note": {closed,
			`{title: T, type: object, additionalProperties: false, required: [a],
				properties: {a: {type: string, description: x}}}`, false},
		"optional in a closed one": {closed,
			`{type: object, additionalProperties: false, required: [a],
				properties: {a: {type: string}, b: {type: string}}}`, false},
		"required more": {closed,
			`{type: object, additionalProperties: false, required: [a, b],
				properties: {a: {type: string}, b: {type: string}}}`, true},
		"required less": {closed,
			`{type: object, additionalProperties: false, properties: {a: {type: string}}}`, false},
		"opened":                   {closed, `{type: object, required: [a], properties: {a: {type: string}}}`, false},
		"closed":                   {`{type: object}`, `{type: object, additionalProperties: false}`, true},
		"described in an open one": {`{type: object}`, `{type: object, properties: {a: {type: string}}}`, true},
		"dropped in a closed one": {closed, `{type: object, additionalProperties: false, required: [a], properties: {}}`,
			true},
		"another type": {closed,
			`{type: object, additionalProperties: false, required: [a], properties: {a: {type: integer}}}`, true},
		"a property that takes all": {closed,
			`{type: object, additionalProperties: false, required: [a], properties: {a: true}}`, false},
		"a pattern covered it before": {`{additionalProperties: false, patternProperties: {"^b": {}}}`,
			`{additionalProperties: false, patternProperties: {"^b": {}}, properties: {b: {type: string}}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			changes := sections.All().Diff(file(one.old), file(one.now))
			if len(changes) != 1 || changes[0].Breaking != one.breaking {
				t.Errorf("%+v", changes)
			}
		})
	}
}
