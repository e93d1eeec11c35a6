package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

// partitions is the number of partitions of a topic on Apache Kafka. It never changes, because keys would move.
const partitions = 16

// busTopics lists the topics of the bus, on a cluster or on the embedded broker.
func busTopics(cluster bool) []bus.Topic {
	var list []bus.Topic
	for _, t := range event.Topics {
		if !t.Internal && (!t.Compacted || cluster) {
			list = append(list, bus.Topic{
				Name:       t.Name,
				Partitions: partitions,
				Retention:  t.Retention,
				Compacted:  t.Compacted,
			})
		}
	}
	return list
}

// retention is the time for which the bus keeps a topic's records.
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
		if err := bus.Ensure(ctx, a.cluster, busTopics(true)...); err != nil {
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
		a.Log.Warn("the embedded broker serves this process only: another process on the same database does not " +
			"share its bus; set BELFRY_KAFKA_BROKERS to run several processes")
	}
	consuming := a.consuming()
	cfg, err := a.Config.kafkaListener(broker.Config{
		DataDir: filepath.Join(a.Config.DataDir, "bus"),
		Topics:  busTopics(false),
		Verify: func(ctx context.Context, c bus.Cluster) error {
			for _, d := range consuming {
				restarts, err := bus.VerifyOffsets(ctx, c, d)
				if err != nil {
					return err
				}
				for _, r := range restarts {
					a.Log.Warn("a stored offset does not fit the log; the consumer starts again at the beginning of the log, "+
						"and ids absorb the repeats", "offset", r)
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
		Consumers:  subscriptions(),
		Log:        a.Log,
		Registerer: a.Registry,
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
