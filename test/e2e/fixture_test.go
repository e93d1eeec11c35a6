// Package e2e_test runs the real server once and tries what must not succeed: requests of
// people who may not, and input that is wrong. Every test has accounts of its own.
package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// belfry is the server under test on SQLite. Only TestMain sets it.
var belfry *live.Server

func TestMain(m *testing.M) { os.Exit(serveAndRun(m)) }

func serveAndRun(m *testing.M) (code int) {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "belfry-e2e")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	binary, err := live.Build(dir)
	if err != nil {
		return fail(err)
	}
	// The tests are a trusted proxy: each refused request comes from an address of its own,
	// or the limit of refused credentials would answer in place of what is tested.
	if belfry, err = live.Start(binary, dir, "BELFRY_TRUSTED_PROXIES=127.0.0.0/8",
		"BELFRY_ALLOW_NETWORKS=127.0.0.0/8"); err != nil {
		return fail(err)
	}
	defer func() {
		if err := belfry.Stop(); err != nil {
			code = fail(fmt.Errorf("%w\n%s", err, belfry.Tail()))
		}
		// Whatever these tests send is their own fault, never the server's.
		if defects := belfry.Defects(); len(defects) > 0 {
			code = fail(fmt.Errorf("belfry reported defects of its own:\n%s", strings.Join(defects, "\n")))
		}
	}()
	return m.Run()
}

// testAccount is an account of one test, with the value of a token that has all permissions in it.
type testAccount struct {
	ID, Token string
	server    *live.Server
}

func newAccount(t *testing.T) testAccount {
	t.Helper()
	return newAccountOn(t, belfry)
}

func newAccountOn(t *testing.T, server *live.Server) testAccount {
	t.Helper()
	a := testAccount{server: server}
	server.Must(t, "POST", "/accounts", map[string]string{"name": t.Name()[:min(len(t.Name()), 100)]}, &a)
	_, a.Token = newToken(t, a, "*", "")
	return a
}

// newToken makes an API token; expires is RFC 3339, empty = never.
func newToken(t *testing.T, a testAccount, permission, expires string) (id, value string) {
	t.Helper()
	spec := map[string]any{"name": "a token", "permissions": []string{permission}}
	if expires != "" {
		spec["expires_on"] = expires
	}
	var made struct{ ID, Value string }
	a.server.Must(t, "POST", a.path("/tokens"), spec, &made)
	return made.ID, made.Value
}

func (a testAccount) path(rest string) string { return "/accounts/" + a.ID + rest }

// testTeam is a product team with a token and a catalogue of one product.
type testTeam struct{ ID, Token, Product string }

func newTeam(t *testing.T, product string) testTeam {
	t.Helper()
	return newTeamOn(t, belfry, product)
}

func newTeamOn(t *testing.T, server *live.Server, product string) testTeam {
	t.Helper()
	made := testTeam{Product: product}
	server.Must(t, "POST", "/producers", map[string]string{"name": "Team of " + product}, &made)
	var token struct{ Value string }
	server.Must(t, "POST", "/producers/"+made.ID+"/tokens", map[string]string{"name": "a token"}, &token)
	made.Token = token.Value
	catalogue := "version: 1\nproducts:\n  - product: " + product + "\n    title: " + product +
		"\n    resources:\n      - type: thing\n        actions:\n          - type: update\n            sentence: " +
		"\"{actor} changed {resource}\"\n"
	made.apply(t, server, catalogue)
	return made
}

// apply replaces the team's catalogue.
func (m testTeam) apply(t *testing.T, server *live.Server, catalogue string) {
	t.Helper()
	a := server.Send(t, live.Request{
		Token:       m.Token,
		Method:      "PUT",
		Path:        "/producers/" + m.ID + "/catalog",
		ContentType: "application/yaml",
		Body:        []byte(catalogue),
	}).Open(t)
	if !a.Success {
		t.Fatalf("the catalogue of %s: status %d\n%.1000s", m.Product, a.Status, a.Body)
	}
}

// visitors numbers the addresses that requests say they come from.
var visitors atomic.Uint32

// sendFromNewAddress makes a request from an address of its own. All requests have the same id, so that equal answers
// are equal byte for byte.
func sendFromNewAddress(t *testing.T, r live.Request) live.Answer {
	t.Helper()
	n := visitors.Add(1)
	r.Headers = append(r.Headers,
		"X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", n>>8&255, n&255),
		"X-Request-Id", "e2e")
	return belfry.Send(t, r)
}

// operation is one row of the server's own description.
type operation struct {
	Method, Path      string // Path with its parameters in braces, below /client/v4
	Scope, Permission string
	Public            bool // it says that it needs no credential
	Body              bool
}

func (o operation) String() string { return o.Method + " " + o.Path }

// parameters are the names in the path.
func (o operation) parameters() []string {
	var names []string
	for part := range strings.SplitSeq(o.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// at is the path with values for its parameters; others gives what values lacks.
func (o operation) at(values map[string]string, others string) string {
	path := o.Path
	for _, name := range o.parameters() {
		value, ok := values[name]
		if !ok {
			value = others
		}
		path = strings.Replace(path, "{"+name+"}", url.PathEscape(value), 1)
	}
	return path
}

// operations asks the running server for all that it has.
func operations(t *testing.T) []operation {
	t.Helper()
	var document struct {
		Security []any
		Paths    map[string]map[string]struct {
			Security    *[]any          `json:"security"`
			Scope       string          `json:"x-scope"`
			Permission  string          `json:"x-permission"`
			RequestBody json.RawMessage `json:"requestBody"`
		}
	}
	if err := json.Unmarshal(openapi(t), &document); err != nil {
		t.Fatal(err)
	}
	var list []operation
	for path, methods := range document.Paths {
		for method, o := range methods {
			below, ok := strings.CutPrefix(path, "/client/v4")
			if !ok {
				t.Fatalf("%s %s is not below /client/v4: say here how it is walked", method, path)
			}
			list = append(list, operation{strings.ToUpper(method), below, o.Scope, o.Permission,
				o.Security != nil && len(*o.Security) == 0, o.RequestBody != nil})
		}
	}
	if len(list) < 40 {
		t.Fatalf("the server describes only %d operations", len(list))
	}
	return list
}

// openapi is the document of the running server.
func openapi(t *testing.T) []byte {
	t.Helper()
	request, err := http.NewRequest("GET", belfry.URL+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := belfry.Do(t, request)
	if a.Status != http.StatusOK {
		t.Fatalf("GET /openapi.json: status %d", a.Status)
	}
	return a.Body
}
