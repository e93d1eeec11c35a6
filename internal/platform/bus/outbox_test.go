package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

// enqueue writes the values first to first+n-1 in one transaction.
func (w *world) enqueue(ctx context.Context, topic string, first, n int) error {
	return w.db.Tx(ctx, func(tx *db.Tx) error {
		for i := range n {
			m := bus.Message{
				Topic:   topic,
				Key:     []byte("k"),
				Value:   fmt.Appendf(nil, "%05d", first+i),
				Headers: []bus.Header{{Key: "n", Value: []byte{byte(i)}}},
			}
			if err := bus.Enqueue(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// relay runs a relay until the function that it returns is called.
func (w *world) relay(deliver func(context.Context, []bus.Message) error, opts bus.RelayOptions) (*bus.Relay, func()) {
	w.t.Helper()
	r, err := bus.NewRelay(w.db, deliver, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(stop)
	return r, stop
}

func (w *world) outboxSize() (n int) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM outbox`).Scan(&n)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestTheOutboxReachesTheTopicWithItsTraceAndHeaders(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		span := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{1},
			SpanID:     trace.SpanID{2},
			TraceFlags: trace.FlagsSampled,
		})
		if err := w.enqueue(trace.ContextWithSpanContext(t.Context(), span), topic, 0, 20); err != nil {
			t.Fatal(err)
		}
		producer := w.producer()
		publish := func(ctx context.Context, msgs []bus.Message) error { return producer.Publish(ctx, msgs...) }
		relay, _ := w.relay(publish, bus.RelayOptions{Poll: time.Hour})
		relay.Notify()
		var bad atomic.Int32
		w.consume(bus.Config{Group: id.New(), Topics: []string{topic}, Handle: func(ctx context.Context, b *bus.Batch) error {
			for i := range b.Records {
				r := &b.Records[i]
				got := trace.SpanContextFromContext(r.Context(ctx))
				if got.TraceID() != span.TraceID() || r.Header("n") != string([]byte{byte(r.Offset)}) || string(r.Key) != "k" {
					bad.Add(1)
				}
			}
			return w.store(ctx, b)
		}})
		poll.Until(t, "20 rows", func() bool { return len(w.seen()) >= 20 })
		w.complete(20)
		if bad.Load() > 0 {
			t.Fatalf("%d records lost their trace, header or key", bad.Load())
		}
		poll.Until(t, "an empty outbox", func() bool { return w.outboxSize() == 0 })
	})
}

func TestDeliveredWaitsForWhatIsInTheOutboxAndForNoMore(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		if err := w.enqueue(t.Context(), "mine", 0, 3); err != nil {
			t.Fatal(err)
		}
		open := make(chan struct{})
		r, _ := w.relay(func(context.Context, []bus.Message) error { <-open; return nil }, bus.RelayOptions{
			Batch: 3,
			Poll:  5 * time.Millisecond,
		})
		for _, other := range []struct{ topic, key string }{{"mine", "other"}, {"others", "k"}} {
			if err := r.Delivered(t.Context(), other.topic, []byte(other.key)); err != nil {
				t.Errorf("%v: %v", other, err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		waited := make(chan error, 2)
		go func() { waited <- r.Delivered(ended, "mine", []byte("k")) }()
		cancel()
		if err := <-waited; err == nil {
			t.Error("it did not wait")
		}
		go func() { waited <- r.Delivered(t.Context(), "mine", []byte("k")) }()
		close(open)
		if err := <-waited; err != nil || w.outboxSize() != 0 {
			t.Errorf("%v, %d messages are left", err, w.outboxSize())
		}
	})
}

func TestARolledBackTransactionPublishesNothing(t *testing.T) {
	w := embedded(t, "")
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		return errors.Join(bus.Enqueue(t.Context(), tx, bus.Message{Topic: "a"}), errBoom)
	})
	if !errors.Is(err, errBoom) || w.outboxSize() != 0 {
		t.Fatalf("%v, %d messages", err, w.outboxSize())
	}
}

// Deliveries fail before and after the receiver has them; relays come and go,
// two at a time. Nothing is lost, and the first arrivals are in order.
func TestTheOutboxSurvivesFailuresAndKeepsItsOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const total = 600
		var mu sync.Mutex
		var arrived []string
		known := map[string]bool{}
		var busy atomic.Int32
		deliver := func(ctx context.Context, msgs []bus.Message) error {
			if busy.Add(1) > 1 {
				t.Error("two relays deliver at a time")
			}
			defer busy.Add(-1)
			dice := rand.IntN(4)
			if dice == 0 {
				return errBoom
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range msgs {
				if !known[string(m.Value)] {
					known[string(m.Value)] = true
					arrived = append(arrived, string(m.Value))
				}
			}
			if dice == 1 {
				return errBoom
			}
			return nil
		}
		opts := bus.RelayOptions{
			Batch: 20,
			Poll:  5 * time.Millisecond,
			Lease: 10 * time.Second,
			Retry: bus.Backoff{Max: 20 * time.Millisecond},
		}
		_, stop := w.relay(deliver, opts)
		w.relay(deliver, opts)
		for i := 0; i < total; i += 10 {
			if err := w.enqueue(t.Context(), "a", i, 10); err != nil {
				t.Fatal(err)
			}
			if i == total/2 {
				stop()
			}
		}
		poll.Until(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(arrived) == total })
		mu.Lock()
		defer mu.Unlock()
		for i, v := range arrived {
			if v != fmt.Sprintf("%05d", i) {
				t.Fatalf("arrival %d is %s", i, v)
			}
		}
	})
}

func TestALeaseOfADeadProcessIsEndedByItsSuccessor(t *testing.T) {
	w := embedded(t, "")
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO outbox_lease (one, holder, until) VALUES (1, 'dead', $1)`,
			time.Now().Add(time.Hour).UnixMicro())
		return err
	})
	if err == nil {
		err = w.enqueue(t.Context(), "a", 0, 1)
	}
	if err == nil {
		err = bus.EndLease(t.Context(), w.db)
	}
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan struct{}, 1)
	w.relay(func(context.Context, []bus.Message) error { came <- struct{}{}; return nil },
		bus.RelayOptions{Poll: 5 * time.Millisecond})
	select {
	case <-came:
	case <-time.After(patience):
		t.Fatal("the message waits for the dead process")
	}
}

func TestAnotherRelayTakesOverFromADeadOne(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		// A process that died while it held the lease.
		err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO outbox_lease (one, holder, until) VALUES (1, 'dead', $1)`,
				time.Now().Add(300*time.Millisecond).UnixMicro())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.enqueue(t.Context(), "a", 0, 1); err != nil {
			t.Fatal(err)
		}
		began, came := time.Now(), make(chan time.Time, 1)
		w.relay(func(context.Context, []bus.Message) error { came <- time.Now(); return nil },
			bus.RelayOptions{Poll: 5 * time.Millisecond})
		select {
		case at := <-came:
			if at.Sub(began) < 200*time.Millisecond {
				t.Fatalf("delivered after %v, inside the other's lease", at.Sub(began))
			}
		case <-time.After(patience):
			t.Fatal("nobody took over")
		}
	})
}
