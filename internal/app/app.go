// Package app wires the parts together. Setup reads from top to bottom in the order in which data flows: databases,
// bus, features, HTTP. No other package knows more than one feature.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/traffic"
)

// App is a wired Belfry. Setup makes it, Run runs it, Close closes it.
type App struct {
	Config Config
	Log    *slog.Logger

	Registry *prometheus.Registry
	Health   *telemetry.Health
	tracing  *telemetry.Tracing

	box       *seal.Box
	databases []database     // in the order of manifests
	broker    *broker.Broker // nil with an Apache Kafka cluster
	cluster   bus.Cluster
	producer  *bus.Producer

	Account  *account.Feature
	Producer *producer.Feature
	Audit    *audit.Feature
	Traffic  *traffic.Feature
	SLO      *slo.Feature
	Notify   *notify.Feature
	Incident *incident.Feature
	API      *web.API
	server   *web.Server
	jobs     *jobs.Queue
	idem     *web.Idempotency

	names    *cache.Cache[string, string] // of accounts, by id
	features []running                    // in the order of features
	proved   sync.Map                     // accounts whose first proof is marked
	closers  []closer                     // closed in reverse order
}

// closer is a part to be closed, with its name for the error.
type closer struct {
	name  string
	close func() error
}

// Setup opens and wires all parts, and listens; it serves nothing yet. After an error, the opened parts are closed.
func Setup(ctx context.Context, cfg Config, version string, logTo io.Writer) (*App, error) {
	a := &App{Config: cfg, names: newNames()}
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"telemetry", func(ctx context.Context) error { return a.openTelemetry(ctx, version, logTo) }},
		{"address", func(context.Context) error { return a.chooseAddress() }},
		{"data directory", a.openDataDir},
		{"master key", a.openKeys},
		{"databases", a.openDatabases},
		{"bus", a.openBus},
		{"web", func(context.Context) error { return a.openWeb(version) }},
		{"features", a.openFeatures},
		{"listen", a.listen},
		{"pages", func(context.Context) error { return a.openPages(version) }},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s.name, err), a.Close())
		}
	}
	return a, nil
}

func (a *App) closing(name string, f func() error) { a.closers = append(a.closers, closer{name, f}) }

// Close closes all parts, the last opened first.
func (a *App) Close() error {
	var failed []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i].close(); err != nil {
			failed = append(failed, fmt.Errorf("close %s: %w", a.closers[i].name, err))
		}
	}
	a.closers = nil
	return errors.Join(failed...)
}

func (a *App) openTelemetry(ctx context.Context, version string, logTo io.Writer) (err error) {
	a.Log, err = telemetry.NewLogger(logTo, telemetry.LogConfig{Level: a.Config.LogLevel, Format: a.Config.LogFormat})
	if err != nil {
		return err
	}
	a.Registry = telemetry.NewRegistry(version)
	a.Health = telemetry.NewHealth()
	a.tracing, err = telemetry.NewTracing(ctx, version)
	if err == nil {
		a.closing("traces", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			return a.tracing.Close(ctx)
		})
	}
	return err
}

