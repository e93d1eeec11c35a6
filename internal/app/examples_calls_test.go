package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

// story has the ids that later calls need.
type story struct {
	account, zone, team, teamToken string
	webhook, policy                string
	owner                          *visitor
}

// id is the member "id" of a result.
func (r *recorder) id(result json.RawMessage) string {
	r.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal(result, &made); err != nil || made.ID == "" {
		r.t.Fatalf("the result has no id: %s %v", result, err)
	}
	return made.ID
}

// value is the member "value" of a result.
func (r *recorder) value(result json.RawMessage) string {
	r.t.Helper()
	var made struct{ Value string }
	if err := json.Unmarshal(result, &made); err != nil || made.Value == "" {
		r.t.Fatalf("the result has no value: %s %v", result, err)
	}
	return made.Value
}

// ownToken is the value of a token of an account that may do everything in it.
func (r *recorder) ownToken(account string) string {
	r.t.Helper()
	spec := object{"name": "people", "permissions": []string{"*"}}
	return r.value(r.call("POST", "/accounts/"+account+"/tokens", spec))
}

// addMember adds a member by the operators and returns the id.
func (r *recorder) addMember(account, email, name, role string) string {
	r.t.Helper()
	spec := object{"email": email, "name": name, "role": role}
	return r.id(r.call("POST", "/accounts/"+account+"/members", spec))
}

// callEverything is one story of the account Acme and the team of its shop.
func (r *recorder) callEverything() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok"))
	}))
	r.t.Cleanup(receiver.Close)
	r.hidden = strings.NewReplacer(receiver.URL, "https://hooks.acme.example", r.url, "https://belfry.example",
		strings.TrimPrefix(r.url, "http://"), "belfry.example")
	s := &story{}
	r.callAccounts(s)
	r.callTeams(s)
	r.callMembers(s)
	r.callZones(s)
	r.callAudit(s)
	r.callObjectives(s)
	r.callNotifications(s, receiver.URL)
	r.callIncidents(s, receiver.URL)
	r.callJobs(s)
	r.callEnds(s)
}

func (r *recorder) callAccounts(s *story) {
	s.account = r.id(r.do("create-account", input{body: object{"name": "Acme", "external_id": "acme"}}))
	r.do("upsert-account-by-external-id", input{path: []string{"globex"}, body: object{"name": "Globex"}})
	one := []string{s.account}
	r.do("list-accounts", input{query: url.Values{"limit": {"2"}}})
	r.do("put-account", input{path: one, body: object{"name": "Acme", "external_id": "acme"}})
	r.do("patch-account", input{path: one, body: object{"name": "Acme Inc."}})
	r.do("get-account", input{path: one})
	r.do("list-roles", input{path: one, query: url.Values{"limit": {"2"}}})
	token := r.do("create-token", input{path: one, body: object{
		"name":        "checkout service",
		"permissions": []string{"audit:write", "traffic:write"},
		"ip_allow":    []string{"127.0.0.0/8", "203.0.113.0/24"},
		"expires_on":  "2030-01-01T00:00:00Z",
	}})
	r.do("list-tokens", input{path: one})
	r.do("get-token", input{path: []string{s.account, r.id(token)}})
	r.do("verify-token", input{token: r.value(token)})
	r.do("verify-account-token", input{path: one, token: r.value(token)})
	r.do("roll-token", input{path: []string{s.account, r.id(token)}})
	r.do("get-capabilities", input{})
	r.do("list-egress-networks", input{})
	r.call("POST", "/operators", object{"email": "lee@belfry.example", "name": "Lee Park"})
	operator := r.id(r.do("add-operator", input{body: object{"email": "sam@belfry.example", "name": "Sam Ortiz"}}))
	r.do("update-operator", input{path: []string{operator}, body: object{"name": "Samuel Ortiz"}})
	r.do("list-operators", input{})
	r.do("create-operator-sign-in-link", input{path: []string{operator}})
	r.do("remove-operator", input{path: []string{operator}})
}

