package ui

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Faults are what is wrong with a form that was sent, by field; "" is for the
// whole of it. The zero value is a form that nobody sent yet. A page shows the
// form again with what was typed, and Status as its own:
//
//	f, ok := ui.FaultsOf(err, "name", "email")
//	if !ok {
//		return err // not the sender's to mend
//	}
//	shell.Status = f.Status
//
//	{{template "field" (dict "Label" "Name" "Name" "name" "Value" .Name "Error" (.Faults.Of "name"))}}
type Faults struct {
	Status int // of HTTP; 0 = there are none
	fields map[string]string
}

// FaultsOf sorts an error by the form's fields: a fault at "/name" belongs to
// the field name, and what belongs to none is said on top. ok is false for what
// the sender cannot mend in the form: it has another page.
func FaultsOf(err error, fields ...string) (f Faults, ok bool) {
	kind := errs.KindOf(err)
	switch kind {
	case errs.None, errs.Internal, errs.Unavailable, errs.NotFound:
		return f, false
	}
	f = Faults{kind.Status(), map[string]string{}}
	for _, e := range errs.All(err) {
		field := ""
		for _, known := range fields {
			if e.Pointer == "/"+known {
				field = known
			}
		}
		if f.fields[field] == "" {
			f.fields[field] = FullSentence(e.Message)
		}
	}
	return f, true
}

// Of is the sentence on a field, or "".
func (f Faults) Of(field string) string { return f.fields[field] }

// Say replaces the sentence on a field that has one.
func (f Faults) Say(field, text string) {
	if f.fields[field] != "" {
		f.fields[field] = text
	}
}

// FullSentence makes an error's message one: a capital first, unless the first
// word is a field's name (contact_email), and a full stop last.
func FullSentence(s string) string {
	if first, _, _ := strings.Cut(s, " "); !strings.ContainsAny(first, "_./") {
		s = sentenceCase(s)
	}
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// RetryAfter tells browsers and scripts how long an error asks them to wait.
func RetryAfter(w http.ResponseWriter, err error) {
	if wait := errs.All(err)[0].RetryAfter; wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// Entries are what a field has that takes several: one a line, or separated by
// commas or spaces.
func Entries(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
