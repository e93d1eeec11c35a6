package jobs_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/engines"
)

const (
	ours    = "0192f7c417d170008000000000000001"
	foreign = "0192f7c417d170008000000000000002"
)

var quiet = slog.New(slog.DiscardHandler)

// people are the credentials that the tests know.
var people = map[string]web.Principal{
	"exporter": {Kind: web.KindToken, ID: "exporter", AccountID: ours, Permissions: web.Permissions{"audit:export"}},
	"reader":   {Kind: web.KindToken, ID: "reader", AccountID: ours, Permissions: web.Permissions{"audit:read"}},
	"owner":    {Kind: web.KindUser, ID: "owner", AccountID: ours, Permissions: web.Permissions{"*"}},
	"stranger": {Kind: web.KindToken, ID: "stranger", AccountID: foreign, Permissions: web.Permissions{"*"}},
}

// newAPI serves the operations of q.
func newAPI(t *testing.T, q *jobs.Queue) *web.API {
	t.Helper()
	api, err := web.New(web.Config{Version: "test", Key: []byte(strings.Repeat("k", 32))}, web.Deps{
		Log:     quiet,
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: telemetry.TracingOf(noop.NewTracerProvider()),
		Health:  telemetry.NewHealth(),
		Authenticate: func(_ context.Context, r *http.Request) (*web.Principal, error) {
			name, _ := web.Bearer(r)
			p, ok := people[name]
			if !ok {
				return nil, errs.New(errs.CodeAuthentication, "the token is not known")
			}
			return &p, nil
		},
		Resolve: func(_ context.Context, ref string) (string, error) { return ref, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	q.API(api)
	return api
}

// ask sends one request, written as "GET /path".
func ask(t *testing.T, api *web.API, head, who string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(head, " ")
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+who)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

// missing checks that a request finds nothing.
func missing(t *testing.T, api *web.API, head, who string) {
	t.Helper()
	w := ask(t, api, head, who)
	var e struct{ Errors []struct{ Code errs.Code } }
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	if w.Code != 404 || len(e.Errors) != 1 || e.Errors[0].Code != errs.CodeNotFound {
		t.Errorf("%s by %s: %d %s", head, who, w.Code, w.Body)
	}
}

// onBoth runs a test on SQLite and, where one is given, on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, openDB(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, db.Config{URL: engines.Postgres(t)})) })
}

func openDB(t *testing.T) *db.DB { return open(t, db.Config{DataDir: t.TempDir()}) }

func open(t *testing.T, cfg db.Config) *db.DB {
	t.Helper()
	cfg.Feature = "web"
	cfg.Schemas = []db.Schema{jobs.Schema()}
	d, err := db.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// newQueue has leases that end quickly, for tests of leases: on a busy machine
// they end under a job that works, too.
func newQueue(d *db.DB, work func(ctx context.Context, job *jobs.Job) (any, error)) *jobs.Queue {
	return leasing(d, 150*time.Millisecond, work)
}

func leasing(d *db.DB, lease time.Duration, work func(ctx context.Context, job *jobs.Job) (any, error)) *jobs.Queue {
	q := jobs.New(d, jobs.Config{
		Lease:      lease,
		Poll:       5 * time.Millisecond,
		PerAccount: 3,
		Attempts:   3,
		MaxFile:    5 << 20,
	}, quiet)
	q.Register(jobs.Kind{Name: "audit.export", Permission: "audit:export", Run: work})
	return q
}

// running runs q until the test ends or the returned function is called.
func running(t *testing.T, q *jobs.Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := q.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// await reads the job until it is in the state.
func await(t *testing.T, q *jobs.Queue, id, state string) jobs.Info {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		info, err := q.Get(t.Context(), ours, id)
		if err != nil {
			t.Fatal(err)
		}
		if info.State == state {
			return info
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job stays %s: %+v", info.State, info)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func count(t *testing.T, d *db.DB, query string, args ...any) (n int) {
	t.Helper()
	err := d.View(t.Context(), func(tx *db.Tx) error { return tx.QueryRow(t.Context(), query, args...).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
