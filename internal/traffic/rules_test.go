package traffic_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/traffic"
)

// reply is an answer of any operation.
type reply struct {
	Status int
	ETag   string
	Text   string
	Errors []struct {
		Message string
		Source  struct{ Pointer string }
	}
	Result json.RawMessage
}

// call sends a request to an operation of account a; headers are pairs.
func (w *world) call(token, method, path, body string, headers ...string) (r reply) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+"/client/v4/accounts/"+w.a+path,
		strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(text) > 0 { // an exporter of metrics gets no envelope
		if err := json.Unmarshal(text, &r); err != nil {
			w.t.Fatalf("%v: %s", err, text)
		}
	}
	r.Status = res.StatusCode
	r.ETag = res.Header.Get("ETag")
	r.Text = string(text)
	return r
}

func TestTheFirstRuleThatHoldsDecides(t *testing.T) {
	const line = `{"EdgeStartTimestamp":1431857103,"EdgeResponseStatus":%s,"OriginResponseStatus":%s}`
	for _, c := range []struct {
		rules, edge, origin, want string
	}{
		{`[{"when":{"edge":"5xx"},"is":"good"}]`, "503", "503", "good"},
		{`[{"when":{"edge":"503"},"is":"ignore"},{"when":{"edge":"5xx"},"is":"bad"}]`, "503", "503", "ignored"},
		{`[{"when":{"edge":"503"},"is":"ignore"},{"when":{"edge":"5xx"},"is":"bad"}]`, "502", "503", "bad"},
		{`[{"when":{"edge":"5xx","origin":"0"},"is":"unreachable"}]`, "503", "0", "unreachable"},
		{`[{"when":{"edge":"5xx","origin":"0"},"is":"unreachable"}]`, "503", "503", "good"},
		{`[{"when":{"origin":"520-530, 404"},"is":"bad"}]`, "200", "404", "bad"},
		{`[{"when":{"origin":"0"},"is":"bad"}]`, "200", "200", "good"},
		{`[{"when":{"format":"envoy"},"is":"bad"},{"when":{"format":"caddy, logpush"},"is":"ignore"}]`, "200", "200", "ignored"},
		{`[{"when":{"reason":"UF"},"is":"bad"}]`, "500", "500", "good"},
		{`[{"when":{"edge":"429"},"is":"bad"},{"when":{},"is":"good"}]`, "429", "0", "bad"},
		{`[{"when":{"edge":"0"},"is":"bad"}]`, "0", "0", "bad"},
		{`[]`, "500", "500", "good"},
	} {
		var list []traffic.Rule
		if err := json.Unmarshal([]byte(c.rules), &list); err != nil {
			t.Fatal(err)
		}
		rules, faults := traffic.CompileRules(list, "/rules")
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		p := traffic.Parser{Format: traffic.Logpush, Rules: rules}
		e, err := p.Parse(fmt.Appendf(nil, line, c.edge, c.origin))
		if got := short(e, err); !strings.HasSuffix(got, "|"+c.want) {
			t.Errorf("%s of %s and %s: %s, want %s", c.rules, c.edge, c.origin, got, c.want)
		}
	}
}

// The default rules give what the statuses alone gave before there were rules.
func TestTheDefaultRulesDecideByTheStatuses(t *testing.T) {
	for edge := range 1000 {
		for _, origin := range []int{-1, 0, 200, 404, 499, 500, 503, 520, 521, 530, 599, 999} {
			e := traffic.Entry{Status: edge, OriginStatus: origin}
			bad := edge >= 500
			unreachable := edge == 521
			switch origin {
			case -1:
				e.OriginStatus = 0 // the log does not have it
			case 0:
				e.OriginStatus = traffic.NotAsked
				fallthrough
			default:
				asked := origin != 0 || edge >= 520 && edge <= 530
				bad = asked && (edge >= 500 || origin >= 500)
				unreachable = bad && (edge == 521 || origin == 521)
			}
			for _, format := range []traffic.Format{traffic.Logpush, traffic.Combined, traffic.Caddy} {
				got := e
				traffic.ClassifyByDefault(format, &got)
				if got.Bad != bad || got.Unreachable != unreachable || got.Ignored {
					t.Fatalf("%s %d of origin %d: %+v, want bad %v, unreachable %v", format, edge, origin, got, bad, unreachable)
				}
			}
		}
	}
}

