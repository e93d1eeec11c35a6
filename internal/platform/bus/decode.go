package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// ErrTooLarge says that a batch decompresses to more than a consumer takes.
var ErrTooLarge = fmt.Errorf("the batch decompresses to more than %d MiB", maxDecompressed>>20)

// Decoder decodes batches as Belfry's consumers do, within the same bound. It
// says whether a batch would stop them. Safe for concurrent use.
type Decoder struct{ codec kgo.Decompressor }

// NewDecoder makes a Decoder.
func NewDecoder() (*Decoder, error) {
	// The client is never used: only its bounded decompressor is.
	cl, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(maxDecompressed))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	codec, ok := cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, errors.New("the Kafka client has no decompressor")
	}
	return &Decoder{codec}, nil
}

// The fields at the head of a record batch: int64 base offset, int32 length of
// what follows the length, int32 leader epoch, int8 magic, uint32 CRC, int16
// attributes, int32 offset of the last record relative to the first.
const (
	batchLengthAt    = 8
	batchMagicAt     = 16
	batchLastDeltaAt = 23
	batchHead        = 61
)

// bounds gives the first and last offset of the batch at the beginning of data,
// and its bytes. ok is false if data does not begin with a whole batch.
func bounds(data []byte) (first, last int64, batch []byte, ok bool) {
	if len(data) < batchHead {
		return 0, 0, nil, false
	}
	length := int64(int32(binary.BigEndian.Uint32(data[batchLengthAt:]))) + batchLengthAt + 4
	if length < batchHead || length > int64(len(data)) {
		return 0, 0, nil, false
	}
	first = int64(binary.BigEndian.Uint64(data))
	last = first + max(0, int64(int32(binary.BigEndian.Uint32(data[batchLastDeltaAt:]))))
	return first, last, data[:length], true
}

// Check is nil if every record of the one batch in data can be decoded. It is
// [ErrTooLarge] or the fault that a consumer would stop at.
func (d *Decoder) Check(data []byte) error {
	first, last, batch, ok := bounds(data)
	switch {
	case !ok:
		return errors.New("the batch is incomplete")
	case batch[batchMagicAt] != 2:
		return fmt.Errorf("the batch has the format version %d, not 2", batch[batchMagicAt])
	}
	// An offset past the end of a message says that all of its records were decoded.
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.RecordBatches = batch
	opts := kgo.ProcessFetchPartitionOpts{Offset: first, KeepControlRecords: true}
	decoded, next := kgo.ProcessFetchPartition(opts, &rp, d.codec, nil)
	switch {
	case errors.Is(decoded.Err, kgo.ErrMaxDecompress), errors.As(decoded.Err, new(*kgo.ErrDecompressTooLarge)):
		return ErrTooLarge
	case decoded.Err != nil:
		return decoded.Err
	case next <= last:
		return fmt.Errorf("only %d of its records can be decoded", len(decoded.Records))
	}
	return nil
}

// fetchOne reads the stored bytes at an offset, undecoded. A batch that is larger
// than the limit of the request comes whole.
func fetchOne(ctx context.Context, cluster Cluster, topic string, partition int32, offset int64) ([]byte, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), 12) // the last that names topics by their name
	cl, err := cluster.Client("belfry-inspect", kgo.MaxVersions(versions))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	meta, err := kadm.NewClient(cl).Metadata(ctx, topic)
	if err != nil {
		return nil, err
	}
	detail, ok := meta.Topics[topic].Partitions[partition]
	if !ok || detail.Err != nil {
		return nil, errors.Join(fmt.Errorf("the leader of %s/%d is not known", topic, partition), detail.Err)
	}
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition = partition
	rp.FetchOffset = offset
	rp.PartitionMaxBytes = partitionBytes
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = topic
	rt.Partitions = append(rt.Partitions, rp)
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1 // a consumer
	req.MaxWaitMillis = 100
	req.MaxBytes = fetchBytes
	req.IsolationLevel = 1 // committed records only
	req.Topics = append(req.Topics, rt)
	answer, err := cl.Broker(int(detail.Leader)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if t.Topic == topic && p.Partition == partition {
				return p.RecordBatches, kerr.ErrorForCode(p.ErrorCode)
			}
		}
	}
	return nil, fmt.Errorf("the answer has nothing of %s/%d", topic, partition)
}

// Skipped is a stretch of a partition that no consumer can decode.
type Skipped struct {
	Group     string
	Topic     string
	Partition int32
	From, To  int64 // offsets; To is the first that is read again
	Reason    string
	TooLarge  bool
}

// maxSkip bounds how many batches one inspection looks at.
const maxSkip = 1000

// inspect looks at the stored batches from an offset on. It gives the offset after
// those at the beginning that cannot be decoded, and why; the same offset if the
// next batch is good or not there yet.
func (d *Decoder) inspect(
	ctx context.Context,
	cluster Cluster,
	topic string,
	partition int32,
	from int64,
) (next int64, why error, err error) {
	next = from
	var data []byte
	for range maxSkip {
		first, last, batch, ok := bounds(data)
		if !ok {
			if data, err = fetchOne(ctx, cluster, topic, partition, next); err != nil {
				return from, nil, err
			}
			if first, last, batch, ok = bounds(data); !ok {
				return next, why, nil // the end of the log, or an open transaction
			}
		}
		data = data[len(batch):]
		if last < next {
			continue // batches before the offset may come along
		}
		fault := d.Check(batch)
		if fault == nil {
			return next, why, nil
		}
		if why == nil {
			why = fmt.Errorf("the batch at offset %d cannot be decoded: %w", max(first, from), fault)
		}
		next = last + 1
	}
	return next, why, nil
}
