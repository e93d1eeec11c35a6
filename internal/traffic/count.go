package traffic

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Count is one compact count: the account and the zone as the product wrote them,
// the rest checked.
type Count struct {
	Account string // id or ext:<external id>; empty where the route names it
	Zone    string // id, name or alias
	event.Count
}

// Window limits the time of counts, in Unix seconds: From <= ts <= To.
type Window struct{ From, To int64 }

// Ever includes all times, for replays in event time.
var Ever = Window{From: 0, To: 1 << 40}

// Recent is the window for counts of a running product.
func Recent(now time.Time) Window {
	return Window{From: now.Add(-MaxAge).Unix(), To: now.Add(MaxAhead).Unix()}
}

// check returns a fault if a time is outside of the window.
func (w Window) check(ts int64) *errs.Error {
	switch {
	case ts < w.From:
		return errs.At(errs.CodeOutOfRange, "/ts", "ts is %s; the oldest accepted is %s (35 days)",
			when(ts), when(w.From))
	case ts > w.To:
		return errs.At(errs.CodeOutOfRange, "/ts",
			"ts is %s, more than a minute ahead of the server's clock; it is in Unix seconds", when(ts))
	}
	return nil
}

func when(ts int64) string {
	if ts < -1<<36 || ts > 1<<36 {
		return strconv.FormatInt(ts, 10)
	}
	return time.Unix(ts, 0).UTC().Format(time.RFC3339)
}

// Limits of a count's fields.
const (
	maxTotal   = 1_000_000_000_000
	maxSeconds = 3600
	maxRef     = 255 // bytes of origin, zone, hostname
	maxWord    = 100 // bytes of path_class and sli
)

// wire is a count as JSON. Pointers distinguish a missing number from zero.
type wire struct {
	Account     string `json:"account_id"`
	Zone        string `json:"zone"`
	Origin      string `json:"origin"`
	Hostname    string `json:"hostname"`
	PathClass   string `json:"path_class"`
	SLI         string `json:"sli"`
	At          *whole `json:"ts"`
	Seconds     *whole `json:"seconds"`
	Total       *whole `json:"total"`
	Bad         whole  `json:"bad"`
	Unreachable whole  `json:"unreachable"`
}

// whole is a whole number in any notation of JSON: many languages write 5.0 or
// 1.7e9.
type whole int64

var errFraction = errors.New("a fraction")

// UnmarshalJSONFrom reads the number.
func (w *whole) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if v.Kind() == 'n' {
		*w = 0
		return nil
	}
	if v.Kind() != '0' {
		return &json.SemanticError{JSONKind: v.Kind(), GoType: reflect.TypeFor[int64]()}
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		*w = whole(n)
		return nil
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 { // beyond that a float is not exact
		return errFraction
	}
	*w = whole(f)
	return nil
}

var known = json.JoinOptions(json.RejectUnknownMembers(true))

// aCount names a count in decoding errors.
var aCount = strict.Subject{Name: "a count"}

// countFormat is the format of both on-ramps and of the records of the bus.
var countFormat = ingest.Format{Item: aCount, Max: MaxCounts}

// ParseCount reads one compact count:
//
//	{"account_id"?, "zone", "origin"?, "hostname"?, "path_class"?, "sli"?,
//	 "ts": Unix seconds, "seconds": width (10), "total", "bad"?, "unreachable"?}
//
// It returns every fault of the values and every unknown field; any other fault of
// the JSON stops the decoding.
func ParseCount(data []byte, window Window) (Count, errs.List) {
	var w wire
	var list errs.List
	if err := json.Unmarshal(data, &w, known); err != nil {
		list = aCount.Faults(data, err, func(rest []byte) (errs.List, error) {
			w = wire{}
			err = json.Unmarshal(rest, &w, known)
			return nil, err
		})
		if err != nil {
			if last := list[len(list)-1]; errors.Is(err, errFraction) {
				last.Message = aCount.Field(last.Pointer) + " must be a whole number below 2^53, not a fraction"
			}
			return Count{Account: w.Account}, list
		}
	}
	c, faults := w.count(window)
	return c, append(list, faults...)
}

// count checks the values and fills in the defaults.
func (w *wire) count(window Window) (Count, errs.List) {
	var list errs.List
	fault := func(code errs.Code, pointer, format string, args ...any) {
		list = append(list, errs.At(code, pointer, format, args...))
	}
	c := Count{Account: w.Account, Zone: w.Zone, Count: event.Count{
		Seconds:     10,
		Origin:      strings.ToLower(w.Origin),
		Hostname:    strings.ToLower(w.Hostname),
		PathClass:   w.PathClass,
		SLI:         w.SLI,
		Bad:         int64(w.Bad),
		Unreachable: int64(w.Unreachable),
	}}
	if c.SLI == "availability" {
		c.SLI = ""
	}
	if w.Zone == "" {
		fault(errs.CodeMissingField, "/zone", "zone is required: a zone's id, name or alias, such as shop.example")
	}
	list = append(list, w.checkTexts()...)

	if w.At == nil {
		fault(errs.CodeMissingField, "/ts", "ts is required: the start of the interval in Unix seconds")
	} else {
		c.At = int64(*w.At)
		if e := window.check(c.At); e != nil {
			list = append(list, e)
		}
	}
	if w.Seconds != nil {
		c.Seconds = int64(*w.Seconds)
	}
	if c.Seconds < 1 || c.Seconds > maxSeconds {
		fault(errs.CodeOutOfRange, "/seconds", "seconds is the width of the interval, 1 to %d, not %d", maxSeconds, c.Seconds)
	}

	if w.Total == nil {
		fault(errs.CodeMissingField, "/total", "total is required: the number of requests in the interval")
		return c, list
	}
	c.Total = int64(*w.Total)
	switch {
	case c.Total < 0 || c.Total > maxTotal:
		fault(errs.CodeOutOfRange, "/total", "total is 0 to %d, not %d", int64(maxTotal), c.Total)
	case c.Bad < 0 || c.Bad > c.Total:
		fault(errs.CodeOutOfRange, "/bad", "bad is a part of total: 0 to %d, not %d", c.Total, c.Bad)
	case c.Unreachable < 0 || c.Unreachable > c.Bad:
		fault(errs.CodeOutOfRange, "/unreachable", "unreachable is a part of bad: 0 to %d, not %d", c.Bad, c.Unreachable)
	}
	return c, list
}

// checkTexts checks the lengths and characters of the text fields.
func (w *wire) checkTexts() (list errs.List) {
	for _, t := range []struct {
		pointer, value string
		max            int
		spaces         bool // may have spaces
	}{
		{"/zone", w.Zone, maxRef, true},
		{"/origin", w.Origin, maxRef, false},
		{"/hostname", w.Hostname, maxRef, false},
		{"/path_class", w.PathClass, maxWord, true},
		{"/sli", w.SLI, maxWord, false},
	} {
		without := "control characters and spaces"
		if t.spaces {
			without = "control characters"
		}
		refused := func(r rune) bool { return unicode.IsControl(r) || !t.spaces && unicode.IsSpace(r) }
		if len(t.value) > t.max || strings.ContainsFunc(t.value, refused) {
			list = append(list, errs.At(errs.CodeInvalid, t.pointer, "%s has at most %d bytes of plain text, without %s",
				t.pointer[1:], t.max, without))
		}
	}
	return list
}
