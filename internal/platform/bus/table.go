package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Table is the newest value of each key of a compacted topic, held in memory:
// for the little state that must outlive what a restore of a database rewinds.
// It has no goroutine: [Table.Sync] reads up to the end as it is then.
type Table struct {
	topic   string
	cluster Cluster
	admin   *kadm.Client
	apply   func(Record) error
	decoder *Decoder

	mu     sync.Mutex // one Sync at a time; guards the fields below
	client *kgo.Client
	next   map[int32]int64 // offset after the last record read, by partition
	lost   int             // stretches that cannot be decoded, skipped
}

// NewTable makes a Table of a topic that exists. apply gets each record in order,
// within Sync; its error ends the Sync, and the record is applied again by the next.
func NewTable(ctx context.Context, cluster Cluster, topic string, apply func(Record) error) (*Table, error) {
	decoder, err := NewDecoder()
	if err != nil {
		return nil, err
	}
	admin, err := cluster.Client("belfry-table")
	if err != nil {
		return nil, err
	}
	t := &Table{
		topic:   topic,
		cluster: cluster,
		admin:   kadm.NewClient(admin),
		apply:   apply,
		decoder: decoder,
		next:    map[int32]int64{},
	}
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
		kgo.MaxDecompressBatchBytes(maxDecompressed),
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
		limited, cancel := context.WithTimeout(ctx, tablePoll)
		fetches := t.client.PollFetches(limited)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("table %s: %w", t.topic, notNow(ctx.Err()))
		}
		var failed, undecoded error
		fetches.EachError(func(topic string, _ int32, err error) {
			if topic == "" && !errors.Is(err, context.DeadlineExceeded) { // of the client, not of a partition
				failed = notNow(err)
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			undecoded = errors.Join(undecoded, p.Err)
			for _, r := range p.Records {
				if failed == nil {
					own := t.cluster.own(r)
					failed = t.apply(Record{Key: r.Key, Value: r.Value, Offset: r.Offset, Time: r.Timestamp, Own: own})
				}
				if failed == nil {
					t.next[p.Partition] = r.Offset + 1
				}
			}
		})
		if failed == nil && (undecoded != nil || fetches.NumRecords() == 0) {
			failed = t.skip(ctx, ends)
		}
		if failed != nil {
			t.seek() // the client has moved past the record
			return fmt.Errorf("table %s: %w", t.topic, failed)
		}
	}
	return nil
}

// tablePoll is how long a table waits for records that are there before it looks
// whether they can be decoded.
const tablePoll = 2 * time.Second

// skip moves past batches that cannot be decoded, in the partitions that are behind.
func (t *Table) skip(ctx context.Context, ends kadm.ListedOffsets) error {
	moved := false
	for p, from := range t.next {
		if end, ok := ends.Lookup(t.topic, p); !ok || from >= end.Offset {
			continue
		}
		next, why, err := t.decoder.inspect(ctx, t.cluster, t.topic, p, from)
		if err != nil {
			return notNow(err)
		}
		if why != nil {
			t.next[p], moved = next, true
			t.lost++
		}
	}
	if moved {
		t.seek()
	}
	return nil
}

// seek makes the client continue after the applied records.
func (t *Table) seek() {
	offsets := map[int32]kgo.EpochOffset{}
	for p, o := range t.next {
		offsets[p] = kgo.EpochOffset{Epoch: -1, Offset: o}
	}
	t.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{t.topic: offsets})
}

// Skipped is the number of stretches that could not be decoded.
func (t *Table) Skipped() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
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

// notNow makes a fault of the brokers Unavailable.
func notNow(err error) error {
	return errs.New(errs.CodeUnavailable, "the bus does not answer").Because(err)
}

// Close ends the connections.
func (t *Table) Close() error {
	t.client.Close()
	t.admin.Close()
	return nil
}
