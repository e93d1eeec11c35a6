package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// public registers an operation without input for a test of answers.
func public[O any](a *web.API, path string, o O, err error, change ...func(*web.Op)) {
	op := web.Op{Path: path, ID: "get-" + path[1:], Tag: "T", Summary: "S", Public: true}
	for _, c := range change {
		c(&op)
	}
	web.Get(a, op, func(context.Context, *struct{}) (O, error) { return o, err })
}

func TestAPanicIsAnsweredInTheEnvelopeAndLoggedOnce(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	w := ask(t, a, "GET /client/v4/panic", "")
	refused(t, w, 500, errs.CodeInternal, "")
	if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), ".go:") {
		t.Fatalf("the answer shows the panic: %s", w.Body)
	}
	if log := a.log(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "panic=hunter2") ||
		!strings.Contains(log, "level=ERROR") {
		t.Fatalf("log: %s", log)
	}
	w = ask(t, a, "GET /client/v4/fault", "")
	refused(t, w, 500, errs.CodeInternal, "")
	if strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(a.log(), "hunter2") {
		t.Fatalf("%s", w.Body)
	}
}

func TestEveryRequestHasOneWideLine(t *testing.T) {
	a := newAPI(t)
	web.Get(a.API, web.Op{
		Path:    "/rows",
		ID:      "get-rows",
		Tag:     "T",
		Summary: "S",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (web.None, error) {
		telemetry.Add(ctx, slog.Int("rows", 7))
		return web.None{}, nil
	})
	ask(t, a, "GET /client/v4/rows", "", as("reader"))
	log := a.log()
	for _, part := range []string{"rows=7", "principal=token:" + ours + ":reader", `route="GET /client/v4/rows"`,
		"status=200", "took=", "client=192.0.2.1", "request_id="} {
		if !strings.Contains(log, part) {
			t.Errorf("the line lacks %s: %s", part, log)
		}
	}
	if strings.Contains(log, "Bearer") || strings.Count(log, "\n") != 1 {
		t.Errorf("%s", log)
	}
}

func TestADeadlineIsAnUnavailableAnswer(t *testing.T) {
	a := newAPI(t)
	web.Get(a.API, web.Op{
		Path:    "/wait",
		ID:      "get-wait",
		Tag:     "T",
		Summary: "S",
		Public:  true,
		Timeout: 10 * time.Millisecond,
	}, func(ctx context.Context, _ *struct{}) (web.None, error) {
		<-ctx.Done()
		return web.None{}, ctx.Err()
	})
	w := ask(t, a, "GET /client/v4/wait", "")
	refused(t, w, 503, errs.CodeDeadline, "")
	if w.Header().Get("Retry-After") == "" {
		t.Fatal("no Retry-After")
	}
}

func TestRepliesAddStatusHeadersMessagesAndErrors(t *testing.T) {
	a := newAPI(t)
	public(a.API, "/a", web.Reply[thing]{
		Result:   thing{Name: "a"},
		Status:   202,
		Header:   http.Header{"location": {"/x"}},
		Messages: []web.Message{{Code: 1, Message: "m"}},
	}, nil)
	public(a.API, "/b", web.Reply[web.Page[thing]]{
		Result:   web.Page[thing]{Cursor: "c"},
		Messages: []web.Message{{Code: 1, Message: "m"}},
	}, nil)
	public(a.API, "/c", web.Reply[[]thing]{
		Errors: errs.List{errs.At(errs.CodeExists, "/0/name", "taken")},
		Info:   map[string]int{"conflict": 1},
	}, nil)
	public(a.API, "/d", []thing(nil), nil)
	public(a.API, "/e", thing{}, error(errs.List{errs.At(errs.CodeMissingField, "/a", "a"),
		errs.At(errs.CodeMissingField, "/b", "b")}))
	public(a.API, "/f", map[string]any{"x": func() {}}, nil)
	var tr transcript
	for _, p := range []string{"a", "b", "c", "d", "e", "f"} {
		head := "GET /client/v4/" + p
		tr.add(head, "", nil, ask(t, a, head, ""))
	}
	golden(t, "replies.txt", tr.String())
}

func TestAnObjectsTagSavesItsTransferAndGuardsItsChange(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	path := "/client/v4/accounts/" + ours + "/things/x"
	tag := ask(t, a, "GET "+path, "", as("owner")).Header().Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for _, header := range []string{tag, "W/" + tag, `"a", ` + tag, "*", strings.TrimSuffix(tag, `"`) + `-gzip"`} {
		w := ask(t, a, "GET "+path, "", as("owner"), "If-None-Match: "+header)
		if w.Code != 304 || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
			t.Errorf("%s: %d %s", header, w.Code, w.Body)
		}
		if w := ask(t, a, "PUT "+path, `{"name":"b"}`, as("owner"), "If-Match: "+header); w.Code != 200 {
			t.Errorf("If-Match %s: %d %s", header, w.Code, w.Body)
		}
	}
	if w := ask(t, a, "GET "+path, "", as("owner"), `If-None-Match: "other"`); w.Code != 200 {
		t.Fatal(w.Code)
	}
	refused(t, ask(t, a, "PUT "+path, `{"name":"b"}`, as("owner"), `If-Match: "other"`), 412, errs.CodeStale, "If-Match")
	if w := ask(t, a, "GET /client/v4/accounts/"+ours+"/things", "", as("owner")); w.Header().Get("ETag") != "" {
		t.Fatal("a list has an ETag")
	}
}

