package feature_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// recorded sends one request with the agent, as the principal, to a page that records a change.
func recorded(t *testing.T, by *web.Principal, agent, path string) event.Audit {
	t.Helper()
	api, err := web.New(web.Config{Version: "test", Key: make([]byte, 32)}, web.Deps{
		Log:          slog.New(slog.DiscardHandler),
		Metrics:      telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing:      telemetry.TracingOf(noop.NewTracerProvider()),
		Health:       telemetry.NewHealth(),
		Authenticate: func(context.Context, *http.Request) (*web.Principal, error) { return nil, nil },
		Resolve:      func(context.Context, string) (string, error) { return "", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var got event.Audit
	record := feature.NewRecorder(func(_ context.Context, _ *db.Tx, events ...event.Audit) error {
		got = events[0]
		return nil
	})
	api.Mount("GET /change/{rest...}", false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := web.WithPrincipal(r.Context(), by, web.AccountRef{ID: "a"})
		if err := record(ctx, nil, event.NewAudit("a", "update", "policy", "p", "P")); err != nil {
			t.Error(err)
		}
	}))
	server := httptest.NewServer(api)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", agent)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARecordedChangeNamesActorInterfaceAndRequest(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.7")
	person := &web.Principal{Kind: web.KindUser, ID: "u", Name: "Ana", Email: "ana@example.com", Session: true, IP: addr}
	token := &web.Principal{Kind: web.KindToken, ID: "t", Name: "deploy"}
	team := &web.Principal{Kind: web.KindProducer, ID: "team", Name: "Edge", TokenID: "k", TokenName: "ci"}
	for name, c := range map[string]struct {
		by             *web.Principal
		agent, through string
		actor          event.AuditActor
	}{
		"a person": {person, "Mozilla/5.0", "UI",
			event.AuditActor{Type: "user", ID: "u", Name: "Ana", Email: "ana@example.com", IPAddress: "192.0.2.7"}},
		"a person whose browser claims to be the command": {person, "belfry-cli/1", "UI",
			event.AuditActor{Type: "user", ID: "u", Name: "Ana", Email: "ana@example.com", IPAddress: "192.0.2.7"}},
		"a token": {token, "curl/8", "API",
			event.AuditActor{Type: "token", ID: "t", Name: "deploy", TokenID: "t", TokenName: "deploy"}},
		"a token of the command": {token, "belfry-cli/1.2", "CLI",
			event.AuditActor{Type: "token", ID: "t", Name: "deploy", TokenID: "t", TokenName: "deploy"}},
		"a team's token": {team, "belfry-cli/1.2", "CLI",
			event.AuditActor{Type: "token", ID: "team", Name: "Edge", TokenID: "k", TokenName: "ci"}},
		"nobody": {nil, "curl/8", "SYSTEM", event.AuditActor{Type: "system", ID: "belfry", Name: "Belfry"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := recorded(t, c.by, c.agent, "/change/x?token=secret")
			if e.Actor != c.actor || e.Interface != c.through {
				t.Errorf("recorded by %+v through %s", e.Actor, e.Interface)
			}
			r := e.Request
			if r == nil || r.Method != "GET" || r.URI != "/change/x" || r.UserAgent != c.agent || r.ID == "" {
				t.Errorf("the request is %+v", r)
			}
		})
	}
}

func TestTheTextsOfARequestAreCutAtACharacter(t *testing.T) {
	e := recorded(t, nil, strings.Repeat("é", 200), "/change/"+strings.Repeat("é", 600))
	if n := len(e.Request.URI); n > 1024 || !strings.HasSuffix(e.Request.URI, "é") {
		t.Errorf("the URI has %d bytes and ends with %q", n, e.Request.URI[n-2:])
	}
	if n := len(e.Request.UserAgent); n > 256 || !strings.HasSuffix(e.Request.UserAgent, "é") {
		t.Errorf("the agent has %d bytes", n)
	}
}

func TestWhatAFeatureSetStays(t *testing.T) {
	console := &web.Principal{Kind: web.KindSystem, ID: "console", Name: "the console"}
	given := feature.By(event.NewAudit("a", "create", "operator", "o", "O"), console)
	ctx := web.WithPrincipal(t.Context(), &web.Principal{Kind: web.KindUser, ID: "u"}, web.AccountRef{})
	if e := feature.Complete(ctx, given); e.Actor.ID != "console" || e.Interface != "SYSTEM" || e.Request != nil {
		t.Errorf("%+v", e)
	}
}

func TestAFeatureWithoutARecorderRecordsInItsOutbox(t *testing.T) {
	store, err := db.Open(t.Context(), db.Config{Feature: "x", DataDir: t.TempDir(), Schemas: []db.Schema{bus.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	env, err := feature.Env{DB: store}.Complete("x")
	if err != nil {
		t.Fatal(err)
	}
	err = env.Change(t.Context(), func(tx *db.Tx) error {
		return env.Record(t.Context(), tx, event.NewAudit("a", "update", "policy", "p", "P"))
	})
	if err != nil {
		t.Fatal(err)
	}
	var topic, key string
	err = store.View(t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT topic, msg_key FROM outbox`).Scan(&topic, &key)
	})
	if err != nil || topic != event.TopicAuditSelf || key != "a" {
		t.Errorf("%s %s %v", topic, key, err)
	}
	if _, err := (feature.Env{}).Complete("x"); err == nil {
		t.Error("an environment without a database is complete")
	}
}