// callTeams declares the shop of the examples.
func (r *recorder) callTeams(s *story) {
	made := object{"name": "Shop team", "contact_email": "shop-team@acme.example"}
	s.team = r.id(r.do("create-producer", input{body: made}))
	team := []string{s.team}
	r.do("list-producers", input{})
	r.do("update-producer", input{path: team, body: object{"name": "Shop", "contact_email": "shop@acme.example"}})
	r.do("get-producer", input{path: team})
	r.do("create-producer-token", input{path: team, body: object{"name": "laptop"}})
	s.teamToken = r.value(r.do("create-producer-token", input{path: team, body: object{"name": "deployment pipeline"}}))
	r.do("list-producer-tokens", input{path: team})
	catalogue, err := os.ReadFile("../../examples/shop/belfry.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	r.do("apply-catalog", input{path: team, token: s.teamToken, kind: "application/yaml", text: string(catalogue)})
	r.do("get-catalog", input{path: team, token: s.teamToken})
	r.do("list-catalog-versions", input{path: team, token: s.teamToken})
	r.do("list-products", input{token: s.teamToken})
}

func (r *recorder) callMembers(s *story) {
	one := []string{s.account}
	own := r.ownToken(s.account)
	r.addMember(s.account, "ana@acme.example", "Ana Lima", "owner")
	ben := object{"email": "ben@acme.example", "name": "Ben Okafor", "role": "viewer"}
	other := r.id(r.do("add-member", input{path: one, token: own, body: ben}))
	r.do("list-members", input{path: one})
	r.do("update-member", input{path: []string{s.account, other}, body: object{"role": "editor"}})
	r.do("get-member", input{path: []string{s.account, other}})
	r.do("send-confirmation-mail", input{path: []string{s.account, other}})
	r.do("send-invitation", input{path: []string{s.account, other}})
	r.do("create-member-sign-in-link", input{path: []string{s.account, other}})
	r.do("remove-member", input{path: []string{s.account, other}})
	var opened struct{ URL string }
	if err := json.Unmarshal(r.do("create-portal-session", input{path: one, body: object{
		"member":     object{"id": "u_17", "email": "kim@customer.example", "name": "Kim Meyer"},
		"role":       "auditor",
		"sections":   []string{"audit"},
		"return_url": "https://acme.example/account",
		"expires_in": 900,
	}}), &opened); err != nil {
		r.t.Fatal(err)
	}
	r.stranger().SignIn(opened.URL)
	var sessions []struct{ ID string }
	if err := json.Unmarshal(r.do("list-portal-sessions", input{path: one}), &sessions); err != nil ||
		len(sessions) == 0 {
		r.t.Fatal(sessions, err)
	}
	r.do("end-portal-session", input{path: []string{s.account, sessions[0].ID}})
	r.callUser(s)
}

// callUser calls the operations of the owner's own session.
func (r *recorder) callUser(s *story) {
	s.owner = r.signIn("ana@acme.example")
	ana := input{client: s.owner.Client()}
	with := func(body any, path ...string) input { return input{client: s.owner.Client(), body: body, path: path} }
	r.do("get-user", ana)
	r.do("set-password", with(object{"password": "correct horse battery staple"}))
	r.signIn("ana@acme.example")
	var sessions []struct {
		ID      string
		Current bool
	}
	if err := json.Unmarshal(r.do("list-sessions", ana), &sessions); err != nil {
		r.t.Fatal(err)
	}
	for _, one := range sessions {
		if !one.Current {
			r.do("end-session", with(nil, one.ID))
			break
		}
	}
	r.signIn("ana@acme.example")
	r.do("end-other-sessions", ana)
	r.callInvitations(s.owner)
}

// callInvitations: two more accounts invite the person.
func (r *recorder) callInvitations(ana *visitor) {
	var invited []string
	for _, name := range []string{"Initech", "Umbrella"} {
		account := r.account(name)
		own := r.ownToken(account)
		r.do("add-member", input{path: []string{account}, token: own,
			body: object{"email": "ana@acme.example", "name": "Ana Lima", "role": "viewer"}})
		invited = append(invited, account)
	}
	r.do("list-invitations", input{client: ana.Client()})
	r.do("accept-invitation", input{client: ana.Client(), path: invited[:1]})
	r.do("decline-invitation", input{client: ana.Client(), path: invited[1:]})
}

func (r *recorder) callZones(s *story) {
	one := []string{s.account}
	s.zone = r.id(r.do("create-zone", input{path: one, body: object{
		"name":        "checkout.shop.example",
		"aliases":     []string{"pay.shop.example"},
		"environment": "production",
	}}))
	extra := r.id(r.do("create-zone", input{path: one, body: object{
		"name":        "www.shop.example",
		"aliases":     []string{"shop.example"},
		"environment": "production",
	}}))
	r.do("list-zones", input{path: one})
	r.do("list-zones-of-all-accounts", input{query: url.Values{"name": {"checkout.shop.example"}}})
	r.do("get-zone", input{path: []string{s.account, s.zone}})
	r.do("update-zone", input{path: []string{s.account, extra}, body: object{"environment": "staging"}})
	r.do("delete-zone", input{path: []string{s.account, extra}})
	r.callViews(s)
}

func (r *recorder) callViews(s *story) {
	one := []string{s.account}
	saved := r.id(r.do("create-saved-view", input{path: one, body: object{
		"list":   "alerts",
		"name":   "Critical alerts",
		"query":  "severity=critical&state=firing",
		"shared": true,
	}}))
	r.do("list-saved-views", input{path: one, query: url.Values{"list": {"alerts"}}})
	r.do("delete-saved-view", input{path: []string{s.account, saved}})
}

// settingChange is the change of the demo: a member lowers the payment timeout.
func settingChange(id string, from, to int) object {
	return object{
		"id":          id,
		"occurred_at": time.Now().Add(-time.Minute).UTC().Format("2006-01-02T15:04:05Z"),
		"action":      object{"type": "lower"},
		"actor": object{"type": "user", "id": "u_17", "name": "Ana Lima", "email": "ana@acme.example",
			"ip_address": "203.0.113.7"},
		"interface": "UI",
		"resource":  object{"product": "shop", "type": "setting", "id": "payment_timeout", "name": "payment timeout"},
		"zone":      "checkout.shop.example",
		"before":    object{"value": from, "unit": "ms"},
		"after":     object{"value": to, "unit": "ms"},
		"reason":    object{"text": "Fail fast when the provider is slow", "url": "https://tickets.acme.example/214"},
		"request":   object{"id": "8f0a11c2", "method": "PATCH", "uri": "/settings/payment_timeout", "status_code": 200},
	}
}

func (r *recorder) callAudit(s *story) {
	one := []string{s.account}
	event := []string{s.account, "payment-timeout-7"}
	r.do("publish-audit-events", input{path: one, body: settingChange("payment-timeout-6", 5000, 3000)})
	r.do("publish-audit-events", input{path: one, body: settingChange("payment-timeout-7", 3000, 30)})
	deployment := object{
		"account_id": "ext:acme",
		"id":         "deploy-2.4.1",
		"action":     object{"type": "create"},
		"actor":      object{"type": "integration", "id": "ci", "name": "Deployment pipeline"},
		"resource":   object{"product": "shop", "type": "deployment", "id": "2.4.1", "name": "shop 2.4.1"},
		"zone":       "checkout.shop.example",
	}
	r.do("publish-audit-events-of-many-accounts", input{token: s.teamToken, body: []object{deployment}})
	r.do("get-audit-event", input{path: event})
	r.do("export-audit-events", input{path: one, query: url.Values{"from": {"0"}, "to": {"2"}}})
	r.do("stream-audit-events", input{path: one, query: url.Values{"from": {"0"}}})
	r.do("summarise-audit-log", input{path: one, query: url.Values{"group_by": {"product"}}})
	r.do("list-audit-logs-v1", input{path: one, query: url.Values{"per_page": {"2"}, "actor.email": {"ana@acme.example"}}})
	since := url.Values{"since": {"2026-01-01"}, "before": {"2100-01-01"}, "limit": {"2"},
		"resource_id": {"payment_timeout"}}
	var list []struct{ ID string }
	if err := json.Unmarshal(r.do("list-audit-logs-v2", input{path: one, query: since}), &list); err != nil ||
		len(list) == 0 {
		r.t.Fatal(list, err)
	}
	r.do("audit-log-history", input{path: []string{s.account, list[0].ID},
		query: url.Values{"since": {"2026-01-01"}, "before": {"2100-01-01"}}})
	r.do("audit-product-categories", input{path: one})
	r.do("get-audit-checkpoint", input{path: one})
	r.do("get-audit-tile", input{path: []string{s.account, "0/000.p/1"}})
	r.do("get-audit-proof", input{path: one, query: url.Values{"event_id": {"payment-timeout-7"}}})
	r.do("get-audit-bundle", input{path: event})
	r.do("list-audit-keys", input{})
	r.callRejects(s)
}

// callRejects sends what the catalogue does not allow, and reads what came back.
func (r *recorder) callRejects(s *story) {
	send := func(path, token string, event object) {
		q, err := http.NewRequestWithContext(r.t.Context(), "POST", r.url+"/client/v4"+path,
			strings.NewReader(string(r.encode(event))))
		if err != nil {
			r.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
		q.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			r.t.Fatal(err)
		}
		res.Body.Close()
	}
	refused := settingChange("payment-timeout-8", 30, 300)
	refused["action"] = object{"type": "explode"}
	refused["account_id"] = "ext:acme"
	send("/audit/events", s.teamToken, refused)
	refused["account_id"] = "ext:nobody"
	send("/audit/events", s.teamToken, refused)
	team, one := []string{s.team}, []string{s.account}
	has := func(id string, in input) func() bool {
		return func() bool {
			var list []json.RawMessage
			return json.Unmarshal(r.do(id, in), &list) == nil && len(list) > 0
		}
	}
	own := input{path: team, token: s.teamToken}
	poll.Until(r.t, "the team has its rejected event", has("list-producer-rejects", own))
	poll.Until(r.t, "the account has its rejected event", has("list-account-rejects", input{path: one}))
	poll.Until(r.t, "the operators have the event without an account", has("list-unassigned-rejects", input{}))
	r.do("get-producer-rejects-summary", input{path: team, token: s.teamToken})
	r.do("get-account-rejects-summary", input{path: one})
	r.do("get-unassigned-rejects-summary", input{})
	r.do("export-producer-rejects", input{path: team, token: s.teamToken})
	r.do("export-account-rejects", input{path: one})
	r.do("export-unassigned-rejects", input{})
}

func (r *recorder) callObjectives(s *story) {
	one := []string{s.account}
	objective := object{
		"name":   "Checkout availability",
		"match":  object{"zone": "checkout.shop.example"},
		"target": 99.9,
		"window": "28d",
	}
	id := r.id(r.do("create-objective", input{path: one, body: objective}))
	gone := r.id(r.do("create-objective", input{path: one, body: object{
		"name":   "Search availability",
		"match":  object{"zone": "checkout.shop.example", "path_class": "search"},
		"target": 99.5,
		"window": "28d",
	}}))
	r.do("create-objective", input{path: one, body: object{
		"name":   "Payments",
		"match":  object{"zone": "checkout.shop.example", "path_class": "pay"},
		"target": 99.95,
		"window": "28d",
	}})
	path := []string{s.account, id}
	objective["target"] = 99.95
	r.do("replace-objective", input{path: path, body: objective})
	now := time.Now().Unix() / 10 * 10
	count := func(at int64, total, bad int) object {
		return object{"zone": "checkout.shop.example", "ts": at, "seconds": 60, "total": total, "bad": bad}
	}
	var counts []object
	for at := now - 7200; at < now-60; at += 60 {
		bad := 0
		if at >= now-180 {
			bad = 600
		}
		counts = append(counts, count(at, 1200, bad))
	}
	r.call("POST", "/accounts/"+s.account+"/traffic/counts", counts)
	r.do("send-traffic-counts", input{path: one, body: []object{count(now-60, 1200, 540)}})
	many := count(now-120, 80, 0)
	many["account_id"], many["path_class"] = "ext:acme", "pay"
	r.do("send-traffic-counts-of-many-accounts", input{token: s.teamToken, body: []object{many}})
	stamp := time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700")
	line := `203.0.113.7 - - [` + stamp + `] "GET /%s HTTP/1.1" %d 512 "-" "curl/8.5.0"` + "\n"
	r.do("send-access-logs", input{path: one, query: url.Values{"format": {"combined"}, "zone": {"checkout.shop.example"}},
		kind: "text/plain", text: fmt.Sprintf(line+line, "pots", 200, "pay", 502)})
	r.callTrafficRules(s, fmt.Sprintf(line+line, "pots", 429, "pay", 502))
	nano := func(at int64) string { return fmt.Sprint(at * int64(time.Second)) }
	attribute := func(name string, value object) object { return object{"key": name, "value": value} }
	r.do("send-otlp-metrics", input{path: one, body: object{"resourceMetrics": []object{{
		"resource": object{"attributes": []object{
			attribute("service.name", object{"stringValue": "checkout.shop.example"}),
		}},
		"scopeMetrics": []object{{"metrics": []object{{
			"name": "http.server.request.duration", "unit": "s",
			"histogram": object{"aggregationTemporality": 1, "dataPoints": []object{{
				"startTimeUnixNano": nano(now - 60), "timeUnixNano": nano(now),
				"attributes": []object{attribute("http.response.status_code", object{"intValue": "502"})},
				"count":      "6", "bucketCounts": []string{"4", "2"}, "explicitBounds": []float64{0.3},
			}}},
		}}}},
	}}}})
	r.do("send-prometheus-metrics", input{path: one, kind: "application/x-protobuf", text: noSeries})
	poll.Until(r.t, "the objective burns", func() bool {
		var list []json.RawMessage
		err := json.Unmarshal(r.do("list-objective-transitions", input{path: path}), &list)
		return err == nil && len(list) > 0
	})
	r.do("get-zone-traffic", input{path: []string{s.account, s.zone}})
	r.do("list-unreachable-origins", input{path: []string{s.account, s.zone}})
	r.do("list-objectives", input{path: one})
	r.do("get-objective", input{path: path})
	r.do("get-objective-status", input{path: path})
	r.do("get-objective-series", input{path: path, query: url.Values{"range": {"1h"}}})
	r.do("get-objective-spending", input{path: path})
	r.do("preview-objective", input{path: one, body: objective})
	r.do("get-objectives-report", input{path: one})
	r.do("replace-report-schedule", input{path: one, body: object{
		"enabled":   true,
		"addresses": []string{"ana@acme.example"},
	}})
	r.do("get-report-schedule", input{path: one})
	r.callCorrections(s, id)
	r.do("delete-objective", input{path: []string{s.account, gone}})
}

// callTrafficRules tries rules on the lines of a log and stores them.
func (r *recorder) callTrafficRules(s *story, log string) {
	one := []string{s.account}
	rules := []object{{"when": object{"edge": "429"}, "is": "bad"}, {"when": object{"edge": "5xx"}, "is": "bad"}}
	r.do("get-traffic-rules", input{path: one})
	r.do("get-traffic-names", input{path: one})
	r.do("preview-traffic-rules", input{path: one, body: object{
		"format": "combined", "lines": strings.Split(strings.TrimSpace(log), "\n"), "rules": rules,
	}})
	r.do("replace-traffic-rules", input{path: one, body: object{
		"properties": []object{{"zone": "checkout.shop.example", "rules": rules}},
	}})
	r.do("get-counting-rules", input{path: one, query: url.Values{"zone": {"checkout.shop.example"}}})
}

// noSeries is a request of remote write without series that can be printed: snappy of fields that no version knows.
const noSeries = " |yA requesyt of remyote writ}e..."
