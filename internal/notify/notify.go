// Package notify sends alerts to people: policies decide on each alert, the
// delivery queue sends its messages, and every step can be read afterwards.
//
//	POST .../alerts, topic of alerts -> Intake -> one transaction:
//	  alert + decision of every policy + deliveries (+ the bus's offset)
//	-> queue (one owner a shard) -> Channel -> attempt -> outcome (group commit)
//
// An incident (one correlation id) is open from START to END:
//
//	        START                    END
//	(none) ------> firing ---------------------> ended
//	               |    ^ START again: a repeat; only policies that have not sent are evaluated
//	(none) -- NOTICE --> notice        (none) -- END --> ended (kept and shown)
//
// Events of an incident are ordered by when they occurred: a START that arrives
// after its END is stored as ended, and an END older than the newest START ends
// nothing.
//
// A delivery:
//
//	waiting --2xx--> delivered        waiting --permanent or given up--> failed
//	waiting --END before START was attempted--> superseded (both; not of a program)
//	waiting --START failed for good, destination disabled--> not_sent
//	waiting --mail without a server--> kept
//
// An alert is acknowledged after its commit. A process that dies repeats at most
// the attempts that were in flight, under the same webhook-id.
package notify

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the feature's tables; they follow the tables of the bus.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "notify", Files: files}
}

// Group is the consumer group of the topic of alerts.
const Group = "belfry.notify"

// AlertType is a kind of alert as the catalogue declares it.
type AlertType struct {
	Product     string // that declares it
	Category    string // groups it in lists
	Team        string // id of the owning product team; empty for Belfry's own
	Type        string
	Title       string
	Description string
	Severities  []string // mild to severe
	Filters     []Filter
	Sample      json.RawMessage
	Unsent      bool // declared before a producer sends it
	// Check compares an alert's data with the declared schema; its pointers begin
	// with /data.
	Check func(data []byte) errs.List
}

// Filter is a key by which policies narrow a type of alerts.
type Filter struct {
	Key      string   `json:"key"`
	Title    string   `json:"title"`
	Required bool     `json:"required,omitempty" doc:"Every policy has at least one value"`
	Single   bool     `json:"single,omitempty" doc:"A policy has at most one value"`
	Values   []string `json:"values,omitempty" doc:"The values that there are; empty = any"`
}

// Zone is a property of an account. The zero value is one that is not known.
type Zone struct {
	ID, Name, Environment string
}

// Change is a change that preceded an alert.
type Change struct {
	EventID   string    `json:"event_id"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"`
	Summary   string    `json:"summary"` // a sentence
	URL       string    `json:"url"`     // of the event's page
	WhyListed string    `json:"why_listed"`
}

// ChangesQuery asks for the changes that preceded an alert.
type ChangesQuery struct {
	Account  string
	Zone     string // id; "" when the alert names none
	Resource event.AlertResource
	Began    time.Time // of the condition that the alert reports
	Until    time.Time // when the alert was raised
	Limit    int
}

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{
	Name:     "notify",
	Schemas:  []func() db.Schema{Schema, delivery.Schema},
	Consumes: []feature.Subscription{{Group: Group, Topic: event.TopicAlerts}},
	Cache:    2,
}

// Config configures a Feature. DB, Cursors, Box and the functions of other
// features are required, except for those that may be nil by their comments.
type Config struct {
	feature.Env
	Box *seal.Box

	// AlertType finds a declared type; nil without an error when there is none.
	AlertType  func(ctx context.Context, name string) (*AlertType, error)
	AlertTypes func(ctx context.Context) ([]*AlertType, error)
	// Account resolves what a producer names; CodeNotFound when there is none.
	Account func(ctx context.Context, ref string) (string, error)
	// Closed returns an error of kind Conflict for an account that accepts no alerts; nil = there are none.
	Closed func(ctx context.Context, accountID string) error
	// Zone resolves an id, name or alias; the zero Zone when there is none.
	Zone func(ctx context.Context, account, ref string) (Zone, error)
	// Member reports whether the address belongs to a member of the account and
	// is confirmed: no mail goes to others.
	Member func(ctx context.Context, account, email string) (bool, error)
	// Recipients are the active members behind a member's id or role:ROLE; none when there is
	// no such member. nil = only users of the customers' pages have inboxes.
	Recipients func(ctx context.Context, account, ref string) ([]Recipient, error)
	// Unconfirmed returns the path of the page of a member whose address is not
	// confirmed, where the confirmation mail can be sent; "" = there is none.
	// nil = addresses need no confirmation.
	Unconfirmed func(ctx context.Context, account, email string) (string, error)
	// Changes returns the changes that preceded an alert, ranked, and how many more
	// there are; may be nil.
	Changes func(ctx context.Context, q ChangesQuery) (list []Change, more int, err error)
	// AuditEvents reads the audit log of an account from a position on, and returns the position after what it has
	// read; for a negative position it reads nothing and returns the end of the log. nil = no policies on audit events.
	AuditEvents func(ctx context.Context, account string, from int64, limit int) (list []AuditEvent, next int64, err error)
	// Live describes in a sentence the present state of an alert's resource; "" when
	// it is unknown. May be nil.
	Live func(ctx context.Context, account string, about event.AlertResource) (string, error)

	Channels []Channel
	Limits   Limits
}

// Limits bound the work; zero values are replaced by the defaults.
type Limits struct {
	delivery.Limits
	Changes time.Duration // waited for the changes before a message goes out; 500 ms
	Keep    time.Duration // how long ended alerts and deliveries stay; 90 days
}

