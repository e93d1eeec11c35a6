// Package incident declares the incidents and the maintenance of the platform, and shows them on a public status page.
//
//	operator (API, console) -> incident, update, outages of components -> broadcasts, in one transaction
//	broadcast -> alerts of the accounts with a policy (outbox) | mails and webhooks of subscribers (delivery)
//	components, outages, incidents -> /status: page, feeds, JSON
//
// An incident:
//
//	investigating -> identified -> monitoring -> resolved      (in any order; resolved is final)
//
// A maintenance:
//
//	scheduled -> in_progress -> completed
//	        \-> canceled   \-> canceled
//
// The status of a component is the worst that an open incident or a running maintenance gives it. A broadcast serves
// its recipients in pages: the messages of a page and the position after it are stored in one transaction.
package incident

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema holds the feature's tables; they follow those of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "incident", Files: files}
}

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:    "incident",
	Schemas: []func() db.Schema{Schema, delivery.Schema},
	Works:   true,
	Cache:   1,
}

// The operators' permissions.
const (
	permissionRead  = account.AccountsRead
	permissionWrite = account.AccountsWrite
)

// Config configures a Feature. DB, Box, OperatorAccount, Accounts and Post are required.
type Config struct {
	feature.Env

	Box             *seal.Box
	OperatorAccount string // the installation's own account, in which changes are recorded
	PageOff         bool   // there is no public page (BELFRY_STATUS_PAGE=off)

	// Accounts lists accounts with an enabled policy for a type of alerts, at most limit from after on. next is the
	// position for the following call; "" = there are no more.
	Accounts func(ctx context.Context, alertType, after string, limit int) (accounts []string, next string, err error)

	// SendMail makes one attempt to send a mail; nil = the installation has no mail server.
	SendMail func(ctx context.Context, m Mail) delivery.Result

	// Post makes one attempt to send a webhook.
	Post func(ctx context.Context, r outbound.Request) delivery.Result

	// Correct requests corrections of objectives; nil = the installation has no objectives.
	Correct func(ctx context.Context, r CorrectionRequest) (Proposal, error)

	// Targets lists the properties of an account that have objectives; nil = none.
	Targets func(ctx context.Context, accountID string) ([]Target, error)

	// Account finds an account by id or external id. AccountName is its name.
	Account     func(ctx context.Context, ref string) (accountID string, err error)
	AccountName func(ctx context.Context, accountID string) string

	Limits delivery.Limits // of the deliveries to subscribers
	Poll   time.Duration   // of the background work; 0 = 1 s
}

// Feature is the feature. Safe for concurrent use.
type Feature struct {
	cfg     Config
	db      *db.DB
	log     *slog.Logger
	now     func() time.Time
	key     []byte // of digests and of the tokens in links
	metrics metrics

	queue    *delivery.Queue
	board    *db.Snapshot[*board]
	rendered *cache.Cache[string, document]     // public documents
	contents *cache.Cache[string, announcement] // of broadcasts, by id
	wake     chan struct{}                      // there may be work for the loop
}

// New makes a Feature; the database has the tables of bus.Schema and those of [Manifest].
func New(cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	switch {
	case cfg.Box == nil, cfg.Accounts == nil, cfg.Post == nil:
		return nil, errors.New("incident: Box, Accounts and Post are required")
	case !id.Valid(cfg.OperatorAccount):
		return nil, errors.New("incident: OperatorAccount must be an account's id")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	f := &Feature{
		cfg:      cfg,
		db:       cfg.DB,
		log:      cfg.Log,
		now:      cfg.Now,
		metrics:  newMetrics(),
		rendered: cache.New[string, document](renderedDocuments, renderedFor, time.Now),
		contents: cache.New[string, announcement](100, time.Minute, time.Now),
		wake:     make(chan struct{}, 1),
	}
	if f.key, err = cfg.Box.Derive("belfry status subscriptions v1"); err != nil {
		return nil, err
	}
	f.board = db.NewSnapshot(cfg.DB, clock, f.loadBoard)
	if f.queue, err = delivery.New(f.deliveryConfig()); err != nil {
		return nil, err
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
	stages := []run.Stage{{Name: "incidents", Run: f.Run}}
	return feature.Feature{
		API:     f.API,
		Pages:   f.Pages,
		Finders: f.finders(),
		Actions: f.actions(),
		Stages:  append(stages, f.queue.Stages(f.cfg.Active)...),
	}
}

// Intervals of the background work.
const (
	trimEvery     = 10 * time.Minute
	deliveryKept  = 30 * 24 * time.Hour
	broadcastKept = 90 * 24 * time.Hour
)

// Run keeps the public page fresh. In a process with the feature's role it also begins and ends maintenance as
// scheduled, sends broadcasts and deletes old rows, until ctx ends. Errors of the database are logged, and the work is
// done at the next interval.
func (f *Feature) Run(ctx context.Context) error {
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()

	healthy := true // one line in the log for a series of errors
	try := func(what string, do func(context.Context) error) {
		err := do(ctx)
		if err != nil && ctx.Err() == nil && healthy {
			f.log.Warn("incidents: will be tried again", "what", what, "error", err)
		}
		healthy = err == nil
	}
	refresh := func(ctx context.Context) error {
		_, err := f.board.Refresh(ctx)
		return err
	}

	for {
		try("read the status page", refresh)
		if f.cfg.Active {
			try("begin and end maintenance", f.followSchedule)
			try("send broadcasts", f.sendBroadcasts)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-poll.C:
		case <-trim.C:
			if f.cfg.Active {
				try("delete old rows", f.trim)
			}
		}
	}
}

// trim deletes what is not shown any more.
func (f *Feature) trim(ctx context.Context) error {
	now := f.now()
	err := f.db.Tx(ctx, func(tx *db.Tx) error {
		for _, d := range []struct {
			statement string
			before    time.Time
		}{
			{`DELETE FROM subscription_request WHERE at < $1`, now.Add(-requestWindow)},
			{`DELETE FROM subscriber WHERE confirmed_at = 0 AND created_at < $1`, now.Add(-confirmationTime)},
			{`DELETE FROM broadcast WHERE done_at > 0 AND done_at < $1`, now.Add(-broadcastKept)},
		} {
			if _, err := tx.Exec(ctx, d.statement, d.before.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = f.queue.Prune(ctx, now.Add(-deliveryKept))
	return err
}

// change runs fn in a writing transaction; after the commit the public page and the background work follow.
func (f *Feature) change(ctx context.Context, fn func(*db.Tx) error) error {
	err := f.cfg.Change(ctx, func(tx *db.Tx) error {
		if err := db.Tick(ctx, tx, clock); err != nil {
			return err
		}
		return fn(tx)
	})
	if err != nil {
		return err
	}
	if _, err := f.board.Refresh(ctx); err != nil {
		f.log.WarnContext(ctx, "the status page is not up to date", "error", err) // the next poll reads it again
	}
	f.notify()
	return nil
}

// notify wakes the background work. It never blocks.
func (f *Feature) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
