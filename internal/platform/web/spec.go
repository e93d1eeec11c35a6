package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

const schemaPrefix = "#/components/schemas/"

// document is the empty OpenAPI 3.1 document that registrations fill.
func (a *API) document() *huma.OpenAPI {
	schemas := huma.NewMapRegistry(schemaPrefix, schemaName)
	// Both are any JSON; of a type that it does not know huma would document the bytes.
	schemas.RegisterTypeAlias(reflect.TypeFor[jsontext.Value](), reflect.TypeFor[json.RawMessage]())
	server := a.cfg.ExternalURL
	if server == "" {
		server = "/"
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Belfry API",
			Version: apiVersion,
			Description: "Every answer is the envelope {success, errors, messages, result, result_info}. Validation answers " +
				"400. Every error code has a page, /docs/errors/CODE.",
		},
		Servers: []*huma.Server{{URL: server}},
		Components: &huma.Components{
			Schemas: schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "An API token: Authorization: Bearer TOKEN."},
				"basic":  {Type: "http", Scheme: "basic", Description: "An API token as the password."},
			},
		},
	}
}

// schemaName puts the package before the type's name (audit.Event is
// AuditEvent): features may name their types alike.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if t.Name() == "" || t.PkgPath() == "" || name == "" {
		return name
	}
	pkg := path.Base(t.PkgPath())
	if len(pkg) > 1 && pkg[0] == 'v' && strings.Trim(pkg[1:], "0123456789") == "" {
		pkg = path.Base(path.Dir(t.PkgPath())) // a major version is no name
	}
	pkg = strings.TrimSuffix(pkg, "_test")
	pkg = strings.ToUpper(pkg[:1]) + pkg[1:]
	if strings.HasPrefix(name, pkg) {
		return name
	}
	return pkg + name
}

// describe adds the parts that huma does not know: the account parameter, the required
// permission, the envelope around the result, the error answer.
func (a *API) describe(rt *route, op *huma.Operation, result reflect.Type) {
	if rt.account {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "account_id", In: "path", Required: true,
			Description: "The account: its 32-character id, or ext:<external_id>.",
			Schema:      &huma.Schema{Type: huma.TypeString},
		})
	}
	if rt.Public {
		op.Extensions["x-scope"] = "public"
		op.Security = []map[string][]string{}
	} else {
		op.Security = []map[string][]string{{"bearer": {}}}
		if rt.Basic {
			op.Security = append(op.Security, map[string][]string{"basic": {}})
		}
		if rt.Permission != "" {
			op.Extensions["x-permission"] = rt.Permission
		}
	}
	if rt.Idempotent {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header",
			Description: "1 to 255 visible ASCII characters. For 24 hours the same key with the same request gives the " +
				"stored answer.",
			Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	if rt.raw && len(rt.Accepts) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: a.rawContent(rt)}
	}
	registry := a.huma.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{
		strconv.Itoa(rt.Status): {Description: http.StatusText(rt.Status), Content: a.answerContent(rt, result)},
		"default": {Description: "An error, identified by its code.", Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(reflect.TypeFor[errorAnswer](), true, "")},
		}},
	}
}

// rawContent documents the body of a Raw operation: one item or an array as JSON, an
// item a line as NDJSON, and nothing about other content types.
func (a *API) rawContent(rt *route) map[string]*huma.MediaType {
	content := map[string]*huma.MediaType{}
	for _, t := range rt.Accepts {
		content[t] = &huma.MediaType{}
	}
	if rt.Body == nil {
		return content
	}
	item := reflect.TypeOf(rt.Body)
	many := item.Kind() == reflect.Slice
	if many {
		item = item.Elem()
	}
	one := a.huma.OpenAPI().Components.Schemas.Schema(item, true, rt.ID+"-body")
	for t, media := range content {
		switch {
		case t == "application/json" && many:
			media.Schema = &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one}}}
		case t == "application/json", t == "application/x-ndjson":
			media.Schema = one
		}
	}
	return content
}

// errorAnswer is the envelope of an error, as the document shows it.
type errorAnswer struct {
	Success  bool         `json:"success" doc:"false"`
	Errors   []shownError `json:"errors"`
	Messages []Message    `json:"messages"`
	Result   any          `json:"result"`
}

