// Package audit is the tamper-evident record: who changed what, when, how, why,
// with which result, before and after.
//
//	HTTP, SDK, Kafka, import -> Intake.Prepare -> Ledger.Append (commit = acknowledgement) -> Reader, Signer
//
// An event's life:
//
//	published -> rejected (back to its team, with field and reason)
//	          -> sealed -> accepted (leaf, entry, reading, head, tiles: one transaction) -> covered by a signed checkpoint
//	                    -> duplicate | conflict (the id is in the record)
//
// leaf and entry are kept and never change; reading is what opens and finds an
// event, and the part that an erasure may take away. The pure cores are
// event.go (shape), envelope.go (what is hashed), facet.go (search), verify.go
// (offline verification), diff.go and sentence.go.
package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Config is what the feature needs. Functions of other features are handed in
// by the app.
type Config struct {
	DB        *db.DB // with bus.Schema and Schema
	Box       *seal.Box
	SignedLog ledger.SignedLog
	KeyName   string // of the signing key at the first start
	Epoch     time.Duration
	Sources   Sources
	Words     Words
	Self      SelfAudit
	Publish   func(ctx context.Context, msgs []bus.Message) error // to the bus: rejects
	// OwnRecorded waits until the events of Belfry's own that an account has in
	// outboxes are in the record; nil = there are none.
	OwnRecorded func(ctx context.Context, account string) error
	Cursors     *web.Cursors
	Log         *slog.Logger
	Registry    prometheus.Registerer
	Now         func() time.Time
}

// Words are what the catalogue says about products, for people.
type Words struct {
	// Sentence gives the template of an action with this result, which says a
	// failure too, and whether it is a view; empty = none is declared.
	Sentence func(product, resourceType, action, result string) (template string, view bool)
	// Products lists the declared products, by category.
	Products func(ctx context.Context) ([]ProductCategory, error)
	// AccountName gives an account's name; empty when unknown.
	AccountName func(ctx context.Context, id string) string
}

// ProductCategory groups products, as the v2 API lists them.
type ProductCategory struct {
	Value    string        `json:"value"`
	Label    string        `json:"label"`
	Products []ProductName `json:"products"`
}

// ProductName is a product and what people call it.
type ProductName struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// SelfAudit records something that a principal did with the record itself: an
// export, an erasure.
type SelfAudit func(ctx context.Context, account, action, resourceType, resourceID, resourceName string, metadata map[string]any) error

// Feature is the audit log.
type Feature struct {
	db      *db.DB
	intake  *Intake
	ledger  *ledger.Ledger
	reader  *ledger.Reader
	signer  *ledger.Signer
	relay   *bus.Relay
	sources Sources
	words   Words
	self    SelfAudit
	// ownRecorded is [Config.OwnRecorded].
	ownRecorded func(ctx context.Context, account string) error

	cursors *web.Cursors
	metrics *metrics
	tail    *tail
	recent  *recentChanges
	log     *slog.Logger
	now     func() time.Time
}

// New makes the feature; nothing runs until the stages do.
func New(ctx context.Context, cfg Config) (*Feature, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &Feature{
		db:          cfg.DB,
		reader:      ledger.NewReader(cfg.DB, ledger.SearchBudget),
		sources:     cfg.Sources,
		words:       cfg.Words,
		self:        cfg.Self,
		ownRecorded: cfg.OwnRecorded,
		cursors:     cfg.Cursors,
		log:         cfg.Log,
		now:         cfg.Now,
		tail:        newTail(),
		metrics:     newMetrics(cfg.Registry),
	}
	f.recent = newRecentChanges(f.reader, cfg.Now, f.isView)
	f.recent.decoded = f.metrics.recent.Inc
	var err error
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
	f.relay, err = bus.NewRelay(cfg.DB, cfg.Publish, bus.RelayOptions{
		Name:       "audit",
		Log:        cfg.Log,
		Registerer: cfg.Registry,
	})
	return f, err
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

// Ledger, Reader, Signer and Intake are the parts, for commands that work on
// the database without a server, and for tests.
func (f *Feature) Ledger() *ledger.Ledger { return f.ledger }

// Intake prepares events.
func (f *Feature) Intake() *Intake { return f.intake }

// Reader reads the record.
func (f *Feature) Reader() *ledger.Reader { return f.reader }

// Signer signs checkpoints.
func (f *Feature) Signer() *ledger.Signer { return f.signer }

// Ready is nil, or why the record cannot be vouched for.
func (f *Feature) Ready(context.Context) error { return f.signer.Ready() }

// rejected wakes the relay that carries rejects to the bus.
func (f *Feature) rejected() { f.relay.Notify() }

// Stages are the feature's goroutines, in the order in which they stop: the
// group commit after the doors that feed it, the relay after it.
func (f *Feature) Stages() []run.Stage {
	return []run.Stage{
		{Name: "audit ledger", Run: f.ledger.Run, Drain: 30 * time.Second},
		{Name: "audit digests", Run: f.ledger.RunSpans},
		{Name: "audit scrub", Run: ledger.NewScrubber(f.db, f.signer.Damaged, f.metrics.scrubbed).Run},
		{Name: "audit signer", Run: f.signer.Run},
		{Name: "audit relay", Run: f.relay.Run},
	}
}

// Register adds the routes.
func (f *Feature) Register(api *web.API) {
	f.registerIn(api)
	f.registerCompatible(api)
	f.registerRead(api)
	f.registerProof(api)
}

// tail wakes the live tails of an account when its log grows.
type tail struct {
	mu       sync.Mutex // guards what follows
	watchers map[string]map[chan struct{}]struct{}
}

func newTail() *tail { return &tail{watchers: map[string]map[chan struct{}]struct{}{}} }

// watch gives a channel that receives a token after growth; stop ends it.
func (t *tail) watch(account string) (c chan struct{}, stop func()) {
	c = make(chan struct{}, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watchers[account] == nil {
		t.watchers[account] = map[chan struct{}]struct{}{}
	}
	t.watchers[account][c] = struct{}{}
	return c, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watchers[account], c)
		if len(t.watchers[account]) == 0 {
			delete(t.watchers, account)
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
