package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// event is a good event; more adds members or takes the place of its own.
func event(id string, more ...any) map[string]any {
	return with(map[string]any{
		"id":       id,
		"action":   map[string]any{"type": "update"},
		"actor":    map[string]any{"type": "user", "id": "u-1"},
		"resource": map[string]any{"product": "shop", "type": "thing", "id": "r-1"},
	}, more...)
}

// with sets fields of an event: name, value, name, value. A field with the value nil is removed.
func with(e map[string]any, more ...any) map[string]any {
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] == nil {
			delete(e, more[i].(string))
			continue
		}
		e[more[i].(string)] = more[i+1]
	}
	return e
}

func jsonText(e any) string {
	encoded, err := json.Marshal(e)
	if err != nil {
		panic(err) // the tests' own values
	}
	return string(encoded)
}

// badEvents are events that are refused for what they are, whichever way they come.
func badEvents() []badEvent {
	return []badEvent{
		{"an unknown field", jsonText(event("b.unknown", "colour", "red")), 1102, "/colour", "colour is not a field"},
		{"a missing object", jsonText(event("b.actor", "actor", nil)), 1103, "/actor", "actor is required"},
		{"a missing member", jsonText(event("b.member", "action", map[string]any{"description": "x"})), 1103, "/action/type",
			"action.type is required"},
		{"a wrong type", jsonText(event("b.type", "action", map[string]any{"type": 7})), 1104, "/action/type",
			"must be a string, not a number"},
		{"a list in place of an object", jsonText(event("b.list", "resource", []int{1})), 1104, "/resource",
			"must be an object, not an array"},
		{"100 years ahead", jsonText(event("b.ahead", "occurred_at", "2126-11-22T10:00:00Z")), 12008, "/occurred_at",
			"24 hours ahead"},
		{"100 years ago", jsonText(event("b.ago", "occurred_at", "1926-11-22T10:00:00Z")), 12008, "/occurred_at",
			"between 1970"},
		{"no time at all", jsonText(event("b.never", "occurred_at", "yesterday")), 1100, "/occurred_at", "RFC 3339"},
		{"64 KiB", sized("b.large", 1<<16), 1106, "", "65536 bytes; at most 65535"},
		{"nested 33 deep", nested("b.deep", 33), 1108, "", "at most 32 levels"},
		{"nested 20,000 deep", nested("b.deepest", 20_000), 1108, "", "at most 32 levels"},
		{"invalid UTF-8", strings.Replace(jsonText(event("b.utf8")), "u-1", "u-\xff", 1), 1101, "/actor/id", "UTF-8"},
		{"a name twice", strings.Replace(jsonText(event("b.twice")), `"id":"u-1"`, `"id":"u-1","id":"u-2"`, 1), 1101,
			"/actor/id", "twice"},
		{"the character U+0000", strings.Replace(jsonText(event("b.null")), "u-1", `u-\u0000`, 1), 1100, "/actor/id",
			"U+0000"},
		{"an id of other characters", jsonText(event("not an id")), 1100, "/id", "1 to 64 characters"},
		{"null", "null", 1104, "", "must be an object"},
		{"no JSON", "colour=red", 1101, "", "not valid JSON"},
		{"half an event", `{"id":"b.half","colo`, 1101, "", "not valid JSON"},
		{"the product of Belfry itself", jsonText(event("b.reserved", "resource", map[string]any{
			"product": "belfry",
			"type":    "t",
			"id":      "i",
		})), 12004, "/resource/product", "Belfry's own"},
	}
}

// badEvent is an invalid event, and the expected error.
type badEvent struct {
	name, text string
	code       int
	pointer    string
	message    string
}

// id is that of the event, as far as it has one.
func (b badEvent) id() string {
	var e struct{ ID string }
	if json.Unmarshal([]byte(b.text), &e) != nil || strings.Contains(e.ID, " ") {
		return ""
	}
	return e.ID
}

// nested is an event that is n deep.
func nested(id string, n int) string {
	return strings.Replace(jsonText(event(id, "before", 1)), `"before":1`,
		`"before":`+strings.Repeat("[", n-1)+strings.Repeat("]", n-1), 1)
}

// sized is an event of exactly n bytes.
func sized(id string, n int) string {
	short := jsonText(event(id, "metadata", map[string]any{"x": ""}))
	return jsonText(event(id, "metadata", map[string]any{"x": strings.Repeat("x", n-len(short))}))
}

// result is the answer for one event of a batch.
type result struct {
	Index  int          `json:"index"`
	ID     string       `json:"id"`
	Status string       `json:"status"`
	Seq    *int64       `json:"seq"`
	Errors []live.Error `json:"errors"`
}

