// Package producer knows the product teams of the installation: their tokens,
// their catalogues (what their products may write into the record, which
// alerts and topics are theirs) and the events of theirs that were refused.
//
//	belfry.yaml -> catalogue.Parse -> Apply (version, owner, history) -> Lookup -> ingestion
//	topic of rejects -> Consumer -> a team's, an account's, the operators' page
//
// A catalogue is whole: applying a file makes the team's declarations what the
// file says. Every version is kept, with who applied it and when. A name
// belongs to one team at a time, and a field that was personal once is
// committed for ever, since the record's format adds and never removes.
//
// Lookup answers from memory. Each process looks every two seconds whether a
// catalogue changed, and at once after it applied one itself.
package producer

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the feature's tables; they go behind those of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "producer", Files: files}
}

// Config is what a Registry needs to know. Zero durations mean the defaults.
type Config struct {
	// OperatorAccount is the installation's own account: acts that concern no
	// customer are recorded in it.
	OperatorAccount string
	Poll            time.Duration // between two looks for changed catalogues; 2 s
}

// Deps are the parts a Registry works with. DB, Record and Sections are required.
type Deps struct {
	DB *db.DB
	// Sections are the sections of catalogue files.
	Sections catalogue.Sections
	// Record writes Belfry's own audit events to the outbox of DB, in tx.
	Record func(ctx context.Context, tx *db.Tx, events ...event.Audit) error
	// Wake tells the outbox's relay of a commit; nil = it finds out by itself.
	Wake       func()
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil = time.Now
}

// Registry is the feature. Safe for concurrent use.
type Registry struct {
	cfg     Config
	db      *db.DB
	record  func(context.Context, *db.Tx, ...event.Audit) error
	wake    func()
	log     *slog.Logger
	now     func() time.Time
	metrics metrics

	sections catalogue.Sections
	builtin  *catalogue.Product

	registerer prometheus.Registerer // for the consumer's metrics

	seen    atomic.Pointer[snapshot] // nil until the first load
	loading sync.Mutex               // one load at a time

	mu      sync.Mutex // guards what follows
	cached  map[account.Hash]cachedToken
	revoked uint64           // raised by every revocation
	touched map[string]int64 // by token: when it was used, not written yet
}

// New makes a Registry; the database has the tables of [bus.Schema] and [Schema].
func New(cfg Config, deps Deps) (*Registry, error) {
	switch {
	case deps.DB == nil || deps.Record == nil || len(deps.Sections) == 0:
		return nil, errors.New("producer: DB, Record and Sections are required")
	case !id.Valid(cfg.OperatorAccount):
		return nil, errors.New("producer: OperatorAccount must be an account's id")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 2 * time.Second
	}
	builtin, err := Builtin(deps.Sections)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		cfg:        cfg,
		db:         deps.DB,
		record:     deps.Record,
		wake:       deps.Wake,
		log:        deps.Log,
		now:        deps.Now,
		metrics:    newMetrics(),
		sections:   deps.Sections,
		builtin:    builtin,
		registerer: deps.Registerer,
		cached:     map[account.Hash]cachedToken{},
		touched:    map[string]int64{},
	}
	if r.wake == nil {
		r.wake = func() {}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	if deps.Registerer != nil {
		if err := r.metrics.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// How often Run does what is not urgent.
const (
	touchEvery = 10 * time.Second
	trimEvery  = 10 * time.Minute
)

// Run keeps the catalogues fresh, writes when tokens were used and drops old
// rejects, until ctx ends. Faults of the database are logged and tried again.
func (r *Registry) Run(ctx context.Context) error {
	poll, touch, trim := time.NewTicker(r.cfg.Poll), time.NewTicker(touchEvery), time.NewTicker(trimEvery)
	defer poll.Stop()
	defer touch.Stop()
	defer trim.Stop()
	healthy := true
	try := func(what string, err error) {
		if err != nil && ctx.Err() == nil && healthy {
			r.log.Warn("producers: will be tried again", "what", what, "error", err)
		}
		healthy = err == nil
	}
	try("read the catalogues", r.refresh(ctx))
	for {
		select {
		case <-ctx.Done():
			// The last uses are worth one more write.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := r.writeTouched(last); err != nil {
				r.log.Debug("producers: last uses of tokens not written", "error", err)
			}
			return nil
		case <-poll.C:
			try("read the catalogues", r.refresh(ctx))
		case <-touch.C:
			try("write the last uses of tokens", r.writeTouched(ctx))
		case <-trim.C:
			try("drop old rejects", r.dropOld(ctx))
		}
	}
}
