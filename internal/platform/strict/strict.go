// Package strict describes the faults of untrusted JSON: which field is wrong
// and what was expected there. It complements encoding/json v2, whose decoders
// refuse duplicate names and invalid UTF-8 by themselves.
package strict

import (
	"errors"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Depth returns the nesting of a JSON text. It does not decode, so a hostile
// body costs no stack.
func Depth(data []byte) int {
	var deepest, now int
	inString := false

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

// Subject names the kind of value in error messages:
// {"an event", "; open data belongs under metadata"}.
type Subject struct {
	Name string // with its article
	Hint string // ends the sentence about an unknown field
}

// Noun is the name without its article: "event".
func (s Subject) Noun() string {
	_, noun, _ := strings.Cut(s.Name, " ")
	return noun
}

// Limits of untrusted text that an error message repeats, in bytes.
const (
	maxPointer = 256
	maxField   = 128
)

// Fault turns an error of the JSON decoder into one that names the field.
func (s Subject) Fault(err error) *errs.Error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		p := string(sem.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			return errs.At(errs.CodeUnknownField, Clip(p, maxPointer), "%s is not a field of %s%s", s.Field(p), s.Name, s.Hint)
		}
		want := "another type"
		if sem.GoType != nil {
			want = jsonType(sem.GoType)
		}
		if got := Kind(sem.JSONKind); got != "a string" || want != aTime {
			want += ", not " + got
		}
		return errs.At(errs.CodeWrongType, Clip(p, maxPointer), "%s must be %s", s.Field(p), want)
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		p := string(syn.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return errs.At(errs.CodeInvalidJSON, Clip(p, maxPointer), "%s appears twice in its object", s.Field(p))
		}
		return errs.At(errs.CodeInvalidJSON, Clip(p, maxPointer), "not valid JSON at byte %d: %v", syn.ByteOffset, syn.Err)
	}
	return errs.New(errs.CodeInvalidJSON, "not valid JSON: the value is incomplete")
}

// Field writes a JSON pointer as a field's path: /actor/id is actor.id. The
// empty pointer is the whole value: "the event".
func (s Subject) Field(pointer string) string {
	if pointer == "" {
		return "the " + s.Noun()
	}
	return Clip(strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", "."), maxField)
}

// aTime is the form of a time in JSON.
const aTime = "a time as in RFC 3339, such as 2006-01-02T15:04:05Z"

func jsonType(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return aTime
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
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

// Kind names a kind of JSON value with its article.
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

// Clip shortens untrusted text to at most so many bytes of valid UTF-8 before a
// message repeats it; a longer text ends in three dots.
func Clip(s string, most int) string {
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return strings.ToValidUTF8(s[:most], "\uFFFD") + "..."
}
