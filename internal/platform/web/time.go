package web

import (
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Time is a moment in a query, a body or an answer. It reads YYYY-MM-DD (the
// beginning of that day in UTC) and RFC 3339 with up to nine digits of
// fraction, and writes RFC 3339 in UTC with exactly microseconds, so that texts
// sort as times do. The zero Time is "not given"; in answers use omitzero.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000000Z"

// UnmarshalText reads a query parameter.
func (t *Time) UnmarshalText(b []byte) error {
	s := string(b)
	layout := time.RFC3339Nano
	if len(s) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	v, err := time.Parse(layout, s)
	if err != nil {
		return errors.New("expected YYYY-MM-DD or RFC 3339, such as 2026-11-22T10:00:00Z")
	}
	t.Time = v.UTC()
	return nil
}

// UnmarshalJSON reads a member of a body.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return errors.New("expected a string with a time")
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// MarshalJSON writes the moment.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// MarshalText writes the moment.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String is the moment as answers show it.
func (t Time) String() string { return t.UTC().Format(timeFormat) }

// Schema is how the document shows a Time. It has no format: date-time would
// refuse the dates that are accepted.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:        huma.TypeString,
		Description: "RFC 3339, or YYYY-MM-DD.",
		Examples:    []any{"2026-11-22T10:00:00.000000Z"},
	}
}

// Micros is the moment as the database keeps it: microseconds since 1970.
func (t Time) Micros() int64 { return t.UnixMicro() }

// TimeOf is the Time of microseconds since 1970.
func TimeOf(micros int64) Time { return Time{time.UnixMicro(micros).UTC()} }
