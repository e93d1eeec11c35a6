package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/engines"
)

// patience is the longest that a test waits for something that will happen.
const patience = 60 * time.Second

// rows stores the records of the tests' consumers: duplicates are kept, so that
// "exactly once" can fail.
var rows = db.Schema{Source: "test", Files: fstest.MapFS{"0001_row.sql": &fstest.MapFile{
	Data: []byte(`CREATE TABLE seen (value TEXT NOT NULL, at_partition BIGINT NOT NULL, at_offset BIGINT NOT NULL);`)}}}

// world is one pairing of a broker and a database.
type world struct {
	t       *testing.T
	cluster bus.Cluster
	db      *db.DB
	broker  *broker.Broker // nil with Apache Kafka

	mu      sync.Mutex // guards skipped
	skipped []bus.Skipped
}

// everywhere runs a test on the embedded broker with SQLite, with consumers that
// are alone and with consumers of a group, on the embedded broker with PostgreSQL,
// and on Apache Kafka with PostgreSQL, as far as they are there.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("embedded-sqlite", func(t *testing.T) { test(t, embedded(t, "")) })
	t.Run("embedded-postgres", func(t *testing.T) { test(t, embedded(t, engines.Postgres(t))) })
	grouped(t, test)
}

// grouped runs a test where consumers are members of a group.
func grouped(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("group-sqlite", func(t *testing.T) {
		w := embedded(t, "")
		w.cluster.Alone = false
		test(t, w)
	})
	t.Run("kafka-postgres", func(t *testing.T) {
		w := &world{t: t, cluster: bus.Cluster{Brokers: strings.Split(engines.Kafka(t), ",")}}
		w.open(engines.Postgres(t))
		test(t, w)
	})
}

func embedded(t *testing.T, url string) *world {
	w := &world{t: t}
	w.start(t.TempDir())
	w.open(url)
	return w
}

func (w *world) start(dir string) {
	w.t.Helper()
	b, err := broker.New(broker.Config{DataDir: dir})
	if err == nil {
		err = b.Start(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { b.Close() })
	w.broker, w.cluster = b, b.Cluster()
}

func (w *world) open(url string) {
	w.t.Helper()
	d, err := db.Open(w.t.Context(), db.Config{
		Feature: "test",
		DataDir: w.t.TempDir(),
		URL:     url,
		Schemas: []db.Schema{bus.Schema(), rows},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { d.Close() })
	w.db = d
}

// topic makes a topic of its own.
func (w *world) topic(partitions int) string {
	w.t.Helper()
	name := "test." + id.New()
	if err := bus.Ensure(w.t.Context(), w.cluster, bus.Topic{Name: name, Partitions: partitions}); err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *world) producer() *bus.Producer {
	w.t.Helper()
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: w.cluster})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// publish writes n values "00000", "00001", ... from first on.
func (w *world) publish(p *bus.Producer, topic string, first, n int) {
	w.t.Helper()
	msgs := make([]bus.Message, n)
	for i := range msgs {
		msgs[i] = bus.Message{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "%05d", first+i)}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := p.Publish(ctx, msgs...); err != nil {
		w.t.Fatal(err)
	}
}

// store is the Handle of a well-behaved feature.
func (w *world) store(ctx context.Context, b *bus.Batch) error {
	return w.db.Tx(ctx, func(tx *db.Tx) error {
		if err := b.Commit(ctx, tx); err != nil {
			return err
		}
		for _, r := range b.Records {
			if _, err := tx.Exec(ctx, `INSERT INTO seen (value, at_partition, at_offset) VALUES ($1, $2, $3)`, string(r.Value),
				b.Partition, r.Offset); err != nil {
				return err
			}
		}
		return nil
	})
}

// seen lists what was stored, in the order of partition and offset.
func (w *world) seen() []string {
	w.t.Helper()
	var list []string
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
		list = nil
		r, err := tx.Query(w.t.Context(), `SELECT value FROM seen ORDER BY at_partition, at_offset, value`)
		if err != nil {
			return err
		}
		defer r.Close()
		for r.Next() {
			var v string
			if err := r.Scan(&v); err != nil {
				return err
			}
			list = append(list, v)
		}
		return r.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// consume runs a consumer; the function it returns stops it and waits.
func (w *world) consume(cfg bus.Config) (*bus.Consumer, func()) {
	w.t.Helper()
	cfg.Cluster, cfg.DB = w.cluster, w.db
	if cfg.Handle == nil {
		cfg.Handle = w.store
	}
	if cfg.Retry.Max == 0 {
		cfg.Retry = bus.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond}
	}
	cfg.Log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	c, err := bus.NewConsumer(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Skipped = func(_ context.Context, _ *db.Tx, s bus.Skipped) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.skipped = append(w.skipped, s)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
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
	return c, stop
}

// complete checks that exactly the values from 0 to n-1 were stored, in order
// and once each.
func (w *world) complete(n int) {
	w.t.Helper()
	list := w.seen()
	for i, v := range list {
		if v != fmt.Sprintf("%05d", i) {
			w.t.Fatalf("row %d is %s (of %d rows, %d wanted)", i, v, len(list), n)
		}
	}
	if len(list) != n {
		w.t.Fatalf("%d rows, want %d", len(list), n)
	}
}

var errBoom = errors.New("boom")
