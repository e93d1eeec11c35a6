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

// Handle splits a batch of records and moves the offset in one transaction.
// Each record makes messages of its own, whose ids come from its place and its
// content: read again from another position it gives the same ones, and other
// content at the same place (a log that was lost and begun anew) gives others.
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	var msgs []bus.Message
	var done []*batch
	var sharded []int
	accounts, zones := map[string]found{}, map[[2]string]found{}
	for i := range b.Records {
		r := &b.Records[i]
		one := &batch{f: f, from: ingest.Sender{By: b.Topic}, via: "kafka", accounts: accounts, zones: zones}
		items, err := countFormat.Split(r.Value, "")
		if len(r.Value) == 0 {
			err = errs.New(errs.CodeInvalidJSON, "the record has no value")
		}
		if err == nil {
			err = one.values(ctx, items.Values)
			if err != nil {
				return err // nothing was stored: the batch comes again
			}
		} else {
			one.bad = []refusal{{data: r.Value, faults: described(err)}}
		}
		id := digest(b.Topic, fmt.Sprint(b.Partition), fmt.Sprint(r.Offset), fmt.Sprint(r.Time.UnixMilli()), string(r.Value))
		out, err := Split(id, one.good, f.cfg.Partitions)
		if err != nil {
			return err
		}
		back, err := one.rejects(f.now(), &event.Fetched{Topic: b.Topic, Partition: b.Partition, Offset: r.Offset})
		if err != nil {
			return err
		}
		msgs = append(append(msgs, out...), back...)
		done, sharded = append(done, one), append(sharded, len(out))
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
	for i, one := range done {
		f.metrics.took(one, sharded[i])
	}
	return nil
}
