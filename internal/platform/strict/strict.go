// Package strict says what is wrong with JSON that strangers wrote, by the
// field and what was expected there. It goes with encoding/json v2, whose
// decoders refuse double names and invalid UTF-8 by themselves.
package strict

import (
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Depth counts nesting without decoding, so that a hostile body costs no stack.
func Depth(data []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// Thing is what the JSON is about, for sentences: {"an event", "; open data
// belongs under metadata"}.
type Thing struct {
	Name string // with its article
	Hint string // ends the sentence about an unknown field
}

// Longest parts of what a stranger wrote that are repeated to them.
const (
	maxPointer = 256
	maxField   = 128
)

// Fault turns an error of the JSON reader into one that names the field.
func (t Thing) Fault(err error) *errs.Error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		p := string(sem.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			return errs.At(errs.CodeUnknownField, Clip(p, maxPointer), "%s is not a field of %s%s", t.Field(p), t.Name, t.Hint)
		}
		want := "another type"
		if sem.GoType != nil {
			want = jsonType(sem.GoType)
		}
		return errs.At(errs.CodeWrongType, Clip(p, maxPointer), "%s must be %s, not %s", t.Field(p), want, Kind(sem.JSONKind))
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		p := string(syn.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return errs.At(errs.CodeInvalidJSON, Clip(p, maxPointer), "%s stands twice in its object", t.Field(p))
		}
		return errs.At(errs.CodeInvalidJSON, Clip(p, maxPointer), "not valid JSON at byte %d: %v", syn.ByteOffset, syn.Err)
	}
	return errs.New(errs.CodeInvalidJSON, "not valid JSON: the value is not whole")
}

// Field writes a pointer as people write a field: /actor/id is actor.id. The
// whole value is the thing: "an event" is "the event".
func (t Thing) Field(pointer string) string {
	if pointer == "" {
		_, noun, _ := strings.Cut(t.Name, " ")
		return "the " + noun
	}
	return Clip(strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", "."), maxField)
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a JSON value"
		}
		return "an array"
	default:
		return "an object"
	}
}

// Kind is a kind of JSON value with its article.
func Kind(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "this value"
	}
}

// Clip shortens what a stranger wrote to at most so many bytes of valid UTF-8
// before it is repeated; three dots say that it was longer.
func Clip(s string, most int) string {
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return strings.ToValidUTF8(s[:most], "\uFFFD") + "..."
}
