package web_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// thing is the object of the tests' operations.
type thing struct {
	ID   string            `json:"id" readOnly:"true" required:"false"`
	Name string            `json:"name" minLength:"1" maxLength:"20"`
	Size int               `json:"size,omitempty" minimum:"0" maximum:"100"`
	Tags map[string]string `json:"tags,omitempty"`
	Kind string            `json:"kind,omitempty" enum:"small,large"`
}

type listInput struct {
	web.Paging
	Action []string `query:"action.type,explode"`
	Since  web.Time `query:"since"`
}

type numberedInput struct {
	Page int `query:"page" minimum:"1" default:"1"`
}

type thingInput struct {
	ThingID string `path:"thing_id" maxLength:"32"`
}

type createInput struct {
	Body thing
}

type putInput struct {
	ThingPath
	Body thing
}

// ThingPath is a parameter that several inputs share.
type ThingPath struct {
	ThingID string `path:"thing_id"`
}

func registerThings(a *web.API) {
	op := func(id, path, summary string) web.Op {
		return web.Op{
			Path:       "/accounts/{account_id}" + path,
			ID:         id,
			Tag:        "Things",
			Summary:    summary,
			Permission: "audit:read",
		}
	}
	web.Get(a, op("list-things", "/things",
		"List things"), func(ctx context.Context, in *listInput) (web.Page[thing], error) {
		var at struct{ N int }
		list := "things " + web.Account(ctx).ID
		if in.Cursor != "" {
			if err := a.Cursors().Decode(list, in.Cursor, &at); err != nil {
				return web.Page[thing]{}, err
			}
		}
		p := web.Page[thing]{}
		for at.N < 5 && len(p.Items) < in.Limit {
			p.Items = append(p.Items, thing{ID: strconv.Itoa(at.N), Name: fmt.Sprint(in.Action, in.Since.IsZero())})
			at.N++
		}
		if at.N < 5 {
			p.Cursor = a.Cursors().Encode(list, at)
		}
		return p, nil
	})
	web.Get(a, op("list-numbered-things", "/numbered", "List things by page"),
		func(_ context.Context, in *numberedInput) (web.Numbered[thing], error) {
			n := web.Numbered[thing]{
				Page:     in.Page,
				PerPage:  2,
				Total:    3,
				Messages: []web.Message{{Code: 1, Message: "three is all"}},
			}
			if in.Page <= 2 {
				n.Items = []thing{{ID: "a", Name: "a"}}
			}
			return n, nil
		})
	web.Get(a, op("get-thing", "/things/{thing_id}",
		"Get a thing"), func(ctx context.Context, in *thingInput) (thing, error) {
		if in.ThingID == "none" {
			return thing{}, errs.New(errs.CodeNotFound, "there is no thing %q", in.ThingID)
		}
		return thing{ID: in.ThingID, Name: web.Account(ctx).ID[31:] + " of " + web.CurrentPrincipal(ctx).ID}, nil
	})
	create := op("create-thing", "/things", "Create a thing")
	create.Permission = "audit:write"
	create.Idempotent = true
	create.Status = 201
	created := 0
	web.Post(a, create, func(_ context.Context, in *createInput) (thing, error) {
		created++
		if in.Body.Name == "taken" {
			return thing{}, errs.At(errs.CodeExists, "/name", "a thing has this name")
		}
		in.Body.ID = fmt.Sprintf("%032d", created)
		return in.Body, nil
	})
	put := op("replace-thing", "/things/{thing_id}", "Replace a thing")
	put.Permission = "audit:write"
	web.Put(a, put, func(ctx context.Context, in *putInput) (thing, error) {
		if err := web.IfMatch(ctx, thing{ID: in.ThingID, Name: "1 of owner"}); err != nil {
			return thing{}, err
		}
		in.Body.ID = in.ThingID
		return in.Body, nil
	})
	remove := put
	remove.ID = "delete-thing"
	remove.Summary = "Delete a thing"
	web.Delete(a, remove, func(context.Context, *thingInput) (web.None, error) { return web.None{}, nil })
	web.Get(a, web.Op{
		Path:       "/accounts",
		ID:         "list-accounts",
		Tag:        "Accounts",
		Summary:    "List accounts",
		Scope:      web.ScopeInstallation,
		Permission: "accounts:read",
	},
		func(context.Context, *struct{}) (web.Page[thing], error) { return web.Page[thing]{}, nil })
	web.Get(a, web.Op{
		Path:    "/user/tokens/verify",
		ID:      "verify-token",
		Tag:     "Tokens",
		Summary: "Verify",
		Scope:   web.ScopeSelf,
	},
		func(ctx context.Context, _ *struct{}) (thing, error) {
			return thing{ID: web.CurrentPrincipal(ctx).ID}, nil
		})
	web.Raw(a, "POST", web.Op{
		Path:       "/audit/events",
		ID:         "append-events",
		Tag:        "Audit",
		Summary:    "Append",
		Scope:      web.ScopeProducer,
		Permission: "audit:write",
		Accepts:    []string{"application/json", "application/x-ndjson"},
		MaxBody:    1000,
	},
		func(_ context.Context, _ *struct{}, x *web.Exchange) error {
			body, err := x.Bytes()
			if err != nil {
				return err
			}
			if string(body) == "[]" {
				x.Send(web.Envelope{Errors: errs.List{errs.At(errs.CodeMissingField, "/0", "no event")}, Result: []byte(`[]`)})
				return nil
			}
			x.Send(web.Envelope{Result: []byte(fmt.Sprintf(`{"bytes":%d}`, len(body))), Info: []byte(`{"accepted":1}`)})
			return nil
		})
	web.Get(a, web.Op{
		Path:    "/panic",
		ID:      "get-panic",
		Tag:     "Faults",
		Summary: "Panic",
		Public:  true,
	}, func(context.Context, *struct{}) (thing, error) { panic("hunter2") })
	web.Get(a, web.Op{Path: "/fault", ID: "get-fault", Tag: "Faults", Summary: "Fail", Public: true},
		func(context.Context, *struct{}) (thing, error) { return thing{}, fmt.Errorf("password=hunter2") })
}