// chooseAddress replaces a port of 0 before links are made of it. Another program may take the port before Setup
// listens on it; then the start fails.
func (a *App) chooseAddress() error {
	host, port, err := net.SplitHostPort(a.Config.Listen)
	if err != nil || port != "0" {
		return err
	}
	l, err := net.Listen("tcp", a.Config.Listen)
	if err != nil {
		return err
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	a.Config.Listen = net.JoinHostPort(host, port)
	if !a.Config.externalGiven {
		a.Config.ExternalURL = a.Config.scheme() + "://" + a.Config.Listen
	}
	return nil
}

func (a *App) openDataDir(context.Context) error {
	if err := os.MkdirAll(a.Config.DataDir, 0o700); err != nil {
		return err
	}
	if a.Config.DatabaseURL != "" && len(a.Config.KafkaBrokers) > 0 {
		return nil // the directory stays empty
	}
	unlock, err := lockDir(a.Config.DataDir)
	if err == nil {
		a.closing("data directory", unlock)
	}
	return err
}

// now is the time of features and pages.
func (a *App) now() time.Time {
	if a.Config.Now == nil {
		return time.Now()
	}
	return a.Config.Now()
}

// keyDir is the folder of the keys, which are not backed up with the databases.
func (a *App) keyDir() string { return filepath.Join(a.Config.DataDir, "keys") }

func (a *App) openWeb(version string) (err error) {
	key, err := a.dbKey()
	if err != nil {
		return err
	}
	if a.idem, err = web.NewIdempotency(a.db(webManifest.Name), key); err != nil {
		return err
	}
	a.jobs = jobs.New(a.db(webManifest.Name), jobs.Config{}, a.Log)
	a.API, err = web.New(web.Config{
		Version:          version,
		ExternalURL:      a.Config.ExternalURL,
		Key:              key,
		TrustedProxies:   prefixes(a.Config.TrustedProxies),
		OperatorNetworks: prefixes(a.Config.OperatorNetworks),
		Recheck:          a.Config.StreamRecheck,
	}, web.Deps{
		Log:         a.Log,
		Metrics:     telemetry.NewHTTPMetrics(a.Registry),
		Tracing:     a.tracing,
		Health:      a.Health,
		Idempotency: a.idem,
		// These are closures because the features are constructed after the API with which they register.
		Authenticate: func(ctx context.Context, r *http.Request) (*web.Principal, error) { return a.authenticate(ctx, r) },
		Resolve: func(ctx context.Context, ref string) (string, error) {
			return a.Account.ResolveAccount(ctx, ref)
		},
		Denied: func(ctx context.Context, p *web.Principal, route, accountID string) {
			a.Account.Denied(ctx, p, route, accountID)
		},
	})
	if err != nil {
		return err
	}
	a.registerEgress()
	a.API.Probe("/metrics", telemetry.MetricsHandler(a.Registry))
	return nil
}

// dbKey derives the key that seals cursors and stored answers from the master key, so that all processes share it.
func (a *App) dbKey() ([]byte, error) { return a.box.Derive("belfry web key v1") }

// authenticate calls the feature to which the credential's prefix belongs.
func (a *App) authenticate(ctx context.Context, r *http.Request) (*web.Principal, error) {
	if token, ok := web.Bearer(r); ok && strings.HasPrefix(token, producer.TokenPrefix) {
		return a.Producer.Authenticate(ctx, r)
	}
	return a.Account.Authenticate(ctx, r)
}

func (a *App) listen(ctx context.Context) (err error) {
	if !a.Config.Has("api") {
		a.API.ProbesOnly()
		a.Log.Info("this process has no role api; it serves /healthz, /readyz and /metrics only")
	}
	if why := a.Config.clearText(); why != "" {
		a.Log.Warn("PASSWORDS, SESSIONS AND TOKENS CROSS THE NETWORK IN CLEAR TEXT: " + why +
			"; set BELFRY_TLS_CERT and BELFRY_TLS_KEY, or put a TLS proxy in front and set BELFRY_EXTERNAL_URL to its " +
			"https:// address")
	}
	var cert *tls.Certificate
	if a.Config.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(a.Config.TLSCert, a.Config.TLSKey)
		if err != nil {
			return err
		}
		cert = &pair
	}
	a.server, err = a.API.Listen(ctx, a.Config.Listen, cert)
	if err == nil {
		a.closing("HTTP", a.server.Close)
	}
	return err
}

// Addr is the HTTP address, with its port.
func (a *App) Addr() string { return a.server.Addr().String() }

// KafkaAddr is the embedded broker's address; empty with a cluster.
func (a *App) KafkaAddr() string {
	if a.broker == nil {
		return ""
	}
	return a.broker.Addr()
}

// Run serves until ctx ends, then drains: HTTP first, the databases last.
func (a *App) Run(ctx context.Context, ready func()) error {
	stages := []run.Stage{a.server.Stage()}
	stages = append(stages, a.stages(
		run.Stage{Name: "jobs", Run: a.jobs.Run},
		run.Stage{Name: "idempotency", Run: func(ctx context.Context) error { return a.idem.Run(ctx, a.Log) }},
	)...)
	if a.broker != nil {
		stages = append(stages, run.Stage{Name: "embedded broker", Run: a.broker.Run})
	}
	stages = append(stages, run.Stage{Name: "databases", Run: a.watchDatabases})
	if ready != nil {
		ready()
	}
	return run.All(ctx, a.Log, stages...)
}
