package web

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Scope is the reach that an operation requires of a credential.
type Scope uint8

// The scopes.
const (
	// ScopeAccount: the account of the path's {account_id}, with Permission.
	ScopeAccount Scope = iota
	// ScopeInstallation: the whole installation, with Permission: operators.
	ScopeInstallation
	// ScopeProducer: a producer or an operator of the installation with Permission.
	ScopeProducer
	// ScopeSelf: any valid credential, about itself. Permission stays empty.
	ScopeSelf
)

var scopeNames = [...]string{"account", "installation", "producer", "self"}

// String is the scope's word in the OpenAPI document and in [Route].
func (s Scope) String() string { return scopeNames[s] }

// AnyPermission lets every credential with some right in the account pass; the
// handler narrows it with [Principal.Can] (jobs: the right depends on the kind).
const AnyPermission = "any"

// Op declares an operation. A route without a permission (Permission, ScopeSelf) must
// be declared Public, else it does not register.
type Op struct {
	Path        string // below /client/v4: "/accounts/{account_id}/audit/events/{event_id}"
	Root        bool   // Path is not below /client/v4 (on-ramps of other systems)
	ID          string // OpenAPI operationId, a method of SDKs: "list-zones"
	Summary     string // a few words
	Description string
	Tag         string // the group in /docs

	Scope      Scope
	Permission string // "audit:read"
	Public     bool   // no credential; nothing is authenticated
	// Basic also takes the token as password of basic authentication, for senders whose
	// URL holds their credential. It is for operations that no page of a browser uses.
	Basic bool

	Status     int           // of success; 0 = 200
	Idempotent bool          // takes Idempotency-Key; every authenticated POST does, see register
	Stream     bool          // no deadline; ends when the server drains
	Timeout    time.Duration // 0 = the server's
	MaxBody    int64         // 0 = the server's
	Unmetered  bool          // not counted by the rate limit (flag evaluation)

	Accepts []string // content types of the body; empty = application/json (with a Body field)
	// Coding is a Content-Encoding that the handler decodes itself: "snappy"; empty = none.
	Coding string
	// Body is a value of the type that is documented as body of a Raw operation; a
	// slice means one item, an array of items, or NDJSON.
	Body    any
	Result  any    // a value of the type that is documented as result, where the handler's type does not show it
	Content string // content type of the answer in the document, for Raw and streams; empty = application/json
	// Errors are codes that the operation may answer, besides those that follow from
	// its declaration (see /docs).
	Errors []errs.Code
}

// Route is a registered operation, for tests that walk all of them.
type Route struct {
	Method     string
	Path       string // with {placeholders}, from the root
	ID         string
	Scope      string // account, installation, producer, self; public when Public
	Permission string
	Public     bool
	Account    bool // the path has {account_id}
	Stream     bool
	Idempotent bool // takes Idempotency-Key, by web or by its own input
	NoBodyName bool // the type of the request body has no name
	Errors     []errs.Code
}

// route is an operation in service. It does not change after registration.
type route struct {
	Op
	method  string
	pattern string // "GET /client/v4/accounts/{account_id}/...": mux pattern and metric label
	path    string
	account bool
	raw     bool
	live    bool               // answers Events
	given   bool               // the declaration names the answer's content type
	ownKey  bool               // the input declares Idempotency-Key: the handler keeps the answers
	body    reflect.Type       // of the input's Body field; nil = none
	call    func(huma.Context) // huma's handler: parameters, then the feature's
	op      *huma.Operation
	query   map[string]bool // known query parameters, and whether they are required
	bodyAt  []int           // index of the input's Body field; nil = none
	schema  *huma.Schema    // of the body
	needs   bool            // a body is required
}

// Routes lists every registered operation, in the order of registration.
func (a *API) Routes() []Route {
	list := make([]Route, len(a.routes))
	for i, r := range a.routes {
		scope := r.Scope.String()
		if r.Public {
			scope = "public"
		}
		list[i] = Route{
			Method:     r.method,
			Path:       r.path,
			ID:         r.op.OperationID,
			Scope:      scope,
			Permission: r.Permission,
			Public:     r.Public,
			Account:    r.account,
			Stream:     r.Stream,
			Idempotent: r.Idempotent || r.ownKey,
			NoBodyName: r.body != nil && bodyName(r.body) == "",
			Errors:     r.Errors,
		}
	}
	return list
}

// bodyName is the name of a body's type, or of its elements.
func bodyName(t reflect.Type) string {
	for t.Name() == "" && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	return t.Name()
}

// Mounted is a handler outside of the operations, for tests that walk all of them.
type Mounted struct {
	Pattern string // of [http.ServeMux]
	Stream  bool
	Public  bool
}

// Mounts lists them in the order of their registration.
func (a *API) Mounts() []Mounted { return a.mounts }

// newRoute checks the declaration; a fault is a defect of the program and
// panics at the start.
func (a *API) newRoute(method string, op Op) *route {
	path := op.Path
	if !op.Root {
		path = Base + op.Path
	}
	rt := &route{
		Op:      op,
		method:  method,
		path:    path,
		pattern: method + " " + path,
		account: strings.Contains(path, "{account_id}"),
	}
	fail := func(why string) { panic(fmt.Sprintf("web: %s: %s", rt.pattern, why)) }
	switch {
	case !strings.HasPrefix(op.Path, "/"):
		fail("the path must begin with /")
	case op.ID == "" || op.Tag == "" || op.Summary == "":
		fail("ID, Tag and Summary are required")
	case op.Public && (op.Permission != "" || op.Scope != ScopeAccount):
		fail("Public excludes Permission and Scope")
	case op.Public:
	case op.Scope == ScopeSelf && op.Permission != "":
		fail("ScopeSelf has no Permission")
	case op.Scope != ScopeSelf && op.Permission == "":
		fail("says neither Permission nor Public nor ScopeSelf")
	case op.Scope == ScopeAccount && !rt.account:
		fail("ScopeAccount needs {account_id} in the path")
	case op.Scope != ScopeAccount && rt.account:
		fail("{account_id} in the path needs ScopeAccount")
	case op.Permission == AnyPermission && op.Scope != ScopeAccount:
		fail("AnyPermission is for ScopeAccount only")
	}
	if op.Idempotent && (method != http.MethodPost || op.Public || op.Stream) {
		fail("Idempotent is for authenticated POSTs that do not stream")
	}
	if method == http.MethodPost && op.Stream {
		fail("a POST does not stream: a client could not repeat it safely")
	}
	if rt.Status == 0 {
		rt.Status = http.StatusOK
	}
	if rt.Timeout == 0 {
		rt.Timeout = a.cfg.Timeout
	}
	if rt.MaxBody == 0 {
		rt.MaxBody = a.cfg.MaxBody
	}
	rt.live = rt.Content == eventStream
	rt.given = rt.Content != ""
	if !rt.given {
		rt.Content = "application/json"
	}
	return rt
}
