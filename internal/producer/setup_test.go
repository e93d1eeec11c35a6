package producer_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/clock"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/sections"
)

const operators = "00000000000070008000000000000000"

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../catalogue/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, text string) *catalogue.File {
	t.Helper()
	f, err := sections.All().Parse([]byte(text), catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// world is a Feature with its database and what it recorded.
type world struct {
	*clock.Clock

	t  *testing.T
	r  *producer.Feature
	db *db.DB

	mu       sync.Mutex // guards what follows
	recorded []event.Audit
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, engines.Postgres(t))) })
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{
		Feature: "producer",
		DataDir: t.TempDir(),
		URL:     url,
		Schemas: []db.Schema{bus.Schema(), producer.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := &world{t: t, db: d, Clock: clock.At(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))}
	w.r = w.another()
	return w
}

// another is a Feature of a further process on the same database.
func (w *world) another() *producer.Feature {
	w.t.Helper()
	r, err := producer.New(producer.Config{
		Env:             feature.Env{DB: w.db, Record: feature.NewRecorder(w.record), Now: w.Now},
		OperatorAccount: operators,
		Sections:        sections.All(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) record(_ context.Context, _ *db.Tx, events ...event.Audit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, events...)
	return nil
}

// last returns the event that was recorded last.
func (w *world) last() event.Audit {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.recorded) == 0 {
		w.t.Fatal("nothing was recorded")
	}
	return w.recorded[len(w.recorded)-1]
}

func (w *world) team(name string) string {
	w.t.Helper()
	team, err := w.r.CreateTeam(w.staff(), name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return team.ID
}

func (w *world) staff() context.Context {
	bootstrap := &web.Principal{Kind: web.KindStaff, ID: "bootstrap", Name: "ops", Superoperator: true}
	return web.WithPrincipal(w.t.Context(), bootstrap, web.AccountRef{})
}

func (w *world) apply(team, text string) producer.Applied {
	w.t.Helper()
	out, err := w.r.Apply(w.staff(), team, parse(w.t, text), false, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// benchWorld is a Feature on SQLite with the product tls.
func benchWorld(b *testing.B) *producer.Feature {
	b.Helper()
	d, err := db.Open(b.Context(), db.Config{
		Feature: "producer",
		DataDir: b.TempDir(),
		Schemas: []db.Schema{bus.Schema(), producer.Schema()},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	r, err := producer.New(producer.Config{
		Env: feature.Env{
			DB:     d,
			Record: feature.NewRecorder(func(context.Context, *db.Tx, ...event.Audit) error { return nil }),
		},
		OperatorAccount: operators,
		Sections:        sections.All(),
	})
	if err != nil {
		b.Fatal(err)
	}
	team, err := r.CreateTeam(b.Context(), "tls", "")
	if err == nil {
		_, err = r.Apply(b.Context(), team.ID, parse(b, string(read(b, "tls.yaml"))), false, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// contextUntil is a context with the longest that a test waits for what will happen.
func contextUntil(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Minute)
}
