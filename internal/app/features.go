package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/traffic"
)

// feature is one with a database.
type feature struct {
	name     string
	schema   func() db.Schema
	consumes []broker.Subscription // what its consumers read, with their groups
	cache    int64                 // its part of BELFRY_SQLITE_CACHE_MB, against the others'
}

// features are those with a database, in the order in which they are opened.
var features = []feature{
	{name: "account", schema: account.Schema, cache: 1},
	{name: "producer", schema: producer.Schema, cache: 1, consumes: []broker.Subscription{{Group: producer.Group, Topic: event.TopicAuditRejects}}},
	{name: "audit", schema: ledger.Schema, cache: 4, consumes: []broker.Subscription{{Group: auditGroup, Topic: event.TopicAuditEvents}}},
	{name: "traffic", schema: traffic.Schema, cache: 1, consumes: []broker.Subscription{{Group: traffic.Group, Topic: event.TopicTrafficCounts}}},
	{name: "slo", schema: slo.Schema, cache: 2, consumes: []broker.Subscription{{Group: slo.Group, Topic: event.TopicTrafficSharded}}},
	{name: "notify", schema: notify.Schema, cache: 2, consumes: []broker.Subscription{{Group: notify.Group, Topic: event.TopicAlerts}}},
	{name: "web", schema: jobs.Schema, cache: 1},
}

// cacheOf is the feature's part of the memory for SQLite's page caches, in bytes.
func cacheOf(name string, megabytes int) int64 {
	var own, all int64
	for _, f := range features {
		all += f.cache
		if f.name == name {
			own = f.cache
		}
	}
	return int64(megabytes) << 20 * own / all
}

// databases are the features' own.
type databases struct{ account, producer, audit, traffic, slo, notify, web *db.DB }

// of is the feature's place.
func (d *databases) of(feature string) **db.DB {
	return map[string]**db.DB{"account": &d.account, "producer": &d.producer, "audit": &d.audit, "traffic": &d.traffic, "slo": &d.slo, "notify": &d.notify, "web": &d.web}[feature]
}

// all are those that are open, in the order of features.
func (d *databases) all() []*db.DB {
	var list []*db.DB
	for _, f := range features {
		if open := *d.of(f.name); open != nil {
			list = append(list, open)
		}
	}
	return list
}

func (a *App) openDatabases(ctx context.Context) error {
	for _, f := range features {
		opened, err := openDB(ctx, a.Config, f.name, f.schema())
		if err != nil {
			return err
		}
		*a.dbs.of(f.name) = opened
		a.closing("database "+f.name, opened.Close)
		if opened.Engine == db.SQLite && f.name != "web" { // the data directory is locked: no other process
			if err := bus.EndLease(ctx, opened); err != nil {
				return err
			}
		}
		a.Health.Add("database "+f.name, opened.Ping)
	}
	return nil
}

// consuming are the databases that hold positions of consumers.
func (a *App) consuming() []*db.DB {
	var list []*db.DB
	for _, f := range features {
		if len(f.consumes) > 0 {
			list = append(list, *a.dbs.of(f.name))
		}
	}
	return list
}

// subscriptions are all that Belfry's own consumers read.
func subscriptions() []broker.Subscription {
	var list []broker.Subscription
	for _, f := range features {
		list = append(list, f.consumes...)
	}
	return list
}

// consume adds a consumer of a feature to what the process runs, and to what
// /readyz asks.
func (a *App) consume(name string, c *bus.Consumer) {
	c.Skipped = a.skipped
	a.consumers = append(a.consumers, stagedConsumer{name, c})
	a.Health.Add(name, func(context.Context) error { return c.Ready() })
}
