package ui

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Faults are the errors of a form that was sent, by field; the field "" holds
// those of the whole form. The zero value has none. A page shows the form again
// with the input, and Status as its own:
//
//	{{template "field" (dict "Label" "Name" "Name" "name" "Value" .Name "Error" (.Faults.Of "name"))}}
type Faults struct {
	Status     int           // of HTTP; 0 = no faults
	RetryAfter time.Duration // until the form may be sent again; 0 = at once
	fields     map[string]string
}

// FaultsOf sorts an error by the fields of the form: a fault at "/name" belongs
// to the field name, and one that belongs to no field to the whole form. ok is
// false for an error that the user cannot correct in the form (not found,
// unavailable, internal): it has a page of its own.
func FaultsOf(err error, fields ...string) (f Faults, ok bool) {
	kind := errs.KindOf(err)
	switch kind {
	case errs.None, errs.Internal, errs.Unavailable, errs.NotFound:
		return f, false
	}
	list := errs.All(err)
	f = Faults{Status: kind.Status(), RetryAfter: list[0].RetryAfter, fields: map[string]string{}}
	for _, e := range list {
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

// Of is the fault of a field, or "".
func (f Faults) Of(field string) string { return f.fields[field] }

// Say replaces the fault of a field that has one.
func (f Faults) Say(field, text string) {
	if f.fields[field] != "" {
		f.fields[field] = text
	}
}

// FullSentence begins an error's message with a capital, unless the first word
// is the name of a field (contact_email), and ends it with a full stop.
func FullSentence(s string) string {
	if first, _, _ := strings.Cut(s, " "); !strings.ContainsAny(first, "_./") {
		s = sentenceCase(s)
	}
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// RetryAfter sets the header Retry-After of an error that asks to wait.
func RetryAfter(w http.ResponseWriter, err error) {
	if wait := errs.All(err)[0].RetryAfter; wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// Entries splits the value of a field that takes several, one a line or
// separated by commas or spaces.
func Entries(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
