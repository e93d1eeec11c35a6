package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Table is the newest value of each key of a compacted topic, held in memory:
// for the little state that must outlive what a restore of a database rewinds.
// It has no goroutine: [Table.Sync] reads up to the end as it is then.
type Table struct {
	topic string
	admin *kadm.Client
	apply func(key, value []byte) error

	mu     sync.Mutex // one Sync at a time; guards what follows
	client *kgo.Client
	next   map[int32]int64 // offset after the last record read, by partition
}

// NewTable makes a Table of a topic that exists. apply is told each record in
// order, within Sync; its error ends the Sync, and the record comes again.
func NewTable(ctx context.Context, cluster Cluster, topic string, apply func(key, value []byte) error) (*Table, error) {
	admin, err := cluster.Client("belfry-table")
	if err != nil {
		return nil, err
	}
	t := &Table{topic: topic, admin: kadm.NewClient(admin), apply: apply, next: map[int32]int64{}}
	starts, err := t.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		admin.Close()
		return nil, fmt.Errorf("table %s: %w", topic, notNow(err))
	}
	from := map[int32]kgo.Offset{}
	starts.Each(func(o kadm.ListedOffset) {
		from[o.Partition] = kgo.NewOffset().At(o.Offset)
		t.next[o.Partition] = o.Offset
	})
	t.client, err = cluster.Client("belfry-table", kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())) // the default rewinds one minute
	if err != nil {
		admin.Close()
		return nil, err
	}
	return t, nil
}

// Sync reads every record that was in the topic when it was called.
func (t *Table) Sync(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ends, err := t.admin.ListEndOffsets(ctx, t.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", t.topic, notNow(err))
	}
	for t.behind(ends) {
		fetches := t.client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("table %s: %w", t.topic, notNow(err))
		}
		var failed error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			failed = errors.Join(failed, p.Err)
			for _, r := range p.Records {
				if failed == nil {
					failed = t.apply(r.Key, r.Value)
				}
				if failed == nil {
					t.next[p.Partition] = r.Offset + 1
				}
			}
		})
		if failed != nil {
			// The client has moved past the record; go back to it.
			back := map[int32]kgo.EpochOffset{}
			for p, o := range t.next {
				back[p] = kgo.EpochOffset{Epoch: -1, Offset: o}
			}
			t.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{t.topic: back})
			return fmt.Errorf("table %s: %w", t.topic, failed)
		}
	}
	return nil
}

// behind reports whether a partition has records before its end that were not
// read. Compaction leaves gaps, never at the end: the newest record stays.
func (t *Table) behind(ends kadm.ListedOffsets) bool {
	late := false
	ends.Each(func(o kadm.ListedOffset) {
		late = late || t.next[o.Partition] < o.Offset
	})
	return late
}

// notNow gives a fault of the brokers its kind.
func notNow(err error) error {
	return errs.New(errs.CodeUnavailable, "the bus does not answer").Because(err)
}

// Close ends the connections.
func (t *Table) Close() error {
	t.client.Close()
	t.admin.Close()
	return nil
}
