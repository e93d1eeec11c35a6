package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

// Consumes lists the topics that a feature reads.
func Consumes(name string) (topics []string) {
	for _, m := range manifests() {
		if m.Name != name {
			continue
		}
		for _, s := range m.Consumes {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

// Publish sends to the bus as a feature of this process does.
func (a *App) Publish(ctx context.Context, msgs ...bus.Message) error {
	return a.producer.Publish(ctx, msgs...)
}

// ClearText says why passwords and tokens cross the network unencrypted.
func ClearText(c Config) string { return c.clearText() }

// CacheOfAll is the size of the databases' page caches together.
func CacheOfAll(megabytes int) (sum int64) {
	for _, m := range manifests() {
		sum += cacheOf(m.Name, megabytes)
	}
	return sum
}

// Cluster is the bus as a feature of this process reaches it.
func (a *App) Cluster() bus.Cluster { return a.cluster }

// Subscriptions are all that Belfry's own consumers read.
var Subscriptions = subscriptions

// Positions are those of every consumer.
func (a *App) Positions(ctx context.Context) ([]bus.Position, error) {
	var all []bus.Position
	for _, d := range a.consuming() {
		list, err := bus.Positions(ctx, d)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// KafkaCluster is how the settings reach Apache Kafka.
func (c *Config) KafkaCluster() (bus.Cluster, error) { return c.kafkaCluster() }
