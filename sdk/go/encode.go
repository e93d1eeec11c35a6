package belfry

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
)

// encoder writes events by hand: an event is encoded once and its bytes go
// through the spool to the server unchanged. Strings of the fixed fields are
// copied even when they are no UTF-8, so that the check can name the field
// (encoding/json would replace the bytes without a word).
type encoder struct {
	out appender
	any *json.Encoder // writes to out, for before, after and metadata
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

const microseconds = "2006-01-02T15:04:05.000000Z"

// event appends the event as compact JSON. id comes right behind v; eventID
// relies on that.
func (x *encoder) event(dst []byte, e *Event) ([]byte, error) {
	dst = append(dst, `{"v":1`...)
	x.out.b = dst
	x.text(`,"id":`, e.ID)
	x.text(`,"account_id":`, e.AccountID)
	if !e.OccurredAt.IsZero() {
		x.raw(`,"occurred_at":"`)
		x.out.b = e.OccurredAt.UTC().AppendFormat(x.out.b, microseconds)
		x.raw(`"`)
	}

	x.raw(`,"action":{"type":`)
	x.value(e.Action.Type)
	x.text(`,"description":`, e.Action.Description)
	x.text(`,"result":`, string(e.Action.Result))

	x.raw(`},"actor":{"type":`)
	x.value(string(e.Actor.Type))
	x.raw(`,"id":`)
	x.value(e.Actor.ID)
	x.text(`,"email":`, e.Actor.Email)
	x.text(`,"name":`, e.Actor.Name)
	x.text(`,"ip_address":`, e.Actor.IPAddress)
	x.text(`,"token_id":`, e.Actor.TokenID)
	x.text(`,"token_name":`, e.Actor.TokenName)
	if b := e.Actor.OnBehalfOf; b != nil {
		x.raw(`,"on_behalf_of":`)
		x.members("type", b.Type, "id", b.ID, "email", b.Email)
	}
	x.raw(`}`)
	x.text(`,"interface":`, string(e.Interface))

	x.raw(`,"resource":{"product":`)
	x.value(e.Resource.Product)
	x.raw(`,"type":`)
	x.value(e.Resource.Type)
	x.raw(`,"id":`)
	x.value(e.Resource.ID)
	x.text(`,"name":`, e.Resource.Name)
	x.text(`,"scope":`, e.Resource.Scope)
	x.raw(`}`)
	x.text(`,"zone":`, e.Zone)

	if err := x.open(`,"before":`, "/before", e.Before); err != nil {
		return dst, err
	}
	if err := x.open(`,"after":`, "/after", e.After); err != nil {
		return dst, err
	}
	if e.Reason != nil {
		x.raw(`,"reason":`)
		x.members("text", e.Reason.Text, "url", e.Reason.URL)
	}
	x.text(`,"change_set":`, e.ChangeSet)
	for i, r := range e.Related {
		if i == 0 {
			x.raw(`,"related":[`)
		} else {
			x.raw(`,`)
		}
		x.members("type", r.Type, "id", r.ID, "name", r.Name)
	}
	if len(e.Related) > 0 {
		x.raw(`]`)
	}
	if r := e.Request; r != nil {
		x.raw(`,"request":`)
		x.members("id", r.ID, "method", r.Method, "uri", r.URI, "user_agent", r.UserAgent)
		if r.StatusCode != 0 {
			x.out.b = x.out.b[:len(x.out.b)-1] // the closing brace
			if x.out.b[len(x.out.b)-1] != '{' {
				x.raw(`,`)
			}
			x.raw(`"status_code":`)
			x.out.b = strconv.AppendInt(x.out.b, int64(r.StatusCode), 10)
			x.raw(`}`)
		}
	}
	if len(e.Metadata) > 0 {
		if err := x.open(`,"metadata":`, "/metadata", e.Metadata); err != nil {
			return dst, err
		}
	}
	x.raw(`}`)
	return x.out.b, nil
}

func (x *encoder) raw(s string)   { x.out.b = append(x.out.b, s...) }
func (x *encoder) value(s string) { x.out.b = rawjson.AppendString(x.out.b, s) }

// text appends a member unless its value is empty.
func (x *encoder) text(name, s string) {
	if s != "" {
		x.raw(name)
		x.value(s)
	}
}

// members appends an object of those members whose values are not empty.
func (x *encoder) members(namesAndValues ...string) {
	x.raw(`{`)
	first := true
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] == "" {
			continue
		}
		if !first {
			x.raw(`,`)
		}
		first = false
		x.value(namesAndValues[i])
		x.raw(`:`)
		x.value(namesAndValues[i+1])
	}
	x.raw(`}`)
}

// open appends a member whose value is the caller's.
func (x *encoder) open(name, pointer string, v any) error {
	if v == nil {
		return nil
	}
	if !utf8Inside(v) {
		return invalid(codeInvalidJSON, pointer, "a string inside is not valid UTF-8")
	}
	x.raw(name)
	if x.any == nil {
		x.any = json.NewEncoder(&x.out)
		x.any.SetEscapeHTML(false)
	}
	if err := x.any.Encode(v); err != nil {
		return invalid(codeInvalidJSON, pointer, fmt.Sprintf("cannot be written as JSON: %v", err))
	}
	x.out.b = x.out.b[:len(x.out.b)-1] // Encode ends with a newline
	return nil
}

// utf8Inside looks into the types of decoded JSON. encoding/json would replace
// bytes that are not UTF-8, and the log would differ from the text that was written.
func utf8Inside(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		for _, s := range v {
			if !utf8.ValidString(s) {
				return false
			}
		}
	case []any:
		for _, e := range v {
			if !utf8Inside(e) {
				return false
			}
		}
	case map[string]string:
		for k, s := range v {
			if !utf8.ValidString(k) || !utf8.ValidString(s) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if !utf8.ValidString(k) || !utf8Inside(e) {
				return false
			}
		}
	}
	return true
}
