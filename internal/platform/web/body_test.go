package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const events = "POST /client/v4/audit/events" // a Raw operation that takes 1000 bytes

func TestBodiesAreDecompressedAndLimited(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	gz := "Content-Encoding: gzip"
	whole := zipped(t, strings.Repeat("x", 1000))
	damaged := []byte(whole)
	damaged[len(damaged)-5] ^= 1 // the checksum
	for _, c := range []struct {
		name, body string
		headers    []string
		code       errs.Code // 0 = accepted
		pointer    string
	}{
		{"plain", strings.Repeat("x", 1000), nil, 0, ""},
		{"one byte too many", strings.Repeat("x", 1001), nil, errs.CodeTooLarge, ""},
		{"gzip", whole, []string{gz}, 0, ""},
		{"gzip of two members", zipped(t, "a") + zipped(t, "b"), []string{gz}, 0, ""},
		{"a bomb", zipped(t, strings.Repeat("x", 100_000_000)), []string{gz}, errs.CodeTooLarge, ""},
		{"a small bomb", zipped(t, strings.Repeat("x", 1001)), []string{gz}, errs.CodeTooLarge, ""},
		{"gzip that expands to nothing", strings.Repeat(zipped(t, ""), 100), []string{gz}, errs.CodeTooLarge, ""},
		{"cut gzip", whole[:len(whole)/2], []string{gz}, errs.CodeBadEncoding, ""},
		{"damaged gzip", string(damaged), []string{gz}, errs.CodeBadEncoding, ""},
		{"no gzip", "plain", []string{gz}, errs.CodeBadEncoding, ""},
		{"another encoding", "plain", []string{"Content-Encoding: br"}, errs.CodeBadEncoding, "Content-Encoding"},
		{"another type", "plain", []string{"Content-Type: text/plain"}, errs.CodeMediaType, "Content-Type"},
		{"NDJSON", "{}\n{}", []string{"Content-Type: application/x-ndjson; charset=utf-8"}, 0, ""},
		{"a JSON type", "{}", []string{"Content-Type: application/cloudevents+json"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(t, a, events, c.body, append(c.headers, as("producer"))...)
			if c.code == 0 {
				if w.Code != 200 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				return
			}
			refused(t, w, c.code.Kind().Status(), c.code, c.pointer)
			if w.Header().Get("X-Should-Retry") != "false" {
				t.Fatal("a client would send it again")
			}
		})
	}
}

func TestABodyOfUnknownLengthIsLimitedToo(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	r := httptest.NewRequest("POST", "/client/v4/audit/events",
		io.MultiReader(strings.NewReader(strings.Repeat("x", 600)), strings.NewReader(strings.Repeat("x", 600))))
	r.Header.Set("Authorization", "Bearer producer")
	r.ContentLength = -1
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	refused(t, w, 413, errs.CodeTooLarge, "")
}

func TestJSONBodiesMayBeLeftOutOnlyWhereTheyAreOptional(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	web.Post(a.API, web.Op{Path: "/optional", ID: "get-optional", Tag: "T", Summary: "S", Public: true},
		func(_ context.Context, in *struct {
			Body *thing
		}) (bool, error) {
			return in.Body != nil, nil
		})
	web.Put(a.API, web.Op{Path: "/list", ID: "get-list", Tag: "T", Summary: "S", Public: true},
		func(_ context.Context, in *struct {
			Body []thing `maxItems:"2"`
		}) (int, error) {
			return len(in.Body), nil
		})
	for head, want := range map[string]string{"": "false", `{"name":"a"}`: "true"} {
		if got := decode(t, ask(t, a, "POST /client/v4/optional", head)).Result; string(got) != want {
			t.Errorf("%q: %s", head, got)
		}
	}
	if got := decode(t, ask(t, a, "PUT /client/v4/list", `[{"name":"a"},{"name":"b"}]`)).Result; string(got) != "2" {
		t.Errorf("bare array: %s", got)
	}
	refused(t, ask(t, a, "PUT /client/v4/list", `[{"name":"a"},{"name":7}]`), 400, errs.CodeWrongType, "/1/name")
	refused(t, ask(t, a, "PUT /client/v4/list", `[{},{},{}]`), 400, errs.CodeOutOfRange, "")
	refused(t, ask(t, a, "POST /client/v4/accounts/"+ours+"/things", "", as("owner")), 400, errs.CodeMissingField, "")
	for _, bad := range []string{`{"name":"a"} {}`, "{\"name\":\"\xff\"}", `{'name':1}`, "null x",
		`{"name":"a","tags":{"x":"1","x":"2"}}`} {
		e := decode(t, ask(t, a, "POST /client/v4/accounts/"+ours+"/things", bad, as("owner")))
		if len(e.Errors) != 1 || e.Errors[0].Code != errs.CodeInvalidJSON {
			t.Errorf("%q: %+v", bad, e)
		}
	}
	refused(t, ask(t, a, "POST /client/v4/accounts/"+ours+"/things", `{"name":"a","tags":{"a/b~c":7}}`, as("owner")), 400,
		errs.CodeWrongType, "/tags/a~1b~0c")
}

