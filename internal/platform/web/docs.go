package web

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

//go:embed docs
var docsFiles embed.FS

// The shapes of docs/page.html.
type (
	docsIndex struct{ Groups []docsGroup }
	docsGroup struct {
		Name, Anchor string
		Ops          []docsOp
	}
	docsOp struct {
		ID, Method, Path, Summary, Description, Right, Curl string
		Params                                              []docsParam
		Bodies, Answers                                     []docsBody
	}
	docsParam struct {
		Name, In, Type, Doc string
		Required            bool
	}
	docsBody  struct{ Status, Type, Sample string }
	docsError struct {
		errs.Entry
		Status int
		Retry  bool
	}
)

// registerDocs adds the pages of /docs. They are made once, from the
// registrations, and need nothing from elsewhere.
func (a *API) registerDocs() error {
	pages, err := template.ParseFS(docsFiles, "docs/page.html")
	if err != nil {
		return err
	}
	style, err := docsFiles.ReadFile("docs/style.css")
	if err != nil {
		return err
	}
	const html = "text/html; charset=utf-8"
	render := func(name string, data any) (*static, error) {
		var b bytes.Buffer
		err := pages.ExecuteTemplate(&b, name, data)
		return newStatic(html, b.Bytes()), err
	}
	mount := func(pattern string, made func(r *http.Request) (*static, error)) {
		a.MountPublic(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page, err := made(r)
			if err != nil {
				a.refuse(w, r, err)
				return
			}
			h := w.Header()
			h.Set("Content-Security-Policy",
				"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			page.serve(w, r)
		}))
	}
	once := func(f func() (*static, error)) func(*http.Request) (*static, error) {
		f = sync.OnceValues(f)
		return func(*http.Request) (*static, error) { return f() }
	}
	var list []docsError
	byCode := map[string]*static{}
	for _, e := range errs.Entries() {
		one := docsErrorOf(e)
		list = append(list, one)
		if byCode[strconv.Itoa(int(e.Code))], err = render("error", one); err != nil {
			return err
		}
	}
	mount("GET /docs", once(func() (*static, error) { return render("index", a.docsIndex()) })) // when all is registered
	mount("GET /docs/style.css", once(func() (*static, error) { return newStatic("text/css; charset=utf-8", style), nil }))
	mount("GET /docs/errors", once(func() (*static, error) { return render("errors", list) }))
	mount("GET /docs/errors/{code}", func(r *http.Request) (*static, error) {
		if page := byCode[r.PathValue("code")]; page != nil {
			return page, nil
		}
		return nil, errs.New(errs.CodeNotFound, "there is no error code %q", clip(r.PathValue("code")))
	})
	return nil
}

func docsErrorOf(e errs.Entry) docsError {
	return docsError{e, statusOf(&errs.Error{Code: e.Code}), e.Kind.Retryable() || e.Code == errs.CodeIdempotencyBusy}
}

func (a *API) docsIndex() docsIndex {
	x := docsIndex{}
	groups := map[string][]docsOp{}
	for _, rt := range a.routes {
		groups[rt.Tag] = append(groups[rt.Tag], a.docsOp(rt))
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		anchor := "group-" + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
		x.Groups = append(x.Groups, docsGroup{name, anchor, groups[name]})
	}
	return x
}

func (a *API) docsOp(rt *route) docsOp {
	op := docsOp{ID: rt.ID, Method: rt.method, Path: rt.op.Path, Summary: rt.Summary, Description: rt.Description}
	switch {
	case rt.Public:
		op.Right = "Needs no credential."
	case rt.Scope == ScopeSelf:
		op.Right = "Needs any valid credential."
	case rt.Permission == AnyPermission:
		op.Right = "Needs a right in the account."
	default:
		op.Right = fmt.Sprintf("Needs the permission %s (%s).", rt.Permission, rt.Scope)
	}
	for _, p := range rt.op.Parameters {
		op.Params = append(op.Params, docsParam{p.Name, p.In, a.typeName(p.Schema), p.Description, p.Required})
	}
	if rt.op.RequestBody != nil {
		op.Bodies = a.docsBodies("", rt.op.RequestBody.Content)
	}
	status := strconv.Itoa(rt.Status)
	op.Answers = a.docsBodies(status, rt.op.Responses[status].Content)
	op.Curl = a.curl(rt, op.Bodies)
	return op
}

