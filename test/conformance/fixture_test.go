package conformance_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// moment is how Belfry shows a time.
const moment = "2006-01-02T15:04:05.000000Z"

// event is the part of the audit event (version 1) that the fixture uses.
type event struct {
	ID         string          `json:"id"`
	OccurredAt string          `json:"occurred_at"`
	Action     action          `json:"action"`
	Actor      actor           `json:"actor"`
	Interface  string          `json:"interface"`
	Resource   resource        `json:"resource"`
	Zone       string          `json:"zone,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Request    *request        `json:"request,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

type action struct {
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
	Result      string `json:"result"`
}

type actor struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Email     string `json:"email,omitempty"`
	IP        string `json:"ip_address,omitempty"`
	TokenID   string `json:"token_id,omitempty"`
	TokenName string `json:"token_name,omitempty"`
}

type resource struct {
	Product string `json:"product"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Scope   string `json:"scope,omitempty"`
}

type request struct {
	ID         string `json:"id"`
	Method     string `json:"method"`
	URI        string `json:"uri"`
	StatusCode int    `json:"status_code"`
	UserAgent  string `json:"user_agent"`
}

// A fixture holds the written events and the expected answers of the compatible routes. The file
// is for the clients that run as processes of their own.
type fixture struct {
	events []event // newest first
	file   string
}

// expected is the content of the fixture's file. Lists are newest first. Clients leave out
// of their comparison what is not in it: Belfry records its own acts in the same log.
type expected struct {
	Account account    `json:"account"`
	Since   string     `json:"since"`  // before the first event
	Before  string     `json:"before"` // after the last one
	Other   string     `json:"other_account"`
	Reader  string     `json:"reader_token"` // may read the audit log of Account, nothing else
	Writer  string     `json:"writer_token"` // may not read it
	V1      []any      `json:"v1"`
	V2      []any      `json:"v2"`
	CasesV1 []readCase `json:"cases_v1"`
	CasesV2 []readCase `json:"cases_v2"`
	History history    `json:"history"`
}

// A readCase is a query and the ids that it must find, in their order.
type readCase struct {
	Name  string              `json:"name"`
	Query map[string][]string `json:"query"`
	IDs   []string            `json:"ids"`
}

// history is the event to ask for and the ids of its resource, oldest first.
type history struct {
	ID         string   `json:"id"`
	ActionTime string   `json:"action_time"`
	IDs        []string `json:"ids"`
}

// seed creates two accounts and writes the events through every HTTP on-ramp, not in the
// order of their time.
func seed(t *testing.T, s *server) *fixture {
	t.Helper()
	s.Must(t, "POST", "/accounts", map[string]string{"name": "Conformance"}, &s.account)
	if len(s.account.ID) != 32 || s.account.Name != "Conformance" {
		t.Fatalf("the new account is %+v", s.account)
	}
	var other account
	s.Must(t, "POST", "/accounts", map[string]string{"name": "Somebody else"}, &other)

	base := time.Now().UTC().Add(-3 * time.Hour).Truncate(time.Second)
	events := changeEvents(base)
	shuffled := slices.Concat(events[5:], events[:5])
	post(t, s, shuffled[:1])
	post(t, s, shuffled[1:5])
	postLines(t, s, shuffled[5:])
	slices.Reverse(events)

	x := expected{
		Account: s.account,
		Since:   base.Add(-time.Minute).Format(moment),
		Before:  base.Add(time.Hour).Format(moment),
		Other:   other.ID,
		Reader:  newToken(t, s, "audit:read"),
		Writer:  newToken(t, s, "audit:write"),
		History: history{ID: "conf.03", ActionTime: base.Add(3 * time.Minute).Format(time.RFC3339)},
	}
	for _, e := range events {
		x.V1 = append(x.V1, e.v1(s.account))
		x.V2 = append(x.V2, e.v2(s.account))
		if e.Resource == (resource{"dns", "record", "rec-1", "zones"}) {
			x.History.IDs = append([]string{e.ID}, x.History.IDs...)
		}
	}
	x.CasesV1 = casesV1(events)
	x.CasesV2 = casesV2(events, s.account)
	f := &fixture{events: events, file: filepath.Join(t.TempDir(), "expected.json")}
	encoded, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func newToken(t *testing.T, s *server, permission string) string {
	t.Helper()
	var token struct{ ID, Value string }
	s.Must(t, "POST", s.accountPath("/tokens"),
		map[string]any{"name": "only " + permission, "permissions": []string{permission}}, &token)
	if token.ID == "" || token.Value == "" {
		t.Fatalf("the new token has id %q and %d characters", token.ID, len(token.Value))
	}
	return token.Value
}

// changeEvents returns the fixture's events, oldest first, a minute and a microsecond apart.
func changeEvents(base time.Time) []event {
	ana := actor{Type: "user", ID: "u-ana", Email: "ana@shop.example", IP: "203.0.113.7"}
	ben := actor{Type: "user", ID: "u-ben", Email: "ben+ops@shop.example", IP: "2001:db8::17"}
	deploy := actor{Type: "token", ID: "t-deploy", IP: "203.0.113.99", TokenID: "t-deploy", TokenName: "Deploy & go"}
	terraform := actor{Type: "integration", ID: "i-terraform", TokenID: "o-7", TokenName: "Terraform"}
	staff := actor{Type: "staff", ID: "s-1", Email: "support@operator.example", IP: "198.51.100.1"}
	record := resource{"dns", "record", "rec-1", "zones"}
	list := []event{
		{
			Action:    action{"create", "made a record", "success"},
			Actor:     ana,
			Interface: "UI",
			Resource:  record,
			Zone:      "shop.example",
			After:     raw(`{"content":"192.0.2.1","ttl":300}`),
		},
		{
			Action:    action{"update", "", "success"},
			Actor:     deploy,
			Interface: "API",
			Resource:  record,
			Zone:      "shop.example",
			Before:    raw(`{"content":"192.0.2.1","ttl":300}`),
			After:     raw(`{"content":"192.0.2.2","ttl":300}`),
			Request:   &request{"ray-1", "PUT", "/zones/1/dns?x=a%20b", 200, "deploy/1.0"},
			Metadata:  raw(`{"pipeline":42,"tags":["a","b"]}`),
		},
		{
			Action:    action{"update", "", "failure"},
			Actor:     ben,
			Interface: "CLI",
			Resource:  resource{"tls", "setting", "min_version", "zones"},
			Zone:      "blog.example",
			Before:    raw(`"1.2"`),
			After:     raw(`"1.0"`),
			Request:   &request{"ray-2", "PATCH", "/zones/2/tls", 403, "cli/2"},
		},
		{
			Action:    action{"update", "the same record again", "success"},
			Actor:     ana,
			Interface: "UI",
			Resource:  record,
			Zone:      "shop.example",
			Before:    raw(`{"content":"192.0.2.2","ttl":300}`),
			After:     raw(`{"content":"192.0.2.3","ttl":60}`),
		},
		{
			Action:    action{"create", "", "success"},
			Actor:     terraform,
			Interface: "API",
			Resource:  resource{"workers", "script", "höhe/1", "accounts"},
			After:     raw(`{"big":12345678901234567890,"small":1.10}`),
			Metadata:  raw(`{"unicode":"é😀","empty":{},"null":null}`),
		},
		{
			Action:    action{"update", "", "success"},
			Actor:     staff,
			Interface: "UI",
			Resource:  resource{"billing", "plan", "plan", "accounts"},
		},
		{
			Action:    action{"rotate", "", "success"},
			Actor:     actor{Type: "system", ID: "scheduler"},
			Interface: "SYSTEM",
			Resource:  resource{"tls", "certificate", "c-1", "zones"},
			Zone:      "shop.example",
		},
		{Action: action{"delete", "", "success"}, Actor: ben, Interface: "UI", Resource: record, Zone: "shop.example",
			Before: raw(`{"content":"192.0.2.3","ttl":60}`)},
		{
			Action:    action{"update", "", "success"},
			Actor:     ana,
			Interface: "UI",
			Resource:  resource{"team", "user", "u-ben", "memberships"},
			Before:    raw(`["viewer"]`),
			After:     raw(`[]`),
		},
		{
			Action:    action{"update", "", "success"},
			Actor:     ana,
			Interface: "UI",
			Resource:  resource{"profile", "user", "u-ana", "user"},
			Before:    raw(`{"locale":"en"}`),
			After:     raw(`{"locale":"es"}`),
		},
		{
			Action:    action{"delete", "", "failure"},
			Actor:     deploy,
			Interface: "API",
			Resource:  resource{"workers", "script", "höhe/1", "accounts"},
			Request:   &request{"ray-3", "DELETE", "/workers/x", 409, "deploy/1.0"},
		},
	}
	for i := range list {
		list[i].ID = fmt.Sprintf("conf.%02d", i)
		list[i].OccurredAt = base.Add(time.Duration(i)*time.Minute + time.Duration(i)*time.Microsecond).Format(moment)
	}
	return list
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// post writes events as JSON, a single one as an object.
func post(t *testing.T, s *server, events []event) {
	t.Helper()
	var body any = events
	if len(events) == 1 {
		body = events[0]
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	expectAccepted(t, s, events, "application/json", encoded)
}

// postLines writes events as gzipped NDJSON.
func postLines(t *testing.T, s *server, events []event) {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	lines := json.NewEncoder(zip)
	for _, e := range events {
		if err := lines.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	expectAccepted(t, s, events, "application/x-ndjson", packed.Bytes(), "Content-Encoding", "gzip")
}

// intakeItem is the answer for one event of a batch.
type intakeItem struct {
	Index   int             `json:"index"`
	ID      string          `json:"id"`
	Status  string          `json:"status"`
	Seq     *int64          `json:"seq"`
	Receipt json.RawMessage `json:"receipt"`
	Errors  []live.Error    `json:"errors"`
}

func expectAccepted(t *testing.T, s *server, events []event, contentType string, body []byte, headers ...string) {
	t.Helper()
	a := s.Send(t, live.Request{
		Token:       s.Token,
		Method:      "POST",
		Path:        s.accountPath("/audit/events"),
		ContentType: contentType,
		Body:        body,
		Headers:     headers,
	})
	var items []intakeItem
	if err := json.Unmarshal(a.Body, &a); err != nil || a.Status != http.StatusOK {
		t.Fatalf("posting events: status %d, %v\n%.1000s", a.Status, err, a.Body)
	}
	if err := json.Unmarshal(a.Result, &items); err != nil || len(items) != len(events) {
		t.Fatalf("posting %d events: %v\n%.1000s", len(events), err, a.Body)
	}
	for i, item := range items {
		if item.Index != i || item.ID != events[i].ID || item.Status != "accepted" || item.Seq == nil {
			t.Fatalf("event %d (%s) was answered %+v", i, events[i].ID, item)
		}
	}
}

// v1 is the item of GET /accounts/{id}/audit_logs.
func (e event) v1(a account) map[string]any {
	item := map[string]any{
		"id":        e.ID,
		"when":      e.OccurredAt,
		"action":    map[string]any{"type": e.Action.Type, "result": e.Action.Result == "success"},
		"actor":     filled("id", e.Actor.ID, "email", e.Actor.Email, "ip", e.Actor.IP, "type", e.mappedType()),
		"interface": e.Interface,
		"owner":     map[string]any{"id": a.ID},
		"resource":  map[string]any{"id": e.Resource.ID, "type": e.Resource.Type},
	}
	for name, content := range map[string]json.RawMessage{
		"metadata":     e.Metadata,
		"newValueJson": e.After,
		"oldValueJson": e.Before,
	} {
		if content != nil {
			item[name] = content
		}
	}
	return item
}

// v2 is the item of GET /accounts/{id}/logs/audit.
func (e event) v2(a account) map[string]any {
	item := map[string]any{
		"id":      e.ID,
		"account": map[string]any{"id": a.ID, "name": a.Name},
		"action": filled("description", e.Action.Description, "result", e.Action.Result, "time", e.OccurredAt, "type",
			e.Action.Type),
		"actor": filled("id", e.Actor.ID, "context", e.context(), "email", e.Actor.Email, "ip_address", e.Actor.IP,
			"token_id", e.Actor.TokenID, "token_name", e.Actor.TokenName, "type", e.mappedType()),
		"resource": filled("id", e.Resource.ID, "product", e.Resource.Product, "scope", e.Resource.Scope, "type",
			e.Resource.Type),
	}
	if r := e.Request; r != nil {
		made := filled("cf_ray_id", r.ID, "method", r.Method, "uri", r.URI, "user_agent", r.UserAgent)
		made["status_code"] = r.StatusCode
		item["raw"] = made
	}
	if e.Zone != "" {
		item["zone"] = map[string]any{"name": e.Zone}
	}
	return item
}

// filled makes an object of name and value pairs without the empty ones.
func filled(pairs ...string) map[string]any {
	object := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			object[pairs[i]] = pairs[i+1]
		}
	}
	return object
}

func (e event) mappedType() string {
	return map[string]string{
		"user": "user", "token": "account", "integration": "account", "staff": "cloudflare_admin", "system": "system",
	}[e.Actor.Type]
}

func (e event) context() string {
	switch e.Actor.Type {
	case "token":
		return "api_token"
	case "integration":
		return "oauth"
	}
	return map[string]string{"UI": "dash", "API": "api_token", "CLI": "api_token", "SYSTEM": "system"}[e.Interface]
}

// find is a readCase: the ids, newest first, of the events that keep holds for.
func find(name string, events []event, query string, keep func(event) bool) readCase {
	c := readCase{Name: name, Query: map[string][]string{}, IDs: []string{}}
	for _, pair := range strings.Fields(query) {
		key, value, _ := strings.Cut(pair, "=")
		c.Query[key] = append(c.Query[key], strings.ReplaceAll(value, "_SPACE_", " "))
	}
	for _, e := range events {
		if keep(e) {
			c.IDs = append(c.IDs, e.ID)
		}
	}
	if slices.Contains(c.Query["direction"], "asc") {
		slices.Reverse(c.IDs)
	}
	return c
}

func casesV1(events []event) []readCase {
	network := netip.MustParsePrefix("203.0.113.0/24")
	after, until := between(events, 4), between(events, 8)
	return []readCase{
		find("everything", events, "", func(event) bool { return true }),
		find("oldest first", events, "direction=asc", func(event) bool { return true }),
		find("one id", events, "id=conf.04", func(e event) bool { return e.ID == "conf.04" }),
		find("action", events, "action.type=delete", func(e event) bool { return e.Action.Type == "delete" }),
		find("address with a plus", events, "actor.email=ben+ops@shop.example", func(e event) bool {
			return e.Actor.ID == "u-ben"
		}),
		find("one IP address", events, "actor.ip=203.0.113.7", func(e event) bool { return e.Actor.IP == "203.0.113.7" }),
		find("a network", events, "actor.ip=203.0.113.0/24", func(e event) bool {
			ip, err := netip.ParseAddr(e.Actor.IP)
			return err == nil && network.Contains(ip)
		}),
		find("an IPv6 network", events, "actor.ip=2001:db8::/32", func(e event) bool { return e.Actor.ID == "u-ben" }),
		find("zone", events, "zone.name=blog.example", func(e event) bool { return e.Zone == "blog.example" }),
		find("two filters", events, "zone.name=shop.example action.type=update", func(e event) bool {
			return e.Zone == "shop.example" && e.Action.Type == "update"
		}),
		find("a range", events, "since="+after+" before="+
			until, func(e event) bool { return e.OccurredAt > after && e.OccurredAt < until }),
		find("an empty range", events, "since="+until+" before="+until, func(event) bool { return false }),
		find("nothing", events, "actor.email=nobody@shop.example", func(event) bool { return false }),
	}
}

// between is a moment after event i and before the next; the tests do not depend
// on whether a range includes its ends.
func between(events []event, i int) string {
	for _, e := range events {
		if e.ID == fmt.Sprintf("conf.%02d", i) {
			at, err := time.Parse(moment, e.OccurredAt)
			if err != nil {
				panic(err)
			}
			return at.Add(time.Microsecond).Format(moment)
		}
	}
	panic("no such event")
}

func casesV2(events []event, a account) []readCase {
	after, until := between(events, 4), between(events, 8)
	all := func(event) bool { return true }
	byType := func(types ...string) func(event) bool {
		return func(e event) bool { return slices.Contains(types, e.Actor.Type) }
	}
	requested := func(keep func(request) bool) func(event) bool {
		return func(e event) bool { return e.Request != nil && keep(*e.Request) }
	}
	return []readCase{
		find("everything", events, "", all),
		find("oldest first", events, "direction=asc", all),
		find("a range", events, "since="+after+" before="+
			until, func(e event) bool { return e.OccurredAt > after && e.OccurredAt < until }),
		find("an empty range", events, "since="+until+" before="+until, func(event) bool { return false }),
		find("id", events, "id=conf.04", func(e event) bool { return e.ID == "conf.04" }),
		find("id not", events, "id.not=conf.04 id.not=conf.05", func(e event) bool {
			return e.ID != "conf.04" && e.ID != "conf.05"
		}),
		find("id not by its old name", events, "audit_log_id.not=conf.04", func(e event) bool { return e.ID != "conf.04" }),
		find("account name", events, "account_name="+a.Name, all),
		find("result", events, "action_result=failure", func(e event) bool { return e.Action.Result == "failure" }),
		find("action", events, "action_type=update", func(e event) bool { return e.Action.Type == "update" }),
		find("two actions", events, "action_type=create action_type=delete", func(e event) bool {
			return e.Action.Type == "create" || e.Action.Type == "delete"
		}),
		find("not an action", events, "action_type.not=update action_type.not=view", func(e event) bool {
			return e.Action.Type != "update"
		}),
		find("context", events, "actor_context=oauth", byType("integration")),
		find("two emails", events, "actor_email=ana@shop.example actor_email=support@operator.example", func(e event) bool {
			return e.Actor.Email == "ana@shop.example" || e.Actor.Email == "support@operator.example"
		}),
		find("not an email", events, "actor_email.not=ana@shop.example", func(e event) bool {
			return e.Actor.Email != "ana@shop.example"
		}),
		find("actor", events, "actor_id=u-ben", func(e event) bool { return e.Actor.ID == "u-ben" }),
		find("IP address", events, "actor_ip_address=203.0.113.99", func(e event) bool {
			return e.Actor.IP == "203.0.113.99"
		}),
		find("token", events, "actor_token_id=o-7", func(e event) bool { return e.Actor.TokenID == "o-7" }),
		find("token name", events, "actor_token_name=Deploy_SPACE_&_SPACE_go", func(e event) bool {
			return e.Actor.TokenName == "Deploy & go"
		}),
		find("actor type", events, "actor_type=account", byType("token", "integration")),
		find("actor type in Belfry's word", events, "actor_type=token", byType("token")),
		find("not an actor type", events, "actor_type.not=user actor_type.not=system",
			byType("token", "integration", "staff")),
		find("ray", events, "raw_cf_ray_id=ray-2", requested(func(r request) bool { return r.ID == "ray-2" })),
		find("method", events, "raw_method=PUT raw_method=DELETE",
			requested(func(r request) bool { return r.Method != "PATCH" })),
		find("status", events, "raw_status_code=403", requested(func(r request) bool { return r.StatusCode == 403 })),
		find("URI", events, "raw_uri=/zones/2/tls", requested(func(r request) bool { return r.URI == "/zones/2/tls" })),
		find("resource", events, "resource_id=höhe/1", func(e event) bool { return e.Resource.ID == "höhe/1" }),
		find("product", events, "resource_product=tls", func(e event) bool { return e.Resource.Product == "tls" }),
		find("not a product", events, "resource_product.not=tls", func(e event) bool { return e.Resource.Product != "tls" }),
		find("scope", events, "resource_scope=memberships", func(e event) bool { return e.Resource.Scope == "memberships" }),
		find("resource type", events, "resource_type=script", func(e event) bool { return e.Resource.Type == "script" }),
		find("zone", events, "zone_name=shop.example", func(e event) bool { return e.Zone == "shop.example" }),
		find("not a zone", events, "zone_name.not=shop.example", func(e event) bool { return e.Zone != "shop.example" }),
		find("category", events, "product_category=DNS", func(e event) bool { return e.Resource.Product == "dns" }),
		find("category or product", events, "product_category=dns resource_product=tls", func(e event) bool {
			return e.Resource.Product == "dns" || e.Resource.Product == "tls"
		}),
		find("three filters", events, "zone_name=shop.example action_type=update actor_type=user", func(e event) bool {
			return e.Zone == "shop.example" && e.Action.Type == "update" && e.Actor.Type == "user"
		}),
		find("nothing", events, "actor_id=nobody", func(event) bool { return false }),
	}
}
