package broker_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

// rawBatch is a batch with a right checksum and whatever records are given, as they
// lie behind its head. codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func rawBatch(codec, count int, records []byte) []byte {
	b := make([]byte, 61, 61+len(records))
	binary.BigEndian.PutUint32(b[8:], uint32(49+len(records)))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(codec))
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[27:], uint64(time.Now().UnixMilli()))
	binary.BigEndian.PutUint64(b[35:], uint64(time.Now().UnixMilli()))
	for _, at := range []int{43, 51} {
		for i := range 8 {
			b[at+i] = 0xff // no producer id, epoch, sequence
		}
	}
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// record is one record of a batch.
func record(value []byte) []byte {
	r := kmsg.NewRecord()
	r.Value = value
	body := r.AppendTo(nil)
	r.Length = int32(len(body) - 1) // the length that stands there is 0, in one byte
	return r.AppendTo(nil)
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// produce sends a batch as it is.
func produceTo(t *testing.T, cluster bus.Cluster, topic string, acks int16, batch []byte) int16 {
	t.Helper()
	cl, err := cluster.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Acks = acks
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.ProduceRequestTopic{rt}
	req.SetVersion(9)
	resp, err := cl.SeedBrokers()[0].Request(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

func TestBatchesThatNobodyCanDecodeAreRefused(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	garbage := bytes.Repeat([]byte{0xa5, 0x5a, 1}, 30)
	for name, one := range map[string]struct {
		batch []byte
		code  int16
	}{
		"gzip garbage":         {rawBatch(1, 1, garbage), kerr.CorruptMessage.Code},
		"snappy garbage":       {rawBatch(2, 1, garbage), kerr.CorruptMessage.Code},
		"lz4 garbage":          {rawBatch(3, 1, garbage), kerr.CorruptMessage.Code},
		"zstd garbage":         {rawBatch(4, 1, garbage), kerr.CorruptMessage.Code},
		"no codec, garbage":    {rawBatch(0, 1, garbage), kerr.CorruptMessage.Code},
		"fewer records":        {rawBatch(0, 3, record([]byte("one"))), kerr.CorruptMessage.Code},
		"records without data": {rawBatch(0, 3, nil), kerr.CorruptMessage.Code},
		"80 MB of a": {rawBatch(1, 1, gzipped(t, record(bytes.Repeat([]byte("a"), 80<<20)))),
			kerr.MessageTooLarge.Code},
		"good":      {rawBatch(0, 1, record([]byte("one"))), 0},
		"good gzip": {rawBatch(1, 1, gzipped(t, record([]byte("two")))), 0},
	} {
		before := logEnd(t, b)
		if code := produceTo(t, outside(b), "a", -1, one.batch); code != one.code {
			t.Errorf("%s: code %d, want %d", name, code, one.code)
		}
		want := before
		if one.code == 0 {
			want++
		}
		if after := logEnd(t, b); after != want {
			t.Errorf("%s: the log's end went from %d to %d", name, before, after)
		}
	}
}

func logEnd(t *testing.T, b *broker.Broker) int64 {
	t.Helper()
	_, end := extent(t, b.Cluster(), "a")
	return end
}

// The answers of a connection stay in the order of its requests, also where the
// gate answers some of them itself.
func TestARefusedBatchIsAnsweredInItsTurn(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	frame := func(correlation uint32, batch []byte) []byte {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = batch
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic, rt.Partitions = "a", []kmsg.ProduceRequestTopicPartition{p}
		req := kmsg.NewPtrProduceRequest()
		req.Acks = -1
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.ProduceRequestTopic{rt}
		req.SetVersion(9)
		body := binary.BigEndian.AppendUint16(nil, uint16(kmsg.Produce))
		body = binary.BigEndian.AppendUint16(body, 9)
		body = binary.BigEndian.AppendUint32(body, correlation)
		body = append(body, 0, 1, 'x', 0)
		body = req.AppendTo(body)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	good, bad := rawBatch(0, 1, record([]byte("good"))), rawBatch(1, 1, []byte("garbage"))
	var all []byte
	for i := range uint32(20) {
		batch := good
		if i%3 == 1 {
			batch = bad
		}
		all = append(all, frame(i, batch)...)
	}
	go conn.Write(all)
	for i := range uint32(20) {
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if got := binary.BigEndian.Uint32(head[4:]); got != i {
			t.Fatalf("the answer of request %d came as number %d", got, i)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[:]))-4); err != nil {
			t.Fatal(err)
		}
	}
}

// A producer that asks for no answer is refused by its connection's end. It
// connects again, and what it sends after the refusal is stored.
func TestAProducerWithoutAnswersIsNotMuteAfterARefusal(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	cl, err := outside(b).Client("test", kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite(),
		kgo.DefaultProduceTopic("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	send := func(value string) error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte(value)}).FirstErr()
	}
	if err := send("before"); err != nil {
		t.Fatal(err)
	}
	read(t, b.Cluster(), "a", 1)
	b.SetDiskShare(1e-12)
	for range 5 {
		send("refused") // the client learns nothing of it, or that its connection ended
	}
	b.SetDiskShare(0.9)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for logEnd(t, b) < 2 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was stored after the refusal")
		}
		if err := send("after"); err != nil && !errors.Is(err, io.EOF) {
			t.Log(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAnUndecodableBatchWithoutAnAnswerEndsTheConnection(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	cl, err := outside(b).Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = rawBatch(1, 1, []byte("garbage"))
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = "a", []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Topics = []kmsg.ProduceRequestTopic{rt}
	cl.SeedBrokers()[0].Request(t.Context(), req) // there is no answer to look at
	if got := logEnd(t, b); got != 0 {
		t.Fatalf("%d records were stored", got)
	}
	numbered(t, outside(b), "a", 0, 1)
}