func (a *API) docsBodies(status string, content map[string]*huma.MediaType) []docsBody {
	var list []docsBody
	for _, name := range slices.Sorted(maps.Keys(content)) {
		b := docsBody{Status: status, Type: name}
		if s := content[name].Schema; s != nil {
			var out strings.Builder
			a.sample(&out, s, "", 0)
			b.Sample = out.String()
		}
		list = append(list, b)
	}
	return list
}

func (a *API) curl(rt *route, bodies []docsBody) string {
	var b strings.Builder
	b.WriteString("curl")
	if rt.method != http.MethodGet {
		b.WriteString(" -X " + rt.method)
	}
	if !rt.Public {
		b.WriteString(` -H "Authorization: Bearer $BELFRY_TOKEN"`)
	}
	if rt.Idempotent {
		b.WriteString(` -H "Idempotency-Key: $(uuidgen)"`)
	}
	if len(bodies) > 0 {
		b.WriteString(` -H "Content-Type: ` + bodies[0].Type + `" -d @body.json`)
	}
	base := a.cfg.ExternalURL
	if base == "" {
		base = "http://127.0.0.1:8080"
	}
	path := strings.NewReplacer("{account_id}", "$ACCOUNT", "{", "$", "}", "").Replace(rt.op.Path)
	b.WriteString(` "` + base + path + `"`)
	return b.String()
}

func (a *API) typeName(s *huma.Schema) string {
	s = a.deref(s)
	switch {
	case s == nil || s.Type == "":
		return "any"
	case len(s.Enum) > 0:
		var names []string
		for _, v := range s.Enum {
			names = append(names, fmt.Sprint(v))
		}
		return strings.Join(names, " | ")
	case s.Type == huma.TypeArray:
		return "list of " + a.typeName(s.Items)
	case s.Format != "" && s.Type == huma.TypeString:
		return s.Format
	}
	return s.Type
}

func (a *API) deref(s *huma.Schema) *huma.Schema {
	for s != nil && s.Ref != "" {
		s = a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// sampleDepth ends the samples of recursive shapes.
const sampleDepth = 5

// sample writes an example of the schema as JSON.
func (a *API) sample(b *strings.Builder, s *huma.Schema, indent string, depth int) {
	s = a.deref(s)
	deeper := indent + "  "
	switch {
	case s == nil || depth > sampleDepth:
		b.WriteString("...")
	case len(s.Examples) > 0:
		literal(b, s.Examples[0])
	case len(s.Enum) > 0:
		literal(b, s.Enum[0])
	case s.Type == huma.TypeObject && len(s.Properties) > 0:
		names := slices.SortedFunc(maps.Keys(s.Properties), func(x, y string) int {
			return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x, y))
		})
		b.WriteString("{")
		for i, name := range names {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(b, "\n%s%q: ", deeper, name)
			a.sample(b, s.Properties[name], deeper, depth+1)
		}
		b.WriteString("\n" + indent + "}")
	case s.Type == huma.TypeObject:
		b.WriteString("{")
		if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
			b.WriteString(`"name": `)
			a.sample(b, more, deeper, depth+1)
		}
		b.WriteString("}")
	case s.Type == huma.TypeArray:
		b.WriteString("[")
		a.sample(b, s.Items, indent, depth+1)
		b.WriteString("]")
	case s.Type == huma.TypeString && s.Format == "date-time":
		b.WriteString(`"2026-11-22T10:00:00.000000Z"`)
	case s.Type == huma.TypeString:
		b.WriteString(`"string"`)
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		b.WriteString("0")
	case s.Type == huma.TypeBoolean:
		b.WriteString("true")
	default:
		b.WriteString("{}")
	}
}

func literal(b *strings.Builder, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte("null") // values of tags are JSON
	}
	b.Write(text)
}

// rank puts the envelope's members, and ids, in the order in which they are sent.
func rank(name string) int {
	if i := slices.Index([]string{"success", "errors", "messages", "result", "result_info", "id", "name"}, name); i >= 0 {
		return i
	}
	return 100
}