func TestAFaultyRuleNamesItsField(t *testing.T) {
	w := newWorld(t, "", 1)
	many := strings.TrimSuffix(strings.Repeat(`{"when":{"edge":"500"},"is":"bad"},`, 51), ",")
	for _, c := range []struct{ body, pointer string }{
		{`{"rules":[{"when":{"edge":"5xx"},"is":"good"},{"when":{"edge":"5yx"},"is":"bad"}]}`, "/rules/1/when/edge"},
		{`{"rules":[{"when":{"edge":"1000"},"is":"bad"}]}`, "/rules/0/when/edge"},
		{`{"rules":[{"when":{"edge":"530-520"},"is":"bad"}]}`, "/rules/0/when/edge"},
		{`{"rules":[{"when":{"edge":"500,"},"is":"bad"}]}`, "/rules/0/when/edge"},
		{`{"rules":[{"when":{"origin":"-1"},"is":"bad"}]}`, "/rules/0/when/origin"},
		{`{"rules":[{"when":{"format":"iis"},"is":"bad"}]}`, "/rules/0/when/format"},
		{`{"rules":[{"when":{"reason":" , "},"is":"bad"}]}`, "/rules/0/when/reason"},
		{`{"rules":[{"when":{"edge":"500"},"is":"awful"}]}`, "/rules/0/is"},
		{`{"rules":[{"when":{"edge":"500"}}]}`, "/rules/0/is"},
		{`{"rules":[{"when":{},"is":"good"},{"when":{"edge":"500"},"is":"bad"}]}`, "/rules/0/when"},
		{`{"rules":[{"when":{"status":"500"},"is":"bad"}]}`, "/rules/0/when/status"},
		{`{"rules":[` + many + `]}`, "/rules"},
		{`{"properties":[{"zone":"shop.example","rules":[{"when":{},"is":"good"}]}]}`, "/properties/0/zone"},
		{`{"properties":[{"rules":[{"when":{},"is":"good"}]}]}`, "/properties/0/zone"},
	} {
		r := w.call("editor", "PUT", "/traffic/rules", c.body)
		if r.Status != 400 || len(r.Errors) != 1 || r.Errors[0].Source.Pointer != c.pointer {
			t.Errorf("%s: %d %s, want %s", c.body, r.Status, r.Text, c.pointer)
		}
	}
	var rules traffic.AccountRules
	if err := json.Unmarshal(w.call("reader", "GET", "/traffic/rules", "").Result, &rules); err != nil || !rules.Default ||
		len(rules.Rules) != len(traffic.DefaultRules) {
		t.Errorf("%+v, %v", rules, err)
	}
}

func TestAnAccountDecidesWhatCountsAsFailed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		send := func(zone string, statuses ...int) traffic.IngestResult {
			t.Helper()
			var log strings.Builder
			for _, status := range statuses {
				fmt.Fprintf(&log, "192.0.2.7 - - [%s] \"GET / HTTP/1.1\" %d 1\n",
					start.Format("02/Jan/2006:15:04:05 -0700"), status)
			}
			return w.took(w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=combined&zone="+zone, log.String(),
				"Content-Type", "text/plain"), len(statuses), 0).Result
		}
		send("shop.example", 200, 429, 503) // makes the property
		before := w.call("reader", "GET", "/traffic/rules", "")
		set := `{"rules":[{"when":{"edge":"429"},"is":"bad"},{"when":{"edge":"503"},"is":"ignore"}],
			"properties":[{"zone":"shop.example","rules":[{"when":{"edge":"503"},"is":"unreachable"}]}]}`
		r := w.call("editor", "PUT", "/traffic/rules", set, "If-Match", before.ETag)
		if r.Status != 200 {
			t.Fatal(r.Text)
		}
		if r := w.call("editor", "PUT", "/traffic/rules", set, "If-Match", before.ETag); r.Status != 412 {
			t.Errorf("a change of what was read before: %d", r.Status)
		}

		if out := send("api.example", 200, 429, 503); out.Ignored != 1 {
			t.Errorf("%+v", out)
		}
		send("shop.example", 200, 429, 503)
		if r := w.call("editor", "PUT", "/traffic/rules", `{}`); r.Status != 200 {
			t.Fatal(r.Text)
		}
		send("shop.example", 200, 429, 503)
		var got []string
		for _, m := range w.sharded(4) {
			c := m.Counts[0]
			got = append(got, fmt.Sprint(c.Total, c.Bad, c.Unreachable))
		}
		if want := "[3 1 0 2 1 0 3 1 1 3 1 0]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
		changes := decode[event.Audit](t, w.delivered(event.TopicAuditSelf, 2))
		if c := changes[0]; c.Action.Type != "update" || c.Resource.Type != "traffic_rules" ||
			!strings.Contains(string(c.Before), `"default":true`) || !strings.Contains(string(c.After), `"429"`) {
			t.Errorf("%+v", c)
		}
	})
}

