// Package traffic takes what products know of their requests and hands it, in
// order and once, to whoever keeps budgets over it.
//
//	counts, access logs (HTTP) -> parse -> zone -> Split -> Writer (commit) -> answer
//	topic of counts -> Handle -> the same, with the offset in the transaction
//	outbox -> Relay -> topic of sharded traffic, partition = hash(zone)
//
// A request of the world is never kept as such: a line of a log becomes a share
// of a count (ten seconds of one host in one zone), so that addresses and paths
// of visitors end here.
//
// What is accepted is counted once. HTTP requests carry an Idempotency-Key,
// which is kept with the hash of the request for two days; records of the bus
// are known by their place and content. Both make the id of the messages that
// go on, so that a relay which delivers twice is noticed behind it as well.
package traffic

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/run"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the feature's tables; they go behind those of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "traffic", Files: files}
}

// Limits of what is taken.
const (
	MaxCounts     = 10_000   // in a request or a record of the bus
	MaxCountsBody = 4 << 20  // bytes of such a request, decompressed
	MaxLogBody    = 64 << 20 // bytes of a request with an access log, decompressed
	MaxLine       = 64 << 10 // bytes of one line of a log

	// MaxAhead and MaxAge bound the time of a count: what is older no window of
	// an objective looks at.
	MaxAhead = time.Minute
	MaxAge   = 35 * 24 * time.Hour
)

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "traffic",
	Schema:   Schema,
	Consumes: []feature.Subscription{{Group: Group, Topic: topicIn}},
	Cache:    1,
}

// Config configures a Feature. DB, Zone, Account and Partitions are required.
type Config struct {
	feature.Env

	// Zone finds the zone of an account by id, name or alias, or makes it. An
	// error of kind Invalid, NotFound or Forbidden refuses the count; any other
	// is a fault of the infrastructure.
	Zone func(ctx context.Context, accountID, ref string) (zoneID, name string, err error)
	// Account finds an account by id or ext:<external id>; CodeNotFound.
	Account func(ctx context.Context, ref string) (string, error)
	// Partitions is how many the topic of sharded traffic has.
	Partitions int
}

// Feature is the traffic on-ramps. Safe for concurrent use.
type Feature struct {
	cfg     Config
	db      *db.DB
	log     *slog.Logger
	now     func() time.Time
	writer  *db.Writer[*submission]
	uploads uploads
	metrics *metrics
}

// New makes a Feature; the database has the tables of [bus.Schema] and [Schema].
func New(cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	if cfg.Zone == nil || cfg.Account == nil || cfg.Partitions < 1 {
		return nil, errors.New("traffic: Zone, Account and Partitions are required")
	}
	f := &Feature{cfg: cfg, db: cfg.DB, log: cfg.Log, now: cfg.Now, uploads: uploads{byOne: map[string]int{}}}
	// One lane: the counts of a zone leave in the order in which they came.
	f.writer = db.NewWriter(db.Limits{Batch: 4000, Queue: 40_000, Lanes: 1}, (*submission).weight, f.store)
	f.metrics, err = newMetrics(cfg.Registerer)
	return f, err
}

// Describe returns the feature as the app serves and runs it.
func (f *Feature) Describe() feature.Feature {
	return feature.Feature{Consumer: f.Consumer, API: f.API, Stages: []run.Stage{{Name: "traffic", Run: f.Run}}}
}

// Consumer makes the consumer of the topic of counts; the app runs it.
func (f *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{Cluster: cluster, Group: Group, Topics: []string{topicIn}, DB: f.db, Handle: f.Handle,
		Log: f.log, Registerer: f.cfg.Registerer})
}

// Run writes what the on-ramps accepted and forgets old keys, until ctx ends;
// then it writes what was handed in and returns.
func (f *Feature) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	writing.Go(func() { f.writer.Run(ctx) }) // its error is always nil: failures go to the callers
	defer writing.Wait()
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := f.forget(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("traffic: old keys not deleted, will be tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
