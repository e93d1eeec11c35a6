package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/channeltest"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

// The accounts, teams and property of the tests.
const (
	acme   = "023e105f4ecef8ad9ca31a8372d0c353"
	other  = "123e105f4ecef8ad9ca31a8372d0c353"
	team   = "223e105f4ecef8ad9ca31a8372d0c353"
	zoneID = "323e105f4ecef8ad9ca31a8372d0c353"
)

// world is the feature of one process on a database.
type world struct {
	t    testing.TB
	n    *notify.Feature
	db   *db.DB
	api  *httptest.Server
	deps notify.Config
	stop func() // waits for the drain

	account string      // of the token acme
	jobs    *jobs.Queue // nil = none

	mu       sync.Mutex // guards what follows
	recorded []event.Audit
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) { everywhereWith(t, nil, test) }

func everywhereWith(t *testing.T, change func(*notify.Config), test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "", change)) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, engines.Postgres(t), change)) })
}

func newWorld(t testing.TB, url string, change func(*notify.Config)) *world {
	t.Helper()
	return newWorldIn(t, db.Config{Feature: "notify", DataDir: t.TempDir(), URL: url}, change)
}

// newWorldIn runs the feature on a database that may be there already.
func newWorldIn(t testing.TB, cfg db.Config, change func(*notify.Config)) *world {
	t.Helper()
	cfg.Schemas = []db.Schema{bus.Schema(), notify.Schema(), delivery.Schema()}
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	box, err := seal.New("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: d, account: acme}
	mail, err := email.New(email.Config{Server: "http://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	w.deps = notify.Config{
		Env: feature.Env{
			DB:         d,
			Record:     feature.NewRecorder(w.record),
			Cursors:    web.NewCursors(bytes.Repeat([]byte("k"), 32)),
			URL:        "http://belfry.test",
			Registerer: prometheus.NewRegistry(),
			Log:        logger(),
		},
		Box: box,
		AlertType: func(_ context.Context, name string) (*notify.AlertType, error) {
			for _, k := range kinds {
				if k.Type == name {
					return k, nil
				}
			}
			return nil, nil
		},
		AlertTypes: func(context.Context) ([]*notify.AlertType, error) { return kinds, nil },
		Account: func(_ context.Context, ref string) (string, error) {
			if ref == acme || ref == other {
				return ref, nil
			}
			return "", errs.New(errs.CodeNotFound, "there is no such account")
		},
		Zone: func(_ context.Context, account, ref string) (notify.Zone, error) {
			for _, z := range []notify.Zone{
				{ID: zoneID, Name: "shop.example", Environment: "production"},
				{ID: "t" + zoneID[1:], Name: "try.example", Environment: "test"},
			} {
				if account == acme && (ref == z.ID || ref == z.Name || ref == "www."+z.Name) {
					return z, nil
				}
			}
			return notify.Zone{}, nil
		},
		Member: func(_ context.Context, account, address string) (bool, error) {
			return strings.HasSuffix(address, "@acme.example"), nil
		},
		Channels: append(channeltest.Channels(), mail),
		Limits: notify.Limits{Limits: delivery.Limits{
			Attempt: 5 * time.Second,
			Poll:    50 * time.Millisecond,
			Lease:   5 * time.Second,
		}},
	}
	if change != nil {
		change(&w.deps)
	}
	w.start()
	return w
}

func logger() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// start makes the feature of a process and runs it until the test ends, or stop.
func (w *world) start() {
	w.t.Helper()
	var err error
	if w.n, err = notify.New(w.deps); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run.All(ctx, slog.New(slog.DiscardHandler), w.n.Stages(true)...) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
	w.api = w.serve()
}

// serve is the API over HTTP; the bearer token says who is asking.
func (w *world) serve() *httptest.Server {
	w.t.Helper()
	tracing, err := telemetry.NewTracing(w.t.Context(), "test")
	if err != nil {
		w.t.Fatal(err)
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing,
		Health:  telemetry.NewHealth(),
		Resolve: w.deps.Account,
		Authenticate: func(_ context.Context, r *http.Request) (*web.Principal, error) {
			token, _ := web.Bearer(r)
			switch token {
			case "acme", "other":
				accountID := other
				if token == "acme" {
					accountID = w.account
				}
				return &web.Principal{
					Kind:        web.KindToken,
					ID:          token,
					Name:        token,
					AccountID:   accountID,
					Permissions: web.Permissions{"*"},
				}, nil
			case "team":
				return &web.Principal{
					Kind:        web.KindProducer,
					ID:          team,
					Name:        "shop team",
					Permissions: web.Permissions{"alerts:send"},
				}, nil
			case "operator":
				return &web.Principal{
					Kind:          web.KindToken,
					ID:            token,
					Name:          token,
					AccountID:     w.account,
					Permissions:   web.Permissions{"*"},
					Superoperator: true,
				}, nil
			case "ana":
				return &web.Principal{
					Kind:        web.KindUser,
					ID:          anaID,
					Name:        "Ana Lima",
					AccountID:   acme,
					Permissions: web.Permissions{"notifications:read"},
				}, nil
			case "writer":
				return &web.Principal{
					Kind:        web.KindToken,
					ID:          token,
					Name:        token,
					AccountID:   acme,
					Permissions: web.Permissions{"notifications:read", "notifications:write"},
				}, nil
			case "reader":
				return &web.Principal{
					Kind:        web.KindToken,
					ID:          token,
					Name:        token,
					AccountID:   acme,
					Permissions: web.Permissions{"notifications:read"},
				}, nil
			}
			return nil, errs.New(errs.CodeAuthentication, "no")
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.n.API(api)
	if w.jobs != nil {
		w.n.RegisterJobs(api, w.jobs)
		w.jobs.API(api)
	}
	server := httptest.NewServer(api)
	w.t.Cleanup(server.Close)
	return server
}

func (w *world) record(_ context.Context, _ *db.Tx, events ...event.Audit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, events...)
	return nil
}

// records are the actions that were recorded on a type of resource.
func (w *world) records(resource string) (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.recorded {
		if e.Resource.Type == resource {
			list = append(list, e.Action.Type)
		}
	}
	return list
}

var kinds = []*notify.AlertType{
	{Product: "shop", Category: "Shop", Team: team, Type: "shop_down", Title: "Shop down",
		Description: "The shop does not answer", Severities: []string{"warning", "critical"},
		Filters: []notify.Filter{
			{Key: "zones", Title: "Property"},
			{Key: "region", Title: "Region", Values: []string{"eu", "us"}},
		},
		Check: func(data []byte) errs.List {
			var v map[string]any
			if json.Unmarshal(data, &v) != nil || v["bad"] != nil {
				return errs.List{errs.At(errs.CodeSchemaMismatch, "/data/bad", "data.bad is not taken")}
			}
			return nil
		}},
	{Product: "shop", Category: "Shop", Team: team, Type: "http_alert_origin_error", Title: "Origin errors",
		Severities: []string{"error"},
		Filters: []notify.Filter{
			{Key: "zones", Title: "Property", Required: true},
			{Key: "slo", Title: "Objective", Required: true, Single: true, Values: []string{"99.7", "99.8", "99.9"}},
		}},
	{
		Product:    "belfry",
		Category:   "Belfry",
		Type:       "belfry_budget_burn",
		Title:      "Error budget burn",
		Severities: []string{"error", "critical"},
		Filters:    []notify.Filter{{Key: "zones", Title: "Property"}},
	},
	{
		Product:    "belfry",
		Category:   "Belfry",
		Type:       notify.PrometheusAlert,
		Title:      "Prometheus alert",
		Severities: []string{"info", "warning", "error", "critical"},
		Filters:    []notify.Filter{{Key: "zones", Title: "Property"}, {Key: "alertname", Title: "Alert names"}},
	},
	{
		Product:    "belfry",
		Category:   "Belfry",
		Type:       notify.GrafanaAlert,
		Title:      "Grafana alert",
		Severities: []string{"info", "warning", "error", "critical"},
		Filters:    []notify.Filter{{Key: "zones", Title: "Property"}, {Key: "grafana_folder", Title: "Folders"}},
	},
	{
		Product:    "dns",
		Category:   "DNS",
		Team:       team,
		Type:       "secondary_dns_warning",
		Title:      "Secondary DNS: warning",
		Severities: []string{"warning"},
		Unsent:     true,
	},
}

// call is a request to the API and its decoded answer.
func (w *world) call(token, method, path string, body any, result any) (status int, failures []failure) {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	switch {
	case path == "/all":
		path = "/alerts"
	case strings.HasPrefix(path, "/inbox"):
		path = "/accounts/" + w.account + path
	case strings.HasPrefix(path, "/jobs/"):
		path = "/accounts/" + w.account + path
	default:
		path = "/accounts/" + w.account + "/alerting/v3" + path
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.api.URL+"/client/v4"+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var env struct {
		Result json.RawMessage `json:"result"`
		Errors []failure       `json:"errors"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		w.t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
	if result != nil && len(env.Result) > 0 && res.StatusCode < 300 {
		if err := json.Unmarshal(env.Result, result); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return res.StatusCode, env.Errors
}

type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// must is a call that succeeds.
func (w *world) must(method, path string, body any, result any) {
	w.t.Helper()
	if status, failures := w.call("acme", method, path, body, result); status >= 300 {
		w.t.Fatalf("%s %s: %d %+v", method, path, status, failures)
	}
}

// until polls for a condition.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	poll.Until(t, what, f)
}

// hook makes a webhook, and a policy that sends alerts of the type shop_down there.
func (w *world) hook(url string) notify.NewWebhook {
	w.t.Helper()
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", map[string]any{"name": "hook", "url": url, "secret": "old-secret"}, &made)
	return made
}

func (w *world) policy(fields map[string]any) notify.Policy {
	w.t.Helper()
	body := map[string]any{"name": "tell us", "enabled": true, "alert_type": "shop_down"}
	for k, v := range fields {
		body[k] = v
	}
	var p notify.Policy
	w.must("POST", "/policies", body, &p)
	return p
}

func to(hooks ...notify.NewWebhook) map[string]any {
	list := []map[string]string{}
	for _, h := range hooks {
		list = append(list, map[string]string{"id": h.ID})
	}
	return map[string]any{"webhooks": list}
}

// alert sends one alert and gives its result.
func (w *world) alert(fields map[string]any) ingest.ItemResult {
	w.t.Helper()
	body := map[string]any{
		"id":         id.New(),
		"alert_type": "shop_down",
		"event":      "notice",
		"zone":       "shop.example",
		"summary":    "The shop is down",
	}
	for k, v := range fields {
		body[k] = v
	}
	var out []ingest.ItemResult
	status, failures := w.call("acme", "POST", "/alerts", body, &out)
	if status != 200 || len(out) != 1 {
		w.t.Fatalf("%d %+v", status, failures)
	}
	return out[0]
}

func (w *world) decision(alertID string) (d notify.Decision) {
	w.t.Helper()
	w.must("GET", "/alerts/"+alertID, nil, &d)
	return d
}

// deadlines is a channel that accepts everything and records its deadlines.
type deadlines chan time.Duration

func (deadlines) Traits() notify.Traits { return notify.Traits{Type: notify.TypeGeneric} }

func (deadlines) Preview(*notify.Message) (notify.Rendered, error) { return notify.Rendered{}, nil }

func (d deadlines) Send(ctx context.Context, _ *notify.Message) delivery.Result {
	at, _ := ctx.Deadline()
	d <- time.Until(at)
	return delivery.Result{Status: 200}
}

// changeWith finds one change before every alert, with a sentence.
func changeWith(sentence string) func(context.Context, notify.ChangesQuery) ([]notify.Change, int, error) {
	return func(_ context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
		return []notify.Change{{
			EventID: "e1",
			At:      q.Until.Add(-43 * time.Second),
			Actor:   "Ana",
			Summary: sentence,
			URL:     "/accounts/" + q.Account + "/audit/events/e1",
		}}, 0, nil
	}
}
