// Package event defines the language between the features and to the outside: every topic with its key, payload,
// producers, consumers and retention. It holds values and pure functions only. A test of the app checks that each named
// producer and consumer is registered, and the diagram in ARCHITECTURE.md is generated from [Topics].
package event

import (
	"slices"
	"time"
)

// The topics.
const (
	TopicAuditEvents  = "belfry.audit.events"
	TopicAuditRejects = "belfry.audit.rejects"
	TopicAuditSigned  = "belfry.audit.signed" // only with several processes
	TopicAuditSelf    = "belfry.audit.self"   // never on the bus: relays deliver it to the ledger
	TopicAuditErased  = "belfry.audit.erased" // never on the bus: delivered to the features with copies

	TopicTrafficCounts  = "belfry.traffic.counts"
	TopicTrafficSharded = "belfry.traffic.sharded"
	TopicAlerts         = "belfry.notify.alerts"
)

// Topic is one row of the language.
type Topic struct {
	Name      string
	Key       string // of the records; records of one key stay in order
	Payload   string // shape of the value
	Producers []string
	Consumers []string
	Retention time.Duration // on Apache Kafka; the embedded broker keeps a window of bytes
	Internal  bool          // delivered inside the process, not on the bus
	Compacted bool          // the newest record of each key is kept for ever; only on Apache Kafka
}

// Producers and consumers outside of Belfry.
const (
	Products = "products (Kafka)"
	Teams    = "product teams"
)

// FromProducts reports whether products publish to the topic. Only Belfry publishes to the other topics; records there
// without its MAC are ignored.
func (t Topic) FromProducts() bool { return slices.Contains(t.Producers, Products) }

// ForTeams reports whether product teams read the topic.
func (t Topic) ForTeams() bool { return slices.Contains(t.Consumers, Teams) }

// Topics lists all topics, in the order in which data flows.
var Topics = []Topic{
	{
		Name: TopicAuditEvents, Key: "account_id", Payload: "an audit event (v1) with account_id",
		Producers: []string{Products}, Consumers: []string{"audit"},
		// Clear text: an erasure waits for this long before it is complete.
		Retention: 7 * 24 * time.Hour,
	},
	{
		Name: TopicAuditRejects, Key: "producer id, else account id", Payload: "event.Reject",
		Producers: []string{"audit", "traffic", "notify"}, Consumers: []string{"producer", Teams},
		Retention: 7 * 24 * time.Hour,
	},
	{
		Name: TopicAuditSigned, Key: "account_id", Payload: "ACCOUNT SIZE ROOT: what the signer has signed",
		Producers: []string{"audit"}, Consumers: []string{"audit"}, Compacted: true,
	},
	{
		Name: TopicAuditSelf, Key: "account_id", Payload: "event.Audit",
		Producers: []string{"account", "producer", "traffic", "slo", "notify", "incident"}, Consumers: []string{"audit"},
		Internal: true,
	},
	{
		Name: TopicAuditErased, Key: "account_id", Payload: "event.Erasure",
		Producers: []string{"audit"}, Consumers: []string{"notify", "producer", "slo"}, Internal: true,
	},
	{
		Name: TopicTrafficCounts, Key: "any", Payload: "compact counts: one, an array or NDJSON, with account_id",
		Producers: []string{Products}, Consumers: []string{"traffic"},
		Retention: 24 * time.Hour,
	},
	{
		// The partition is chosen by the splitter: a zone's sums are needed together.
		Name: TopicTrafficSharded, Key: "zone_id", Payload: "event.Traffic",
		Producers: []string{"traffic"}, Consumers: []string{"slo"},
		Retention: 24 * time.Hour,
	},
	{
		Name: TopicAlerts, Key: "account_id", Payload: "event.Alert",
		Producers: []string{"slo", "incident", Products}, Consumers: []string{"notify"},
		Retention: 7 * 24 * time.Hour,
	},
}