// publish sends a body to the account's on-ramp.
func publish(t *testing.T, a testAccount, body, contentType string, headers ...string) live.Answer {
	t.Helper()
	return a.server.Send(t, live.Request{
		Token:       a.Token,
		Method:      "POST",
		Path:        a.path("/audit/events"),
		ContentType: contentType,
		Body:        []byte(body),
		Headers:     headers,
	}).Open(t)
}

func postJSON(token, path, body string) live.Request {
	return live.Request{Token: token, Method: "POST", Path: path, ContentType: "application/json", Body: []byte(body)}
}

// TestABadEventIsRefusedAloneByHTTP sends each bad event by itself, then between two good
// ones in an array and as a line.
func TestABadEventIsRefusedAloneByHTTP(t *testing.T) {
	a := newAccount(t)
	var kept []string
	for i, bad := range badEvents() {
		t.Run(bad.name, func(t *testing.T) {
			one := publish(t, a, bad.text, "application/json")
			refusal(t, one, 400, bad.code, bad.pointer, bad.message)
			for _, way := range []struct{ name, kind, open, between, close string }{
				{"array", "application/json", "[", ",", "]"},
				{"lines", "application/x-ndjson", "", "\n", "\n"},
			} {
				if way.name == "array" && !json.Valid([]byte(bad.text)) && !strings.Contains(bad.text, "\xff") {
					continue // such an array has no elements; TestABrokenBody has its rows
				}
				first := fmt.Sprintf("good.%s.%d.a", way.name, i)
				last := fmt.Sprintf("good.%s.%d.b", way.name, i)
				body := way.open + strings.Join([]string{jsonText(event(first)), bad.text, jsonText(event(last))}, way.between) +
					way.close
				answer := publish(t, a, body, way.kind)
				if answer.Status != http.StatusOK || !answer.Success {
					t.Fatalf("%s: status %d: %.500s", way.name, answer.Status, answer.Body)
				}
				results := live.Decode[[]result](t, answer.Result)
				if len(results) != 3 || results[0].Status != "accepted" || results[1].Status != "rejected" ||
					results[2].Status != "accepted" {
					t.Fatalf("%s: %.500s", way.name, answer.Result)
				}
				if e := results[1].Errors; len(e) == 0 || e[0].Code != bad.code || e[0].Source.Pointer != bad.pointer ||
					!strings.Contains(e[0].Message, bad.message) {
					t.Errorf("%s: the refused event has %+v", way.name, e)
				}
				kept = append(kept, first, last)
			}
			if id := bad.id(); id != "" {
				absent(t, a, id)
			}
			kept = append(kept, stillTakes(t, a, fmt.Sprintf("after.%d", i)))
		})
	}
	holds(t, a, kept)
}

// TestABrokenRequestIsRefusedWhole has the input of which no event can be read.
func TestABrokenRequestIsRefusedWhole(t *testing.T) {
	a := newAccount(t)
	good := jsonText(event("whole.good"))
	zipped := pack(t, good)
	const limit = 8 << 20
	var kept []string
	for i, c := range []struct {
		name, body, kind, encoding string
		status, code               int
		pointer, message           string
	}{
		{"an empty body", "", "application/json", "", 400, 1103, "", "the body is empty"},
		{"only space", " \n\t", "application/json", "", 400, 1103, "", "the body is empty"},
		{"no lines", "\n\n", "application/x-ndjson", "", 400, 1103, "", "the body is empty"},
		{"an empty array", "[]", "application/json", "", 400, 1103, "", "the array is empty"},
		{"a wrong content type", good, "application/xml", "", 400, 1112, "Content-Type", "application/x-ndjson"},
		{"no content type at all", good, "//", "", 400, 1112, "Content-Type", "not a media type"},
		{"an unknown encoding", good, "application/json", "br", 400, 1107, "Content-Encoding", "gzip or none"},
		{"gzip that is none", good, "application/json", "gzip", 400, 1107, "", "gzip"},
		{"gzip that ends early", zipped[:len(zipped)-9], "application/json", "gzip", 400, 1107, "", "gzip"},
		{"gzip with a wrong sum", zipped[:len(zipped)-6] + "\x00\x00\x00\x00\x00\x00", "application/json", "gzip", 400, 1107,
			"", "gzip"},
		{"an array that ends early", "[" + good + `,{"id":"whole.b"`, "application/json", "", 400, 1101, "/1",
			"nothing of the request was stored"},
		{"an array with words in it", "[" + good + ",colour]", "application/json", "", 400, 1101, "/1",
			"nothing of the request was stored"},
		{"more after the array", "[" + good + "] []", "application/json", "", 400, 1101, "", "after the array's end"},
		{"10,001 events", "[" + strings.Repeat(`{},`, 10_000) + "{}]", "application/json", "", 413, 1106, "",
			"at most 10000 events"},
		{"10,001 lines", strings.Repeat("{}\n", 10_001), "application/x-ndjson", "", 413, 1106, "", "at most 10000 events"},
		{"a gzip bomb", pack(t, strings.Repeat(" ", 4*limit)+good), "application/json", "gzip", 413, 1106, "",
			fmt.Sprint(limit)},
		{"a gzip bomb of lines", pack(t, strings.Repeat(good+"\n", limit/len(good)+2)), "application/x-ndjson", "gzip", 413,
			1106, "", fmt.Sprint(limit)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.encoding != "" {
				headers = []string{"Content-Encoding", c.encoding}
			}
			refusal(t, publish(t, a, c.body, c.kind, headers...), c.status, c.code, c.pointer, c.message)
			kept = append(kept, stillTakes(t, a, fmt.Sprintf("after.%d", i)))
		})
	}
	t.Run("more than 8 MiB", func(t *testing.T) {
		lines := strings.Repeat(good+"\n", limit/len(good)+2)
		for _, announced := range []bool{true, false} {
			refusal(t, sendLarge(t, a, lines, announced), 413, 1106, "", fmt.Sprint(limit))
		}
		kept = append(kept, stillTakes(t, a, "after.large"))
	})
	absent(t, a, "whole.good")
	holds(t, a, kept)
}