func (a *API) answerContent(rt *route, result reflect.Type) map[string]*huma.MediaType {
	s := shape{result: result}
	if result != nil && result.Kind() != reflect.Interface {
		if ans, ok := reflect.Zero(result).Interface().(Answer); ok {
			s = ans.shape()
		}
	}
	if s.content != "" && rt.given || rt.Content != "application/json" {
		s.content = rt.Content
	}
	if s.content != "" {
		return map[string]*huma.MediaType{s.content: {}}
	}
	registry := a.huma.OpenAPI().Components.Schemas
	of := func(t reflect.Type) *huma.Schema {
		if t == nil || t.Kind() == reflect.Interface || t == reflect.TypeFor[None]() {
			return &huma.Schema{}
		}
		sch := registry.Schema(t, true, rt.ID+"-result")
		if sch.Type == huma.TypeArray {
			sch.Nullable = false
		}
		return sch
	}
	env := &huma.Schema{
		Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{
			"success": {Type: huma.TypeBoolean},
			"errors": {
				Type:     huma.TypeArray,
				Items:    registry.Schema(reflect.TypeFor[shownError](), true, ""),
				Examples: []any{[]any{}},
			},
			"messages": {
				Type:     huma.TypeArray,
				Items:    registry.Schema(reflect.TypeFor[Message](), true, ""),
				Examples: []any{[]any{}},
			},
			"result": of(s.result),
		},
		Required: []string{"success", "errors", "messages", "result"},
	}
	if s.info != nil {
		env.Properties["result_info"] = of(s.info)
	}
	return map[string]*huma.MediaType{"application/json": {Schema: env}}
}

// OpenAPI is the document, indented JSON. Call it when everything is registered.
func (a *API) OpenAPI() ([]byte, error) {
	a.tidy()
	b, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	return append(b, '\n'), err
}

// OpenAPIYAML is the same document as YAML, for api/openapi.yaml.
func (a *API) OpenAPIYAML() ([]byte, error) {
	a.tidy()
	return a.huma.OpenAPI().YAML()
}

// tidy removes huma's own error shape, which no answer has.
func (a *API) tidy() {
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "HumaErrorModel")
	delete(schemas, "HumaErrorDetail")
}

// registerOwn adds the routes that belong to no feature.
func (a *API) registerOwn() {
	spec := sync.OnceValues(func() (*Static, error) {
		b, err := a.OpenAPI()
		return NewStatic("application/json", b), err
	})
	a.MountPublic("GET /openapi.json", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, err := spec()
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		document.ServeHTTP(w, r)
	}))
	Get(a, Op{
		Path:    "/capabilities",
		ID:      "get-capabilities",
		Tag:     "Server",
		Summary: "Get limits, and the version for operators",
		Public:  true,
	},
		func(ctx context.Context, _ *struct{}) (Capabilities, error) {
			c := Capabilities{API: apiVersion, Limits: a.allLimits()}
			if fromOperators(ctx) {
				c.Version = a.cfg.Version
			}
			return c, nil
		})
}

// apiVersion is the version of the conventions. The program's own version is shown to
// operators only, because it discloses known faults.
const apiVersion = "v4"

// Capabilities is the result of GET /client/v4/capabilities.
type Capabilities struct {
	Version string         `json:"version,omitempty" doc:"Of the server; shown to operators' networks."`
	API     string         `json:"api" doc:"Of the conventions: v4."`
	Limits  map[string]any `json:"limits" doc:"Name to value; sizes in bytes, times in seconds."`
}

func (a *API) allLimits() map[string]any {
	all := map[string]any{
		"request.body_bytes":      a.cfg.MaxBody,
		"request.seconds":         a.cfg.Timeout.Seconds(),
		"request.rate_per_second": a.cfg.Rate.PerSecond,
		"list.limit":              MaxLimit,
		"idempotency.hours":       24,
	}
	for name, v := range a.limits {
		all[name] = v
	}
	return all
}

// MaxLimit is the longest page of Belfry's own lists; DefaultLimit the usual one.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Paging is embedded in the input of a list with a cursor.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"2048" doc:"Continues a list: result_info.cursor of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items of a page."`
}

// AnyPaging is embedded in the input of a list that official clients of the
// Cloudflare API page by number, and others by cursor.
type AnyPaging struct {
	Paging
	Page    int `query:"page" minimum:"1" doc:"The page's number, from 1; past the end the list is empty. Excludes cursor."`
	PerPage int `query:"per_page" minimum:"1" maximum:"1000" doc:"Most items of a numbered page; limit, unless given."`
}

// MaxNumbered limits the items of a list that have numbered pages. A request for later
// ones is an error: an empty page would mean that there are none.
const MaxNumbered = 10_000

// Numbered returns the number of the requested page (0 = not by number), and the number
// of items before it.
func (p AnyPaging) Numbered() (number, perPage, before int, err error) {
	if p.Page == 0 && p.PerPage == 0 {
		return 0, 0, 0, nil
	}
	if p.Cursor != "" {
		return 0, 0, 0, errs.At(errs.CodeInvalid, "cursor", "give cursor and limit, or page and per_page")
	}
	number = max(1, p.Page)
	perPage = cmp.Or(p.PerPage, p.Limit, DefaultLimit)
	if number > MaxNumbered/perPage+1 {
		return 0, 0, 0, errs.At(errs.CodeOutOfRange, "page",
			"only the first %d items have numbered pages; page on with cursor and limit", MaxNumbered)
	}
	return number, perPage, (number - 1) * perPage, nil
}
