package catalogue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

const (
	dialect       = "https://json-schema.org/draft/2020-12/schema"
	maxSchema     = 64 << 10 // bytes of JSON
	maxMismatches = 10       // reported for one value
	maxDigits     = 64       // of a number that is compared with a schema
	maxExponent   = 400      // of such a number: 1e1000000 would cost seconds
)

// Schema is a compiled JSON Schema (2020-12). A nil one takes everything.
type Schema struct {
	compiled *jsonschema.Schema
	document any // as encoding/json decodes it
}

// noLoader keeps a schema from loading files and URLs.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema refers only to its own parts (#/$defs/...)")
}

// CompileSchema reads a JSON Schema; format is checked as well as annotated.
// Its error is for the author.
func CompileSchema(data []byte) (*Schema, error) {
	if len(data) > maxSchema {
		return nil, fmt.Errorf("the schema has %d bytes; at most %d are taken", len(data), maxSchema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if fault := countable(doc); fault != "" {
		return nil, errors.New(fault)
	}
	if m, ok := doc.(map[string]any); ok {
		if d, has := m["$schema"]; has && d != dialect && d != dialect+"#" {
			return nil, fmt.Errorf("$schema must be %s, or left out", dialect)
		}
	} else if _, ok := doc.(bool); !ok {
		return nil, errors.New("a schema is a mapping")
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(compilePattern)
	c.AssertFormat()
	const url = "belfry:schema"
	if err := c.AddResource(url, doc); err != nil {
		return nil, plain(err, url)
	}
	s, err := c.Compile(url)
	if err != nil {
		return nil, plain(err, url)
	}
	if err := affordable(s); err != nil {
		return nil, err
	}
	return &Schema{compiled: s, document: doc}, nil
}

// plain shortens the library's error to what an author can use.
func plain(err error, url string) error {
	var wrong *jsonschema.SchemaValidationError
	if errors.As(err, &wrong) {
		var v *jsonschema.ValidationError
		if errors.As(wrong.Err, &v) {
			var found errs.List
			mismatches(v, "", &found)
			if len(found) > 0 {
				return fmt.Errorf("not a JSON Schema: %s", found[0].Message)
			}
		}
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return fmt.Errorf("$ref to %s: %w", Quote(load.URL), load.Err)
	}
	message := strings.ReplaceAll(err.Error(), url+"#", "#")
	return errors.New(strings.ReplaceAll(message, url, "the schema"))
}

// Check compares a JSON value with the schema; the mismatches' pointers begin
// with root. Messages repeat what the schema says, never what the value holds:
// they go to logs and error pages. A comparison that would take more steps than
// the limit is a fault, and so is one that afford refuses (nil = any number).
func (s *Schema) Check(root string, value []byte, limit int, afford func(steps int) bool) errs.List {
	if s == nil || len(value) == 0 {
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return errs.List{errs.At(errs.CodeInvalidJSON, root, "%s is not one valid JSON value", root[1:])}
	}
	if fault := countable(doc); fault != "" {
		return errs.List{errs.At(errs.CodeSchemaMismatch, root, "%s: %s", root[1:], fault)}
	}
	steps, ok := countSteps(s.compiled, doc, limit)
	if !ok {
		return errs.List{errs.At(errs.CodeSchemaMismatch, root,
			"%s cannot be compared with its schema: it would take more than %d steps; "+
				"send fewer values, or declare fewer alternatives", root[1:], limit)}
	}
	if afford != nil && !afford(steps) {
		return errs.List{errs.At(errs.CodeSchemaMismatch, root,
			"%s was not compared with its schema: it needs %d steps, and the batch has used up what it may; "+
				"send it in a smaller batch", root[1:], steps)}
	}
	var found errs.List
	var wrong *jsonschema.ValidationError
	if err := s.compiled.Validate(doc); errors.As(err, &wrong) {
		mismatches(wrong, root, &found)
	} else if err != nil {
		found = errs.List{errs.At(errs.CodeSchemaMismatch, root, "%s does not fit its schema", root[1:])}
	}
	return found
}

// countable returns why a number in v would take too long to compare exactly, or
// "".
func countable(v any) string {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		n, err := strconv.Atoi(cmp.Or(exponent, "0"))
		if len(v) > maxDigits || err != nil || n > maxExponent || n < -maxExponent {
			return fmt.Sprintf("a number has more than %d digits or an exponent beyond %d", maxDigits, maxExponent)
		}
	case []any:
		for _, item := range v {
			if fault := countable(item); fault != "" {
				return fault
			}
		}
	case map[string]any:
		for _, item := range v {
			if fault := countable(item); fault != "" {
				return fault
			}
		}
	}
	return ""
}

// mismatches gathers the leaves of a validation error. Alternatives (anyOf,
// oneOf) are one mismatch: their leaves would contradict each other.
func mismatches(e *jsonschema.ValidationError, root string, found *errs.List) {
	_, anyOf := e.ErrorKind.(*kind.AnyOf)
	_, oneOf := e.ErrorKind.(*kind.OneOf)
	if len(e.Causes) > 0 && !anyOf && !oneOf {
		for _, cause := range e.Causes {
			mismatches(cause, root, found)
		}
		return
	}
	if len(*found) >= maxMismatches {
		return
	}
	at := root
	for _, t := range e.InstanceLocation {
		at += "/" + event.EscapeToken(t)
	}
	*found = append(*found, errs.At(errs.CodeSchemaMismatch, at, "%s", dotted(at)+explain(e.ErrorKind)))
}

func dotted(pointer string) string {
	if pointer == "" {
		return "the schema "
	}
	return strings.ReplaceAll(pointer[1:], "/", ".") + " "
}

// explain puts a rule into words.
func explain(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be of type %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.DependentRequired:
		return fmt.Sprintf("lacks %s, which %s requires", strings.Join(k.Missing, ", "), k.Prop)
	case *kind.AdditionalProperties:
		return "has members that the schema does not know: " + cut(strings.Join(k.Properties, ", "))
	case *kind.PropertyNames:
		return "has a member with a name that the schema does not take"
	case *kind.Enum:
		return "must be one of " + words(k.Want)
	case *kind.Const:
		return "must be " + words([]any{k.Want})
	case *kind.Pattern:
		return "must match the pattern " + cut(k.Want)
	case *kind.Format:
		return "must have the format " + k.Want
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members", k.Want)
	case *kind.UniqueItems:
		return "must not have two equal items"
	case *kind.Minimum:
		return "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + decimal(k.Want)
	case *kind.AnyOf, *kind.OneOf:
		return "fits none (or more than one) of the schema's alternatives"
	case *kind.FalseSchema:
		return "is not taken by the schema"
	default:
		return "does not fit the schema's rule " + strings.Join(k.KeywordPath(), ".")
	}
}

func decimal(r *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(r.FloatString(6), "0"), ".")
}

func words(values []any) string {
	texts := make([]string, 0, len(values))
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return "the schema's values"
		}
		texts = append(texts, string(b))
	}
	return cut(strings.Join(texts, ", "))
}

func cut(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return s
}

// Excludes reports whether the schema surely takes no member at the path: an
// object on the way is closed (additionalProperties: false) and lacks it.
func (s *Schema) Excludes(path []string) bool {
	if s == nil {
		return false
	}
	doc := s.document
	for _, name := range path {
		m, _ := doc.(map[string]any)
		properties, _ := m["properties"].(map[string]any)
		sub, ok := properties[name]
		if !ok {
			_, patterns := m["patternProperties"]
			return m["additionalProperties"] == false && !patterns
		}
		doc = sub
	}
	return false
}