// TestAnIdReusedForOtherContentIsAConflict: the first event stays, and the answer says so.
func TestAnIdReusedForOtherContentIsAConflict(t *testing.T) {
	a := newAccount(t)
	first := event("c.1", "occurred_at", "2026-01-02T03:04:05Z")
	other := event("c.1", "occurred_at", "2026-01-02T03:04:05Z", "action", map[string]any{"type": "delete"})
	if answer := publish(t, a, jsonText(first), "application/json"); !answer.Success {
		t.Fatalf("%.500s", answer.Body)
	}
	answer := publish(t, a, jsonText(other), "application/json")
	refusal(t, answer, 409, 12000, "/id", "belongs to another event, stored as seq ")
	if answer.Header.Get("X-Should-Retry") != "false" {
		t.Error("clients would send it again: X-Should-Retry is not false")
	}
	answer = publish(t, a, "["+jsonText(event("c.2"))+","+jsonText(other)+","+jsonText(first)+"]", "application/json")
	var statuses []string
	for _, r := range live.Decode[[]result](t, answer.Result) {
		statuses = append(statuses, r.Status)
	}
	if want := []string{"accepted", "conflict", "duplicate"}; answer.Status != http.StatusOK ||
		!slices.Equal(statuses, want) {
		t.Errorf("status %d, %q, want %q", answer.Status, statuses, want)
	}
	var shown struct {
		Event struct{ Action struct{ Type string } }
	}
	belfry.Must(t, "GET", a.path("/audit/events/c.1"), nil, &shown)
	if shown.Event.Action.Type != "update" {
		t.Errorf("the event that was there first reads %q", shown.Event.Action.Type)
	}
	holds(t, a, []string{"c.1", "c.2", stillTakes(t, a, "c.3")})
}

