package traffic

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// Group is the consumer group of the topic of counts.
const Group = "belfry.traffic"

const topicIn = event.TopicTrafficCounts

// Handle shards a batch of records and moves the offset in one transaction. Each
// record makes messages of its own, whose ids come from its position and content:
// a record that is read again makes the same ones, and another record at the same
// position (of a log that was lost and started again) makes others.
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	type outcome struct {
		*batch
		sharded int
	}
	var msgs []bus.Message
	var done []outcome
	shared := f.newBatch(ingest.Sender{By: b.Topic}, "kafka") // looks names up once for all records
	for i := range b.Records {
		r := &b.Records[i]
		one := f.newBatch(shared.from, shared.via)
		one.accounts = shared.accounts
		one.zones = shared.zones
		if err := one.addRecord(ctx, r.Value); err != nil {
			return err // nothing was stored: the batch is read again
		}
		if err := one.limitCounts(ctx); err != nil {
			return err
		}

		position := []string{b.Topic, fmt.Sprint(b.Partition), fmt.Sprint(r.Offset), fmt.Sprint(r.Time.UnixMilli())}
		out, err := Shard(messageID(append(position, string(r.Value))...), one.good, f.cfg.Partitions)
		if err != nil {
			return err
		}
		rejects, err := one.rejects(f.now(), &event.Fetched{Topic: b.Topic, Partition: b.Partition, Offset: r.Offset})
		if err != nil {
			return err
		}
		msgs = append(append(msgs, out...), rejects...)
		done = append(done, outcome{one, len(out)})
	}

	err := f.db.Tx(ctx, func(tx *db.Tx) error {
		if err := b.Commit(ctx, tx); err != nil {
			return err
		}
		return bus.Enqueue(ctx, tx, msgs...)
	})
	if err != nil {
		return err
	}
	f.cfg.Wake()
	for _, o := range done {
		f.metrics.stored(o.batch, o.sharded)
	}
	return nil
}

// addRecord adds the counts of a record, or the refusal of all of it.
func (b *batch) addRecord(ctx context.Context, value []byte) error {
	items, err := countFormat.Split(value, "")
	if len(value) == 0 {
		err = errs.New(errs.CodeInvalidJSON, "the record has no value")
	}
	if err != nil {
		b.bad = []refusal{{data: value, faults: errs.All(err)}}
		return nil
	}
	return b.addAll(ctx, items.Values)
}
