package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// ProducerConfig has the settings of a Producer.
type ProducerConfig struct {
	Cluster         Cluster
	ClientID        string        // shown by the brokers; empty = "belfry"
	MaxMessageBytes int           // largest batch that is sent; 0 = 1 MiB
	Timeout         time.Duration // longest time a record may take, retries included; 0 = 20 s
	Registerer      prometheus.Registerer
}

// Producer publishes and waits for the acknowledgement of all in-sync
// replicas. Safe for concurrent use; records of concurrent calls share batches.
type Producer struct {
	cl        *kgo.Client
	timeout   time.Duration
	key       []byte // of the MAC; empty = none
	published *prometheus.CounterVec
}

// NewProducer makes a Producer; it dials at the first Publish. Close ends it.
func NewProducer(cfg ProducerConfig) (*Producer, error) {
	if cfg.ClientID == "" {
		cfg.ClientID = "belfry"
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 1 << 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 20 * time.Second
	}
	p := &Producer{timeout: cfg.Timeout, key: cfg.Cluster.Key, published: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_bus_published_total", Help: "Records published, by outcome (ok or the kind of the error).",
		ConstLabels: prometheus.Labels{"client": cfg.ClientID},
	}, []string{"topic", "outcome"})}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(p.published); err != nil {
			return nil, err
		}
	}
	var err error
	p.cl, err = cfg.Cluster.Client(cfg.ClientID,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(int32(cfg.MaxMessageBytes)),
		// No RecordDeliveryTimeout: it counts from the record's own time, so a record
		// that waited in an outbox for longer would never be sent. Publish has a deadline.
		kgo.ProduceRequestTimeout(10*time.Second),
		kgo.UnknownTopicRetries(3),
		kgo.MaxBufferedRecords(50_000),
		kgo.MaxBufferedBytes(256<<20),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(partitioner)))
	if err != nil {
		return nil, err
	}
	return p, nil
}

// partitioner hashes keys as the Java client does (murmur2); a record without
// a key and without an explicit partition goes anywhere.
func partitioner(topic string) func(*kgo.Record, int) int {
	byKey := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	return func(r *kgo.Record, n int) int {
		if p, ok := r.Context.Value(explicit{}).(int32); ok {
			return int(p) // a partition that does not exist fails the record
		}
		if r.Key == nil {
			return rand.IntN(n)
		}
		return byKey.Partition(r, n)
	}
}

type explicit struct{} // context key of a record's explicit partition

// Publish sends the messages and returns when all are acknowledged, or the
// first error. After an error some may have been written: publishing again
// repeats them, and consumers know events by their id. The trace of ctx goes
// with them unless they carry one already.
func (p *Producer) Publish(ctx context.Context, msgs ...Message) error {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	records := make([]*kgo.Record, len(msgs))
	for i := range msgs {
		records[i] = p.record(limited, msgs[i])
	}
	var first error
	for _, res := range p.cl.ProduceSync(limited, records...) {
		outcome := "ok"
		if res.Err != nil {
			if errors.Is(res.Err, context.DeadlineExceeded) && ctx.Err() == nil {
				res.Err = kgo.ErrRecordTimeout // the brokers', not the caller's
			}
			err := describe(res.Err, res.Record.Topic)
			outcome = errs.KindOf(err).String()
			if first == nil {
				first = err
			}
		}
		p.published.WithLabelValues(res.Record.Topic, outcome).Inc()
	}
	return first
}

// Close waits for running deliveries, until ctx ends, and closes the connections.
func (p *Producer) Close(ctx context.Context) error {
	err := p.cl.Flush(ctx)
	p.cl.Close()
	return err
}

func (p *Producer) record(ctx context.Context, m Message) *kgo.Record {
	r := &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Timestamp: m.Time, Context: ctx}
	if m.Partition != nil {
		r.Context = context.WithValue(ctx, explicit{}, *m.Partition)
	}
	for _, h := range traced(ctx, m.Headers) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	if len(p.key) > 0 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: MACHeader, Value: []byte(mac(p.key, m.Topic, m.Key, m.Value))})
	}
	return r
}

// describe gives an error of producing its kind.
func describe(err error, topic string) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return errs.New(errs.CodeTooLarge, "a message is larger than topic %s takes", topic).Because(err)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return errs.New(errs.CodeNotFound, "topic %s does not exist", topic).Because(err)
	case errors.Is(err, kerr.InvalidTopicException):
		return errs.New(errs.CodeInvalid, "%q is not a name of a topic", topic).Because(err)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return errs.New(errs.CodeForbidden, "the Kafka user may not write to topic %s", topic).Because(err)
	}
	return errs.New(errs.CodeUnavailable, "messages for topic %s cannot be published at the moment",
		topic).Because(err).After(time.Second)
}
