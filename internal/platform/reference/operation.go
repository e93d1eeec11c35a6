package reference

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Group describes the operations of a tag.
type Group struct {
	Tag   string
	Title string // in the navigation
	About string // a sentence or two
	Guide string // name of the guide about it; "" = none
}

// group is a Group with its operations.
type group struct {
	Group
	Slug, Href string
	Ops        []*Op
	GuideTitle string
	GuideHref  string
}

// Op is an operation as its page shows it.
type Op struct {
	ID, Method, Path, Summary, Description string

	Href       string
	Group      *group
	Public     bool
	Access     string // a sentence before the permission
	Permission string
	Stream     bool // answers with server-sent events
	Idempotent bool // the samples send a key of their own

	PathParams, QueryParams, HeaderParams []Field

	Bodies  []Body
	Result  Body
	Info    []Field // result_info of lists
	Errors  []ErrorRef
	Samples []Sample

	HasExample bool
	Request    string // the body of the example
	Type       string // content type of the example's body
	Response   string // the answer of the example
	Asks       bool   // try-it asks before it sends
	Prev, Next *link
}

// Body is a request body or an answer in one content type.
type Body struct {
	Type   string
	JSON   bool
	Status int
	Kind   string // in words
	Fields []Field
}

// ErrorRef leads to the page of an error code.
type ErrorRef struct {
	Code   errs.Code
	Status int
	Title  string
}

type link struct{ Href, Label string }

// readOps makes the operations of the document, in the order of their registration.
func readOps(d *document, routes []web.Route, examples Examples) ([]*Op, error) {
	var list []*Op
	for _, rt := range routes {
		path := strings.ReplaceAll(rt.Path, "...}", "}")
		o, ok := d.Paths[path][strings.ToLower(rt.Method)]
		if !ok {
			return nil, fmt.Errorf("reference: the document lacks %s %s", rt.Method, path)
		}
		op := &Op{
			ID:          rt.ID,
			Method:      rt.Method,
			Path:        path,
			Summary:     o.Summary,
			Description: o.Description,
			Href:        "/docs/api/" + rt.ID,
			Public:      rt.Public,
			Permission:  rt.Permission,
			Idempotent:  rt.Idempotent,
			Asks:        rt.Method != http.MethodGet,
		}
		op.Access, op.Permission = access(rt)
		example, has := examples[rt.ID]
		op.HasExample = has
		op.readInput(d, o, example)
		op.readAnswer(d, o)
		op.Errors = errorsOf(rt, op)
		op.Request = example.body()
		op.Type = example.Type
		op.Response = example.result()
		if has {
			op.Samples = call{op, example}.samples()
		}
		list = append(list, op)
	}
	return list, nil
}

// access names the callers of an operation; the permission is shown after the sentence.
func access(rt web.Route) (sentence, permission string) {
	switch {
	case rt.Public:
		return "No credential is needed.", ""
	case rt.Permission == web.AnyPermission:
		return "Any credential with a permission in the account.", ""
	case rt.Scope == web.ScopeSelf.String():
		return "Any valid credential.", ""
	case rt.Scope == web.ScopeInstallation.String():
		return "Operators of the installation with the permission", rt.Permission
	case rt.Scope == web.ScopeProducer.String():
		return "Tokens of product teams, and operators of the installation, with the permission", rt.Permission
	}
	return "Members and tokens of the account with the permission", rt.Permission
}

func (op *Op) readInput(d *document, o operation, example Example) {
	for _, p := range o.Parameters {
		f := d.field(p.Name, p.Schema, nil)
		f.Required = p.Required
		f.Doc = cmp.Or(p.Description, f.Doc)
		switch p.In {
		case "path":
			f.Example = example.Path[p.Name]
			op.PathParams = append(op.PathParams, f)
		case "query":
			f.Example = strings.Join(example.Query[p.Name], ", ")
			op.QueryParams = append(op.QueryParams, f)
		case "header":
			op.HeaderParams = append(op.HeaderParams, f)
		}
	}
	slices.SortStableFunc(op.PathParams, func(a, b Field) int {
		return cmp.Compare(strings.Index(op.Path, "{"+a.Name+"}"), strings.Index(op.Path, "{"+b.Name+"}"))
	})
	for _, name := range contentTypes(o.RequestBody.Content) {
		body := Body{Type: name, JSON: strings.HasSuffix(name, "json")}
		if s := o.RequestBody.Content[name].Schema; s != nil {
			body.Fields, body.Kind = d.fields(s, nil)
		}
		op.Bodies = append(op.Bodies, body)
	}
}

