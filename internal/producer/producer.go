// Package producer manages the product teams of the installation: their tokens,
// their catalogues (what their products may write into the record, their alert
// types and topics) and their refused events.
//
//	belfry.yaml -> catalogue.Parse -> Apply (version, owner, history) -> Lookup -> ingestion
//	topic of rejects -> Consumer -> a team's, an account's, the operators' page
//
// A catalogue is whole: applying a file replaces all declarations of the team.
// Every version is kept, with who applied it and when. A name belongs to one team
// at a time, and a field that was personal once stays committed, because the
// record's format adds committed fields and never removes one.
//
// Lookup answers from memory. Each process polls every two seconds for changed
// catalogues, and reads them at once after it applied one itself.
package producer

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
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

// Schema is the feature's tables; they are created after those of the bus.
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

// Config configures a Feature. DB, OperatorAccount and Sections are required.
type Config struct {
	feature.Env

	// OperatorAccount is the installation's own account: changes that concern no
	// customer are recorded in it.
	OperatorAccount string
	Sections        catalogue.Sections // of catalogue files
	Poll            time.Duration      // between two polls for changed catalogues; 0 = 2 s
	Pages           PageDeps
}

// Feature is the feature. Safe for concurrent use.
type Feature struct {
	cfg     Config
	db      *db.DB
	log     *slog.Logger
	now     func() time.Time
	metrics metrics

	sections catalogue.Sections
	builtin  *catalogue.Product

	snapshot *db.Snapshot[*snapshot]

	mu      sync.Mutex // guards the fields below
	cached  map[account.Hash]cachedToken
	revoked uint64           // number of revocations
	touched map[string]int64 // last uses that are not written yet, by token
}

// New makes a Feature; the database has the tables of [bus.Schema] and [Schema].
func New(cfg Config) (*Feature, error) {
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
	if err := cfg.Sections.Check(); err != nil {
		return nil, err
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 2 * time.Second
	}
	builtin, err := Builtin(cfg.Sections)
	if err != nil {
		return nil, err
	}

	f := &Feature{
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
	f.snapshot = db.NewSnapshot(cfg.DB, clock, f.loadSnapshot)
	if cfg.Registerer != nil {
		if err := f.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
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
		News:     feature.NewsFrom(account.AuditRead, f.newsSince),
		Stages:   []run.Stage{{Name: "producers", Run: f.Run}},
	}
}

// Intervals of the background work that is not urgent.
const (
	touchEvery = 10 * time.Second
	trimEvery  = 10 * time.Minute
)

// Run keeps the catalogues fresh, writes when tokens were used and drops old
// rejects, until ctx ends. Errors of the database are logged and the work is
// retried at the next interval.
func (f *Feature) Run(ctx context.Context) error {
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	touch := time.NewTicker(touchEvery)
	defer touch.Stop()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()

	healthy := true // one line in the log for a series of errors
	try := func(what string, err error) {
		if err != nil && ctx.Err() == nil && healthy {
			f.log.Warn("producers: will be tried again", "what", what, "error", err)
		}
		healthy = err == nil
	}

	try("read the catalogues", f.refresh(ctx))
	for {
		select {
		case <-ctx.Done():
			f.writeLastUses(ctx)
			return nil
		case <-poll.C:
			try("read the catalogues", f.refresh(ctx))
		case <-touch.C:
			try("write the last uses of tokens", f.writeTouched(ctx))
		case <-trim.C:
			try("drop old rejects", f.dropOld(ctx))
		}
	}
}

// writeLastUses writes the last uses of tokens when the process ends.
func (f *Feature) writeLastUses(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := f.writeTouched(ctx); err != nil {
		f.log.Debug("producers: last uses of tokens not written", "error", err)
	}
}
