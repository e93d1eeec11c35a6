package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/traffic"
)

// featureRow is a feature on the app's list: its manifest and its constructor. A constructor passes the functions of
// other features that this one uses, so these come first on the list.
type featureRow struct {
	feature.Manifest
	construct func(*App, context.Context, feature.Env) (feature.Feature, error)
}

// features lists the features in the order in which data flows.
func features() []featureRow {
	return []featureRow{
		{account.Manifest, (*App).newAccount},
		{producer.Manifest, (*App).newProducer},
		{audit.Manifest, (*App).newAudit},
		{traffic.Manifest, (*App).newTraffic},
		{slo.Manifest, (*App).newSLO},
		{notify.Manifest, (*App).newNotify},
		{incident.Manifest, (*App).newIncident},
	}
}

// webManifest describes the database of the API itself: jobs and idempotency keys.
var webManifest = feature.Manifest{Name: "web", Schemas: []func() db.Schema{jobs.Schema}, Cache: 1}

// manifests lists everything that has a database, in the order in which the databases are opened.
func manifests() []feature.Manifest {
	var list []feature.Manifest
	for _, f := range features() {
		list = append(list, f.Manifest)
	}
	return append(list, webManifest)
}

// RoleNames lists the roles that a process may have: the API, and each feature that reads topics or works on its own.
func RoleNames() []string {
	list := []string{roleAPI}
	for _, m := range manifests() {
		if len(m.Consumes) > 0 || m.Works {
			list = append(list, m.Name)
		}
	}
	return list
}

const roleAPI = "api"

// subscriptions lists the topics and groups of all consumers.
func subscriptions() []broker.Subscription {
	var list []broker.Subscription
	for _, m := range manifests() {
		for _, s := range m.Consumes {
			list = append(list, broker.Subscription(s))
		}
	}
	return list
}

// running is a constructed feature with the parts that the app makes for each.
type running struct {
	feature.Feature
	name     string
	relay    *bus.Relay
	consumer *bus.Consumer // nil where the process does not have the role
}

// openFeatures constructs the features and registers their operations.
func (a *App) openFeatures(ctx context.Context) error {
	for _, r := range features() {
		if err := a.openFeature(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	a.jobs.API(a.API) // after the features, which register the kinds of jobs
	a.registerSearch()
	return nil
}

func (a *App) openFeature(ctx context.Context, r featureRow) error {
	store := a.db(r.Name)
	relay, err := bus.NewRelay(store, a.deliver, bus.RelayOptions{Name: r.Name, Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	env := feature.Env{
		DB:         store,
		Wake:       relay.Notify,
		Activity:   a.activity,
		TimeZone:   a.timeZone,
		Jobs:       a.jobs,
		Cursors:    a.API.Cursors(),
		Log:        a.Log,
		Registerer: a.Registry,
		Now:        a.now,
		URL:        a.URL(),
		Active:     a.Config.Has(r.Name),
	}
	described, err := r.construct(a, ctx, env)
	if err != nil {
		return err
	}
	one := running{Feature: described, name: r.Name, relay: relay}
	one.API(a.API)
	if env.Active && one.Consumer != nil {
		if one.consumer, err = one.Consumer(a.cluster); err != nil {
			return err
		}
		one.consumer.Skipped = a.skipped
		a.Health.Add(r.Name+" consumer", func(context.Context) error { return one.consumer.Ready() })
	}
	a.features = append(a.features, one)
	return nil
}

// stages lists what the features run, in the order in which it stops: consumers, the work of the features, the relays
// of their outboxes, and last the features to which the relays deliver. inner stops before the relays.
func (a *App) stages(inner ...run.Stage) []run.Stage {
	var consumers, work, relays, receivers []run.Stage
	for _, f := range a.features {
		if f.consumer != nil {
			consumers = append(consumers, run.Stage{Name: f.name + " consumer", Run: f.consumer.Run})
		}
		relay := run.Stage{Name: f.name + " relay", Run: f.relay.Run}
		if f.Receives {
			receivers = append(receivers, f.Stages...)
			receivers = append(receivers, relay)
			continue
		}
		work = append(work, f.Stages...)
		relays = append(relays, relay)
	}
	return slices.Concat(consumers, work, inner, relays, receivers)
}

// database is an open database.
type database struct {
	feature.Manifest
	*db.DB
}

// db is the database of a name; nil when it is not open.
func (a *App) db(name string) *db.DB {
	for _, d := range a.databases {
		if d.Name == name {
			return d.DB
		}
	}
	return nil
}

// consuming lists the databases that hold positions of consumers.
func (a *App) consuming() []*db.DB {
	var list []*db.DB
	for _, d := range a.databases {
		if len(d.Consumes) > 0 {
			list = append(list, d.DB)
		}
	}
	return list
}