// readAnswer describes the successful answer. Of the envelope, which all answers
// have, only result and result_info differ.
func (op *Op) readAnswer(d *document, o operation) {
	for status, r := range o.Responses {
		if status == "default" {
			continue
		}
		code, err := strconv.Atoi(status)
		if err != nil {
			continue // a range of codes, such as 2XX
		}
		op.Result.Status = code
		for _, name := range contentTypes(r.Content) {
			op.Result.Type = name
			op.Result.JSON = name == "application/json" && r.Content[name].Schema != nil
			op.Stream = name == "text/event-stream"
			s := r.Content[name].Schema
			if s == nil {
				continue
			}
			if result, ok := s.Properties["result"]; ok {
				op.Result.Fields, op.Result.Kind = d.fields(result, nil)
			}
			if info, ok := s.Properties["result_info"]; ok {
				op.Info, _ = d.fields(info, nil)
			}
		}
	}
}

// contentTypes sorts content types: JSON first.
func contentTypes(content map[string]media) []string {
	return slices.SortedFunc(maps.Keys(content), func(a, b string) int {
		rank := func(t string) int {
			switch t {
			case "application/json":
				return 0
			case "application/yaml":
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// errorsOf lists the codes that follow from the declaration of an operation, and
// those that the operation adds.
func errorsOf(rt web.Route, op *Op) []ErrorRef {
	codes := []errs.Code{errs.CodeRateLimited, errs.CodeUnavailable}
	if !rt.Public {
		codes = append(codes, errs.CodeAuthentication, errs.CodeTokenExpired)
		if rt.Scope != web.ScopeSelf.String() {
			codes = append(codes, errs.CodeForbidden)
		}
	}
	if len(op.PathParams) > 0 {
		codes = append(codes, errs.CodeNotFound)
	}
	if len(op.QueryParams) > 0 || len(op.PathParams) > 1 || len(op.Bodies) > 0 {
		codes = append(codes, errs.CodeInvalid)
	}
	for _, p := range op.QueryParams {
		switch p.Name {
		case "cursor":
			codes = append(codes, errs.CodeBadCursor)
		case "limit", "per_page":
			codes = append(codes, errs.CodeOutOfRange)
		}
	}
	if len(op.Bodies) > 0 {
		codes = append(codes, errs.CodeInvalidJSON, errs.CodeUnknownField, errs.CodeMissingField, errs.CodeWrongType,
			errs.CodeOutOfRange, errs.CodeTooLarge, errs.CodeMediaType)
	}
	if rt.Idempotent {
		codes = append(codes, errs.CodeIdempotencyReuse, errs.CodeIdempotencyBusy)
	}
	codes = append(codes, rt.Errors...)
	slices.Sort(codes)
	var list []ErrorRef
	for _, c := range slices.Compact(codes) {
		if e, ok := c.Entry(); ok {
			list = append(list, ErrorRef{c, web.StatusOf(c), e.Title})
		}
	}
	return list
}

// PathHTML is the path with its parameters marked, and places to break a line.
func (op *Op) PathHTML() template.HTML {
	path := strings.ReplaceAll(template.HTMLEscapeString(op.Path), "/", "<wbr>/")
	path = strings.NewReplacer("{", "<b>{", "}", "}</b>").Replace(path)
	return template.HTML(path) //nolint:gosec // escaped above
}

// bodyPart is a body with all content types that have the same shape.
type bodyPart struct {
	Types  []string
	Kind   string
	Fields []Field
}

// BodyParts are the bodies; content types without a shape of their own share one part.
func (op *Op) BodyParts() []bodyPart { //nolint:revive // called by templates only
	var parts []bodyPart
	var other bodyPart
	for _, b := range op.Bodies {
		switch {
		case b.Type == "application/x-ndjson" && len(parts) > 0:
			parts = append(parts, bodyPart{Types: []string{b.Type}, Kind: "one such object a line"})
		case b.Kind == "":
			other.Types = append(other.Types, b.Type)
		default:
			parts = append(parts, bodyPart{[]string{b.Type}, b.Kind, b.Fields})
		}
	}
	if len(other.Types) > 0 {
		parts = append(parts, other)
	}
	return parts
}
