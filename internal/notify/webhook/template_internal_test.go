package webhook

import (
	"encoding/json"
	"strings"
	"testing"
)

var sampleFields = map[string]any{
	"text":     "a \"b\" \\ <c> \x00 \u2028 é",
	"empty":    "",
	"number":   json.Number("1.0"),
	"object":   map[string]any{"key": "value", "list": []any{json.Number("1"), json.Number("2")}},
	"changes":  []any{map[string]any{"who": "Ana"}, map[string]any{"who": "Bo\"b"}},
	"severity": "critical",
}

func TestATemplateWritesValues(t *testing.T) {
	for source, want := range map[string]string{
		`{"a": "{{severity}}"}`:                                `{"a": "critical"}`,
		`{"a": {{severity}}}`:                                  `{"a": "critical"}`,
		`{"a": {{number}}, "b": "{{number}}"}`:                 `{"a": 1.0, "b": "1.0"}`,
		`{"a": {{ object.key }}}`:                              `{"a": "value"}`,
		`{"a": "{{object.list.1}}{{object.list.2}}"}`:          `{"a": "2"}`,
		`{"a": {{nothing}}, "b": "{{nothing.at.all}}"}`:        `{"a": null, "b": ""}`,
		`[{{#changes}}"{{who}} {{severity}}"{{/changes}}]`:     `["Ana critical","Bo\"b critical"]`,
		`"{{#changes}}{{who}};{{/changes}}"`:                   `"Ana;Bo\"b;"`,
		`{{^empty}}"none"{{/empty}}`:                           `"none"`,
		`[{{#empty}}1{{/empty}}{{#object}}{{key}}{{/object}}]`: `["value"]`,
		`"\"{{severity}}\\"`:                                   `"\"critical\\"`,
	} {
		parsed, err := parseTemplate(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := parsed.render(sampleFields); err != nil || string(got) != want {
			t.Errorf("%s: %s %v, want %s", source, got, err, want)
		}
	}
}

// TestTheCostOfATemplateIsBounded has lists of lists of lists.
func TestTheCostOfATemplateIsBounded(t *testing.T) {
	long := make([]any, 1000)
	for i := range long {
		long[i] = map[string]any{}
	}
	for _, source := range []string{
		`[` + strings.Repeat(`{{#list}}`, mostDepth) + `1` + strings.Repeat(`{{/list}}`, mostDepth) + `]`,
		`"` + strings.Repeat(`{{text}}`, 1000) + `"`,
	} {
		parsed, err := parseTemplate(source)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parsed.render(map[string]any{"list": long, "text": strings.Repeat("x", 10_000)})
		if err == nil || !strings.Contains(err.Error(), "writes more than") {
			t.Errorf("%v", err)
		}
	}
	if _, err := parseTemplate(strings.Repeat("x", mostTemplate+1)); err == nil {
		t.Error("a long template is accepted")
	}
}

// FuzzTemplates looks for a template that does not end, or a body that is no JSON.
func FuzzTemplates(f *testing.F) {
	for _, s := range []string{
		`{"a": "{{text}}"}`, `[{{#changes}}{{who}}{{/changes}}]`, `{{^empty}}1{{/empty}}`, `"\{{text}}"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		parsed, err := parseTemplate(source)
		if err != nil {
			return
		}
		if body, err := parsed.render(sampleFields); err == nil && !json.Valid(body) {
			t.Errorf("%q writes %q", source, body)
		}
	})
}
