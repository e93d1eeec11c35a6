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

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
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
	return db.Schema{Source: "producer", Files: files}
}

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "producer",
	Schemas:  []func() db.Schema{Schema},
	Consumes: []feature.Subscription{{Group: Group, Topic: event.TopicAuditRejects}},
	Cache:    1,
}

// Config configures a Registry. DB, OperatorAccount and Sections are required.
type Config struct {
	feature.Env

	// OperatorAccount is the installation's own account: changes that concern no customer are recorded in it.
	OperatorAccount string
	Sections        catalogue.Sections // of catalogue files
	Poll            time.Duration      // between two checks for changed catalogues; 0 = 2 s
	Pages           PageDeps
}

// Registry is the feature. Safe for concurrent use.
type Registry struct {
	cfg     Config
	db      *db.DB
	log     *slog.Logger
	now     func() time.Time
	metrics metrics

	sections catalogue.Sections
	builtin  *catalogue.Product

	seen    atomic.Pointer[snapshot] // nil until the first load
	loading sync.Mutex               // one load at a time

	mu      sync.Mutex // guards what follows
	cached  map[account.Hash]cachedToken
	revoked uint64           // raised by every revocation
	touched map[string]int64 // by token: when it was used, not written yet
}

// New makes a Registry; the database has the tables of [bus.Schema] and [Schema].
func New(cfg Config) (*Registry, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	switch {
	case len(cfg.Sections) == 0:
		return nil, errors.New("producer: Sections are required")
	case !id.Valid(cfg.OperatorAccount):
		return nil, errors.New("producer: OperatorAccount must be an account's id")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 2 * time.Second
	}
	builtin, err := Builtin(cfg.Sections)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		cfg:      cfg,
		db:       cfg.DB,
		log:      cfg.Log,
		now:      cfg.Now,
		metrics:  newMetrics(),
		sections: cfg.Sections,
		builtin:  builtin,
		cached:   map[account.Hash]cachedToken{},
		touched:  map[string]int64{},
	}
	if cfg.Registerer != nil {
		if err := r.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Describe returns the feature as the app serves and runs it.
func (r *Registry) Describe() feature.Feature {
	return feature.Feature{
		Consumer: r.Consumer,
		API:      r.API,
		Pages:    r.Pages,
		Stages:   []run.Stage{{Name: "producers", Run: r.Run}},
	}
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
