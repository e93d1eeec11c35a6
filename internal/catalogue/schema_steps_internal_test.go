package catalogue

import (
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

const maxSteps = 100_000

func schemaOf(t *testing.T, text string) *Schema {
	t.Helper()
	s, err := CompileSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// branching is a schema that a catalogue may declare, and whose items cost 8,191
// steps each: alternatives of alternatives.
func branching() string {
	const levels = 12
	defs := `"a0":{"type":"integer"}`
	for i := 1; i <= levels; i++ {
		defs += fmt.Sprintf(`,"a%d":{"anyOf":[{"$ref":"#/$defs/a%d"},{"allOf":[{"$ref":"#/$defs/a%d"}]}]}`, i, i-1, i-1)
	}
	return `{"type":"object","properties":{"l":{"type":"array","items":{"$ref":"#/$defs/a10"}}},"$defs":{` + defs + `}}`
}

func documentWithList(n int) string {
	return `{"l":[` + strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") + `]}`
}

// What cannot be compared at a fair price is refused before the comparison begins.
func TestAnEventThatWouldHoldAProcessorIsRefusedByCount(t *testing.T) {
	s := schemaOf(t, branching())
	one := stepsOf(t, s, documentWithList(1))
	if one < 2_000 || one > maxSteps/2 {
		t.Fatalf("an item takes %d steps: the test's schema is not what it was", one)
	}
	if got, want := stepsOf(t, s, documentWithList(3))-one, 2*(one-2); got != want {
		t.Errorf("two more items take %d steps, want %d", got, want)
	}
	const many = 5_000
	n, ok := countSteps(s.compiled, decoded(t, documentWithList(many)), maxSteps)
	if ok || n <= maxSteps || n > maxSteps+one {
		t.Errorf("counted %d steps, and went on: %v", n, ok)
	}
	faults := s.Check("/after", []byte(documentWithList(many)), maxSteps, nil)
	if len(faults) != 1 || faults[0].Code != errs.CodeSchemaMismatch || faults[0].Pointer != "/after" ||
		!strings.Contains(faults[0].Message, "100000 steps") {
		t.Errorf("%v", faults)
	}
	if faults := s.Check("/after", []byte(`{"l":[1,2,3]}`), maxSteps, nil); len(faults) > 0 {
		t.Errorf("%v", faults)
	}
	if faults := s.Check("/data", []byte(documentWithList(20)), 20_000, nil); len(faults) != 1 ||
		!strings.Contains(faults[0].Message, "20000 steps") {
		t.Errorf("a lower limit: %v", faults)
	}
	asked := 0
	faults = s.Check("/after", []byte(documentWithList(1)), maxSteps, func(n int) bool { asked = n; return false })
	if asked != one || len(faults) != 1 || !strings.Contains(faults[0].Message, "smaller batch") {
		t.Errorf("asked for %d steps: %v", asked, faults)
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func stepsOf(t *testing.T, s *Schema, value string) int {
	t.Helper()
	n, ok := countSteps(s.compiled, decoded(t, value), maxSteps)
	if !ok {
		t.Fatalf("%.80s takes more than %d steps", value, maxSteps)
	}
	return n
}

func TestStepsAreCountedForEveryWayOfSchemas(t *testing.T) {
	long := strings.Repeat("x", 6_400)
	for _, c := range []struct {
		schema, value string
		want          int
	}{
		{`true`, `{"a":1}`, 1},
		{`{"properties":{"a":{},"b":{}}}`, `{"a":1,"c":2}`, 2},
		{`{"additionalProperties":{"type":"string"}}`, `{"a":1,"c":2}`, 3},
		{`{"patternProperties":{"^a":{}}}`, `{"a":1,"c":2}`, 4},
		{`{"propertyNames":{"maxLength":9}}`, `{"a":1,"c":2}`, 3},
		{`{"items":{"items":{}}}`, `[[1,2],[3]]`, 6},
		{`{"prefixItems":[{}],"items":{}}`, `[1,2]`, 3},
		{`{"contains":{}}`, `[1,2]`, 3},
		{`{"uniqueItems":true}`, `[1,[2,3]]`, 6},
		{`{"allOf":[{},{}],"anyOf":[{}],"oneOf":[{}],"not":{"type":"null"},"if":{},"then":{},"else":{}}`, `1`, 9},
		{`{"$ref":"#/$defs/x","$defs":{"x":{"enum":[1,2,3]}}}`, `1`, 5},
		{`{"required":["a","b"]}`, `{}`, 3},
		{`{"unevaluatedProperties":{},"allOf":[{"properties":{"a":{}}}]}`, `{"a":1,"b":2}`, 9},
		{`{"pattern":"x"}`, `"` + long + `"`, 301},
	} {
		if got := stepsOf(t, schemaOf(t, c.schema), c.value); got != c.want {
			t.Errorf("%s of %.40s: %d steps, want %d", c.schema, c.value, got, c.want)
		}
	}
}
