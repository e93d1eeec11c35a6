// Package bus connects the features with Kafka: one code path through franz-go for
// the embedded broker and for Apache Kafka.
//
//	feature's transaction -> outbox -> Relay -> Producer -> topic
//	topic -> Consumer -> Handle -> the same transaction moves the offset
//
// A consumer's position is a row in the database of the feature that consumes
// ([Batch.Commit]), so that a record reaches the store exactly once however
// often it is delivered. The row carries an epoch that every assignment
// raises: an owner that was replaced without noticing cannot commit
// ([ErrFenced]). The offsets that the Kafka group stores are for foreign tools;
// they are never read back.
//
// Infrastructure faults are retried in place: the partition waits, its order and
// the group membership stay. The handler rejects records that are invalid in
// themselves; a stored batch that cannot be decoded is skipped.
//
// Every record that Belfry publishes carries a MAC ([MACHeader]), so that a
// consumer can distinguish Belfry's own records from those of other clients that
// may write to the topic.
package bus

import (
	"context"
	"crypto/tls"
	"embed"
	"io/fs"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/belfryhq/belfry/internal/platform/db"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the tables of the bus in a feature's database: its offsets and its
// outbox.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "bus", Files: files}
}

// Cluster has the addresses and credentials of the brokers. For a plain Apache Kafka,
// only Brokers is needed.
type Cluster struct {
	Brokers  []string    // host:port
	TLS      *tls.Config // nil = plain text
	User     string      // of SASL; empty = none
	Password string
	SASL     string // mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty = SCRAM-SHA-512
	Key      []byte // Belfry's records carry a MAC under it; empty = they carry none, and no record verifies

	// Alone means that no other process consumes. Partitions are assigned directly
	// then, because any client could join a group and get its partitions.
	Alone bool

	// Dial reaches the embedded broker without a socket. nil = TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Create creates a topic of the embedded broker, which offers no administration by
	// the protocol. nil = by the protocol.
	Create func(context.Context, Topic) error
}

// Topic is one topic as it is provisioned.
type Topic struct {
	Name            string
	Partitions      int           // of Apache Kafka; the embedded broker has one a topic
	Replication     int           // of Apache Kafka; 0 = the cluster's default
	Retention       time.Duration // longest time that a record is kept; 0 = the cluster's default
	MaxMessageBytes int           // largest batch; 0 = the cluster's default (1 MiB)
	Compacted       bool          // the newest record of each key is kept for ever: a [Table]; Apache Kafka only
}

// options are common to all clients.
func (c Cluster) options(id string) []kgo.Opt {
	list := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("belfry", "1"),
		kgo.DialTimeout(5 * time.Second),
		kgo.RequestTimeoutOverhead(10 * time.Second),
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.DisableClientMetrics(),
		// The codec that every client can read; many have no snappy, the default.
		kgo.ProducerBatchCompression(kgo.GzipCompression()),
	}
	switch {
	case c.Dial != nil:
		list = append(list, kgo.Dialer(c.Dial))
	case c.TLS != nil:
		list = append(list, kgo.DialTLSConfig(c.TLS))
	}
	if c.User != "" {
		list = append(list, kgo.SASL(c.mechanism()))
	}
	return list
}

// The SASL mechanisms.
const (
	SASLPlain    = "PLAIN"
	SASLScram256 = "SCRAM-SHA-256"
	SASLScram512 = "SCRAM-SHA-512"
)

func (c Cluster) mechanism() sasl.Mechanism {
	switch c.SASL {
	case SASLPlain:
		return plain.Auth{User: c.User, Pass: c.Password}.AsMechanism()
	case SASLScram256:
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism()
	}
	return scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism()
}

// Client makes a plain client of the cluster, for administration and tests.
func (c Cluster) Client(id string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(c.options(id), opts...)...)
}

// Header is one header of a message.
type Header struct {
	Key   string
	Value []byte
}

// Message is one record to publish.
type Message struct {
	Topic     string
	Key       []byte // determines the partition, and so the order; nil = any
	Value     []byte
	Headers   []Header
	Time      time.Time // zero = now
	Partition *int32    // an explicit partition; nil = by the key
}