func TestAnswersAreCompressedWhereTheClientTakesItAndItIsWorthIt(t *testing.T) {
	a := newAPI(t)
	long := strings.Repeat("belfry ", 1000)
	public(a.API, "/long", long, nil)
	public(a.API, "/short", "x", nil)
	public(a.API, "/tile", web.Bytes{ContentType: "application/octet-stream", Data: []byte(long)}, nil)
	for _, c := range []struct {
		path, accept string
		want         bool
	}{
		{"long", "gzip, deflate", true}, {"long", "", false}, {"long", "gzip;q=0", false}, {"long", "br", false},
		{"long", "*", true},
		{"short", "gzip", false}, {"tile", "gzip", false},
	} {
		w := ask(t, a, "GET /client/v4/"+c.path, "", "Accept-Encoding: "+c.accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.want {
			t.Errorf("%s, %q: %v", c.path, c.accept, got)
			continue
		}
		if c.want {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(z); err != nil || !bytes.Contains(b, []byte(long)) ||
				w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%v %d", err, len(b))
			}
		}
	}
	tile := ask(t, a, "GET /client/v4/tile", "")
	if w := ask(t, a, "GET /client/v4/tile", "", "If-None-Match: "+tile.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("tile: %d", w.Code)
	}
}

func TestAStreamThatFailsEarlyIsAnErrorAndOneThatFailsLateIsCut(t *testing.T) {
	a := newAPI(t)
	stream := func(o *web.Op) { o.Stream = true }
	lines := func(n int, err error) web.Stream {
		return web.Stream{ContentType: "application/x-ndjson", Filename: "things.ndjson",
			Write: func(_ context.Context, w *web.StreamWriter) error {
				for range n {
					if err := w.JSON(map[string]string{"a": strings.Repeat("<", 98)}); err != nil {
						return err
					}
				}
				return err
			}}
	}
	public(a.API, "/good", lines(2000, nil), nil, stream)
	public(a.API, "/empty", lines(0, nil), nil, stream)
	public(a.API, "/early", lines(10, errs.New(errs.CodeUnavailable, "gone")), nil, stream)
	public(a.API, "/late", lines(2000, errors.New("disk")), nil, stream)
	public(a.API, "/forgotten", lines(1, nil), nil)
	w := ask(t, a, "GET /client/v4/good", "")
	if strings.Count(w.Body.String(), "\n") != 2000 ||
		w.Header().Get("Content-Disposition") != "attachment; filename=things.ndjson" {
		t.Fatalf("%d bytes, %v", w.Body.Len(), w.Header())
	}
	if w := ask(t, a, "GET /client/v4/empty", ""); w.Code != 200 || w.Body.Len() != 0 {
		t.Fatalf("%d", w.Code)
	}
	refused(t, ask(t, a, "GET /client/v4/early", ""), 503, errs.CodeUnavailable, "")
	refused(t, ask(t, a, "GET /client/v4/forgotten", ""), 500, errs.CodeInternal, "")
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler {
				t.Fatalf("panic %v", r)
			}
		}()
		ask(t, a, "GET /client/v4/late", "")
		t.Fatal("the stream looks whole")
	}()
}

func TestARawHandlerThatFailsHalfWayIsCut(t *testing.T) {
	a := newAPI(t)
	web.Raw(a.API, "POST", web.Op{
		Path:    "/raw",
		ID:      "get-raw",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(_ context.Context, _ *struct{}, x *web.Exchange) error {
		if x.MediaType() != "application/json" || x.Header().Get("X-Half") == "" {
			return errs.New(errs.CodeInvalid, "no header")
		}
		io.WriteString(x.Writer(), "half")
		return errors.New("disk")
	})
	refused(t, ask(t, a, "POST /client/v4/raw", "{}"), 400, errs.CodeInvalid, "")
	defer func() {
		if r := recover(); r != http.ErrAbortHandler || !strings.Contains(a.log(), "disk") {
			t.Fatalf("panic %v, log %s", r, a.log())
		}
	}()
	ask(t, a, "POST /client/v4/raw", "{}", "X-Half: yes")
	t.Fatal("half an answer looks whole")
}

func TestThePathsOfPagesAreNotLogged(t *testing.T) {
	a := newAPI(t)
	a.Mount("GET /sign-in/{token}", false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	ask(t, a, "GET /sign-in/hunter2?next=hunter2", "")
	if log := a.log(); strings.Contains(log, "hunter2") || !strings.Contains(log, `route="GET /sign-in/{token}"`) {
		t.Fatal(log)
	}
}

func TestACSVIsGivenOnlyToThoseWhoAskForIt(t *testing.T) {
	a := newAPI(t)
	web.Get(a.API, web.Op{
		Path:    "/either",
		ID:      "get-either",
		Tag:     "T",
		Summary: "S",
		Public:  true,
		Stream:  true,
		Result:  []thing{},
	}, func(ctx context.Context, _ *struct{}) (web.Answer, error) {
		if web.Accepts(ctx, "text/csv") {
			return web.Stream{ContentType: "text/csv", Write: func(_ context.Context, w *web.StreamWriter) error {
				_, err := io.WriteString(w, "name\n")
				return err
			}}, nil
		}
		return web.Page[thing]{}, nil
	})
	if w := ask(t, a, "GET /client/v4/either", "",
		"Accept: text/csv;q=0.9, application/json"); w.Body.String() != "name\n" {
		t.Fatal(w.Body)
	}
	for _, accept := range []string{"application/json", "*/*", ""} {
		if w := ask(t, a, "GET /client/v4/either", "", "Accept: "+accept); !strings.Contains(w.Body.String(), `"result":[]`) {
			t.Errorf("%s: %s", accept, w.Body)
		}
	}
}
