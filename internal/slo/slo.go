// Package slo turns counts of requests into error budgets, and alerts when a budget burns too fast (Google SRE
// workbook, chapter 5).
//
//	topic of counts -> Handle -> engine -> blocks, sums, transitions -> outbox of alerts
//	objectives (API, pages) -> revision of the shards -> engine
//	blocks and readings -> status, series, pages
//
// A shard is a partition of the topic, processed by one engine. Each series (a zone, or a part of one) is counted in
// blocks of time, which are compacted as they age. The engine runs on the time of the counts, never on the clock of the
// machine: history replays in seconds, and a transition has the time at which it happened in the data. Zones of a shard
// share its clock: a count that is older is added to its own block and evaluated with the newest tick.
//
// One transaction stores a batch: blocks, ids of messages, pair states, transitions, alerts in the outbox and the
// consumer's offset. Sums are derived from blocks, so that a restart, or another process that takes over the partition,
// continues from the committed state.
//
//	quiet -> firing -> quiet      covered: a faster pair reports the same failures
//	   \-> covered -/             (the whole diagram is in evaluate.go)
package slo

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/run"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema holds the feature's tables; they follow those of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "slo", Files: files}
}

// Group is the consumer group of the counts.
const Group = "belfry.slo"

// AlertType is the type of the alerts, as belfry.yaml declares it.
const AlertType = "belfry_budget_burn"

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "slo",
	Schemas:  []func() db.Schema{Schema},
	Consumes: []feature.Subscription{{Group: Group, Topic: event.TopicTrafficSharded}},
	Cache:    2,
}

// Config configures a Feature. DB and Zone are required. Now is the clock of pages and of what a person does: the
// engine runs on the time of the counts.
type Config struct {
	feature.Env

	// Zone finds a zone of an account by id, name or alias; id "" when there is none.
	Zone func(ctx context.Context, accountID, ref string) (id, name string, err error)

	// Changes lists the newest recorded changes of a zone, the oldest first; nil = charts have no marks of changes.
	Changes func(ctx context.Context, q ChangesQuery) ([]Change, error)

	// Zones lists the zones that a form offers; nil = the name is typed.
	Zones func(ctx context.Context, accountID string) ([]ZoneName, error)

	// Aliases lists the hostnames and origins of a zone, which a form offers; nil = none.
	Aliases func(ctx context.Context, accountID, zoneID string) ([]string, error)

	// OriginPolicies lists the enabled policies of the type http_alert_origin_error in all accounts; nil = there are none.
	OriginPolicies func(ctx context.Context) ([]OriginPolicy, error)

	// SendMail sends a mail from Belfry itself; nil = there is no mail server, and no report is sent.
	SendMail func(ctx context.Context, m Mail) error

	// Member reports whether an address is the confirmed one of a member of an account; nil = none is.
	Member func(ctx context.Context, accountID, address string) (bool, error)

	// AccountName is the name of an account, for mails; nil = they have none.
	AccountName func(ctx context.Context, accountID string) string
}

// Mail is a message to one person. Its id is the same in all attempts.
type Mail struct {
	ID, To, Subject, Text string
}

// ChangesQuery asks for the changes of a zone.
type ChangesQuery struct {
	Account string
	Zone    string // id
	Since   time.Time
	Until   time.Time
	Limit   int
}

// Feature is the feature. Safe for concurrent use.
type Feature struct {
	cfg     Config
	db      *db.DB
	log     *slog.Logger
	now     func() time.Time
	metrics metrics

	resident int           // bytes of encoded blocks that a shard keeps in memory
	previews chan struct{} // a slot for each preview that is computed

	mu     sync.Mutex // guards the map; a shard belongs to the one Handle of its partition
	shards map[int32]*shardState
}

// New makes a Feature; the database has the tables of [bus.Schema] and [Schema].
func New(cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	if cfg.Zone == nil {
		return nil, errors.New("slo: Zone is required")
	}
	if cfg.Member == nil {
		cfg.Member = func(context.Context, string, string) (bool, error) { return false, nil }
	}
	f := &Feature{
		cfg:     cfg,
		db:      cfg.DB,
		log:     cfg.Log,
		now:     cfg.Now,
		metrics: newMetrics(),
		shards:  map[int32]*shardState{},

		resident: residentLimit,
		previews: make(chan struct{}, previewsAtOnce),
	}
	if cfg.Registerer != nil {
		if err := f.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Describe returns the feature as the app serves and runs it.
func (f *Feature) Describe() feature.Feature {
	stages := []run.Stage{{Name: "objectives", Run: f.Run}}
	if f.cfg.Active && f.cfg.SendMail != nil {
		stages = append(stages, run.Stage{Name: "monthly reports", Run: f.MailReports})
	}
	return feature.Feature{
		Consumer: f.Consumer,
		API:      f.API,
		Pages:    f.Pages,
		Finders:  f.finders(),
		Actions:  f.actions(),
		News:     f.news(),
		Stages:   stages,
	}
}

// Consumer makes the consumer of the topic of counts; the app runs it. Its batches are small, because a wide count
// becomes up to 30 samples in memory.
func (f *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{event.TopicTrafficSharded},
		DB:         f.db,
		Handle:     f.Handle,
		OwnOnly:    true,
		MaxBytes:   2 << 20,
		Log:        f.log,
		Registerer: f.cfg.Registerer,
	})
}
