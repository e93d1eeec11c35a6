package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// newBinder makes the huma API that reads parameters and makes the document.
// What huma would answer is caught by the transformer and translated; its
// writes go nowhere (see reading).
func newBinder(a *API) huma.API {
	format := huma.Format{
		Marshal:   func(io.Writer, any) error { return nil },
		Unmarshal: func([]byte, any) error { return nil }, // bodies are bound by exchange.bind
	}
	return huma.NewAPI(huma.Config{
		OpenAPI:       a.document(),
		Formats:       map[string]huma.Format{"application/json": format, "application/problem+json": format},
		DefaultFormat: "application/json",
		Transformers: []huma.Transformer{func(ctx huma.Context, _ string, v any) (any, error) {
			if m, ok := v.(*huma.ErrorModel); ok {
				x := ctx.(*reading).x
				x.err = x.rt.asked(faults(m)).Or()
			}
			return v, nil
		}},
	}, adapter{a})
}

// adapter receives huma's handlers; enlist puts them on the mux.
type adapter struct{ a *API }

func (adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	rt := op.Metadata[metaRoute].(*route)
	op.Metadata = nil
	rt.call, rt.op = handler, op
}

func (ad adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { ad.a.mux.ServeHTTP(w, r) }

// reading shows huma the parameters of an exchange only. It has no body
// and discards what huma writes.
type reading struct {
	x   *exchange
	ctx context.Context
	url url.URL
}

func (c *reading) Operation() *huma.Operation { return c.x.rt.op }
func (c *reading) Context() context.Context   { return c.ctx }
func (c *reading) TLS() *tls.ConnectionState  { return c.x.r.TLS }
func (c *reading) Version() huma.ProtoVersion { return huma.ProtoVersion{Proto: c.x.r.Proto} }
func (c *reading) Method() string             { return c.x.r.Method }
func (c *reading) Host() string               { return c.x.r.Host }
func (c *reading) RemoteAddr() string         { return c.x.r.RemoteAddr }
func (c *reading) URL() url.URL               { return c.url }
func (c *reading) Query(name string) string   { return c.x.query.Get(name) }
func (c *reading) Header(name string) string  { return c.x.r.Header.Get(name) }

func (c *reading) Param(name string) string {
	if name == "account_id" {
		return Account(c.ctx).ID // the authorised one, never the text of the path
	}
	return c.x.r.PathValue(name)
}

func (c *reading) EachHeader(cb func(name, value string)) {
	for name, values := range c.x.r.Header {
		for _, v := range values {
			cb(name, v)
		}
	}
}

// BodyReader is a body that huma takes as present; exchange.bind reads the real one.
func (c *reading) BodyReader() io.Reader { return strings.NewReader("null") }

func (c *reading) GetMultipartForm() (*multipart.Form, error) { return nil, errors.ErrUnsupported }
func (c *reading) SetReadDeadline(time.Time) error            { return nil }
func (c *reading) SetStatus(int)                              {}
func (c *reading) Status() int                                { return 0 }
func (c *reading) SetHeader(string, string)                   {}
func (c *reading) AppendHeader(string, string)                {}
func (c *reading) BodyWriter() io.Writer                      { return io.Discard }

// parseQuery reads the query strictly: unknown names are errors, and an empty
// value is an absent one (official clients send null so).
func (x *exchange) parseQuery() error {
	raw, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return errs.New(errs.CodeInvalid, "the query is not well-formed: %v", err)
	}
	x.query = url.Values{}
	var unknown []string
	for name, values := range raw {
		if _, ok := x.rt.query[name]; !ok {
			unknown = append(unknown, name)
			continue
		}
		for _, v := range values {
			if v = x.rt.queryTime(name, v); v != "" {
				x.query.Add(name, v)
			}
		}
	}
	return x.rt.unknownParameters(unknown).Or()
}

// unknownParameters says of some of the names that they are none, and once
// which there are.
func (rt *route) unknownParameters(names []string) errs.List {
	var list errs.List
	slices.Sort(names)
	for i, name := range names[:min(len(names), maxFaults)] {
		there := ""
		switch {
		case i > 0:
		case len(rt.query) == 0:
			there = "; it takes none"
		default:
			there = "; there are " + strings.Join(rt.parameters(), ", ")
		}
		list = append(list, errs.At(errs.CodeUnknownField, clip(name), "there is no query parameter %q here%s",
			clip(name), there))
	}
	return list
}