func TestRulesAreOfOneAccountAndNeedTheirPermission(t *testing.T) {
	w := newWorld(t, "", 1)
	for _, c := range []struct {
		token, method, path, body string
		want                      int
	}{
		{"reader", "GET", "/traffic/rules", "", 200},
		{"writer", "GET", "/traffic/rules", "", 403},
		{"other", "GET", "/traffic/rules", "", 403},
		{"reader", "PUT", "/traffic/rules", `{}`, 403},
		{"other", "PUT", "/traffic/rules", `{}`, 403},
		{"writer", "POST", "/traffic/rules/preview", `{"format":"caddy","lines":["x"]}`, 403},
		{"other", "POST", "/traffic/rules/preview", `{"format":"caddy","lines":["x"]}`, 403},
		{"writer", "GET", "/traffic/counting", "", 200},
		{"reader", "GET", "/traffic/counting", "", 403},
		{"other", "GET", "/traffic/counting", "", 403},
	} {
		if r := w.call(c.token, c.method, c.path, c.body); r.Status != c.want {
			t.Errorf("%s %s %s: %s, want %d", c.token, c.method, c.path, r.Text, c.want)
		}
	}
}

func TestAPreviewSaysWhatRulesWouldDecide(t *testing.T) {
	w := newWorld(t, "", 1)
	body, err := json.Marshal(map[string]any{
		"format": "combined",
		"rules":  json.RawMessage(`[{"when":{"edge":"429"},"is":"bad"},{"when":{"edge":"503"},"is":"ignore"}]`),
		"lines": []string{
			`192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`,
			`192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 429 1`,
			`192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 503 1`,
			`odd`,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got traffic.RulesPreview
	if r := w.call("reader", "POST", "/traffic/rules/preview", string(body)); json.Unmarshal(r.Result, &got) != nil ||
		r.Status != 200 {
		t.Fatal(r.Text)
	}
	if got.Now != (traffic.OutcomeCounts{Good: 2, Bad: 1}) ||
		got.Then != (traffic.OutcomeCounts{Good: 1, Bad: 1, Ignored: 1}) ||
		got.Refused != 1 || len(got.Lines) != 3 || *got.Lines[0].Rule != 0 || got.Lines[1].Then != traffic.IsIgnored ||
		got.Lines[2].Line != 4 || got.Lines[2].Fault == "" || len(got.Rules) != 2 || got.Rules[1].Lines != 1 {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct{ body, pointer string }{
		{`{"format":"iis","lines":["x"]}`, "/format"},
		{`{"format":"caddy","lines":[]}`, "/lines"},
		{`{"format":"caddy","lines":["x"],"zone":"none.example"}`, "/zone"},
		{`{"format":"caddy","lines":["x"],"timezone":"Mars"}`, "/timezone"},
		{`{"format":"caddy","lines":["x"],"rules":[{"when":{"edge":"x"},"is":"bad"}]}`, "/rules/0/when/edge"},
	} {
		if r := w.call("reader", "POST", "/traffic/rules/preview", c.body); r.Status != 400 ||
			r.Errors[0].Source.Pointer != c.pointer {
			t.Errorf("%s: %s", c.body, r.Text)
		}
	}
}

func TestLinesWithADurationAreCountedByTheThresholdsOfTheirZone(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		if r := w.counts(count("shop.example", start, 1, 0)); r.Status != 200 { // makes the property
			t.Fatal(r.Text)
		}
		zone := w.zone(w.a, "shop.example")
		w.mu.Lock()
		w.thresholds = map[string][]time.Duration{
			zone: {time.Second, 300 * time.Millisecond, time.Second, 0},
		}
		w.mu.Unlock()
		line := func(host, took string) string {
			return fmt.Sprintf(`{"time_iso8601":%q,"host":%q,"status":200%s}`, start.Format(time.RFC3339), host, took) + "\n"
		}
		log := line("shop.example", `,"request_time":0.3`) + line("shop.example", `,"request_time":0.301`) +
			line("shop.example", `,"request_time":1.5`) + line("shop.example", "") + // without a duration
			line("www.other.example", `,"request_time":5`) // no objective wants it
		w.took(w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=nginx-json", log, "Content-Type", "text/plain"), 5, 0)
		var got []string
		for _, m := range w.sharded(3)[1:] {
			for _, c := range m.Counts {
				got = append(got, fmt.Sprintf("%s %s %d %d", c.Hostname, c.SLI, c.Total, c.Bad))
			}
		}
		want := "[shop.example  4 0 shop.example latency:300ms 3 2 shop.example latency:1s 3 1 www.other.example  1 0]"
		if fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
		var how traffic.CountingRules
		r := w.call("writer", "GET", "/traffic/counting?zone=shop.example", "")
		if err := json.Unmarshal(r.Result, &how); err != nil || !how.Default || fmt.Sprint(how.Latency) != "[300ms 1s]" {
			t.Errorf("%s, %v", r.Text, err)
		}
	})
}
