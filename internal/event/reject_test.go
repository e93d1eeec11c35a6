package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

func payloadOf(data string) string {
	return event.NewReject(event.Reject{Via: "http"}, time.UnixMicro(0), []byte(data)).Payload
}

func TestTheMaskOfARejectKeepsWhatExplainsTheFault(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"id":"e-1","occurred_at":"yesterday","action":{"type":"update","result":"ok"}}`,
			`{"id":"e-1","occurred_at":"yesterday","action":{"type":"update","result":"ok"}}`},
		{`{"actor":{"type":"user","id":"u1","name":"Zoe","email":"z\u0040example.com","ip_address":"2001:db8::77"}}`,
			`{"actor":{"type":"user","id":"…","name":"…","email":"…","ip_address":"…"}}`},
		{`{"before":{"street":"1 Elm St","floor":3,"lift":true,"note":null},"after":["1 Elm St",{"deep":["x"]}]}`,
			`{"before":{"street":"…","floor":"…","lift":true,"note":null},"after":["…",{"deep":["…"]}]}`},
		{`{"token": 12345, "colour":"red"}`, `{"token":"…","colour":"…"}`},
		{`{"resource":{"product":"dns","type":"record","id":"ana\u0040example.com","name":"Zoe's"}}`,
			`{"resource":{"product":"dns","type":"record","id":"…","name":"…"}}`},
		{`{"zone":"fe80::1","origin":"203.0.113.9:443","hostname":"::1","ts":1795839638}`,
			`{"zone":"…","origin":"…:443","hostname":"…","ts":1795839638}`},
		{`{"occurred_at":"10:00:00","sli":"::ffff:192.0.2.1"}`, `{"occurred_at":"10:00:00","sli":"…"}`},
		{`{"metadata":{"ana@example.com":1}}`, `{"metadata":{"…":"…"}}`},
		{`{"data":{"a":1},"summary":"Zoe did it","filters":{"zones":["x"]}}`,
			`{"data":{"a":"…"},"summary":"…","filters":{"zones":["…"]}}`},
		{`[{"id":"x","after":1}]`, `[{"id":"x","after":"…"}]`},
		{`{"a":1,"a":2}`, `{"a":"…","a":"…"}`},
		{`{"id":"x","actor":{"name":"Zo`, `{"id":"x","actor":{"name":"…"}}`},
		{`{"id":"x" "y"}`, `{"id":"x","…":"…"}`},
		{`not JSON, Zoe`, `"…"`},
		{"\xff", `"…"`},
		{``, `"…"`},
		{`"Zoe"`, `"…"`},
	} {
		if got := payloadOf(c.in); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestAPayloadIsValidJSONOfAtMostFourKiB(t *testing.T) {
	var members []string
	for i := range 3000 {
		members = append(members, `"`+strings.Repeat("\\u0001", i%200)+`":`+strings.Repeat("[", i%60)+`"x"`+
			strings.Repeat("]", i%60))
	}
	for _, in := range []string{
		`{"after":{` + strings.Join(members, ",") + `}}`,
		`{"after":[` + strings.TrimSuffix(strings.Repeat(`{"a":"b"},`, 5000), ",") + `]}`,
		`{"id":"` + strings.Repeat("é", 60_000) + `"}`,
		strings.Repeat(`{"a":`, 2000),
	} {
		got := payloadOf(in)
		if len(got) > 4096 || !json.Valid([]byte(got)) || !strings.Contains(got, "…") {
			t.Errorf("%d bytes, valid: %v: %.200s", len(got), json.Valid([]byte(got)), got)
		}
	}
}

func TestWhatARejectSaysOfItsEventIsMaskedToo(t *testing.T) {
	r := event.NewReject(event.Reject{Account: "ext:ana@example.com", EventID: "ana@example.com", Product: "192.0.2.1",
		Errors: []event.Fault{{Code: 1, Pointer: "/after/ana@example.com", Message: `"ana@example.com" is no field`}}},
		time.UnixMicro(0), nil)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "ana@") || strings.Contains(string(text), "192.0.2.1") ||
		r.Errors[0].Pointer != "/after/…" {
		t.Error(string(text))
	}
}