// parameters are the query parameters of a route; filters with .not are left out,
// as each is there without it too.
func (rt *route) parameters() []string {
	names := slices.Sorted(maps.Keys(rt.query))
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, ".not") })
}

var blankOffset = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})? \d\d:\d\d$`)

// queryTime mends the two times that clients write without meaning to. The plus
// sign of an offset is a blank in a query unless it is encoded; no other value
// has that form. The zero time of Go means that no end was given.
func (rt *route) queryTime(name, v string) string {
	if blankOffset.MatchString(v) {
		return strings.Replace(v, " ", "+", 1)
	}
	if t, err := time.Parse(time.RFC3339, v); err != nil || !t.IsZero() {
		return v
	}
	switch required := rt.query[name]; {
	case !required:
		return ""
	case name == "before":
		return "9999-12-31T23:59:59Z"
	default:
		return "1970-01-01T00:00:00Z"
	}
}

// asked adds to the error of a missing parameter how it is asked for, where the
// parameter has an example.
func (rt *route) asked(list errs.List) errs.List {
	for _, e := range list {
		for _, p := range rt.op.Parameters {
			missing := e.Code == errs.CodeMissingField && p.In == "query" && p.Name == e.Pointer
			if missing && p.Schema != nil && len(p.Schema.Examples) > 0 {
				e.Message += fmt.Sprintf(", such as %s=%v", p.Name, p.Schema.Examples[0])
			}
		}
	}
	return list
}

// bind decodes the JSON body into v. The body is parsed as strictly as RFC 8259
// and RFC 7493 allow (no duplicate names, valid UTF-8, exact case), then
// validated against the schema, then stored.
func (x *exchange) bind(v reflect.Value) error {
	data, err := x.body.bytes()
	if err != nil {
		return err
	}
	if len(data) == 0 {
		if !x.rt.needs {
			v.SetZero()
			return nil
		}
		return errs.New(errs.CodeMissingField, "the request needs a JSON body")
	}
	var parsed any
	if err := json.Unmarshal(data, &parsed); err != nil {
		return jsonFault(err)
	}
	hide(parsed)
	res := &huma.ValidateResult{}
	path := huma.NewPathBuffer(make([]byte, 0, 64), 0)
	path.Push("body")
	huma.Validate(x.api.huma.OpenAPI().Components.Schemas, x.rt.schema, path, huma.ModeWriteToServer, parsed, res)
	if len(res.Errors) > 0 {
		return faults(fewest(res.Errors))
	}
	if err := json.Unmarshal(data, v.Addr().Interface(), json.RejectUnknownMembers(true)); err != nil {
		return jsonFault(err)
	}
	return nil
}

// jsonFault describes what the JSON decoder refused. Values are not repeated:
// they may be secrets.
func jsonFault(err error) error {
	var described *errs.Error
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic):
		p := string(semantic.JSONPointer)
		switch {
		case errors.As(semantic.Err, &described):
			return &errs.Error{Code: described.Code, Message: described.Message, Pointer: p + described.Pointer}
		case errors.Is(semantic.Err, json.ErrUnknownName):
			return errs.At(errs.CodeUnknownField, p, "%s is not a field here (names are case-sensitive)", dotted(p))
		case semantic.Err != nil:
			return errs.At(errs.CodeInvalid, p, "%s: %v", dotted(p), semantic.Err)
		default:
			return errs.At(errs.CodeWrongType, p, "%s: a JSON %v does not fit", dotted(p), semantic.JSONKind)
		}
	case errors.As(err, &syntax):
		return errs.At(errs.CodeInvalidJSON, string(syntax.JSONPointer), "the body is not valid JSON at byte %d: %v",
			syntax.ByteOffset, syntax.Err)
	case errors.As(err, &described):
		return described
	default:
		return errs.New(errs.CodeInvalidJSON, "the body is not one valid JSON value").Because(err)
	}
}

// maxFaults bounds the errors of one answer.
const maxFaults = 20

// fewest are as many findings as an answer shows, the first by their place.
// Only those are sorted and translated: a body of a megabyte can have a hundred
// thousand.
func fewest(list []error) *huma.ErrorModel {
	order := func(a, b *huma.ErrorDetail) int {
		return cmp.Or(strings.Compare(a.Location, b.Location), strings.Compare(a.Message, b.Message))
	}
	m := &huma.ErrorModel{}
	for _, e := range list {
		one, ok := e.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		d := one.ErrorDetail()
		if len(m.Errors) == maxFaults {
			if order(d, m.Errors[maxFaults-1]) >= 0 {
				continue
			}
			m.Errors = m.Errors[:maxFaults-1]
		}
		at, _ := slices.BinarySearchFunc(m.Errors, d, order)
		m.Errors = slices.Insert(m.Errors, at, d)
	}
	return m
}

// faults translates huma's findings.
func faults(m *huma.ErrorModel) errs.List {
	var list errs.List
	for _, d := range m.Errors {
		if d != nil {
			list = append(list, faultOf(d))
		}
	}
	if len(list) == 0 {
		list = errs.List{errs.New(errs.CodeInvalid, "%s", m.Detail)}
	}
	list = sorted(list)
	if len(list) > maxFaults {
		list = list[:maxFaults]
	}
	return list
}

func faultOf(d *huma.ErrorDetail) *errs.Error {
	in, rest := d.Location, ""
	if i := strings.IndexAny(d.Location, ".["); i >= 0 {
		in, rest = d.Location[:i], d.Location[i:]
	}
	var pointer, name string
	if in == "body" {
		pointer = locate(rest)
		name = dotted(pointer)
	} else {
		name = strings.TrimPrefix(rest, ".")
		pointer, _, _ = strings.Cut(name, "[")
		name = in + " parameter " + name
	}
	msg := d.Message
	switch {
	case strings.HasPrefix(msg, "expected required property "):
		missing := strings.TrimSuffix(strings.TrimPrefix(msg, "expected required property "), " to be present")
		pointer += "/" + escape(missing)
		return errs.At(errs.CodeMissingField, pointer, "%s is required", dotted(pointer))
	case strings.HasPrefix(msg, "required ") && strings.HasSuffix(msg, " parameter is missing"):
		return errs.At(errs.CodeMissingField, pointer, "%s is required", name)
	case msg == "unexpected property":
		return errs.At(errs.CodeUnknownField, pointer, "%s is not a field here", name)
	case msg == "expected string", msg == "expected number", msg == "expected integer", msg == "expected boolean",
		msg == "expected array", msg == "expected object", msg == "invalid integer", msg == "invalid float",
		msg == "invalid boolean":
		return errs.At(errs.CodeWrongType, pointer, "%s: %s", name, strings.Replace(msg, "invalid ", "expected ", 1))
	case strings.HasPrefix(msg, "expected number "), strings.HasPrefix(msg, "expected length "),
		strings.HasPrefix(msg, "expected array length "):
		return errs.At(errs.CodeOutOfRange, pointer, "%s: %s", name, msg)
	default:
		return errs.At(errs.CodeInvalid, pointer, "%s: %s", name, msg)
	}
}

// hide replaces the dots and brackets in member names of a parsed body: huma
// writes locations with both as separators, and loses its place over names that
// hold them. (No declared field has one: see checkBody.)
func hide(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			hide(member)
			if strings.ContainsAny(name, ".[") {
				delete(v, name)
				v[hidden.Replace(name)] = member
			}
		}
	case []any:
		for _, item := range v {
			hide(item)
		}
	}
}

// locate turns huma's location (".filters.zones[0]") into a JSON pointer (RFC
// 6901).
func locate(rest string) string {
	rest = strings.NewReplacer("[", ".", "]", "", "~", "~0", "/", "~1").Replace(rest)
	return shown.Replace(strings.ReplaceAll(rest, ".", "/"))
}

// The two directions of hide: control characters stand for the separators.
var (
	hidden = strings.NewReplacer(".", "\x01", "[", "\x02")
	shown  = strings.NewReplacer("\x01", ".", "\x02", "[")
)

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

// dotted is a pointer as people write it: /actor/id is actor.id.
func dotted(pointer string) string {
	if pointer == "" {
		return "the body"
	}
	s := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}

// sorted puts the errors in the order of their fields: maps have none.
func sorted(list errs.List) errs.List {
	slices.SortStableFunc(list, func(a, b *errs.Error) int { return strings.Compare(a.Pointer, b.Pointer) })
	return list
}
