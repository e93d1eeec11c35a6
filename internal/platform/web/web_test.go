package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/engines"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	ours    = "0192f7c417d170008000000000000001"
	foreign = "0192f7c417d170008000000000000002"
	missing = "0192f7c417d170008000000000000009"
)

var key = bytes.Repeat([]byte("k"), 32)

// people are the credentials that the tests know.
var people = map[string]web.Principal{
	"reader":   {Kind: web.KindToken, ID: "reader", AccountID: ours, Permissions: web.Permissions{"audit:read"}},
	"owner":    {Kind: web.KindUser, ID: "owner", AccountID: ours, Permissions: web.Permissions{"*"}},
	"stranger": {Kind: web.KindToken, ID: "stranger", AccountID: foreign, Permissions: web.Permissions{"*"}},
	"producer": {Kind: web.KindProducer, ID: "producer", Permissions: web.Permissions{"audit:write"}},
	"staff":    {Kind: web.KindStaff, ID: "staff", Installation: true, Permissions: web.Permissions{"accounts:read", "*"}},
	"root":     {Kind: web.KindStaff, ID: "root", Superoperator: true},
}

// fixture is an API with its logs and its denied requests.
type fixture struct {
	*web.API
	mu     sync.Mutex // guards what follows
	logs   bytes.Buffer
	denied []string
}

func (f *fixture) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logs.Write(p)
}

func (f *fixture) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logs.String()
}

func newAPI(t testing.TB, change ...func(*web.Config, *web.Deps)) *fixture {
	t.Helper()
	f := &fixture{}
	cfg := web.Config{Version: "test", Key: key, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	deps := web.Deps{
		Log:     slog.New(slog.NewTextHandler(f, nil)),
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: telemetry.TracingOf(noop.NewTracerProvider()),
		Health:  telemetry.NewHealth(),
		Authenticate: func(ctx context.Context, r *http.Request) (*web.Principal, error) {
			name, ok := web.Bearer(r)
			session := false
			if c, err := r.Cookie("session"); err == nil && !ok {
				name, session = c.Value, true
			}
			if name == "" && r.Header.Get("Authorization") == "" {
				return nil, nil
			}
			p, ok := people[name]
			if !ok {
				return nil, errs.New(errs.CodeAuthentication, "the token is not known")
			}
			p.Session, p.IP = session, web.ClientAddr(ctx)
			return &p, nil
		},
		Resolve: func(_ context.Context, ref string) (string, error) {
			switch ref {
			case ours, foreign:
				return ref, nil
			case "ext:ours":
				return ours, nil
			case "ext:down":
				return "", errs.New(errs.CodeUnavailable, "the database does not answer")
			}
			return "", errs.New(errs.CodeNotFound, "there is no such account")
		},
		Denied: func(_ context.Context, p *web.Principal, route, account string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.denied = append(f.denied, p.ID+" "+route+" "+account)
		},
	}
	for _, c := range change {
		c(&cfg, &deps)
	}
	a, err := web.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	f.API = a
	return f
}

func withIdempotency(t testing.TB, d *db.DB) func(*web.Config, *web.Deps) {
	return func(_ *web.Config, deps *web.Deps) {
		i, err := web.NewIdempotency(d, key)
		if err != nil {
			t.Fatal(err)
		}
		deps.Idempotency = i
	}
}

func openDB(t testing.TB) *db.DB { return openDBWith(t, db.Config{DataDir: t.TempDir()}) }

// onBoth runs a test on SQLite and, where one is given, on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, openDB(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, openDBWith(t, db.Config{URL: engines.Postgres(t)})) })
}

func openDBWith(t testing.TB, cfg db.Config) *db.DB {
	t.Helper()
	cfg.Feature, cfg.Schemas = "web", []db.Schema{web.Schema()}
	d, err := db.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// ask sends one request, written as "GET /path", with header lines
// ("Name: value"), to the handler directly.
func ask(t testing.TB, h http.Handler, head string, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(head, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Body = http.NoBody
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Remote" {
			r.RemoteAddr = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func as(who string) string { return "Authorization: Bearer " + who }

// envelope has the members of every JSON answer.
type envelope struct {
	Success bool
	Errors  []struct {
		Code    errs.Code
		Message string
		Source  struct{ Pointer string }
	}
	Messages   []web.Message
	Result     json.RawMessage
	ResultInfo json.RawMessage `json:"result_info"`
}

func decode(t testing.TB, w *httptest.ResponseRecorder) envelope {
	t.Helper()
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Fatalf("Content-Type %q: %s", ct, w.Body)
	}
	var e envelope
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return e
}

// refused checks status, code and pointer of an error answer.
func refused(t testing.TB, w *httptest.ResponseRecorder, status int, code errs.Code, pointer string) {
	t.Helper()
	e := decode(t, w)
	if w.Code != status || e.Success || len(e.Errors) == 0 || e.Errors[0].Code != code ||
		e.Errors[0].Source.Pointer != pointer {
		t.Fatalf("want %d, code %d at %q; got %d: %s", status, code, pointer, w.Code, w.Body)
	}
}

// transcript writes requests and answers as text, leaving out what changes.
type transcript struct{ strings.Builder }

func (tr *transcript) add(head, body string, headers []string, w *httptest.ResponseRecorder) {
	fmt.Fprintf(tr, "> %s\n", head)
	for _, h := range headers {
		fmt.Fprintf(tr, "> %s\n", h)
	}
	if body != "" {
		fmt.Fprintf(tr, "> %s\n", strings.ReplaceAll(body, "\n", "\n> "))
	}
	fmt.Fprintf(tr, "< %d\n", w.Code)
	var names []string
	for name := range w.Header() {
		if name != "X-Request-Id" && name != "Content-Length" && name != "X-Content-Type-Options" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(tr, "< %s: %s\n", name, strings.Join(w.Header()[name], ", "))
	}
	fmt.Fprintf(tr, "< %s\n\n", strings.ReplaceAll(strings.TrimSpace(w.Body.String()), "\n", "\n< "))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; run with -update and read the difference.\n%s", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n  want %s\n  got  %s", i+1, a, b)
		}
	}
	return ""
}

func zipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