func TestASlowBodyIsToldSoAndTheHandlersContextOutlivesTheBodysDeadline(t *testing.T) {
	a := newAPI(t, func(c *web.Config, _ *web.Deps) { c.BodyTimeout = 100 * time.Millisecond })
	registerThings(a.API)
	entered := make(chan struct{})
	slowBodyEnded := make(chan struct{})
	web.Post(a.API, web.Op{
		Path:    "/linger",
		ID:      "get-linger",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(ctx context.Context, _ *createInput) (string, error) {
		close(entered)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-slowBodyEnded:
			return "undisturbed", nil
		}
	})
	s := httptest.NewServer(a)
	defer s.Close()
	send := func(path, body string, length int) net.Conn {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		// Head and body are one packet: a whole body is there with its head, whatever its budget.
		fmt.Fprintf(conn, "POST /client/v4%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer producer\r\n"+
			"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", path, length, body)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const whole = `{"name":"a"}`
	lingers := send("/linger", whole, len(whole))
	<-entered
	// The slow body began later, so when its time is over the other's is as well.
	answer, err := io.ReadAll(send("/audit/events", "{", 100))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || !bytes.Contains(answer, []byte(`"code":1111`)) {
		t.Fatalf("%s", answer)
	}
	close(slowBodyEnded)
	if answer, err = io.ReadAll(lingers); err != nil || !bytes.Contains(answer, []byte("undisturbed")) {
		t.Fatalf("%v %s", err, answer)
	}
}

func FuzzCompressedBodies(f *testing.F) {
	f.Add([]byte(zipped(f, `{"a":1}`)), true)
	f.Add([]byte(zipped(f, strings.Repeat("x", 2000))), true)
	f.Add([]byte("plain"), false)
	a := newAPI(f, func(c *web.Config, _ *web.Deps) { c.Rate = web.Rate{PerSecond: -1} })
	registerThings(a.API)
	f.Fuzz(func(t *testing.T, data []byte, compressed bool) {
		headers := []string{as("producer"), "Content-Type: application/x-ndjson"}
		if compressed {
			headers = append(headers, "Content-Encoding: gzip")
		}
		w := ask(t, a, events, string(data), headers...)
		e := decode(t, w)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var want []byte
		ok := true
		if compressed && len(data) > 0 {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err == nil {
				want, err = io.ReadAll(io.LimitReader(z, 1001))
			}
			ok = err == nil
		} else {
			want = data
		}
		var got struct{ Bytes int }
		if w.Code == 200 && (json.Unmarshal(e.Result, &got) != nil || !ok || len(want) > 1000 || got.Bytes != len(want)) {
			t.Fatalf("accepted %d bytes as %s", len(want), e.Result)
		}
	})
}

func FuzzJSONBodies(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `{"name":"a","tags":{"a.b[0]":"c"}}`, `{"tags":{"a.b":1},"x.y":[{}]}`, `[1`,
		`"\ud800"`} {
		f.Add(s)
	}
	a := newAPI(f, func(c *web.Config, _ *web.Deps) { c.Rate = web.Rate{PerSecond: -1} })
	registerThings(a.API)
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(t, a, "POST /client/v4/accounts/"+ours+"/things", body, as("owner"))
		e := decode(t, w)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 201 {
			return
		}
		var sent, stored thing
		if json.Unmarshal([]byte(body), &sent) != nil || json.Unmarshal(e.Result, &stored) != nil ||
			sent.Name != stored.Name || len(stored.Name) == 0 {
			t.Fatalf("%q was stored as %s", body, e.Result)
		}
	})
}
