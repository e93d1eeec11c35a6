package bus

import (
	"context"
	"database/sql"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Record is one record as it was consumed. Its bytes belong to the handler.
type Record struct {
	Key     []byte
	Value   []byte
	Headers []Header
	Offset  int64
	Time    time.Time
	Own     bool // Belfry published it: its MAC verifies
}

// Header is the value of the first header of that name, or "".
func (r *Record) Header(name string) string { return carrier{&r.Headers}.Get(name) }

// Context is ctx with the trace that the producer sent along.
func (r *Record) Context(ctx context.Context) context.Context { return trace(ctx, r.Headers) }

// Batch is consecutive records of one partition.
type Batch struct {
	Group     string
	Topic     string
	Partition int32
	Records   []Record // at least one, offsets ascending (not always without gaps)

	dropped  int   // records that Belfry did not publish, left out
	from, to int64 // the position before and after
	epoch    int64
	crc      int64 // of the last record
	leader   int32 // epoch of the partition's leader at the last record
}

// Commit moves the group's position past the batch, inside the transaction that
// stores its results. [ErrFenced] means that the batch belongs to another owner now:
// the transaction must store nothing of it. A transaction with other work may
// continue without the batch.
func (b *Batch) Commit(ctx context.Context, tx *db.Tx) error {
	n, err := tx.Exec(ctx, advance, b.to, b.crc, time.Now().UnixMicro(), b.Group, b.Topic, b.Partition, b.from, b.epoch)
	if err == nil && n == 0 {
		err = ErrFenced
	}
	return err
}

// newBatch makes the batch of records after p; with ownOnly, of those that Belfry
// published.
func newBatch(cluster Cluster, ownOnly bool, p Position, records []*kgo.Record) *Batch {
	b := &Batch{Group: p.Group, Topic: p.Topic, Partition: p.Partition, from: p.Next, epoch: p.Epoch}
	b.Records = make([]Record, 0, len(records))
	for _, r := range records {
		own := cluster.own(r)
		if ownOnly && !own {
			b.dropped++
			continue
		}
		headers := make([]Header, len(r.Headers))
		for k, h := range r.Headers {
			headers[k] = Header{h.Key, h.Value}
		}
		b.Records = append(b.Records, Record{
			Key:     r.Key,
			Value:   r.Value,
			Headers: headers,
			Offset:  r.Offset,
			Time:    r.Timestamp,
			Own:     own,
		})
	}
	last := records[len(records)-1]
	b.to = last.Offset + 1
	b.crc = checksum(last)
	b.leader = last.LeaderEpoch
	return b
}

// after is the position behind the batch.
func (b *Batch) after() Position {
	return Position{Group: b.Group, Topic: b.Topic, Partition: b.Partition, Next: b.to, Epoch: b.epoch,
		At: time.Now(), crc: sql.NullInt64{Int64: b.crc, Valid: true}}
}
