// Package slo turns counts of requests into error budgets, and tells when one
// burns too fast (Google SRE workbook, chapter 5).
//
//	topic of counts -> Handle -> engine -> columns, sums, transitions -> outbox of alerts
//	objectives (API, pages) -> revision of the shards -> engine
//	columns and readings -> status, series, pages
//
// A shard is a partition of the topic, and one engine: what each line (a zone,
// or a part of one) counted, in columns by time that compact as they age. Time
// is what the counts say, never the wall's clock: history replays in seconds,
// and a transition carries the moment at which it happened in the data. Where
// several zones share a shard they share its clock: what comes later than it is
// patched into the past, and judged with the newest tick.
//
// One transaction stores a batch: columns, ids that were seen, states,
// transitions, alerts in the outbox and the consumer's offset. Sums are derived
// from columns, so that a restart, or another process that takes the partition
// over, goes on from what was committed.
//
//	quiet -> firing -> quiet      covered: a faster pair tells of the same cause
//	   \-> covered -/             (evaluate.go has the whole of it)
package slo

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the feature's tables; they go behind those of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "slo", Files: files}
}

// Group is the consumer group that counts.
const Group = "belfry.slo"

// AlertType is the type of the alerts, as belfry.yaml declares it.
const AlertType = "belfry_budget_burn"

// Deps are the parts a Feature works with. DB, Record and Zone are required.
type Deps struct {
	DB *db.DB
	// Record writes Belfry's own audit events to the outbox of DB, in tx.
	Record func(ctx context.Context, tx *db.Tx, events ...event.Audit) error
	// Zone finds a zone of an account by id, name or alias; id "" when there is none.
	Zone       func(ctx context.Context, accountID, ref string) (id, name string, err error)
	Wake       func() // tells the outbox's relay of a commit; nil = it finds out by itself
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // for pages and what a person does; nil = time.Now
	Pages      PageDeps
}

// Feature is the feature. Safe for concurrent use.
type Feature struct {
	db      *db.DB
	record  func(context.Context, *db.Tx, ...event.Audit) error
	zone    func(ctx context.Context, accountID, ref string) (id, name string, err error)
	wake    func()
	log     *slog.Logger
	now     func() time.Time
	metrics metrics

	registerer prometheus.Registerer // for the consumer's metrics
	pageDeps   PageDeps

	mu     sync.Mutex // guards the map; a shard belongs to the one Handle of its partition
	shards map[int32]*shard
}

// New makes a Feature; the database has the tables of [bus.Schema] and [Schema].
func New(deps Deps) (*Feature, error) {
	if deps.DB == nil || deps.Record == nil || deps.Zone == nil {
		return nil, errors.New("slo: DB, Record and Zone are required")
	}
	f := &Feature{db: deps.DB, record: deps.Record, zone: deps.Zone, wake: deps.Wake, log: deps.Log, now: deps.Now,
		metrics: newMetrics(), registerer: deps.Registerer, pageDeps: deps.Pages, shards: map[int32]*shard{}}
	if f.wake == nil {
		f.wake = func() {}
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	if deps.Registerer != nil {
		if err := f.metrics.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Consumer makes the consumer of the topic of counts; the app runs it. Its
// batches are small because a wide count becomes up to 30 pieces in memory.
func (f *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{Cluster: cluster, Group: Group, Topics: []string{event.TopicTrafficSharded}, DB: f.db,
		Handle: f.Handle, OwnOnly: true, MaxBytes: 2 << 20, Log: f.log, Registerer: f.registerer})
}
