package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

func TestARefusedMessageHasAKind(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, w *world) {
		p, err := bus.NewProducer(bus.ProducerConfig{Cluster: w.cluster, MaxMessageBytes: 8 << 20, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(t.Context())
		small := "test." + id.New()
		if err := bus.Ensure(t.Context(), w.cluster, bus.Topic{Name: small, MaxMessageBytes: 1000}); err != nil {
			t.Fatal(err)
		}
		noise := []byte(id.Secret(40_000))
		for topic, want := range map[string]errs.Kind{small: errs.TooLarge, "test." + id.New(): errs.NotFound} {
			if err := p.Publish(t.Context(), bus.Message{Topic: topic, Value: noise}); errs.KindOf(err) != want {
				t.Errorf("%s: %v is %v, want %v", topic, err, errs.KindOf(err), want)
			}
		}
	})
}

// An outbox keeps the time at which its messages were written.
func TestAMessageThatWaitedForLongIsPublishedWithItsTime(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic, written := w.topic(1), time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		p := w.producer()
		for range 2 {
			if err := p.Publish(t.Context(), bus.Message{
				Topic: topic,
				Key:   []byte("k"),
				Value: []byte("v"),
				Time:  written,
			}); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan time.Time, 2)
		w.consume(bus.Config{Group: topic, Topics: []string{topic}, Handle: func(ctx context.Context, b *bus.Batch) error {
			for _, r := range b.Records {
				got <- r.Time
			}
			return w.store(ctx, b)
		}})
		for range 2 {
			select {
			case at := <-got:
				if !at.Equal(written) {
					t.Errorf("the record's time is %v, want %v", at, written)
				}
			case <-time.After(patience):
				t.Fatal("nothing arrived")
			}
		}
	})
}

// A broker that does not answer is named as what failed, within the deadline.
func TestPublishingEndsWhenTheBrokersDoNotAnswer(t *testing.T) {
	p, err := bus.NewProducer(bus.ProducerConfig{
		Cluster: bus.Cluster{Brokers: []string{"127.0.0.1:1"}},
		Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	began := time.Now()
	err = p.Publish(t.Context(), bus.Message{Topic: "a", Value: []byte("v")})
	if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "cannot be published") ||
		time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestEnsureIsIdempotentAndNeverAddsPartitions(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := bus.Topic{Name: "test." + id.New(), Partitions: 3, Retention: time.Hour}
		for range 2 {
			if err := bus.Ensure(t.Context(), w.cluster, topic); err != nil {
				t.Fatal(err)
			}
			topic.Partitions, topic.Retention = 5, 2*time.Hour
		}
		cl, err := w.cluster.Client("test")
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		want := 3
		if w.broker != nil {
			want = 1
		}
		if n := partitionCount(t, cl, topic.Name); n != want {
			t.Fatalf("%d partitions, want %d", n, want)
		}
	})
}

// The embedded broker is closed and opened again on its directory and address
// while a batch is being handled; consumer and producer find it again.
func TestABrokerThatRestartsInMidBatchLosesAndRepeatsNothing(t *testing.T) {
	w := &world{t: t}
	dir, address := t.TempDir(), "127.0.0.1:0"
	restart := func() {
		b, err := broker.New(broker.Config{
			DataDir: dir,
			Listen:  address,
			Topics:  []bus.Topic{{Name: "a"}},
			Guests:  broker.Rights{Write: []string{"a"}, Read: []string{"a"}},
		})
		if err == nil {
			err = b.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		w.broker, address = b, b.Addr()
	}
	restart()
	t.Cleanup(func() { w.broker.Close() })
	w.cluster = bus.Cluster{Brokers: []string{address}}
	w.open("")
	p := w.producer()
	w.publish(p, "a", 0, 100)
	held, release := make(chan struct{}), make(chan struct{})
	first := true
	w.consume(bus.Config{Group: "g", Topics: []string{"a"}, MaxRecords: 10, HandleTimeout: patience, Drain: patience,
		Handle: func(ctx context.Context, b *bus.Batch) error {
			if first {
				first = false
				close(held)
				<-release
			}
			return w.store(ctx, b)
		}})
	<-held
	w.broker.Close()
	restart()
	close(release)
	w.publish(p, "a", 100, 100)
	poll.Until(t, "all rows", func() bool { return len(w.seen()) >= 200 })
	w.complete(200)
}

// A position beyond the log's end and a record that is another one, on every
// engine: what the embedded tests reach by losing files is written into the row.
func TestAPositionThatDoesNotFitBeginsAgainWithANewEpoch(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			reason bus.Reason
			spoil  string
		}{
			{bus.Ahead, `UPDATE bus_offset SET next = 500, crc = NULL WHERE topic = $1`},
			{bus.Changed, `UPDATE bus_offset SET crc = crc + 1 WHERE topic = $1`},
		} {
			topic, group := w.topic(1), id.New()
			w.publish(w.producer(), topic, 0, 20)
			done := len(w.seen())
			_, stop := w.consume(bus.Config{Group: group, Topics: []string{topic}})
			poll.Until(t, "20 rows", func() bool { return len(w.seen()) == done+20 })
			stop()
			err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), c.spoil, topic)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			before := position(t, w, topic)
			list, err := bus.VerifyOffsets(t.Context(), w.cluster, w.db)
			if err != nil || len(list) != 1 || list[0].Reason != c.reason || list[0].Topic != topic || list[0].To != 0 {
				t.Fatalf("%s: %+v %v", c.reason, list, err)
			}
			after := position(t, w, topic)
			if after.Next != 0 || after.Epoch <= before.Epoch {
				t.Fatalf("%s: %+v after %+v", c.reason, after, before)
			}
			w.consume(bus.Config{Group: group, Topics: []string{topic}})
			poll.Until(t, "the rows again", func() bool { return len(w.seen()) == done+40 })
		}
	})
}

func position(t *testing.T, w *world, topic string) bus.Position {
	t.Helper()
	list, err := bus.Positions(t.Context(), w.db)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.Topic == topic {
			return p
		}
	}
	t.Fatalf("no position of %s", topic)
	return bus.Position{}
}
