package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type hiddenParams struct {
	ThingID string `path:"thing_id"`
}

func TestFaultyDeclarationsDoNotRegister(t *testing.T) {
	nothing := func(context.Context, *struct{}) (web.None, error) { return web.None{}, nil }
	good := web.Op{Path: "/accounts/{account_id}/x", ID: "get-x", Tag: "T", Summary: "S", Permission: "audit:read"}
	with := func(change func(*web.Op)) web.Op {
		op := good
		change(&op)
		return op
	}
	for name, register := range map[string]func(*web.API){
		"says neither Permission nor Public": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Permission = "" }),
				nothing)
		},
		"ScopeAccount needs {account_id}": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Path = "/x" }),
				nothing)
		},
		"needs ScopeAccount": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Scope = web.ScopeInstallation }), nothing)
		},
		"Public excludes": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Public = true }),
				nothing)
		},
		"ScopeSelf has no": func(a *web.API) {
			web.Get(a, web.Op{Path: "/x", ID: "get-x", Tag: "T", Summary: "S", Scope: web.ScopeSelf, Permission: "x"}, nothing)
		},
		"AnyPermission is": func(a *web.API) {
			web.Get(a, web.Op{
				Path:       "/x",
				ID:         "get-x",
				Tag:        "T",
				Summary:    "S",
				Scope:      web.ScopeProducer,
				Permission: web.AnyPermission,
			}, nothing)
		},
		"ID, Tag and Summary are": func(a *web.API) { web.Get(a, with(func(o *web.Op) { o.ID = "" }), nothing) },
		"Tag and Summary":         func(a *web.API) { web.Get(a, with(func(o *web.Op) { o.Tag = "" }), nothing) },
		"Idempotent is for":       func(a *web.API) { web.Get(a, with(func(o *web.Op) { o.Idempotent = true }), nothing) },
		"{thing_id} is not a field": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Path += "/{thing_id}" }),
				nothing)
		},
		"must be exported": func(a *web.API) {
			web.Get(a, with(func(o *web.Op) { o.Path += "/{thing_id}" }),
				func(context.Context, *struct{ hiddenParams }) (web.None, error) { return web.None{}, nil })
		},
		"comes from web.Account": func(a *web.API) {
			web.Get(a, good, func(context.Context, *struct {
				A string `path:"account_id"`
			}) (web.None, error) {
				return web.None{}, nil
			})
		},
		"lists repeat their name": func(a *web.API) {
			web.Get(a, good, func(context.Context, *struct {
				A []string `query:"a"`
			}) (web.None, error) {
				return web.None{}, nil
			})
		},
		"type that a parameter cannot have": func(a *web.API) {
			web.Get(a, good, func(context.Context, *struct {
				A struct{ X int } `query:"a"`
			}) (web.None, error) {
				return web.None{}, nil
			})
		},
		"neither Body nor a parameter": func(a *web.API) {
			web.Get(a, good, func(context.Context, *struct{ A string }) (web.None, error) { return web.None{}, nil })
		},
		"dot or bracket": func(a *web.API) {
			web.Post(a, good, func(context.Context, *struct {
				Body struct {
					A string `json:"a.b"`
				}
			}) (web.None, error) {
				return web.None{}, nil
			})
		},
		"no Body field": func(a *web.API) {
			web.Raw(a, "POST", good, func(context.Context, *createInput, *web.Exchange) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, name) {
					t.Errorf("panic %q", r)
				}
			}()
			register(newAPI(t).API)
		})
	}
}

// spec has the members of an OpenAPI document that the tests read.
type spec struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		Responses   map[string]json.RawMessage
		Security    []map[string][]string
	}
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]json.RawMessage
	}
}

func TestTheDocumentHasEveryRouteAndEveryParameterOfItsPath(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	jobs.New(openDB(t), jobs.Config{}, nil).API(a.API)
	w := ask(t, a, "GET /openapi.json", "")
	var s spec
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.OpenAPI != "3.1.0" || s.Components.SecuritySchemes["bearer"] == nil {
		t.Fatalf("%s", w.Body)
	}
	if len(a.Routes()) < 10 {
		t.Fatalf("only %d routes", len(a.Routes()))
	}
	for _, r := range a.Routes() {
		op, ok := s.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok {
			t.Errorf("%s %s is not in the document", r.Method, r.Path)
			continue
		}
		if r.Public != (len(op.Security) == 0) {
			t.Errorf("%s: security %v, public %v", r.ID, op.Security, r.Public)
		}
		documented := map[string]bool{}
		for _, p := range op.Parameters {
			documented[p.In+" "+p.Name] = true
		}
		for part := range strings.SplitSeq(r.Path, "/") {
			if strings.HasPrefix(part, "{") && !documented["path "+strings.Trim(part, "{}")] {
				t.Errorf("%s: %s is not documented", r.ID, part)
			}
		}
		if _, ok := op.Responses["422"]; ok {
			t.Errorf("%s documents 422", r.ID)
		}
	}
	for name := range s.Components.Schemas {
		if strings.Contains(name, "ErrorModel") {
			t.Errorf("the document has huma's %s", name)
		}
	}
	first, err := a.OpenAPIYAML()
	if err != nil || !strings.Contains(string(first), "operationId: list-things\n") {
		t.Fatalf("%v, %d bytes", err, len(first))
	}
	b := newAPI(t)
	registerThings(b.API)
	jobs.New(openDB(t), jobs.Config{}, nil).API(b.API)
	if second, err := b.OpenAPIYAML(); err != nil || string(second) != string(first) {
		t.Fatal("the document differs from one start to the next")
	}
}