func TestTheTranscriptOfTheRoutesIsAsWritten(t *testing.T) {
	a := newAPI(t, withIdempotency(t, openDB(t)))
	registerThings(a.API)
	var tr transcript
	say := func(head, body string, headers ...string) {
		tr.add(head, body, headers, ask(t, a, head, body, headers...))
	}
	acc := "/client/v4/accounts/" + ours
	say("GET "+acc+"/things?limit=2", "", as("reader"))
	say("GET "+acc+"/things?action.type=a&action.type=b&action.type=&since=2026-11-22&limit=1&cursor=", "", as("reader"))
	say("GET "+acc+"/numbered?page=3", "", as("reader"))
	say("GET "+acc+"/things/x", "", as("owner"))
	say("GET "+acc+"/things/none", "", as("owner"))
	say("GET /client/v4/accounts/ext:ours/things/x", "", as("owner"))
	say("POST "+acc+"/things", `{"name":"a","size":3,"tags":{"a.b":"c"}}`, as("owner"), "Idempotency-Key: one")
	say("POST "+acc+"/things", `{"name":"a","size":3,"tags":{"a.b":"c"}}`, as("owner"), "Idempotency-Key: one")
	say("POST "+acc+"/things", `{"name":"other"}`, as("owner"), "Idempotency-Key: one")
	say("POST "+acc+"/things", `{"name":"taken"}`, as("owner"))
	say("POST "+acc+"/things", `{"size":101,"tags":{"a.b":7},"colour":"red","kind":"huge"}`, as("owner"))
	say("POST "+acc+"/things", `{"name":"a","name":"b"}`, as("owner"))
	say("POST "+acc+"/things", `{"Name":"a"}`, as("owner"))
	say("POST "+acc+"/things", `{"name":`, as("owner"))
	say("PUT "+acc+"/things/x", `{"name":"b"}`, as("owner"), `If-Match: "stale"`)
	say("DELETE "+acc+"/things/x", "", as("owner"))
	say("GET "+acc+"/things?limit=0&colour=red", "", as("reader"))
	say("GET "+acc+"/things?limit=0", "", as("reader"))
	say("GET "+acc+"/things?since=yesterday", "", as("reader"))
	say("GET "+acc+"/things?cursor=abc", "", as("reader"))
	say("POST "+acc+"/things", `{}`, as("reader"))
	say("GET "+acc+"/things?colour=red", "", as("stranger"))
	say("GET /client/v4/accounts/"+missing+"/things", "", as("stranger"))
	say("GET /client/v4/accounts/"+missing+"/things", "", as("root"))
	say("GET "+acc+"/things", "")
	say("GET /client/v4/accounts", "", as("staff"))
	say("GET /client/v4/accounts", "", as("owner"))
	say("GET /client/v4/user/tokens/verify", "", as("reader"))
	say("POST /client/v4/audit/events", `{"a":1}`, as("producer"))
	say("POST /client/v4/audit/events", `[]`, as("producer"))
	say("POST /client/v4/audit/events", `{}`, as("owner"))
	say("GET /client/v4/none", "")
	say("PATCH "+acc+"/things", "{}", as("owner"))
	say("GET /client/v4/fault", "")
	say("GET /client/v4/capabilities", "")
	golden(t, "routes.txt", tr.String())
}
