package e2e_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// full is an event with every field that can be filtered by.
func full(id, n string, more ...any) map[string]any {
	e := event(id,
		"action", map[string]any{"type": "act-" + n, "result": "failure", "description": "why " + n},
		"actor", map[string]any{
			"type":         "token",
			"id":           "a-" + n,
			"email":        "Ana." + n + "@Example.COM",
			"ip_address":   "::ffff:203.0.113.9",
			"token_id":     "t-" + n,
			"token_name":   "laptop " + n,
			"on_behalf_of": map[string]any{"type": "user", "id": "b-" + n, "email": "bo@example.com"},
		},
		"interface", "API",
		"resource", map[string]any{
			"product": "p-" + n,
			"type":    "thing-" + n,
			"id":      "r-one",
			"scope":   "zones",
		},
		"zone", "Unknown-"+n+".Example.",
		"change_set", "set-"+n,
		"reason", map[string]any{"text": "because", "url": "https://x.example/1"},
		"related", []any{map[string]any{"type": "zone", "id": "z"}},
		"metadata", map[string]any{"k": n},
		"request", map[string]any{
			"id":          "ray-" + n,
			"method":      "PATCH",
			"uri":         "/x/" + n,
			"status_code": 403.0,
			"user_agent":  "curl",
		},
	)
	return with(e, more...)
}

// otherEvent differs from full in every field that can be filtered by.
func otherEvent(id string) map[string]any {
	return event(id,
		"actor", map[string]any{
			"type":       "user",
			"id":         "other",
			"ip_address": "2001:db8::7",
		},
		"interface", "UI",
		"zone", "other.example",
		"change_set", "other",
		"request", map[string]any{"id": "other", "method": "GET", "uri": "/", "status_code": 200},
	)
}

// range of all events of a test, whatever the time.
const always = "since=2020-01-01&before=2099-01-01"

// ids asks a list and gives the ids of its events, but for Belfry's own.
func ids(t *testing.T, a testAccount, path string) []string {
	t.Helper()
	answer := a.server.Get(t, a.Token, a.path(path)).Open(t)
	if answer.Status != http.StatusOK {
		t.Fatalf("GET %s: status %d %.500s", path, answer.Status, answer.Body)
	}
	var found []string
	for _, item := range live.Decode[[]struct {
		ID       string
		Resource struct{ Product string }
	}](t, answer.Result) {
		if item.Resource.Product != "belfry" && len(item.ID) < 10 {
			found = append(found, item.ID)
		}
	}
	slices.Sort(found)
	return found
}

