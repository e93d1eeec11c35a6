// Package cloudflare_test drives the audit routes of a running Belfry with the official Go
// client of the Cloudflare API. It is a module of its own, because Belfry does not need
// that client, and imports only the client's service packages: its root package alone
// compiles longer than all of Belfry.
//
// The tests of test/conformance start the server, write the events and run these tests
// with BELFRY_URL, BELFRY_TOKEN, ACCOUNT_ID and BELFRY_EXPECTED (a JSON file).
package cloudflare_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/accounts"
	"github.com/cloudflare/cloudflare-go/v7/audit_logs"
	"github.com/cloudflare/cloudflare-go/v7/option"
)

// fixture holds the written events in the shapes that the routes must answer, the newest first.
type fixture struct {
	Since   time.Time  `json:"since"`
	Before  time.Time  `json:"before"`
	Other   string     `json:"other_account"`
	Writer  string     `json:"writer_token"`
	V1      []itemV1   `json:"v1"`
	V2      []itemV2   `json:"v2"`
	CasesV1 []readCase `json:"cases_v1"`
	CasesV2 []readCase `json:"cases_v2"`
	History struct {
		ID         string    `json:"id"`
		ActionTime time.Time `json:"action_time"`
		IDs        []string  `json:"ids"`
	} `json:"history"`
}

type readCase struct {
	Name  string              `json:"name"`
	Query map[string][]string `json:"query"`
	IDs   []string            `json:"ids"`
}

type itemV1 struct {
	ID     string    `json:"id"`
	When   time.Time `json:"when"`
	Action struct {
		Result bool   `json:"result"`
		Type   string `json:"type"`
	} `json:"action"`
	Actor struct {
		ID    string `json:"id"`
		Email string `json:"email"`
		IP    string `json:"ip"`
		Type  string `json:"type"`
	} `json:"actor"`
	Interface string `json:"interface"`
	Metadata  any    `json:"metadata"`
	New       any    `json:"newValueJson"`
	Old       any    `json:"oldValueJson"`
	Owner     struct {
		ID string `json:"id"`
	} `json:"owner"`
	Resource struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"resource"`
}

type itemV2 struct {
	ID      string `json:"id"`
	Account struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"account"`
	Action struct {
		Description string    `json:"description"`
		Result      string    `json:"result"`
		Time        time.Time `json:"time"`
		Type        string    `json:"type"`
	} `json:"action"`
	Actor struct {
		ID        string `json:"id"`
		Context   string `json:"context"`
		Email     string `json:"email"`
		IPAddress string `json:"ip_address"`
		TokenID   string `json:"token_id"`
		TokenName string `json:"token_name"`
		Type      string `json:"type"`
	} `json:"actor"`
	Raw struct {
		CfRayID    string `json:"cf_ray_id"`
		Method     string `json:"method"`
		StatusCode int64  `json:"status_code"`
		URI        string `json:"uri"`
		UserAgent  string `json:"user_agent"`
	} `json:"raw"`
	Resource struct {
		ID      string `json:"id"`
		Product string `json:"product"`
		Scope   any    `json:"scope"`
		Type    string `json:"type"`
	} `json:"resource"`
	Zone struct {
		Name string `json:"name"`
	} `json:"zone"`
}

// A client is the official one, pointed at Belfry; requests counts what it really sent,
// its own repetitions included.
type client struct {
	fixture
	account  string
	requests atomic.Int64
	v1       *audit_logs.AuditLogService
	v2       *accounts.LogAuditService
}

func newClient(t *testing.T) *client {
	t.Helper()
	if os.Getenv("BELFRY_URL") == "" {
		t.Skip("run by the tests of test/conformance, which start a server")
	}
	return clientWith(t, os.Getenv("BELFRY_TOKEN"))
}

func clientWith(t *testing.T, token string) *client {
	t.Helper()
	c := &client{account: os.Getenv("ACCOUNT_ID")}
	text, err := os.ReadFile(os.Getenv("BELFRY_EXPECTED"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c.fixture); err != nil {
		t.Fatal(err)
	}
	count := func(request *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		c.requests.Add(1)
		return next(request)
	}
	options := []option.RequestOption{
		option.WithBaseURL(os.Getenv("BELFRY_URL") + "/client/v4"),
		option.WithAPIToken(token),
		option.WithMiddleware(count),
	}
	c.v1 = audit_logs.NewAuditLogService(options...)
	c.v2 = accounts.NewAccountService(options...).Logs.Audit
	return c
}

// ours keeps what the fixture wrote: Belfry records its own acts in the same log.
func (c *client) ours(ids []string) []string {
	known := map[string]bool{}
	for _, item := range c.V1 {
		known[item.ID] = true
	}
	kept := []string{}
	for _, id := range ids {
		if known[id] {
			kept = append(kept, id)
		}
	}
	return kept
}

// query turns a case's query into options; they take the place of typed parameters.
func query(c readCase) []option.RequestOption {
	var options []option.RequestOption
	for name, values := range c.Query {
		for i, value := range values {
			if i == 0 {
				options = append(options, option.WithQuery(name, value))
			} else {
				options = append(options, option.WithQueryAdd(name, value))
			}
		}
	}
	return options
}

// keepBody decodes a copy of the answer: the client hides result_info of a history.
func keepBody(into any) option.Middleware {
	return func(request *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		response, err := next(request)
		if err != nil {
			return response, err
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(text))
		return response, json.Unmarshal(text, into)
	}
}
