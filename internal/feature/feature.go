// Package feature defines the contract between the app and the features.
//
//	Manifest (name, tables, topics) -> database, bus -> Env -> New(Config) -> Feature (consumer, routes, stages)
//
// A feature package exports its [Manifest], a constructor whose configuration embeds an [Env], and a method Describe
// that returns the [Feature]. The app keeps one list of these; it opens, serves and runs whatever is on the list.
// All three are plain data: no interface has to be implemented.
package feature

import (
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Manifest is the part of a feature that is known before it is constructed: `belfry migrate` needs the tables, and the
// embedded broker needs the subscriptions before any consumer exists.
type Manifest struct {
	Name     string             // of its database, its role and its metrics: "audit"
	Schemas  []func() db.Schema // tables, after those of the bus
	Consumes []Subscription
	Works    bool  // has background work of its own: it is a role, although it reads no topic
	Cache    int64 // share of BELFRY_SQLITE_CACHE_MB, relative to the other features
}

// Subscription names a topic and the consumer group that reads it.
type Subscription struct {
	Group string
	Topic string
}

// Feature is a constructed feature as the app serves and runs it.
type Feature struct {
	// Consumer makes the consumer of Manifest.Consumes. The app calls it in processes that have the feature's role;
	// nil = the feature reads no topic.
	Consumer func(bus.Cluster) (*bus.Consumer, error)

	// API registers the operations.
	API func(*web.API)

	// Pages registers the pages; nil = none.
	Pages func(*page.Kit) error

	// Finders find the feature's objects, for the search, the palette and the pickers.
	Finders Finders

	// Actions and Offer are the acts that a member can start from the palette.
	Actions []Action
	Offer   *Offer

	// News are the entries of a member's bell.
	News NewsSources

	// Stages run until the process ends, in the order in which they stop.
	Stages []run.Stage

	// Receives reports that the outboxes of other features are delivered to this one in the process. Its stages
	// stop after the relays of the others.
	Receives bool
}
