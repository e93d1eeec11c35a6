package belfry

import (
	"strings"
	"time"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
	"github.com/belfryhq/belfry/sdk/go/internal/rules"
)

const (
	codeInvalid     = rules.CodeInvalid
	codeInvalidJSON = rules.CodeInvalidJSON
)

// FieldError is one fault of an event or a request, as the API reports it.
type FieldError struct {
	Code    int    `json:"code"` // the installation explains it under /docs/errors/CODE
	Message string `json:"message"`
	Source  Source `json:"source,omitzero"`
}

// Source is the place of a fault.
type Source struct {
	Pointer string `json:"pointer,omitempty"` // RFC 6901, such as /actor/id; empty: the whole
}

func (e FieldError) Error() string {
	if e.Source.Pointer == "" {
		return e.Message
	}
	return e.Source.Pointer + ": " + e.Message
}

// ValidationError is the answer to an event that the server would reject. It
// names every fault at once, and no values of the event.
type ValidationError struct {
	Errors []FieldError
}

func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Errors))
	for i, f := range e.Errors {
		parts[i] = f.Error()
	}
	return "belfry: invalid event: " + strings.Join(parts, "; ")
}

// Validate reports whether the event can be accepted, as a *ValidationError.
// ID, OccurredAt and AccountID may be empty: Audit fills them or asks for them.
func (e Event) Validate() error { return e.validateAt(time.Now()) }

func (e Event) validateAt(now time.Time) error {
	var enc encoder
	text, err := enc.event(nil, &e)
	if err != nil {
		return err
	}
	return checkText(new(rawjson.Doc), text, rules.Options{Now: now, Producer: e.AccountID != ""})
}

// checkText applies the rules and leaves the text's index in doc.
func checkText(doc *rawjson.Doc, text []byte, o rules.Options) error {
	problems := rules.Check(doc, text, o)
	if len(problems) == 0 {
		return nil
	}
	v := &ValidationError{Errors: make([]FieldError, len(problems))}
	for i, p := range problems {
		v.Errors[i] = FieldError{p.Code, p.Message, Source{p.Pointer}}
	}
	return v
}

func invalid(code int, pointer, message string) error {
	return &ValidationError{Errors: []FieldError{{code, message, Source{pointer}}}}
}

// eventID is the id inside an event that encoder.event wrote.
func eventID(text []byte) string {
	const before = `{"v":1,"id":"`
	if !strings.HasPrefix(string(text[:min(len(text), len(before))]), before) {
		return ""
	}
	id, _, _ := strings.Cut(string(text[len(before):min(len(text), len(before)+rules.MaxID+1)]), `"`)
	return id
}
