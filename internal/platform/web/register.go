package web

import (
	"context"
	"encoding"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Handler answers an operation. I is a struct whose fields are parameters
// (`path:"..."`, `query:"..."`, `header:"..."`) and, for a JSON body, a field
// Body; huma's tags say the limits (`maxLength`, `enum`, `doc`, ...). O is the
// result, or [Page], [Numbered], [Reply], [Stream], [Events] or [Answer].
type Handler[I, O any] func(ctx context.Context, in *I) (O, error)

// Get registers a reading operation. Its objects carry an ETag.
func Get[I, O any](a *API, op Op, h Handler[I, O]) { register(a, http.MethodGet, op, h) }

// Post registers an operation that creates or acts; set Op.Idempotent where it creates.
func Post[I, O any](a *API, op Op, h Handler[I, O]) { register(a, http.MethodPost, op, h) }

// Put registers an operation that replaces.
func Put[I, O any](a *API, op Op, h Handler[I, O]) { register(a, http.MethodPut, op, h) }

// Patch registers an operation that changes a part.
func Patch[I, O any](a *API, op Op, h Handler[I, O]) { register(a, http.MethodPatch, op, h) }

// Delete registers an operation that removes.
func Delete[I, O any](a *API, op Op, h Handler[I, O]) { register(a, http.MethodDelete, op, h) }

// Raw registers an operation that reads its own body and writes its own answer
// (bulk ingestion, tiles). I has parameters only. When the handler returns an
// error and has not begun to write, the envelope answers it.
func Raw[I any](a *API, method string, op Op, h func(ctx context.Context, in *I, x *Exchange) error) {
	rt := a.newRoute(method, op)
	rt.raw = true
	if _, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		panic("web: " + rt.pattern + ": a Raw operation has no Body field")
	}
	enlist(a, rt, reflect.TypeOf(op.Result), func(ctx context.Context, in *I) {
		x := exchangeOf(ctx)
		x.err = h(ctx, in, &Exchange{x: x})
	})
}

func register[I, O any](a *API, method string, op Op, h Handler[I, O]) {
	rt := a.newRoute(method, op)
	if f, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		rt.bodyAt = f.Index
		rt.body = f.Type
		rt.needs = f.Type.Kind() != reflect.Pointer
		if len(rt.Accepts) == 0 {
			rt.Accepts = []string{"application/json"}
		}
	}
	result := reflect.TypeFor[O]()
	rt.live = rt.live || result == reflect.TypeFor[Events]()
	if op.Result != nil {
		result = reflect.TypeOf(op.Result)
	}
	enlist(a, rt, result, func(ctx context.Context, in *I) {
		x := exchangeOf(ctx)
		if rt.bodyAt != nil {
			if x.err = x.bind(reflect.ValueOf(in).Elem().FieldByIndex(rt.bodyAt)); x.err != nil {
				return
			}
		}
		var out O
		if out, x.err = h(ctx, in); x.err == nil {
			x.out = replyOf(out)
		}
	})
}

// enlist gives the route to huma (parameters, document) and to the mux.
func enlist[I any](a *API, rt *route, result reflect.Type, call func(context.Context, *I)) {
	input := reflect.TypeFor[I]()
	checkInput(rt, input)
	// A client that repeats a POST whose answer it did not see must not act
	// twice, whatever the POST does: so it is no choice of the single route.
	rt.ownKey = declares(input, "header", idempotencyHeader)
	rt.Idempotent = rt.method == http.MethodPost && !rt.Public && !rt.ownKey
	op := huma.Operation{
		OperationID: rt.ID, Method: rt.method, Path: strings.ReplaceAll(rt.path, "...}", "}"),
		Summary: rt.Summary, Description: rt.Description, Tags: []string{rt.Tag},
		DefaultStatus:    rt.Status,
		SkipValidateBody: true, // exchange.bind does it, with exact pointers
		Metadata:         map[string]any{metaRoute: rt},
		Extensions:       map[string]any{"x-scope": rt.Scope.String()},
	}
	a.describe(rt, &op, result)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*struct{}, error) {
		call(ctx, in)
		return nil, nil
	})
	rt.query = map[string]bool{}
	documented := map[string]bool{}
	for _, p := range rt.op.Parameters {
		if p.In == "query" {
			rt.query[p.Name] = p.Required
		}
		documented[p.In+":"+p.Name] = true
	}
	for name := range strings.SplitSeq(rt.op.Path, "/") {
		if strings.HasPrefix(name, "{") && !documented["path:"+strings.Trim(name, "{}")] {
			panic("web: " + rt.pattern + ": the path's " + name + " is not a field of the input")
		}
	}
	if rt.op.RequestBody != nil && rt.bodyAt != nil {
		rt.schema = rt.op.RequestBody.Content["application/json"].Schema
		checkBody(rt, a.huma.OpenAPI().Components.Schemas, rt.schema, map[*huma.Schema]bool{})
	}
	a.routes = append(a.routes, rt)
	a.public[rt.pattern] = rt.Public
	a.mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(rt, w, r) })
}

const metaRoute = "route"

// declares reports whether an input has a parameter.
func declares(t reflect.Type, in, name string) bool {
	for _, f := range reflect.VisibleFields(t) {
		if is, as := parameter(f); is == in && strings.EqualFold(as, name) {
			return true
		}
	}
	return false
}

var unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// checkInput refuses input types that huma would misread in silence: parameters
// in an embedded unexported struct are ignored, and a list without "explode"
// takes commas instead of repetition.
func checkInput(rt *route, t reflect.Type) {
	fail := func(f reflect.StructField, why string) {
		panic(fmt.Sprintf("web: %s: field %s of %s: %s", rt.pattern, f.Name, t, why))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if !f.IsExported() {
				fail(f, "an embedded struct must be exported: its parameters would be ignored")
			}
			if f.Type.Kind() == reflect.Pointer {
				fail(f, "an embedded struct must not be a pointer")
			}
			checkInput(rt, f.Type)
			continue
		}
		if f.Name == "Body" {
			continue
		}
		if f.Name == "RawBody" {
			fail(f, "use Raw to read the body as bytes")
		}
		in, name := parameter(f)
		switch {
		case in == "":
			fail(f, "is neither Body nor a parameter")
		case !f.IsExported():
			fail(f, "a parameter must be exported")
		case in == "path" && name == "account_id":
			fail(f, "the account comes from web.Account(ctx)")
		case f.Type.Kind() == reflect.Slice && in == "query" && !strings.Contains(f.Tag.Get("query"), ",explode"):
			fail(f, "a list needs the tag `query:\"name,explode\"`: lists repeat their name")
		case !parameterType(f.Type):
			fail(f, "is of a type that a parameter cannot have")
		}
	}
}

// checkBody refuses declared names with dots or brackets (see hide).
func checkBody(rt *route, registry huma.Registry, s *huma.Schema, seen map[*huma.Schema]bool) {
	if s != nil && s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for name, p := range s.Properties {
		if strings.ContainsAny(name, ".[") {
			panic("web: " + rt.pattern + ": the body's field " + name + " has a dot or bracket in its name")
		}
		checkBody(rt, registry, p, seen)
	}
	checkBody(rt, registry, s.Items, seen)
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		checkBody(rt, registry, more, seen)
	}
}

func parameter(f reflect.StructField) (in, name string) {
	for _, in := range []string{"path", "query", "header", "cookie"} {
		if v := f.Tag.Get(in); v != "" {
			name, _, _ := strings.Cut(v, ",")
			return in, name
		}
	}
	return "", ""
}

func parameterType(t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return reflect.PointerTo(t).Implements(unmarshaler)
}
