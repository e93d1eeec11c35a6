package record

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Notations of one thing that the intake takes, and texts that it repairs
// instead of refusing the event.

// wholeNumber takes a whole number however it is written: languages without
// integers write 200.0. Anything else is left to the decoder and its errors.
func wholeNumber(dec *jsontext.Decoder, n *int) error {
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return &json.SemanticError{JSONKind: '0', JSONPointer: dec.StackPointer(), GoType: reflect.TypeFor[int]()}
	}
	*n = int(f)
	return nil
}

// hasScheme compares the scheme of a URL, which has no letter case (RFC 3986, 3.1).
func hasScheme(url, scheme string) bool {
	got, rest, found := strings.Cut(url, ":")
	return found && strings.EqualFold(got, scheme) && strings.HasPrefix(rest, "//")
}

// tidy repairs the fields that the sender of a request chose, who may be a
// stranger to the product: an address, a user agent or a request id must not
// keep an event out of the record. What is too long is cut and ends with "…";
// characters that no line may hold become U+FFFD.
func (e *Event) tidy() {
	if r := e.Request; r != nil {
		r.ID = shorten(strict.Replace(r.ID), maxWord)
		r.Method = shorten(strict.Replace(r.Method), maxMethod)
		r.URI = shorten(strict.Replace(r.URI), maxURI)
		r.UserAgent = shorten(strict.Replace(r.UserAgent), maxText)
	}
}

// shorten cuts a text to so many characters, the last of which then is "…".
func shorten(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// tidyOwn replaces what no line may hold in the fields of Belfry's own events:
// they repeat names that people chose, and a change that happened must be
// recorded whatever its resource is called.
func (e *Event) tidyOwn() {
	fields := []*string{&e.Actor.ID, &e.Actor.Email, &e.Actor.Name, &e.Actor.TokenID, &e.Actor.TokenName,
		&e.Resource.ID, &e.Resource.Name, &e.Zone.Name}
	if o := e.Actor.OnBehalfOf; o != nil {
		fields = append(fields, &o.ID, &o.Email)
	}
	several := []*string{&e.Action.Description}
	if e.Reason != nil {
		several = append(several, &e.Reason.Text)
	}
	for _, f := range several {
		if _, bad := strict.Lines(*f); bad { // and else its line ends stay
			fields = append(fields, f)
		}
	}
	for _, f := range fields {
		*f = strict.Replace(*f)
	}
}
