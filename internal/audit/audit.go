// Package audit is the tamper-evident record: who changed what, when, how, why,
// with which result, before and after.
//
//	HTTP, SDK, Kafka, import -> Intake.Prepare -> ledger.Ledger (commit = acknowledgement)
//	                                              -> ledger.Reader, ledger.Signer
//
// An event's life:
//
//	published -> rejected (back to its team, with field and reason)
//	          -> sealed -> accepted (leaf, entry, reading, head, tiles: one transaction)
//	                    |     -> covered by a signed checkpoint
//	                    -> duplicate | conflict (the id is in the record)
//
// This package is the feature: intake, API, pages, jobs, and the changes before an
// alert. Its parts:
//
//	record   what an event is and which of its bytes are hashed; pure
//	ledger   stores, finds, proves, signs and erases events
//	verify   checks exports and bundles offline
package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Group is the consumer group that stores events.
const Group = "belfry.audit"

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "audit",
	Schemas:  []func() db.Schema{ledger.Schema},
	Consumes: []feature.Subscription{{Group: Group, Topic: event.TopicAuditEvents}},
	Cache:    4,
}

// Config names the feature's dependencies. The app passes functions of other
// features.
type Config struct {
	feature.Env
	Box       *seal.Box
	SignedLog ledger.SignedLog
	KeyName   string // of the signing key at the first start
	Epoch     time.Duration
	Sources   Sources
	Words     Words
	Self      SelfAudit
	// BusRetention is how long the topics that hold events, or parts of them, keep a record.
	BusRetention time.Duration
	// OwnRecorded waits until the events of Belfry's own that an account has in
	// outboxes are in the record; nil = there are none.
	OwnRecorded func(ctx context.Context, account string) error
	// Proved is called when a proof of an account's event was verified on a page or downloaded; nil = by none.
	Proved func(ctx context.Context, account string)
}

// Words are the names and sentences of the catalogue, for people.
type Words struct {
	// Sentence returns the template of an action with this result, and whether the
	// action is a view; empty = none is declared.
	Sentence func(product, resourceType, action, result string) (template string, view bool)
	// Products lists the declared products, by category.
	Products func(ctx context.Context) ([]ProductCategory, error)
	// AccountName returns an account's name; empty when unknown.
	AccountName func(ctx context.Context, id string) string
}

// ProductCategory groups products, as the v2 API lists them.
type ProductCategory struct {
	Value    string        `json:"value"`
	Label    string        `json:"label"`
	Products []ProductName `json:"products"`
}

// ProductName is a product and its name for people.
type ProductName struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// SelfAction is an action on the audit log of an account: export, erase or erased.
type SelfAction struct {
	Account  string
	Type     string
	Name     string // of the exported or erased part
	Metadata map[string]any
}

// SelfAudit records an action on the audit log itself.
type SelfAudit func(ctx context.Context, a SelfAction) error

// Feature is the audit log.
type Feature struct {
	cfg     Config
	db      *db.DB
	intake  *Intake
	ledger  *ledger.Ledger
	reader  *ledger.Reader
	quick   *ledger.Reader // with a short budget, for suggestions and for parts of pages
	signer  *ledger.Signer
	sources Sources
	words   Words
	self    SelfAudit
	// ownRecorded and proved are [Config.OwnRecorded] and [Config.Proved].
	ownRecorded func(ctx context.Context, account string) error
	proved      func(ctx context.Context, account string)

	pages   *pages // after Pages
	cursors *web.Cursors
	metrics *metrics
	tail    *tail
	recent  *recentChanges
	volume  *cache.Cache[string, []ledger.ProductDay]
	sizes   *cache.Cache[string, map[string]ledger.LogSize]
	matches *cache.Cache[string, matched] // counts of the explorer, by account and query
	search  *searcher
	log     *slog.Logger
	now     func() time.Time
}