// TestEveryFilterFindsWhatMatchesAndNothingElse walks the filters that the server
// describes. Each is tried with the values that match, in all notations, and with one
// that does not; a word that a closed field cannot have is an error, as is no value.
func TestEveryFilterFindsWhatMatchesAndNothingElse(t *testing.T) {
	a := newAccount(t)
	if answer := publish(t, a, jsonText([]any{full("one", "1"), otherEvent("two")}),
		"application/json"); answer.Status != 200 {
		t.Fatalf("%.1000s", answer.Body)
	}
	name := live.Decode[struct{ Name string }](t, belfry.Get(t, a.Token, a.path("")).Open(t).Result).Name
	type values struct {
		match []string
		none  string // "" = every other word is refused
	}
	table := map[string]values{
		"id":            {[]string{"one"}, "ONE"},
		"audit_log_id":  {[]string{"one"}, "three"},
		"account_name":  {nil, "another account"}, // matches both events: tried below
		"action_result": {[]string{"failure"}, ""},
		"action_type":   {[]string{"act-1"}, "act-2"},
		"actor_context": {[]string{"api_token"}, ""},
		"actor_email":   {[]string{"Ana.1@Example.COM", "ana.1@example.com", "ANA.1@EXAMPLE.COM"}, "ana.2@example.com"},
		"actor_id":      {[]string{"a-1"}, "a-2"},
		"actor_ip_address": {
			[]string{"203.0.113.9", "::ffff:203.0.113.9", "203.0.113.0/24", "::ffff:203.0.113.0/120", "::ffff:cb00:7109"},
			"203.0.113.8",
		},
		"actor_token_id":   {[]string{"t-1"}, "t-2"},
		"actor_token_name": {[]string{"laptop 1"}, "laptop 2"},
		"actor_type":       {[]string{"account", "token"}, ""},
		"change_set":       {[]string{"set-1"}, "set-2"},
		"interface":        {[]string{"API"}, ""},
		"product_category": {[]string{"p-1", "P-1"}, ""},
		"raw_cf_ray_id":    {[]string{"ray-1"}, "ray-2"},
		"raw_method":       {[]string{"PATCH"}, "POST"},
		"raw_status_code":  {[]string{"403"}, "500"},
		"raw_uri":          {[]string{"/x/1"}, "/x/2"},
		"resource_id":      {[]string{"r-one"}, "r-2"},
		"resource_product": {[]string{"p-1"}, "p-2"},
		"resource_scope":   {[]string{"zones"}, "user"},
		"resource_type":    {[]string{"thing-1"}, "thing-2"},
		"zone":             {[]string{"Unknown-1.Example.", "unknown-1.example", "UNKNOWN-1.EXAMPLE"}, "unknown-2.example"},
		"zone_id":          {[]string{"unknown-1.example"}, "unknown-2.example"},
		"zone_name":        {[]string{"unknown-1.example", "Unknown-1.Example"}, "unknown-2.example"},
	}
	for _, key := range filterNames(t) {
		v, known := table[key]
		if !known {
			t.Errorf("this test has no value for the filter %s", key)
			continue
		}
		list := func(name, value string) string {
			return "/logs/audit?" + always + "&" + name + "=" + url.QueryEscape(value)
		}
		for _, value := range v.match {
			if got := ids(t, a, list(key, value)); !slices.Equal(got, []string{"one"}) {
				t.Errorf("%s=%s finds %v", key, value, got)
			}
			if key == "product_category" { // which has no .not
				continue
			}
			if got := ids(t, a, list(key+".not", value)); !slices.Equal(got, []string{"two"}) {
				t.Errorf("%s.not=%s finds %v", key, value, got)
			}
		}
		if key == "account_name" {
			if got := ids(t, a, list(key, strings.ToUpper(name))); len(got) != 2 {
				t.Errorf("%s finds %v", key, got)
			}
		}
		if v.none != "" {
			if got := ids(t, a, list(key, v.none)); len(got) != 0 {
				t.Errorf("%s=%s finds %v", key, v.none, got)
			}
			if got := ids(t, a, list(key+".not", v.none)); len(got) != 2 {
				t.Errorf("%s.not=%s finds %v", key, v.none, got)
			}
		} else {
			refusal(t, belfry.Get(t, a.Token, a.path(list(key, "failed"))).Open(t), 400, 1100, key, "")
		}
		// No value is no filter, wherever filters are taken.
		for _, path := range []string{"/logs/audit?" + always + "&", "/audit/export?", "/audit/export?format=csv&",
			"/audit/stream?"} {
			refusal(t, belfry.Get(t, a.Token, a.path(path+key+"=")).Open(t), 400, 1100, key, "no value")
		}
		for _, none := range [][]string{{""}, {}} {
			body := map[string]any{"filters": map[string]any{key: none}}
			field := strings.TrimPrefix(key, "audit_log_") // an old name
			refusal(t, belfry.Call(t, a.Token, "POST", a.path("/audit/exports"), body), 400, 1100, field, "no value")
		}
	}
	for _, end := range []string{"since", "before"} {
		for _, path := range []string{"/logs/audit?", "/audit_logs?", "/audit/export?", "/audit/summary?"} {
			answer := belfry.Get(t, a.Token, a.path(path+end+"=")).Open(t)
			if answer.Status != 400 {
				t.Errorf("%s%s= answers %d", path, end, answer.Status)
			}
		}
		if answer := belfry.Call(t, a.Token, "POST", a.path("/audit/exports"),
			map[string]any{end: ""}); answer.Status != 400 {
			t.Errorf("an export with an empty %s answers %d", end, answer.Status)
		}
		// The zero time of Go and .NET is no time, in bodies as in parameters.
		if answer := belfry.Call(t, a.Token, "POST", a.path("/audit/exports"),
			map[string]any{end: "0001-01-01T00:00:00Z"}); answer.Status != 202 {
			t.Errorf("an export with the zero time as %s answers %d: %s", end, answer.Status, answer.Body)
		}
	}
	refusal(t, belfry.Get(t, a.Token, a.path("/audit_logs?actor.email=")).Open(t), 400, 1100,
		"actor.email", "no value")
	// The first generation has some of them by other names.
	for query, want := range map[string][]string{
		"actor.email=ana.1@example.com": {"one"},
		"actor.ip=203.0.113.0/24":       {"one"},
		"zone.name=unknown-1.example":   {"one"},
		"action.type=act-1":             {"one"},
		"id=two":                        {"two"},
	} {
		if got := ids(t, a, "/audit_logs?"+query); !slices.Equal(got, want) {
			t.Errorf("v1 %s finds %v", query, got)
		}
	}
}