// Feature is the feature. Safe for concurrent use.
type Feature struct {
	Config
	channels map[string]Channel // by the type of their destinations
	metrics  *metrics
	intake   *db.Writer[*intakeJob]
	queue    *delivery.Queue
	lookups  lookups
	erasures atomic.Int64 // begun and ended; see asOf
	health   health
	ids      sequence
	made     time.Time // when the process began
	rateKeys rateKeys

	policyCache      *cache.Cache[string, cachedPolicies] // by account
	destinationCache *cache.Cache[string, *Destination]   // by id
}

// New makes the feature; Stages run it.
func New(cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	switch {
	case cfg.Box == nil || cfg.Cursors == nil:
		return nil, errors.New("notify: Box and Cursors are required")
	case cfg.AlertType == nil || cfg.AlertTypes == nil || cfg.Account == nil || cfg.Zone == nil || cfg.Member == nil:
		return nil, errors.New("notify: AlertType, AlertTypes, Account, Zone and Member are required")
	}
	cfg.Limits.setDefaults()
	n := &Feature{
		Config:           cfg,
		channels:         map[string]Channel{},
		metrics:          newMetrics(),
		policyCache:      cache.New[string, cachedPolicies](mostCached, policyTTL, cfg.Now),
		destinationCache: cache.New[string, *Destination](mostCached, destinationTTL, cfg.Now),
	}
	n.made = n.Now()
	n.lookups.calls = map[string]*lookup{}
	n.lookups.before = map[chan struct{}]struct{}{}
	for _, c := range cfg.Channels {
		n.channels[c.Traits().Type] = c
	}
	n.channels[KindInbox] = inboxChannel{n}
	var kinds []string
	for _, kind := range []string{KindWebhook, KindEmail, KindPagerDuty, KindInbox} {
		if n.channelOf(kind, "") != nil {
			kinds = append(kinds, kind)
		}
	}
	lanes := 1
	if cfg.DB.Engine == db.Postgres {
		lanes = 2
	}
	n.intake = db.NewWriter(db.Limits{Batch: 500, Queue: 20_000, Lanes: lanes}, (*intakeJob).weight, n.storeJobs)
	n.queue, err = delivery.New(delivery.Config{
		DB:         cfg.DB,
		Name:       "notify",
		Compose:    n.compose,
		Send:       n.send,
		Judge:      n.judge,
		Rate:       n.rate,
		Order:      n.supersede,
		Record:     n.recordOutcomes,
		Load:       loadLabels,
		Log:        cfg.Log,
		Registerer: cfg.Registerer,
		Kinds:      kinds,
		Now:        cfg.Now,
		Limits:     cfg.Limits.Limits,
	})
	if err == nil && cfg.Registerer != nil {
		err = n.metrics.register(cfg.Registerer)
	}
	return n, err
}

// Describe returns the feature as the app serves and runs it.
func (n *Feature) Describe() feature.Feature {
	routes := func(api *web.API) {
		n.API(api)
		if n.Jobs != nil {
			n.RegisterJobs(api, n.Jobs)
		}
	}
	return feature.Feature{
		Consumer: n.Consumer,
		API:      routes,
		Pages:    n.Pages,
		Finders:  n.finders(),
		Actions:  n.actions(),
		Offer:    n.acknowledgements(),
		News:     feature.NewsFrom(account.NotificationsRead, n.newsSince),
		Stages:   n.Stages(n.Active),
	}
}

func (l *Limits) setDefaults() {
	l.Limits = l.WithDefaults()
	if l.Changes <= 0 {
		l.Changes = 500 * time.Millisecond
	}
	if l.Keep <= 0 {
		l.Keep = 90 * 24 * time.Hour
	}
}

// shared reports whether other processes may work on the same database.
func (n *Feature) shared() bool { return n.DB.Engine == db.Postgres }

// Stages returns the stages of a process: the writer of alerts (every process that
// accepts them), where deliver, the delivery queue, and the upkeep.
func (n *Feature) Stages(deliver bool) []run.Stage {
	list := []run.Stage{{Name: "alert writer", Run: n.intake.Run}}
	list = append(list, n.queue.Stages(deliver)...)
	return append(list, run.Stage{Name: "notification upkeep", Run: n.upkeep})
}

// upkeep finds the changes that were missing when an alert was sent, records the
// gathered events in the audit log, and deletes old alerts and deliveries.
func (n *Feature) upkeep(ctx context.Context) error {
	var wait sync.WaitGroup
	every := func(d time.Duration, what string, f func(context.Context) error) {
		wait.Go(func() {
			t := time.NewTicker(d)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
				}
				if err := f(ctx); err != nil && ctx.Err() == nil {
					n.Log.Warn("notifications: will be tried again", "what", what, "error", err)
				}
			}
		})
	}
	if n.Changes != nil {
		every(2*time.Second, "find the changes before an alert", n.findMissing)
	}
	every(2*time.Second, "record gathered events", n.recordGathered)
	every(15*time.Second, "end alerts that are not repeated", n.endUnrepeated)
	every(2*time.Second, "send alerts whose silence has ended", n.resumeSilenced)
	every(2*time.Second, "send digests", n.sendDigests)
	every(2*time.Second, "escalate alerts", n.escalate)
	every(2*time.Second, "read audit events for policies", n.watchAuditLogs)
	every(10*time.Minute, "seal the URLs of older webhooks", n.sealURLs)
	every(10*time.Minute, "delete old alerts and deliveries", n.prune)
	wait.Wait()
	n.lookups.done.Wait() // attempts have ended before: no lookup begins any more
	return nil
}
