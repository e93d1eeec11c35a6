// Package web is Belfry's HTTP server: routes, the v4 envelope, authentication,
// accounts, limits, paging and streams.
//
// A request flows: [API.ServeHTTP] (id, address, log line, panic, small bodies, a slot)
// -> mux -> exchange.run (credential -> account -> permission -> rate -> body ->
// idempotency) -> parameters and body -> the feature's handler -> envelope.
//
// A feature registers operations with [Get], [Post], [Put], [Patch], [Delete]
// or [Raw] and returns plain values; everything that all routes have in common is
// done here, once. Authentication and authorisation come BEFORE parameters and body
// are read (a small body has been received by then, so that its sender occupies no
// slot meanwhile): an answer discloses nothing to an unauthorised client. A handler
// takes the account from [Account] only, never from the caller's input.
//
// huma (v2) reads parameters, validates against schemas and makes the OpenAPI
// document. It never writes an answer and never sees a body.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// Base is the path below which the API lives.
const Base = "/client/v4"

// Config has the settings of an API. Zero values mean the defaults.
type Config struct {
	Version        string         // of the program, shown to operators in capabilities
	ExternalURL    string         // URL of the server for clients: links, and the origin of pages with cookies
	Key            []byte         // at least 32 bytes: seals cursors and stored answers; the same in every process
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For and X-Request-Id count
	// OperatorNetworks may read metrics, reasons of readiness and the version; nil = loopback.
	OperatorNetworks []netip.Prefix
	Timeout          time.Duration // longest a request may take; 0 = 30 s
	BodyTimeout      time.Duration // longest a body may take to arrive; 0 = 30 s
	MaxBody          int64         // largest body after decompression; 0 = 1 MiB
	MaxRequests      int           // requests at once; 0 = 1024
	MaxStreams       int           // open event streams at once; 0 = 4096
	MaxDownloads     int           // exports and files being sent at once; 0 = 256
	Recheck          time.Duration // interval of authorising an open stream again; 0 = 15 s
	Rate             Rate          // of one principal
	Failures         Rate          // of refused credentials from one address
}

// Deps are the parts an API works with. Authenticate, Resolve, Log, Metrics,
// Tracing and Health are required.
type Deps struct {
	Log          *slog.Logger
	Metrics      *telemetry.HTTPMetrics
	Tracing      *telemetry.Tracing
	Health       *telemetry.Health
	Authenticate Authenticate
	Resolve      ResolveAccount
	Denied       Denied       // may be nil
	Idempotency  *Idempotency // nil: Idempotency-Key is ignored (tests)
}

// API holds the registered operations and serves them. Register everything
// first, then serve; it is safe for concurrent use from then on.
type API struct {
	cfg      Config
	deps     Deps
	mux      *http.ServeMux
	probes   map[string]http.Handler // for operators, answered even when the server is full
	closed   bool                    // only the probes are answered
	huma     huma.API
	routes   []*route
	mounts   []Mounted
	limits   map[string]any // shown by capabilities
	cursors  *Cursors
	rate     *limiter
	failures *limiter
	cross    *http.CrossOriginProtection
	notFound http.Handler    // for browsers, outside the API; may be nil
	public   map[string]bool // patterns without authentication: their bodies are small and quick

	requests  *pool
	streams   *pool
	downloads *pool
	strangers strangers

	drain    context.Context // ends when the server begins to drain: streams end with it
	endDrain context.CancelFunc
}

