package audit

import (
	"errors"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// depth counts nesting without decoding, so that a hostile body costs no stack.
func depth(data []byte) int {
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

// decodeError turns a fault of the JSON reader into one that names the field.
func decodeError(err error) *errs.Error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		p := string(sem.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			return errs.At(errs.CodeUnknownField, p, "%s is not a field of an event; open data belongs under metadata", fieldName(p))
		}
		want := "another type"
		if sem.GoType != nil {
			want = jsonType(sem.GoType)
		}
		return errs.At(errs.CodeWrongType, p, "%s must be %s, not %s", fieldName(p), want, kindName(sem.JSONKind))
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		p := string(syn.JSONPointer)
		what := syn.Err
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return errs.At(errs.CodeInvalidJSON, p, "%s stands twice in its object", fieldName(p))
		}
		return errs.At(errs.CodeInvalidJSON, p, "not valid JSON at byte %d: %v", syn.ByteOffset, what)
	}
	return errs.New(errs.CodeInvalidJSON, "not valid JSON: the value is not whole")
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a JSON value"
		}
		return "an array"
	default:
		return "an object"
	}
}

func kindName(k jsontext.Kind) string {
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

// fieldName writes a pointer as people write a field: /actor/id is actor.id.
func fieldName(pointer string) string {
	if pointer == "" {
		return "the event"
	}
	return strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
}
