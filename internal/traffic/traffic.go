// Package traffic ingests the request counts of products and passes them, in order
// and exactly once, to the error budgets.
//
//	counts, access logs (HTTP) -> parse -> zone -> Shard -> Writer (commit) -> answer
//	topic of counts -> Handle -> the same, with the offset in the transaction
//	outbox -> Relay -> topic of sharded traffic, partition = hash(zone)
//
// Single requests of visitors are never stored: a line of a log becomes part of a
// count (ten seconds of one host in one zone), so their addresses and paths go no
// further.
//
// Accepted counts are counted once. HTTP requests carry an Idempotency-Key, which is
// stored with the hash of the request for two days; records of the bus are
// identified by their position and content. Both determine the ids of the messages,
// so consumers recognise a message that the relay delivers twice.
package traffic

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/cache"
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

// Limits of the on-ramps.
const (
	MaxCounts     = 10_000   // in a request or a record of the bus
	MaxCountsBody = 4 << 20  // bytes of such a request, decompressed
	MaxLogBody    = 64 << 20 // bytes of a request with an access log, decompressed
	MaxLine       = 64 << 10 // bytes of one line of a log

	// MaxAhead and MaxAge limit the time of a count: no window of an objective
	// includes older ones.
	MaxAhead = time.Minute
	MaxAge   = 35 * 24 * time.Hour
)

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "traffic",
	Schemas:  []func() db.Schema{Schema},
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
	// FindZone finds a zone by id, name or alias; id "" when there is none. Nil = rules
	// and previews name zones by id only.
	FindZone func(ctx context.Context, accountID, ref string) (zoneID, name string, err error)
	// Thresholds lists the latency thresholds that the account's objectives about a zone
	// (by id) need: requests with a duration are counted by each of them. Nil = none.
	Thresholds func(ctx context.Context, accountID, zoneID string) ([]time.Duration, error)
	// Closed returns an error of kind Conflict for an account that accepts no counts; nil = there are none.
	Closed func(ctx context.Context, accountID string) error
	// Partitions of the topic of sharded traffic.
	Partitions int
	// MaxNames limits an account's origins, hostnames and path classes, each; 0 = DefaultNames.
	MaxNames int
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

	names    nameSets
	maxNames int

	rules      *cache.Cache[string, *accountRules] // by account
	thresholds *cache.Cache[zoneRef, []time.Duration]
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
	f := &Feature{
		cfg:     cfg,
		db:      cfg.DB,
		log:     cfg.Log,
		now:     cfg.Now,
		uploads: uploads{byOne: map[string]int{}},

		names:    nameSets{young: map[string]*accountNames{}},
		maxNames: cmp.Or(cfg.MaxNames, DefaultNames),

		rules:      cache.New[string, *accountRules](cachedAccounts, rulesTTL, cfg.Now),
		thresholds: cache.New[zoneRef, []time.Duration](cachedZones, rulesTTL, cfg.Now),
	}
	// One lane keeps the order of a zone's counts.
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
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{topicIn},
		DB:         f.db,
		Handle:     f.Handle,
		Log:        f.log,
		Registerer: f.cfg.Registerer,
	})
}

// Run writes the requests of the on-ramps and deletes old keys, until ctx ends; then
// it writes the requests that are queued and returns.
func (f *Feature) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	writing.Go(func() { _ = f.writer.Run(ctx) }) // its error is always nil: failures go to the callers
	defer writing.Wait()
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		err := errors.Join(f.deleteOldKeys(ctx), f.deleteOldSources(ctx), f.deleteOldNames(ctx))
		if err != nil && ctx.Err() == nil {
			f.log.Warn("traffic: old keys, sources or names not deleted, will be tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
