package ingest

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Format describes the items that an on-ramp takes.
type Format struct {
	Item strict.Subject
	Max  int // items of one request
}

// MediaTypes are the content types of an on-ramp, for [web.Op.Accepts].
var MediaTypes = []string{"application/json", ndjson}

const ndjson = "application/x-ndjson"

// Items are the items of one request, not decoded. Values share the memory of
// the body that they were split from.
type Items struct {
	Values []jsontext.Value
	List   bool   // sent as an array or as lines, and not as one object
	At     string // pointer of the array in the body; "" = the body is the array
}

// Read reads the body of a request and splits it. The items are valid until the
// handler returns.
func (f Format) Read(x *web.Exchange) (Items, error) {
	body, err := x.Bytes()
	if err != nil {
		return Items{}, err
	}
	return f.Split(body, x.MediaType())
}

// Split finds the items of a body: one object, an array, or one object a line
// (NDJSON). NDJSON is recognised under any media type, because many clients send
// it as application/json. The error is of kind Invalid or TooLarge.
func (f Format) Split(body []byte, mediaType string) (Items, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	trimmed := bytes.TrimLeft(body, space)
	switch {
	case len(trimmed) == 0:
		return Items{}, errs.New(errs.CodeMissingField,
			"the body is empty; send one %s, a JSON array of %[1]ss, or NDJSON", f.Item.Noun())
	case trimmed[0] == '[':
		return f.array(trimmed)
	case mediaType == ndjson:
		return f.lines(trimmed)
	}

	several, err := f.severalObjects(trimmed)
	if err != nil {
		return Items{}, err
	}
	if several {
		return f.lines(trimmed)
	}
	return Items{Values: []jsontext.Value{trimmed}}, nil
}

// byteOrderMark may begin a JSON text and is ignored (RFC 8259, section 8.1).
var byteOrderMark = []byte("\ufeff")

// space is the white space of JSON, which does not include \f and \v.
const space = " \t\r\n"

// lenient splits what may be invalid inside: the decoding of the item reports it.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// severalObjects distinguishes NDJSON from one object, which may be printed over
// several lines and may be broken.
func (f Format) severalObjects(body []byte) (bool, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if _, err := dec.ReadValue(); err != nil {
		return bytes.Contains(body, []byte("\n{")), nil
	}
	rest := bytes.Trim(body[dec.InputOffset():], space)
	switch {
	case len(rest) == 0:
		return false, nil
	case rest[0] == '{' && !bytes.ContainsRune(bytes.Trim(body, space), '\n'):
		return false, errs.New(errs.CodeInvalidJSON,
			"there is more than one %s on a line: NDJSON has one a line (curl keeps line breaks with --data-binary)",
			f.Item.Noun())
	default:
		return rest[0] == '{' || bytes.Contains(rest, []byte("\n{")), nil
	}
}

// lines splits NDJSON; empty lines are skipped.
func (f Format) lines(body []byte) (Items, error) {
	items := Items{List: true, Values: make([]jsontext.Value, 0, min(f.Max, bytes.Count(body, []byte("\n"))+1))}
	for line := range bytes.Lines(body) {
		line = bytes.Trim(line, space)
		if len(line) == 0 {
			continue
		}
		if len(items.Values) == f.Max {
			return Items{List: true}, f.tooMany()
		}
		items.Values = append(items.Values, line)
	}
	return items, nil
}

// array splits a JSON array.
func (f Format) array(body []byte) (Items, error) {
	items := Items{List: true}
	fail := func(err error) (Items, error) { return Items{List: true}, err }

	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return fail(f.Item.Fault(err))
	}
	for dec.PeekKind() != ']' {
		if len(items.Values) == f.Max {
			return fail(f.tooMany())
		}
		v, err := dec.ReadValue()
		if err != nil {
			return fail(f.broken(err, len(items.Values)))
		}
		end := dec.InputOffset()
		items.Values = append(items.Values, body[end-int64(len(v)):end])
	}
	if _, err := dec.ReadToken(); err != nil {
		return fail(f.broken(err, len(items.Values)))
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fail(errs.New(errs.CodeInvalidJSON,
			"there is more after the array's end, at byte %d", dec.InputOffset()))
	}
	if len(items.Values) == 0 {
		return fail(errs.New(errs.CodeMissingField, "the array is empty; send at least one %s", f.Item.Noun()))
	}
	return items, nil
}

// broken names the element at which an array could not be read any further.
func (f Format) broken(err error, index int) error {
	e := f.Item.Fault(err)
	n := strconv.Itoa(index)
	e.Pointer = "/" + n
	e.Message = f.Item.Noun() + " " + n + " of the array: " + e.Message +
		"; nothing of the request was stored (with NDJSON, the valid lines are)"
	return e
}

func (f Format) tooMany() error {
	return errs.New(errs.CodeTooLarge, "a request takes at most %d %ss; send the rest in another", f.Max, f.Item.Noun())
}