// filterNames are the filters of the second generation's list, without .not.
func filterNames(t *testing.T) (names []string) {
	t.Helper()
	document := live.Decode[struct {
		Paths map[string]struct {
			Get struct {
				Parameters []struct{ Name, In string }
			}
		}
	}](t, openapi(t))
	for _, p := range document.Paths["/client/v4/accounts/{account_id}/logs/audit"].Get.Parameters {
		if p.In == "query" && !strings.HasSuffix(p.Name, ".not") &&
			!slices.Contains([]string{"since", "before", "cursor", "limit", "direction"}, p.Name) {
			names = append(names, p.Name)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %v", names)
	}
	return names
}

func TestAMissingOrUnknownParameterIsToldWithWhatThereIs(t *testing.T) {
	a := newAccount(t)
	list := belfry.Get(t, a.Token, a.path("/logs/audit")).Open(t)
	refusal(t, list, 400, 1103, "before", "before=2026-11-28")
	refusal(t, belfry.Get(t, a.Token, a.path("/logs/audit?"+always+"&per_page=2")).Open(t), 400, 1102,
		"per_page", "there are account_name")
}

func TestATimeIsReadInEveryNotation(t *testing.T) {
	a := newAccount(t)
	for id, at := range map[string]string{"leap": "2016-12-31T23:59:60Z", "small": "2016-12-31t10:00:00z"} {
		if answer := publish(t, a, jsonText(event(id, "occurred_at", at)), "application/json"); answer.Status != 200 {
			t.Errorf("%s: %.500s", at, answer.Body)
		}
	}
	for query, want := range map[string][]string{
		"since=2016-12-31T23:59:60Z&before=2017-01-01":                {"leap"},
		"since=2016-12-31T11:00:00%2B01:00&before=2016-12-31T10:01Z":  nil, // refused: no seconds
		"since=2016-12-31T11:00:00+01:00&before=2016-12-31T12:00:00Z": {"small"},
		"since=0001-01-01T00:00:00Z&before=2017-01-01T00:00:00z":      {"leap", "small"},
	} {
		answer := belfry.Get(t, a.Token, a.path("/logs/audit?"+query)).Open(t)
		if (answer.Status == 200) != (want != nil) {
			t.Errorf("%s: %d %.300s", query, answer.Status, answer.Body)
		} else if want != nil {
			if got := ids(t, a, "/logs/audit?"+query); !slices.Equal(got, want) {
				t.Errorf("%s finds %v", query, got)
			}
		}
	}
}

// TestASummaryCountsFromMomentToMoment: every grouping gives the events between the two
// moments and no others.
func TestASummaryCountsFromMomentToMoment(t *testing.T) {
	a := newAccount(t)
	var list []any
	for i, at := range []string{"2026-01-10T00:00:00Z", "2026-01-10T01:00:00Z", "2026-01-10T02:00:00Z",
		"2026-01-10T02:59:59.999999Z", "2026-01-10T03:00:00Z",
		"2026-01-11T12:00:00Z", "2026-01-12T00:00:00Z", "2026-01-12T05:00:00Z"} {
		kind := []string{"user", "system"}[i%2]
		list = append(list, event("s-"+string(rune('a'+i)), "occurred_at", at, "actor",
			map[string]any{"type": kind, "id": "u1"}, "interface", "UI"))
	}
	soon := time.Now().Add(20 * time.Hour).UTC().Format(time.RFC3339)
	list = append(list, event("s-future", "occurred_at", soon, "resource", map[string]any{
		"product": "future",
		"type":    "thing",
		"id":      "r",
	}))
	if answer := publish(t, a, jsonText(list), "application/json"); answer.Status != 200 {
		t.Fatalf("%.500s", answer.Body)
	}
	rows := func(query string) []map[string]any {
		answer := belfry.Get(t, a.Token, a.path("/audit/summary?"+query)).Open(t)
		if answer.Status != 200 {
			t.Fatalf("%s: %.500s", query, answer.Body)
		}
		return live.Decode[[]map[string]any](t, answer.Result)
	}
	for period, want := range map[string]int{
		"since=2026-01-10T01:30:00Z&before=2026-01-10T03:00:00Z": 2,
		"since=2026-01-10&before=2026-01-10T03:00:00Z":           4,
		"since=2026-01-10T03:00:00Z&before=2026-01-12":           2,
		"since=2026-01-10T02:30:00Z&before=2026-01-12T00:00:01Z": 4,
		"since=2026-01-10&before=2026-01-13":                     8,
		"since=2026-01-12T06:00:00Z&before=2026-01-13":           0,
		"since=2026-01-11&before=2026-01-11":                     0,
	} {
		for _, by := range []string{"product", "action", "actor", "interface", "day"} {
			total := 0.0
			for _, row := range rows(period + "&group_by=" + by) {
				total += row["count"].(float64)
				if row["count"].(float64) <= 0 {
					t.Errorf("%s by %s: %v", period, by, row)
				}
			}
			if int(total) != want {
				t.Errorf("%s by %s: %v events, want %d", period, by, total, want)
			}
		}
	}
	actors := rows("since=2026-01-10&before=2026-01-13&group_by=actor")
	if len(actors) != 2 || actors[0]["count"] != 4.0 || actors[0]["type"] == actors[1]["type"] {
		t.Errorf("a user and the system with one id: %v", actors)
	}
	for _, row := range rows("group_by=product") {
		if row["key"] == "future" {
			t.Error("an event of tomorrow is counted up to now")
		}
	}
}

func TestACountIsNotMadeFromThePageNumber(t *testing.T) {
	a := newAccount(t)
	var lines strings.Builder
	for i := range 102 {
		lines.WriteString(jsonText(event("c-"+string(rune('a'+i/26))+string(rune('a'+i%26)), "action",
			map[string]any{"type": "purge"})) + "\n")
	}
	if answer := publish(t, a, lines.String(), "application/x-ndjson"); answer.Status != 200 {
		t.Fatalf("%.500s", answer.Body)
	}
	for page, want := range map[string]int{"1": 102, "3": 102, "4": 102, "99": 102} {
		answer := belfry.Get(t, a.Token, a.path("/audit_logs?action.type=purge&per_page=50&page="+page)).
			Open(t)
		info := live.Decode[struct {
			Total int `json:"total_count"`
		}](t, answer.ResultInfo)
		if info.Total != want {
			t.Errorf("page %s says %d events", page, info.Total)
		}
	}
}

func TestTheListAndTheTableShowAllThatAnEventHas(t *testing.T) {
	a := newAccount(t)
	if answer := publish(t, a, jsonText(full("whole", "1")), "application/json"); answer.Status != 200 {
		t.Fatalf("%.500s", answer.Body)
	}
	answer := belfry.Get(t, a.Token, a.path("/logs/audit?"+always+"&id=whole")).Open(t)
	item := live.Decode[[]map[string]any](t, answer.Result)[0]
	behalf, _ := item["actor"].(map[string]any)["on_behalf_of"].(map[string]any)
	reason, _ := item["reason"].(map[string]any)
	if item["change_set"] != "set-1" || behalf["id"] != "b-1" || reason["url"] != "https://x.example/1" ||
		item["metadata"] == nil || item["related"] == nil {
		t.Errorf("%s", answer.Result)
	}
	table := belfry.Get(t, a.Token, a.path("/audit/export?format=csv&id=whole"))
	records, err := csv.NewReader(strings.NewReader(string(table.Body))).ReadAll()
	if err != nil || len(records) != 2 {
		t.Fatalf("%v %s", err, table.Body)
	}
	row := map[string]string{}
	for i, column := range records[0] {
		row[column] = records[1][i]
	}
	for column, want := range map[string]string{
		"reason":              "because",
		"reason_url":          "https://x.example/1",
		"description":         "why 1",
		"on_behalf_of_id":     "b-1",
		"on_behalf_of_email":  "bo@example.com",
		"metadata":            `{"k":"1"}`,
		"request_method":      "PATCH",
		"request_uri":         "/x/1",
		"request_status_code": "403",
		"related":             `[{"type":"zone","id":"z"}]`,
		"actor_token_id":      "t-1",
	} {
		if row[column] != want {
			t.Errorf("%s is %q, want %q", column, row[column], want)
		}
	}
}

func TestADuplicateGivesItsReceiptAgain(t *testing.T) {
	a := newAccount(t)
	type answered struct {
		Status  string
		Receipt *struct{ Leaf, Checkpoint string }
	}
	send := func() answered {
		answer := belfry.Send(t, postJSON(a.Token, a.path("/audit/events?receipts=true"),
			jsonText(full("again", "1")))).Open(t)
		return live.Decode[[]answered](t, answer.Result)[0]
	}
	first, second := send(), send()
	if first.Status != "accepted" || second.Status != "duplicate" || first.Receipt == nil || second.Receipt == nil {
		t.Fatalf("%+v %+v", first, second)
	}
	if first.Receipt.Leaf != second.Receipt.Leaf || second.Receipt.Checkpoint == "" {
		t.Errorf("%+v, then %+v", first.Receipt, second.Receipt)
	}
}

func TestAnEventMayNameItsAccountAsThePathDoes(t *testing.T) {
	a := testAccount{server: belfry}
	belfry.Must(t, "POST", "/accounts",
		map[string]string{"name": "External", "external_id": "acme-" + strings.ToLower(t.Name())}, &a)
	_, a.Token = newToken(t, a, "*", "")
	for i, ref := range []string{"ext:acme-" + strings.ToLower(t.Name()), a.ID} {
		answer := publish(t, a, jsonText(event("x-"+string(rune('a'+i)), "account_id", ref)), "application/json")
		if answer.Status != 200 {
			t.Errorf("%s: %.500s", ref, answer.Body)
		}
	}
	b := newAccount(t)
	for _, ref := range []string{b.ID, "ext:nobody"} {
		refusal(t, publish(t, a, jsonText(event("y", "account_id", ref)), "application/json"), 400, 10001, "/account_id",
			"another account")
	}
}

// An unknown zone is stored by the form in which zones are compared, and found by it
// after a zone of that name was made.
func TestAZoneThatIsMadeLaterFindsItsEvents(t *testing.T) {
	a := newAccount(t)
	if answer := publish(t, a, jsonText(event("early", "zone", "Later.Example")),
		"application/json"); answer.Status != 200 {
		t.Fatalf("%.500s", answer.Body)
	}
	if answer := publish(t, a, jsonText(event("early", "zone", "later.example.")),
		"application/json"); !strings.Contains(string(answer.Result), "duplicate") {
		t.Errorf("the same event in another notation: %s", answer.Result)
	}
	belfry.Must(t, "POST", a.path("/zones"), map[string]string{"name": "later.example"}, nil)
	for _, name := range []string{"later.example", "LATER.example"} {
		if got := ids(t, a, "/logs/audit?"+always+"&zone="+name); !slices.Equal(got, []string{"early"}) {
			t.Errorf("%s finds %v", name, got)
		}
	}
}

// Of an event whose resource was erased nothing tells which others are about the same one.
func TestTheHistoryOfAnErasedResourceIsNotCalledExact(t *testing.T) {
	team := newTeam(t, "forgettable")
	catalogue := "version: 1\nproducts:\n  - product: forgettable\n    title: f\n    resources:\n      - type: " +
		"thing\n        personal: [/resource/id]\n" +
		"        actions:\n          - type: update\n            sentence: \"{actor} changed {resource}\"\n"
	team.apply(t, belfry, catalogue)
	a := newAccount(t)
	e := event("gone", "resource", map[string]any{"product": "forgettable", "type": "thing", "id": "r-9"})
	if answer := publish(t, a, jsonText(e), "application/json"); answer.Status != 200 {
		t.Fatalf("%.500s", answer.Body)
	}
	status := func() string {
		answer := belfry.Get(t, a.Token, a.path("/logs/audit/gone/history")).Open(t)
		return live.Decode[struct {
			Status string `json:"history_status"`
		}](t, answer.ResultInfo).Status
	}
	if got := status(); got != "exact" {
		t.Fatal(got)
	}
	job := belfry.Call(t, a.Token, "POST", a.path("/audit/erasures"), map[string]any{
		"event_ids": []string{"gone"},
		"fields":    []string{"/resource/id"},
		"reason":    "asked for",
	})
	if !job.Success {
		t.Fatalf("%.500s", job.Body)
	}
	live.Eventually(t, "a history that says that it cannot be given", func() bool { return status() == "unavailable" })
}
