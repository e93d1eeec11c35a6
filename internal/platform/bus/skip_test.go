package bus_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

// rawBatch is a batch of the given records with a valid checksum.
// codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func rawBatch(codec, count int, records []byte) []byte {
	b := make([]byte, 61, 61+len(records))
	binary.BigEndian.PutUint32(b[8:], uint32(49+len(records)))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(codec))
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[27:], uint64(time.Now().UnixMilli()))
	binary.BigEndian.PutUint64(b[35:], uint64(time.Now().UnixMilli()))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer id, epoch, sequence
	}
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// rawRecord is one record of a batch.
func rawRecord(value []byte) []byte {
	r := kmsg.NewRecord()
	r.Value = value
	r.Length = int32(len(r.AppendTo(nil)) - 1) // the length that stands there is 0, in one byte
	return r.AppendTo(nil)
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// undecodable are batches that stop a consumer, by name.
func undecodable(t *testing.T) map[string][]byte {
	garbage := bytes.Repeat([]byte{0xa5, 0x5a, 1}, 30)
	return map[string][]byte{
		"gzip":     rawBatch(1, 1, garbage),
		"snappy":   rawBatch(2, 1, garbage),
		"lz4":      rawBatch(3, 1, garbage),
		"zstd":     rawBatch(4, 1, garbage),
		"no codec": rawBatch(0, 1, garbage),
		"partial":  rawBatch(0, 3, rawRecord([]byte("00003"))),
		"large":    rawBatch(1, 1, zipped(t, rawRecord(bytes.Repeat([]byte("a"), 80<<20)))),
	}
}

// inject produces a batch as it is; false if the broker does not take it.
func (w *world) inject(topic string, batch []byte) bool {
	w.t.Helper()
	cl, err := w.cluster.Client("test")
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	meta, err := kadm.NewClient(cl).Metadata(w.t.Context(), topic)
	if err != nil {
		w.t.Fatal(err)
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.ProduceRequestTopic{rt}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), 9)
	old, err := w.cluster.Client("test", kgo.MaxVersions(versions))
	if err != nil {
		w.t.Fatal(err)
	}
	defer old.Close()
	resp, err := old.Broker(int(meta.Topics[topic].Partitions[0].Leader)).Request(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode == 0
}

func TestABatchThatCannotBeDecodedIsSkippedAndTold(t *testing.T) {
	t.Parallel()
	for name, batch := range undecodable(t) {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				topic, group := w.topic(1), id.New()
				p := w.producer()
				w.publish(p, topic, 0, 3)
				if !w.inject(topic, batch) || !w.inject(topic, batch) {
					if w.broker != nil {
						t.Fatal("the embedded broker did not take the batch of a client of the process")
					}
					return // Apache Kafka refuses it: none is stored
				}
				first := 3
				if name == "partial" { // the record before the fault is whole, in both batches
					first = 4
				}
				c, stop := w.consume(bus.Config{Group: group, Topics: []string{topic}, HealthEvery: 50 * time.Millisecond})
				poll.Until(t, "records are skipped", func() bool {
					w.mu.Lock()
					defer w.mu.Unlock()
					return len(w.skipped) > 0
				})
				w.publish(p, topic, first, 5)
				poll.Until(t, "the rows behind", func() bool {
					list := w.seen()
					return len(list) > 0 && list[len(list)-1] == fmt.Sprintf("%05d", first+4)
				})
				poll.Until(t, "ready", func() bool { return c.Ready() == nil })
				stop()
				w.mu.Lock()
				defer w.mu.Unlock()
				s := w.skipped[0]
				if s.Topic != topic || s.Group != group || s.From < 3 || s.To <= s.From || s.Reason == "" ||
					s.TooLarge != (name == "large") {
					t.Errorf("%+v", s)
				}
				if name != "partial" {
					w.complete(8)
				}
				// A restart has nothing left to skip.
				w.consume(bus.Config{Group: group, Topics: []string{topic}})
				w.publish(p, topic, first+5, 1)
				poll.Until(t, "the row after a restart", func() bool {
					list := w.seen()
					return list[len(list)-1] == fmt.Sprintf("%05d", first+5)
				})
			})
		})
	}
}

func TestATableReadsPastABatchThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for name, batch := range undecodable(t) {
		t.Run(name, func(t *testing.T) {
			w := embedded(t, "")
			topic := w.topic(1)
			w.publish(w.producer(), topic, 0, 1)
			if !w.inject(topic, batch) {
				t.Fatal("the batch was not taken")
			}
			last := ""
			table, err := bus.NewTable(t.Context(), w.cluster, topic, func(r bus.Record) error {
				last = string(r.Value)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := table.Sync(ctx); err != nil || table.Skipped() != 1 {
				t.Errorf("%v: skipped %d", err, table.Skipped())
			}
			w.publish(w.producer(), topic, 9, 1)
			if err := table.Sync(ctx); err != nil || last != "00009" {
				t.Errorf("%v: last is %q", err, last)
			}
		})
	}
}

func TestOnlyRecordsThatBelfryPublishedAreOwn(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		foreign := w.producer()
		w.cluster.Key = []byte("a key of the installation")
		own := w.producer()
		w.publish(foreign, topic, 100, 1)
		w.publish(own, topic, 0, 1)
		// What Belfry published, on another topic, with another value, or under another key.
		copied := bus.Message{
			Topic:   topic,
			Key:     []byte("k"),
			Value:   []byte("00101"),
			Headers: []bus.Header{{Key: bus.MACHeader, Value: w.macOf(topic, 1)}},
		}
		if err := foreign.Publish(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		elsewhere := w.topic(1)
		w.publish(own, elsewhere, 102, 1)
		copied.Value, copied.Headers[0].Value = []byte("00102"), w.macOf(elsewhere, 0)
		if err := foreign.Publish(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		w.cluster.Key = []byte("a key of another installation")
		w.publish(w.producer(), topic, 103, 1)
		w.cluster.Key = []byte("a key of the installation")
		w.publish(own, topic, 1, 1)
		w.consume(bus.Config{Group: id.New(), Topics: []string{topic}, OwnOnly: true, MaxRecords: 1})
		poll.Until(t, "the second row", func() bool { return len(w.seen()) >= 2 })
		w.complete(2)
	})
}

// macOf is the MAC that the record at an offset carries.
func (w *world) macOf(topic string, offset int64) []byte {
	w.t.Helper()
	cl, err := w.cluster.Client("test",
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(offset)}}))
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for _, r := range cl.PollFetches(ctx).Records() {
		for _, h := range r.Headers {
			if h.Key == bus.MACHeader {
				return h.Value
			}
		}
	}
	w.t.Fatal("the record has no MAC")
	return nil
}

// A client that joins the group of a consumer that is alone takes nothing from it.
func TestAClientThatJoinsTheGroupOfAConsumerThatIsAloneTakesNothing(t *testing.T) {
	w := embedded(t, "")
	topic, group := w.topic(1), id.New()
	thief, err := w.cluster.Client("aaa", kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.RangeBalancer()))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.CloseAllowingRebalance()
	c, _ := w.consume(bus.Config{
		Group:        group,
		Topics:       []string{topic},
		UnownedAfter: time.Second,
		HealthEvery:  50 * time.Millisecond,
	})
	w.publish(w.producer(), topic, 0, 10)
	poll.Until(t, "the thief is given records", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return thief.PollFetches(ctx).NumRecords() > 0
	})
	poll.Until(t, "the rows", func() bool { return len(w.seen()) >= 10 })
	w.complete(10)
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
}

// Past one machine a group is needed. A member that is not Belfry's may take
// partitions from it; readiness says so, and the lag is still reported.
func TestPartitionsThatAForeignMemberTookAreAFault(t *testing.T) {
	t.Parallel()
	grouped(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		cfg := bus.Config{
			Group:        topic,
			Topics:       []string{topic},
			UnownedAfter: 200 * time.Millisecond,
			HealthEvery:  50 * time.Millisecond,
		}
		thief, err := w.cluster.Client("aaa", kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic),
			kgo.Balancers(kgo.StickyBalancer(), kgo.RangeBalancer()),
			kgo.HeartbeatInterval(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		admin := kadm.NewClient(thief)
		poll.Until(t, "the thief is the only member", func() bool {
			groups, err := admin.DescribeGroups(t.Context(), topic)
			return err == nil && groups[topic].State == "Stable" && len(groups[topic].Members) == 1
		})
		c, _ := w.consume(cfg)
		w.publish(w.producer(), topic, 0, 10)
		poll.Until(t, "a fault that names the member", func() bool {
			err := c.Ready()
			return err != nil && strings.Contains(err.Error(), `"aaa"`) && strings.Contains(err.Error(), topic+"/0")
		})
		poll.Until(t, "the lag", func() bool {
			list := c.Health()
			return len(list) == 1 && list[0].State == bus.NoMembers && list[0].Lag() == 10
		})
		thief.CloseAllowingRebalance()
		poll.Until(t, "ready again", func() bool { return c.Ready() == nil && len(w.seen()) == 10 })
	})
}

// Many clients have no snappy, lz4 or zstd.
func TestWhatBelfryPublishesIsCompressedWithNothingButGzip(t *testing.T) {
	w := embedded(t, "")
	topic := w.topic(1)
	w.publish(w.producer(), topic, 0, 100)
	var codecs []kgo.CompressionCodecType
	hook := codecHook(func(c uint8) { codecs = append(codecs, kgo.CompressionCodecType(c)) })
	cl, err := w.cluster.Client("test", kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.WithHooks(hook))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cl.PollFetches(ctx).Err(); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(codecs) == 0 {
		t.Fatal("no batch was read")
	}
	for _, c := range codecs {
		if c != kgo.CodecNone && c != kgo.CodecGzip {
			t.Errorf("a batch has the codec %d", c)
		}
	}
}

// codecHook is told the codec of each batch that is read.
type codecHook func(codec uint8)

func (h codecHook) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	h(m.CompressionType)
}