// New makes the feature; nothing runs until the stages do.
func New(ctx context.Context, cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	f := &Feature{
		cfg:         cfg,
		db:          cfg.DB,
		reader:      ledger.NewReader(cfg.DB, ledger.SearchBudget),
		quick:       ledger.NewReader(cfg.DB, searchTime),
		sources:     cfg.Sources,
		words:       cfg.Words,
		self:        cfg.Self,
		ownRecorded: cfg.OwnRecorded,
		proved:      cfg.Proved,
		cursors:     cfg.Cursors,
		log:         cfg.Log,
		now:         cfg.Now,
		tail:        newTail(),
		metrics:     newMetrics(cfg.Registerer),
	}
	f.matches = cache.New[string, matched](matchCache, matchTTL, cfg.Now)
	f.sizes = cache.New[string, map[string]ledger.LogSize](1, sizesTTL, cfg.Now)
	f.volume = cache.New[string, []ledger.ProductDay](1, volumeTTL, cfg.Now)
	if f.proved == nil {
		f.proved = func(context.Context, string) {}
	}
	f.recent = newRecentChanges(f.reader, cfg.Now, f.isView)
	f.recent.decoded = f.metrics.recent.Inc
	f.search = newSearcher(f)
	f.signer, err = ledger.NewSigner(ctx, ledger.SignerConfig{
		DB:        cfg.DB,
		Box:       cfg.Box,
		SignedLog: cfg.SignedLog,
		Name:      cfg.KeyName,
		Epoch:     cfg.Epoch,
		Log:       cfg.Log,
		Now:       cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	f.intake = NewIntake(cfg.Sources, cfg.Now)
	f.ledger = ledger.New(ledger.Config{
		DB:      cfg.DB,
		Now:     cfg.Now,
		ZoneKey: account.ZoneKey,
		Grown: func(accounts []string) {
			f.signer.Grown(accounts)
			f.tail.grown(accounts)
		},
		Sign: f.signer.SignBatch,
	})
	return f, nil
}

// Describe returns the feature as the app serves and runs it.
func (f *Feature) Describe() feature.Feature {
	return feature.Feature{
		Consumer: f.Consumer,
		API:      f.API,
		Pages:    f.Pages,
		Finders:  f.finders(),
		Actions:  f.actions(),
		News:     f.news(),
		Stages:   f.Stages(),
		Receives: true,
	}
}

// Consumer makes the consumer of the topic of events; the app runs it.
func (f *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{event.TopicAuditEvents},
		DB:         f.db,
		Handle:     f.Handle,
		MaxRecords: 2000,
		Log:        f.log,
		Registerer: f.cfg.Registerer,
	})
}

// Handle is the consumer's handler for the topic of events.
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	return f.intake.Consume(f.ledger)(ctx, b)
}

// AppendOwn stores Belfry's own events; see [Intake.AppendOwn].
func (f *Feature) AppendOwn(ctx context.Context, values [][]byte) error {
	refused, err := f.intake.AppendOwn(ctx, f.ledger, values)
	for _, e := range refused {
		f.log.Error("one of Belfry's own audit events was refused", "error", e)
	}
	return err
}

// Ledger returns the log. Like Reader and Intake it is for commands that work on the database without a
// server, and for tests.
func (f *Feature) Ledger() *ledger.Ledger { return f.ledger }

// Intake prepares events.
func (f *Feature) Intake() *Intake { return f.intake }

// Reader reads the record.
func (f *Feature) Reader() *ledger.Reader { return f.reader }

// Ready returns why the record cannot be signed; nil = it can.
func (f *Feature) Ready(context.Context) error { return f.signer.Ready() }

// rejected wakes the relay that carries rejects to the bus.
func (f *Feature) rejected() { f.cfg.Wake() }

// Stages are the feature's goroutines, in the order in which they stop: the
// group commit after the servers and relays that feed it.
func (f *Feature) Stages() []run.Stage {
	return []run.Stage{
		{Name: "audit ledger", Run: f.ledger.Run, Drain: 30 * time.Second},
		{Name: "audit digests", Run: f.ledger.RunSpans},
		{Name: "audit scrub", Run: ledger.NewScrubber(f.db, f.signer.Damaged, f.metrics.scrubbed).Run},
		{Name: "audit signer", Run: f.signer.Run},
	}
}

// API registers the operations, and the kinds of jobs.
func (f *Feature) API(api *web.API) {
	f.registerIn(api)
	f.registerCompatible(api)
	f.registerRead(api)
	f.registerProof(api)
	f.registerJobs(api, f.cfg.Jobs, f.cfg.BusRetention)
}

// tail wakes the live tails of an account when its log grows.
type tail struct {
	mu       sync.Mutex // guards the fields below
	watchers map[string]map[chan struct{}]struct{}
}

func newTail() *tail { return &tail{watchers: map[string]map[chan struct{}]struct{}{}} }

// watch returns a channel that receives a token after growth; stop ends it.
func (t *tail) watch(accountID string) (c chan struct{}, stop func()) {
	c = make(chan struct{}, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watchers[accountID] == nil {
		t.watchers[accountID] = map[chan struct{}]struct{}{}
	}
	t.watchers[accountID][c] = struct{}{}
	return c, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watchers[accountID], c)
		if len(t.watchers[accountID]) == 0 {
			delete(t.watchers, accountID)
		}
	}
}

func (t *tail) grown(accounts []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range accounts {
		for c := range t.watchers[a] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}