// TestWhoMayNotPublishIsRefusedAndStoresNothing has the rows in which the event is good and
// its sender is not.
func TestWhoMayNotPublishIsRefusedAndStoresNothing(t *testing.T) {
	a, stranger := newAccount(t), newAccount(t)
	one := newTeam(t, "sender-one")
	other := newTeam(t, "sender-other")
	_, reader := newToken(t, a, "audit:read", "")
	of := func(product, account string) string {
		return jsonText(event("s.1", "account_id", account, "resource", map[string]any{
			"product": product,
			"type":    "thing",
			"id":      "r",
		}))
	}
	for _, c := range []struct {
		name, token, path, body string
		status, code            int
		pointer, message        string
	}{
		{"a foreign account", stranger.Token, a.path("/audit/events"), jsonText(event("s.1")), 403, 10001, "",
			"does not reach this account"},
		{"an expired token", expiredToken(t, a), a.path("/audit/events"), jsonText(event("s.1")), 401, 10002, "", "expired"},
		{"a token that may only read", reader, a.path("/audit/events"), jsonText(event("s.1")), 403, 10001, "",
			"audit:write"},
		{"another account in the event than in the path", stranger.Token, stranger.path("/audit/events"),
			jsonText(event("s.1", "account_id", a.ID)), 400, 10001, "/account_id", "another account"},
		{"an account's token at the producers' door", stranger.Token, "/audit/events", of(one.Product, a.ID), 403, 10001, "",
			"producers"},
		{"a product of another team", one.Token, "/audit/events", of(other.Product, a.ID), 400, 12001, "/resource/product",
			"belongs to another team"},
		{"a product that nobody declared", one.Token, "/audit/events", of("undeclared", a.ID), 400, 12001,
			"/resource/product", "not in your catalogue"},
		{"an account that does not exist", one.Token, "/audit/events", of(one.Product, strings.Repeat("0", 32)), 400, 12005,
			"/account_id", "existing account"},
		{"no account", one.Token, "/audit/events",
			jsonText(event("s.1", "resource", map[string]any{"product": one.Product, "type": "thing", "id": "r"})), 400, 1103,
			"/account_id", "account_id is required"},
		{"an action that is not declared", one.Token, "/audit/events",
			strings.Replace(of(one.Product, a.ID), `"update"`, `"explode"`, 1), 400, 12002, "/action/type", "explode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := belfry.Send(t, postJSON(c.token, c.path, c.body)).Open(t)
			refusal(t, answer, c.status, c.code, c.pointer, c.message)
		})
	}
	absent(t, a, "s.1")
	absent(t, stranger, "s.1")
	good := belfry.Send(t, postJSON(one.Token, "/audit/events", of(one.Product, a.ID))).Open(t)
	if good.Status != http.StatusOK {
		t.Errorf("the team's own product: status %d: %.500s", good.Status, good.Body)
	}
	holds(t, a, []string{"s.1", stillTakes(t, a, "s.2")})
}

// refusal checks status, code, pointer and a piece of the message of a refused request.
func refusal(t *testing.T, a live.Answer, status, code int, pointer, message string) {
	t.Helper()
	if a.Status != status || a.Success || len(a.Errors) == 0 {
		t.Fatalf("status %d, want %d: %.500s", a.Status, status, a.Body)
	}
	if e := a.Errors[0]; e.Code != code || e.Source.Pointer != pointer || !strings.Contains(e.Message, message) {
		t.Errorf("code %d at %q: %q; want %d at %q with %q", e.Code, e.Source.Pointer, e.Message, code, pointer, message)
	}
}

// stillTakes publishes a good event after a bad request and returns its id.
func stillTakes(t *testing.T, a testAccount, id string) string {
	t.Helper()
	answer := publish(t, a, jsonText(event(id)), "application/json")
	if answer.Status != http.StatusOK || live.Decode[[]result](t, answer.Result)[0].Status != "accepted" {
		t.Errorf("a good event afterwards: status %d: %.500s", answer.Status, answer.Body)
	}
	return id
}

func absent(t *testing.T, a testAccount, id string) {
	t.Helper()
	if got := a.server.Call(t, a.Token, "GET", a.path("/audit/events/"+id), nil); got.Status != http.StatusNotFound {
		t.Errorf("the refused event %s: status %d: %.300s", id, got.Status, got.Body)
	}
}

// holds reads the whole record: every kept event must be there exactly once, and nothing
// else but what Belfry wrote about itself.
func holds(t *testing.T, a testAccount, kept []string) {
	t.Helper()
	if a := slices.Sorted(slices.Values(kept)); len(slices.Compact(a)) != len(kept) || len(kept) == 0 {
		t.Fatalf("the test kept %d ids, not all different", len(kept))
	}
	found := map[string]int{}
	cursor := ""
	for {
		answer := a.server.Call(t, a.Token, "GET",
			a.path("/logs/audit?since=1970-01-01&before=2100-01-01&limit=1000&resource_product.not=belfry&cursor="+cursor), nil)
		if !answer.Success {
			t.Fatalf("reading the record: status %d: %.500s", answer.Status, answer.Body)
		}
		for _, item := range live.Decode[[]struct{ ID string }](t, answer.Result) {
			found[item.ID]++
		}
		if cursor = live.Decode[struct{ Cursor string }](t, answer.ResultInfo).Cursor; cursor == "" {
			break
		}
	}
	for _, id := range kept {
		if found[id] != 1 {
			t.Errorf("%s is in the record %d times", id, found[id])
		}
		delete(found, id)
	}
	for id := range found {
		t.Errorf("%s is in the record and was never acknowledged", id)
	}
}

func pack(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
