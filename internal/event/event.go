// Package event is the language that the features speak with each other and
// with the world: every topic, its key and payload, who produces it, who
// consumes it, and how long the bus keeps it. Values only, no behaviour; a test
// checks that each named producer and consumer is registered, and the diagram
// in ARCHITECTURE.md is generated from [Topics].
package event

import (
	"slices"
	"time"
)

// The topics.
const (
	TopicAuditEvents  = "belfry.audit.events"
	TopicAuditRejects = "belfry.audit.rejects"
	TopicAuditSigned  = "belfry.audit.signed" // only past one machine
	TopicAuditSelf    = "belfry.audit.self"   // never on the bus: outboxes hand it to the ledger

	TopicTrafficCounts  = "belfry.traffic.counts"
	TopicTrafficSharded = "belfry.traffic.sharded"
	TopicAlerts         = "belfry.notify.alerts"
)

// Topic is one row of the language.
type Topic struct {
	Name      string
	Key       string // what the record's key is, and so what is kept in order
	Payload   string // the shape of the value
	Producers []string
	Consumers []string
	Retention time.Duration // on Apache Kafka; the embedded broker keeps a window of bytes
	Internal  bool          // handed over inside the process, not on the bus
	Compacted bool          // the newest record of each key is kept for ever; only on Apache Kafka
}

// Those beyond Belfry who publish and consume.
const (
	Products = "products (Kafka)"
	Teams    = "product teams"
)

// FromProducts reports whether products publish to the topic. To every other one
// only Belfry does, and what does not carry its MAC is ignored there.
func (t Topic) FromProducts() bool { return slices.Contains(t.Producers, Products) }

// ForTeams reports whether product teams read the topic.
func (t Topic) ForTeams() bool { return slices.Contains(t.Consumers, Teams) }

// Topics is the whole table, in the order in which data flows.
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
		Producers: []string{"account", "producer", "slo", "notify"}, Consumers: []string{"audit"}, Internal: true,
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
		Producers: []string{"slo", Products}, Consumers: []string{"notify"},
		Retention: 7 * 24 * time.Hour,
	},
}

// Reject is a refused audit event (or alert, or count) on its way back to the
// team that sent it.
type Reject struct {
	Kind     string   `json:"kind,omitempty"` // alert, traffic; empty = an audit event
	At       string   `json:"at"`             // RFC 3339, microseconds
	Producer string   `json:"producer_id,omitempty"`
	Account  string   `json:"account_id,omitempty"`   // as far as it is known
	Via      string   `json:"via"`                    // http, kafka, import
	EventID  string   `json:"event_id,omitempty"`     // as far as it could be read
	Product  string   `json:"product,omitempty"`      // as far as it could be read
	Errors   []Fault  `json:"errors"`                 // at least one
	Payload  string   `json:"payload,omitempty"`      // the first 4 KiB, personal fields masked
	Source   *Fetched `json:"source,omitempty"`       // where it lay on the bus
	By       string   `json:"submitted_by,omitempty"` // id of the token
}

// Fault is one reason.
type Fault struct {
	Code    int    `json:"code"`
	Pointer string `json:"pointer,omitempty"` // RFC 6901
	Message string `json:"message"`
}

// Fetched is a record's place on the bus.
type Fetched struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}
