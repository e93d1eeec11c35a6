package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

func TestTheLoggerTakesItsLevelAndFormatAndRefusesOthers(t *testing.T) {
	var b bytes.Buffer
	log, err := telemetry.NewLogger(&b, telemetry.LogConfig{Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hidden")
	log.Warn("shown", "n", 1)
	var line struct {
		Time  time.Time
		Msg   string
		Level string
		N     int
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Msg != "shown" || line.N != 1 ||
		line.Time.Location() != time.UTC {
		t.Fatalf("%v %s", err, &b)
	}
	for _, bad := range []telemetry.LogConfig{{Level: "loud"}, {Level: "info+1"}, {Format: "xml"}} {
		if _, err := telemetry.NewLogger(&b, bad); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAWideEventGathersAttributesAndIsBounded(t *testing.T) {
	var b bytes.Buffer
	log, err := telemetry.NewLogger(&b, telemetry.LogConfig{Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	telemetry.Add(t.Context(), slog.Int("lost", 1)) // no event: nothing happens
	ctx, event := telemetry.WithEvent(telemetry.WithRequestID(t.Context(), "r1"))
	telemetry.Add(ctx, slog.Int("rows", 7), slog.String("id", telemetry.RequestID(ctx)))
	for range 1000 {
		telemetry.Add(ctx, slog.Int("many", 1))
	}
	event.Write(ctx, log, slog.LevelInfo, "request")
	if s := b.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "rows=7 id=r1") ||
		strings.Count(s, "many") > 64 {
		t.Fatal(s)
	}
}

func TestTheRegistryShowsBuildProcessAndRequests(t *testing.T) {
	r := telemetry.NewRegistry("v1")
	m := telemetry.NewHTTPMetrics(r)
	m.Begin()
	m.End("GET /x", "200", false, 3*time.Millisecond)
	m.Begin()
	m.End("GET /live", "200", true, time.Hour)
	m.Refused("rate")
	w := httptest.NewRecorder()
	telemetry.MetricsHandler(r).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`belfry_build_info{version="v1"} 1`,
		`belfry_http_requests_total{route="GET /x",status="200"} 1`,
		`belfry_http_request_seconds_count{route="GET /x"} 1`, "belfry_http_in_flight 0",
		`belfry_http_refused_total{reason="rate"} 1`, "go_goroutines", "process_open_fds"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(w.Body.String(), `belfry_http_request_seconds_count{route="GET /live"}`) {
		t.Error("a stream's length is counted as a request's")
	}
}

func TestASpanContinuesTheCallersTraceAndBearsTheRoute(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tr := telemetry.TracingOf(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)))
	h := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ctx, end := tr.Server(t.Context(), h, "GET")
	if id := telemetry.TraceID(ctx); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Fatalf("trace %q", id)
	}
	_, done := tr.Span(ctx, "inner")
	done(errors.New("failed"))
	end("GET /x/{id}", 503)
	spans := recorder.Ended()
	if len(spans) != 2 || spans[1].Name() != "GET /x/{id}" || spans[1].Status().Code.String() != "Error" ||
		spans[0].Parent().SpanID() != spans[1].SpanContext().SpanID() {
		t.Fatalf("%v", spans)
	}
	if telemetry.TraceID(context.Background()) != "" {
		t.Fatal("a trace without a span")
	}
}

func TestSpansAreExportedOnlyWhereAnEndpointIsSet(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	tr, err := telemetry.NewTracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := tr.Server(t.Context(), nil, "GET")
	end("GET /", 200)
	if telemetry.TraceID(ctx) != "" {
		t.Fatal("spans are made for nobody")
	}
	received := make(chan []byte, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" {
			received <- b
		}
	}))
	defer s.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	if tr, err = telemetry.NewTracing(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	_, end = tr.Server(t.Context(), nil, "GET")
	end("GET /traced", 200)
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := <-received; !bytes.Contains(b, []byte("GET /traced")) || !bytes.Contains(b, []byte("belfry")) {
		t.Fatalf("%q", b)
	}
}

func TestReadinessAsksEveryCheckAndAHangingOneOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := telemetry.NewHealth()
		var asked atomic.Int32
		release := make(chan struct{})
		h.Add("hangs", func(context.Context) error { asked.Add(1); <-release; return nil })
		h.Add("good", func(context.Context) error { return nil })
		h.Add("bad", func(context.Context) error { return errors.New("no leader") })
		began := time.Now()
		for range 3 {
			r := h.Ready(t.Context())
			if r.Ready || len(r.Checks) != 3 || r.Checks[0].Reason != "no leader" || !r.Checks[1].OK ||
				!strings.Contains(r.Checks[2].Reason, "no answer") {
				t.Fatalf("%+v", r)
			}
		}
		if asked.Load() != 1 || time.Since(began) != 6*time.Second {
			t.Fatalf("asked %d times in %v", asked.Load(), time.Since(began))
		}
		close(release)
		synctest.Wait()
		if r := h.Ready(t.Context()); !r.Checks[2].OK {
			t.Fatalf("%+v", r)
		}
		h.Drain()
		if r := h.Ready(t.Context()); r.Ready {
			t.Fatal("ready while draining")
		}
	})
}

func TestTwoChecksOfOneNameAreADefect(t *testing.T) {
	h := telemetry.NewHealth()
	h.Add("db", func(context.Context) error { return nil })
	defer func() {
		if recover() == nil {
			t.Fatal("accepted")
		}
	}()
	h.Add("db", func(context.Context) error { return nil })
}
