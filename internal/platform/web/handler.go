package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// state passes facts from the inner layers to the outer one. It belongs to the
// goroutine that serves the request.
type state struct {
	route  string
	stream bool
	gone   bool            // the client disconnected, which caused the failure
	outer  context.Context // of the request: it ends when the client disconnects
	place  *place          // slot of the requests, or of the streams; nil in tests without a server
}

type stateKey struct{}

// statusGone is the status in the log and the metrics of a request whose client
// disconnected before the answer (the number is nginx's): no fault of the server.
const statusGone = 499

func stateOf(ctx context.Context) *state {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return s
	}
	return &state{}
}

// ServeHTTP is the outer layer, common to all requests.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, trusted := a.clientOf(r)
	operators := a.areOperators(r, client, trusted)
	if a.probe(w, r, operators) {
		return
	}
	began := time.Now()
	reqID := requestID(r, trusted)
	w.Header().Set("X-Request-Id", reqID)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s := &state{route: "none", outer: r.Context()}
	ctx := context.WithValue(r.Context(), stateKey{}, s)
	ctx = context.WithValue(ctx, addrKey{}, client)
	ctx = context.WithValue(ctx, operatorsKey{}, operators)
	ctx = telemetry.WithRequestID(ctx, reqID)
	ctx, event := telemetry.WithEvent(ctx)
	ctx, endSpan := a.deps.Tracing.Server(ctx, r.Header, r.Method)
	r = r.WithContext(ctx)
	res := newResponse(w, r)
	a.deps.Metrics.Begin()
	defer func() {
		fault := recover()
		if fault != nil && fault != http.ErrAbortHandler {
			event.Add(slog.String("panic", fmt.Sprint(fault)), slog.String("stack", string(debug.Stack())))
			if res.status == 0 {
				a.writeErrors(res, errs.All(fmt.Errorf("panic: %v", fault)))
				fault = nil
			} else {
				fault = http.ErrAbortHandler // the client must not mistake half an answer for a whole one
			}
		}
		s.place.release()
		if fault == nil {
			res.finish()
		}
		took := time.Since(began)
		status := res.status
		if status == 0 {
			status = http.StatusOK
		}
		if s.gone {
			status = statusGone
		}
		endSpan(s.route, status)
		a.deps.Metrics.End(s.route, strconv.Itoa(status), s.stream, took)
		level := slog.LevelInfo
		switch {
		case status == http.StatusServiceUnavailable:
			level = slog.LevelWarn
		case status >= 500:
			level = slog.LevelError
		}
		if strings.HasPrefix(r.URL.Path, Base+"/") { // the paths of pages may hold single-use secrets
			event.Add(slog.String("path", r.URL.Path))
		}
		event.Add(slog.String("method", r.Method), slog.String("route", s.route),
			slog.Int("status", status), slog.Duration("took", took), slog.Int64("bytes", res.bytes),
			slog.String("client", client.String()), slog.String("agent", clip(r.UserAgent())),
			slog.String("request_id", reqID), slog.String("trace_id", telemetry.TraceID(ctx)))
		event.Write(ctx, a.deps.Log, level, "request")
		if fault != nil {
			panic(fault)
		}
	}()
	if a.closed {
		a.refuse(res, r, errs.New(errs.CodeNoRoute,
			"this process has no role api; it serves /healthz, /readyz and /metrics only"))
		return
	}
	if clean := path.Clean("/" + r.URL.EscapedPath()); unclean(r.URL.EscapedPath()) && !forBrowsers(r, clean) {
		a.refuse(res, r, errs.New(errs.CodeNoRoute, "no route has this path; without empty and dotted parts it is %s",
			clip(clean)))
		return
	}
	_, pattern := a.mux.Handler(r)
	if err := a.readSmallBody(res, r, a.public[pattern]); err != nil {
		a.refuse(res, r, err)
		return
	}
	var err error
	if s.place, err = a.requests.enter(a.requests.ofAddress(client)); err != nil {
		a.deps.Metrics.Refused("busy")
		a.refuse(res, r, err)
		return
	}
	if pattern == "" {
		a.noRoute(res, r)
		return
	}
	a.mux.ServeHTTP(res, r)
}

// unclean reports whether the mux would redirect the path to another one. A client
// that does not follow redirects would take that for success, and lose its request.
func unclean(p string) bool {
	return strings.HasPrefix(p, "/") &&
		(strings.Contains(p, "//") || strings.Contains(p+"/", "/./") || strings.Contains(p+"/", "/../"))
}

// forBrowsers reports whether a browser asks for a page, and follows a redirect.
func forBrowsers(r *http.Request, p string) bool {
	return !strings.HasPrefix(p, Base+"/") && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

// noRoute answers like the mux: 404, or 405 with Allow, but in the envelope.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	probe := &noAnswer{header: http.Header{}}
	h, _ := a.mux.Handler(r)
	h.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.header.Get("Allow")
		w.Header().Set("Allow", allow)
		a.refuse(w, r, errs.New(errs.CodeMethod, "%s is not a method of this path; it has %s", clip(r.Method), allow))
		return
	}
	if a.notFound != nil && !strings.HasPrefix(r.URL.Path, Base+"/") &&
		strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.notFound.ServeHTTP(w, r)
		return
	}
	a.refuse(w, r, errs.New(errs.CodeNoRoute, "no route has this path"))
}

// noAnswer records the mux's own answer.
type noAnswer struct {
	header http.Header
	status int
}

func (p *noAnswer) Header() http.Header         { return p.header }
func (p *noAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (p *noAnswer) WriteHeader(status int)      { p.status = status }

// probe answers health and metrics, also when the server is full, and without a log
// line. Clients outside of the operators' networks see whether the server is ready,
// but not the reason, and no metrics.
func (a *API) probe(w http.ResponseWriter, r *http.Request, operators bool) bool {
	switch r.URL.Path {
	case "/healthz":
		a.deps.Health.ServeAlive(w, r)
		return true
	case "/readyz":
		a.deps.Health.ServeReady(w, r, operators)
		return true
	}
	h := a.probes[r.URL.Path]
	if h == nil || !operators {
		return false
	}
	h.ServeHTTP(w, r)
	return true
}
