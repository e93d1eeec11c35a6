package app

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// partitions of a topic on Apache Kafka. Keyed topics never grow in place.
const partitions = 16

// topics are the bus's part of the language, on a cluster or on the embedded
// broker.
func topics(cluster bool) []bus.Topic {
	var list []bus.Topic
	for _, t := range event.Topics {
		if !t.Internal && (!t.Compacted || cluster) {
			list = append(list, bus.Topic{Name: t.Name, Partitions: partitions, Retention: t.Retention, Compacted: t.Compacted})
		}
	}
	return list
}

// retention is how long the bus keeps a topic's records.
func retention(topic string) time.Duration {
	for _, t := range event.Topics {
		if t.Name == topic {
			return t.Retention
		}
	}
	return 0
}

func (a *App) openBus(ctx context.Context) error {
	key, err := a.box.Derive("belfry bus mac v1")
	if err != nil {
		return err
	}
	if len(a.Config.KafkaBrokers) > 0 {
		if a.cluster, err = a.Config.kafkaCluster(); err != nil {
			return err
		}
		if err := bus.Ensure(ctx, a.cluster, topics(true)...); err != nil {
			return err
		}
	} else if err := a.openBroker(ctx); err != nil {
		return err
	}
	a.cluster.Key = key
	a.producer, err = bus.NewProducer(bus.ProducerConfig{Cluster: a.cluster, Registerer: a.Registry})
	if err == nil {
		a.closing("bus producer", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return a.producer.Close(ctx)
		})
	}
	return err
}

func (a *App) openBroker(ctx context.Context) (err error) {
	if a.Config.DatabaseURL != "" {
		a.Log.Warn("the embedded broker serves this process alone: another process on the same database would not share its bus; " +
			"set BELFRY_KAFKA_BROKERS where several processes work together")
	}
	consuming := a.consuming()
	cfg, err := a.Config.kafkaDoor(broker.Config{
		DataDir: filepath.Join(a.Config.DataDir, "bus"), Topics: topics(false),
		Verify: func(ctx context.Context, c bus.Cluster) error {
			for _, d := range consuming {
				restarts, err := bus.VerifyOffsets(ctx, c, d)
				if err != nil {
					return err
				}
				for _, r := range restarts {
					a.Log.Warn("a stored offset does not fit the log; the consumer begins again at its start, and ids absorb the repeats", "offset", r)
				}
			}
			return nil
		},
		Positions: func(ctx context.Context) ([]bus.Position, error) {
			var all []bus.Position
			for _, d := range consuming {
				list, err := bus.Positions(ctx, d)
				if err != nil {
					return nil, err
				}
				all = append(all, list...)
			}
			return all, nil
		},
		Consumers: subscriptions(),
		Log:       a.Log, Registerer: a.Registry,
	})
	if err != nil {
		return err
	}
	if a.broker, err = broker.New(cfg); err != nil {
		return err
	}
	if err := a.broker.Start(ctx); err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	a.closing("embedded broker", a.broker.Close)
	a.Health.Add("bus", func(context.Context) error { return a.broker.Ready() })
	a.cluster = a.broker.Cluster()
	return nil
}

// deliver carries a feature's outbox: Belfry's own audit events go straight to
// the ledger, since a topic that others may write to could not be believed;
// erasures go straight to the features that keep copies; everything else goes to
// the bus.
func (a *App) deliver(ctx context.Context, msgs []bus.Message) error {
	var own, erased [][]byte
	var rest []bus.Message
	for _, m := range msgs {
		switch m.Topic {
		case event.TopicAuditSelf:
			own = append(own, m.Value)
		case event.TopicAuditErased:
			erased = append(erased, m.Value)
		default:
			rest = append(rest, m)
		}
	}
	if len(own) > 0 {
		if err := a.Audit.AppendOwn(ctx, own); err != nil {
			return err
		}
	}
	if err := a.followErasures(ctx, erased); err != nil {
		return err
	}
	if len(rest) == 0 {
		return nil
	}
	return a.producer.Publish(ctx, rest...)
}

// ownRecorded waits until an account's events of Belfry's own have left the
// outboxes of all features.
func (a *App) ownRecorded(ctx context.Context, accountID string) error {
	for _, r := range a.features {
		if err := r.relay.Delivered(ctx, event.TopicAuditSelf, []byte(accountID)); err != nil {
			return err
		}
	}
	return nil
}

// skipped tells the operators of records that no consumer could decode, in the
// transaction that moves past them.
func (a *App) skipped(ctx context.Context, tx *db.Tx, s bus.Skipped) error {
	code := errs.CodeInvalid
	if s.TooLarge {
		code = errs.CodeTooLarge
	}
	text := fmt.Sprintf("the records from offset %d up to, but without, %d were skipped: %s", s.From, s.To, s.Reason)
	value, err := json.Marshal(event.NewReject(event.Reject{
		Kind:   rejectKinds[s.Topic],
		Via:    "kafka",
		Source: &event.Fetched{Topic: s.Topic, Partition: s.Partition, Offset: s.From},
		Errors: []event.Fault{{Code: int(code), Message: text}},
	}, time.Now(), nil))
	if err != nil {
		return err
	}
	return bus.Enqueue(ctx, tx, bus.Message{Topic: event.TopicAuditRejects, Value: value})
}

// rejectKinds are the kinds of rejects of the topics that carry no audit events.
var rejectKinds = map[string]string{
	event.TopicTrafficCounts:  "traffic",
	event.TopicTrafficSharded: "traffic",
	event.TopicAlerts:         "alert",
}

// followErasures tells the features that keep text of events. Each account is
// told of once for all events of a delivery.
func (a *App) followErasures(ctx context.Context, values [][]byte) error {
	events := map[string]map[string]bool{}
	newest := map[string]event.Erasure{}
	for _, v := range values {
		var e event.Erasure
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		if events[e.Account] == nil {
			events[e.Account] = map[string]bool{}
		}
		for _, id := range e.Events {
			events[e.Account][id] = true
		}
		if e.At > newest[e.Account].At {
			newest[e.Account] = e
		}
	}
	for accountID, ids := range events {
		if err := a.Notify.Erased(ctx, accountID, ids); err != nil {
			return err
		}
		if err := a.Producer.Erased(ctx, newest[accountID]); err != nil {
			return err
		}
	}
	return nil
}
