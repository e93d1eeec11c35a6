package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Ensure creates the topics that are missing and brings retention and message
// size of the others to the declaration. Partitions are never added: that
// would move keys. Compaction is for the few tables that must outlive what a
// restore of the databases rewinds; all other state lives in the databases.
func Ensure(ctx context.Context, cluster Cluster, topics ...Topic) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if cluster.Create != nil {
		for _, t := range topics {
			if err := cluster.Create(ctx, t); err != nil {
				return fmt.Errorf("topic %s: %w", t.Name, err)
			}
		}
		return nil
	}
	cl, err := cluster.Client("belfry-topics")
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	for _, t := range topics {
		if err := ensure(ctx, admin, t); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	return settled(ctx, admin, topics)
}

// settled waits until the topics can be used: a cluster answers their creation
// before all its brokers have heard of it, and refuses them until then.
func settled(ctx context.Context, admin *kadm.Client, topics []Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		ends, err := admin.ListEndOffsets(ctx, names...)
		if err == nil {
			err = firstFault(ends)
		}
		if err == nil {
			return nil
		}
		if !kerr.IsRetriable(err) {
			return fmt.Errorf("topics: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topics, which Belfry could neither find nor make: %w", err)
		case <-again.C:
		}
	}
}

// firstFault names a topic that cannot be used.
func firstFault(ends kadm.ListedOffsets) error {
	var topic string
	var fault error
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err != nil && (fault == nil || o.Topic < topic) {
			topic = o.Topic
			fault = fmt.Errorf("%s: %w", o.Topic, o.Err)
		}
	})
	return fault
}

func ensure(ctx context.Context, admin *kadm.Client, t Topic) error {
	policy := "delete"
	if t.Compacted {
		policy = "compact"
	}
	configs := map[string]*string{"cleanup.policy": &policy}
	var alter []kadm.AlterConfig
	set := func(name string, value int64) {
		text := strconv.FormatInt(value, 10)
		configs[name] = &text
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &text})
	}
	if t.Retention > 0 {
		set("retention.ms", t.Retention.Milliseconds())
	}
	if t.MaxMessageBytes > 0 {
		set("max.message.bytes", int64(t.MaxMessageBytes))
	}
	replication := int16(t.Replication)
	if replication == 0 {
		replication = -1
	}
	_, err := admin.CreateTopic(ctx, int32(max(1, t.Partitions)), replication, configs, t.Name)
	if errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		return nil // the topics are made by others, as the guide says; settled finds out whether they are there
	}
	if !errors.Is(err, kerr.TopicAlreadyExists) || len(alter) == 0 {
		if errors.Is(err, kerr.TopicAlreadyExists) {
			err = nil
		}
		return err
	}
	results, err := admin.AlterTopicConfigs(ctx, alter, t.Name)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, kerr.TopicAuthorizationFailed) {
			return r.Err
		}
	}
	return nil
}