// New makes an API with its own routes: health, capabilities, openapi.
func New(cfg Config, deps Deps) (*API, error) {
	switch {
	case deps.Log == nil || deps.Metrics == nil || deps.Tracing == nil || deps.Health == nil:
		return nil, errors.New("web: Log, Metrics, Tracing and Health are required")
	case deps.Authenticate == nil || deps.Resolve == nil:
		return nil, errors.New("web: Authenticate and Resolve are required")
	case len(cfg.Key) < 32:
		return nil, errors.New("web: the key must have at least 32 bytes")
	}
	defaults(&cfg)
	a := &API{
		cfg: cfg, deps: deps,
		mux:      http.NewServeMux(),
		probes:   map[string]http.Handler{},
		limits:   map[string]any{},
		cursors:  NewCursors(cfg.Key),
		rate:     newLimiter(cfg.Rate),
		failures: newLimiter(cfg.Failures),
		cross:    http.NewCrossOriginProtection(),
		public:   map[string]bool{},

		requests:  newPool("requests", cfg.MaxRequests),
		streams:   newPool("event streams", cfg.MaxStreams),
		downloads: newPool("downloads", cfg.MaxDownloads),
	}
	a.drain, a.endDrain = context.WithCancel(context.Background())
	if cfg.ExternalURL != "" {
		u, err := url.Parse(cfg.ExternalURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("web: the external URL %q is not http(s)://HOST", cfg.ExternalURL)
		}
		if err := a.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("web: external URL: %w", err)
		}
		a.cfg.ExternalURL = strings.TrimSuffix(cfg.ExternalURL, "/")
	}
	a.huma = newBinder(a)
	a.registerOwn()
	return a, nil
}

func defaults(c *Config) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Timeout, 30*time.Second)
	def(&c.BodyTimeout, 30*time.Second)
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 1024
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 4096
	}
	if c.MaxDownloads == 0 {
		c.MaxDownloads = 256
	}
	def(&c.Recheck, 15*time.Second)
	if c.OperatorNetworks == nil {
		c.OperatorNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.Rate == (Rate{}) {
		c.Rate = Rate{PerSecond: 2000, Burst: 4000}
	}
	if c.Failures == (Rate{}) {
		c.Failures = Rate{PerSecond: 10, Burst: 100}
	}
}

// ExternalURL is the URL of the server for clients, without a final slash; empty when
// it is not configured.
func (a *API) ExternalURL() string { return a.cfg.ExternalURL }

// Cursors seals and opens the cursors of lists.
func (a *API) Cursors() *Cursors { return a.cursors }

// Limit publishes a limit or version in GET /client/v4/capabilities, such as
// ("audit.batch_events", 10000). Call it while registering.
func (a *API) Limit(name string, value any) { a.limits[name] = value }

// Probe adds a handler that is answered to operators' networks even when the
// server is full, without a log line: /metrics. For others the path has no route.
func (a *API) Probe(path string, h http.Handler) { a.probes[path] = h }

// ProbesOnly makes the server answer health and metrics and nothing else. Call it before
// the server runs.
func (a *API) ProbesOnly() { a.closed = true }

// Mount adds a handler of pages outside the API, with everything that all requests
// have in common (id, log line, panic, gzip, body limit). pattern is one
// of [http.ServeMux]. The handler authenticates with [API.Identify]. With
// stream, the request has no deadline, its context ends when the server drains,
// and the handler calls [API.Watch] before it answers with events.
func (a *API) Mount(pattern string, stream bool, h http.Handler) {
	a.mounts = append(a.mounts, Mounted{pattern, stream, a.public[pattern]})
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s := stateOf(r.Context())
		s.route = pattern
		var p *pool
		var holders []holder
		if stream {
			p = a.streams
			holders = []holder{p.ofAddress(ClientAddr(r.Context()))}
		}
		ctx, end, err := a.lifetime(r.Context(), w, p, holders, a.cfg.Timeout)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		defer end()
		r = r.WithContext(context.WithValue(ctx, mountedKey{}, r))
		r.Body = http.MaxBytesReader(w, r.Body, a.cfg.MaxBody)
		h.ServeHTTP(w, r)
	})
}

// MountPublic is Mount for pages without authentication: sign-in, documents, assets.
// A body there is at most 16 KiB and has 5 s to arrive.
func (a *API) MountPublic(pattern string, h http.Handler) {
	a.public[pattern] = true
	a.Mount(pattern, false, h)
}

// NotFoundPage answers browsers (Accept has text/html) outside the API; other
// clients get the envelope.
func (a *API) NotFoundPage(h http.Handler) { a.notFound = h }
