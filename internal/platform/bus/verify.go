package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Restart describes a position that did not fit the log and starts again.
type Restart struct {
	Group     string
	Topic     string
	Partition int32
	From, To  int64
	Reason    Reason
}

// Reason is the cause of a restart.
type Reason string

// The reasons.
const (
	Ahead   Reason = "ahead"   // the log ends before the position
	Behind  Reason = "behind"  // the log begins after it: records passed unread
	Changed Reason = "changed" // the record before it is another one
)

// extent describes the log of a partition.
type extent struct {
	start, end int64
	crc        int64 // of the record before the asked position
	known      bool  // whether that record is there
}

// fit decides where to continue reading, and returns a reason if that is not the
// position. Records that are read twice are harmless, because consumers recognise
// their events by id; records that are skipped are lost.
func fit(p Position, log extent) (next int64, why Reason) {
	switch {
	case p.Next > log.end:
		return log.start, Ahead
	case p.Next < log.start:
		if p.Next == 0 && !p.crc.Valid {
			return log.start, "" // a new group: it never read anything
		}
		return log.start, Behind
	case p.crc.Valid && log.known && log.crc != p.crc.Int64:
		return log.start, Changed
	}
	return p.Next, ""
}

// VerifyOffsets checks every position of the database against the log: after a log
// lost its end, or was created again after a crash, an offset may mean another
// record. A position that does not fit gets a new epoch and the start of the log. It
// is called before the embedded broker accepts foreign records, and is safe while
// consumers run.
func VerifyOffsets(ctx context.Context, cluster Cluster, d *db.DB) ([]Restart, error) {
	positions, err := Positions(ctx, d)
	if err != nil || len(positions) == 0 {
		return nil, err
	}
	// After the rows: an end that is read later can only be larger.
	logs, err := extents(ctx, cluster, positions)
	if err != nil {
		return nil, fmt.Errorf("compare the stored offsets with the log: %w", err)
	}
	var list []Restart
	for i := range positions {
		p := &positions[i]
		from := p.Next
		next, why := fit(*p, logs[i])
		if next == from {
			continue
		}
		switch err := restart(ctx, d, p, next); {
		case errors.Is(err, ErrFenced): // its owner moved it meanwhile, and verified it
		case err != nil:
			return list, err
		case why != "":
			list = append(list, Restart{p.Group, p.Topic, p.Partition, from, next, why})
		}
	}
	return list, nil
}

// extents finds the extents of the positions' logs, in their order. A topic that
// does not exist is an empty log.
func extents(ctx context.Context, cluster Cluster, positions []Position) ([]extent, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cl, err := cluster.Client("belfry-verify")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	topics := map[string]bool{}
	var names []string
	for _, p := range positions {
		if !topics[p.Topic] {
			topics[p.Topic] = true
			names = append(names, p.Topic)
		}
	}
	admin := kadm.NewClient(cl)
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	logs := make([]extent, len(positions))
	for i, p := range positions {
		if logs[i].start, err = offsetOf(starts, p); err != nil {
			return nil, err
		}
		if logs[i].end, err = offsetOf(ends, p); err != nil {
			return nil, err
		}
		if p.crc.Valid && p.Next > logs[i].start && p.Next <= logs[i].end {
			if err := before(ctx, cluster, p, &logs[i]); err != nil {
				return nil, err
			}
		}
	}
	return logs, nil
}

func offsetOf(list kadm.ListedOffsets, p Position) (int64, error) {
	o, ok := list.Lookup(p.Topic, p.Partition)
	if !ok || errors.Is(o.Err, kerr.UnknownTopicOrPartition) {
		return 0, nil
	}
	return o.Offset, o.Err
}

// before reads the record at the offset before the position. There was a record
// when the position was stored, so that reading at its offset always answers:
// with it, or, if it was deleted since, with a later one.
func before(ctx context.Context, cluster Cluster, p Position, log *extent) error {
	at := kgo.NewOffset().At(p.Next - 1)
	cl, err := cluster.Client("belfry-verify",
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: at}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(),
		kgo.MaxConcurrentFetches(1),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.MaxDecompressBatchBytes(maxDecompressed),
		kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollRecords(ctx, 1)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s/%d at offset %d: %w", p.Topic, p.Partition, p.Next-1, err)
		}
		for _, r := range fetches.Records() {
			if r.Offset == p.Next-1 && !r.Attrs.IsControl() {
				log.crc, log.known = checksum(r), true
			}
			return nil
		}
		for _, e := range fetches.Errors() {
			if kerr.IsRetriable(e.Err) {
				continue
			}
			decoder, err := NewDecoder()
			if err != nil {
				return err
			}
			if _, why, err := decoder.inspect(ctx, cluster, p.Topic, p.Partition, p.Next-1); err != nil || why == nil {
				return fmt.Errorf("read %s/%d at offset %d: %w", p.Topic, p.Partition, p.Next-1, e.Err)
			}
			return nil // the record that was consumed is not there any more
		}
	}
}
