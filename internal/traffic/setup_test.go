package traffic_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
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

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/traffic"
	"github.com/belfryhq/belfry/test/clock"
	"github.com/belfryhq/belfry/test/engines"
)

// start is the time of the tests' clock.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// world is the feature with a real directory of accounts, running.
type world struct {
	*clock.Clock

	t       *testing.T
	f       *traffic.Feature
	db      *db.DB
	dir     *account.Feature
	a, b    string // accounts
	metrics *prometheus.Registry
	http    *httptest.Server

	mu   sync.Mutex    // guards what follows
	sent []bus.Message // what the relay delivered
	down bool          // the relay delivers, and then says that it did not

	thresholds map[string][]time.Duration // by zone
}

// latency has the thresholds of the zones' objectives.
func (w *world) latency(_ context.Context, _, zoneID string) ([]time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.thresholds[zoneID], nil
}

const patience = time.Minute

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "", 16)) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, engines.Postgres(t), 16)) })
}

func newWorld(t *testing.T, url string, partitions int) *world {
	t.Helper()
	w := &world{t: t, Clock: clock.At(start), metrics: prometheus.NewRegistry()}
	dir := t.TempDir()
	open := func(owner string, schema db.Schema) *db.DB {
		d, err := db.Open(t.Context(), db.Config{
			Feature: owner,
			DataDir: dir,
			URL:     url,
			Schemas: []db.Schema{bus.Schema(), schema},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	w.db = open("traffic", traffic.Schema())
	var err error
	if w.dir, err = account.New(account.Config{
		Env: feature.Env{DB: open("account", account.Schema()), Now: w.Now},
	}); err != nil {
		t.Fatal(err)
	}
	staff := &web.Principal{Kind: web.KindStaff, ID: "ops", Superoperator: true}
	for _, a := range []struct {
		id             *string
		name, external string
	}{{&w.a, "a", "acme"}, {&w.b, "b", "other"}} {
		made, err := w.dir.CreateAccount(t.Context(), staff, a.name, a.external)
		if err != nil {
			t.Fatal(err)
		}
		*a.id = made.ID
	}
	relay, err := bus.NewRelay(w.db, w.deliver, bus.RelayOptions{
		Name:  "traffic",
		Retry: bus.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.f, err = traffic.New(traffic.Config{
		Env:        feature.Env{DB: w.db, Wake: relay.Notify, Registerer: w.metrics, Now: w.Now},
		Zone:       w.dir.EnsureZone,
		FindZone:   w.dir.ResolveZone,
		Thresholds: w.latency,
		Account:    w.dir.ResolveAccount,
		Partitions: partitions,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{relay.Run, w.f.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); running.Wait() })
	w.serve()
	return w
}

// deliver is where the relay hands messages over.
func (w *world) deliver(_ context.Context, msgs []bus.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, msgs...)
	if w.down {
		w.down = false
		return errors.New("the answer was lost")
	}
	return nil
}

// serve puts the on-ramps behind a server. The tokens: "writer", "reader" and "editor" of
// account a, "other" of account b, "team" of a product team, "root".
func (w *world) serve() {
	w.t.Helper()
	tracing, err := telemetry.NewTracing(w.t.Context(), "test")
	if err != nil {
		w.t.Fatal(err)
	}
	principals := map[string]*web.Principal{
		"writer":  {Kind: web.KindToken, ID: "writer", AccountID: w.a, Permissions: web.Permissions{account.TrafficWrite}},
		"rotated": {Kind: web.KindToken, ID: "rotated", AccountID: w.a, Permissions: web.Permissions{account.TrafficWrite}},
		"reader":  {Kind: web.KindToken, ID: "reader", AccountID: w.a, Permissions: web.Permissions{account.SLORead}},
		"editor": {
			Kind:        web.KindToken,
			ID:          "editor",
			AccountID:   w.a,
			Permissions: web.Permissions{account.SLORead, account.SLOWrite},
		},
		"other": {Kind: web.KindToken, ID: "other", AccountID: w.b, Permissions: web.Permissions{"*"}},
		"team": {
			Kind:        web.KindProducer,
			ID:          "0192f7c417d17000800000000000beef",
			Permissions: web.Permissions{account.TrafficWrite},
		},
		"root": {Kind: web.KindStaff, ID: "bootstrap", Superoperator: true},
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()), Tracing: tracing,
		Health: telemetry.NewHealth(),
		Authenticate: func(_ context.Context, r *http.Request) (*web.Principal, error) {
			value, _ := web.Bearer(r)
			if p := principals[value]; p != nil {
				return p, nil
			}
			return nil, errs.New(errs.CodeAuthentication, "no")
		},
		Resolve: w.dir.ResolveAccount,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.f.API(api)
	w.http = httptest.NewServer(api)
	w.t.Cleanup(w.http.Close)
}

// answer is a response of the API.
type answer struct {
	Status  int
	Header  http.Header
	Text    string
	Success bool
	Errors  []struct {
		Code    errs.Code
		Message string
		Source  struct{ Pointer string }
	}
	Result     traffic.IngestResult
	ResultInfo struct{ Accepted, Rejected int } `json:"result_info"`
}

// post sends a request; headers are pairs.
func (w *world) post(token, path, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "POST", w.http.URL+"/client/v4"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
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
	a := answer{Status: res.StatusCode, Header: res.Header, Text: string(text)}
	if err := json.Unmarshal(text, &a); err != nil {
		w.t.Fatalf("%v: %s", err, text)
	}
	return a
}

// counts sends counts to account a.
func (w *world) counts(body string, headers ...string) answer {
	w.t.Helper()
	return w.post("writer", "/accounts/"+w.a+"/traffic/counts", body, headers...)
}

// took fails the test unless so many were accepted and rejected.
func (w *world) took(a answer, accepted, rejected int) answer {
	w.t.Helper()
	if a.Status != 200 || a.ResultInfo.Accepted != accepted || a.ResultInfo.Rejected != rejected ||
		a.Result.Accepted != accepted || a.Result.Rejected != rejected {
		w.t.Fatalf("got %d, want %d accepted and %d rejected: %s", a.Status, accepted, rejected, a.Text)
	}
	return a
}

// delivered waits until the relay has delivered n messages of a topic and the
// outbox is empty.
func (w *world) delivered(topic string, n int) []bus.Message {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		var list []bus.Message
		w.mu.Lock()
		for _, m := range w.sent {
			if m.Topic == topic {
				list = append(list, m)
			}
		}
		w.mu.Unlock()
		if left := w.number(`SELECT count(*) FROM outbox`); left == 0 && len(list) >= n {
			if len(list) > n {
				w.t.Fatalf("%d messages of %s, want %d", len(list), topic, n)
			}
			return list
		} else if time.Now().After(deadline) {
			w.t.Fatalf("%d messages of %s, want %d; %d are in the outbox", len(list), topic, n, left)
		}
	}
}

// sharded decodes the messages of sharded traffic.
func (w *world) sharded(n int) []event.Traffic {
	w.t.Helper()
	return decode[event.Traffic](w.t, w.delivered(event.TopicTrafficSharded, n))
}

func decode[T any](t *testing.T, msgs []bus.Message) []T {
	t.Helper()
	list := make([]T, len(msgs))
	for i, m := range msgs {
		if err := json.Unmarshal(m.Value, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func (w *world) number(query string) (n int) {
	w.t.Helper()
	err := w.db.View(context.Background(),
		func(tx *db.Tx) error { return tx.QueryRow(context.Background(), query).Scan(&n) })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// zone is the id of a zone that must be there.
func (w *world) zone(accountID, ref string) string {
	w.t.Helper()
	z, err := w.dir.Zone(w.t.Context(), accountID, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return z.ID
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// site is the log of a real site of 2015.
func site(t testing.TB) string {
	t.Helper()
	file, err := os.Open("../demo/data/apache_combined_2015-05.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
