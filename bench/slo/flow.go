package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo"
)

// The accounts of the flow: an account has flowOrigins objectives, each on one origin of its only zone.
const (
	flowOrigins    = 500
	flowPartitions = 2
	flowTicks      = 12
)

// flow is the shards of one process with their store, the embedded broker and a producer.
type flow struct {
	accounts int
	db       *db.DB
	cluster  bus.Cluster
	producer *bus.Producer
	start    int64 // Unix seconds of the first tick
	next     int64 // ticks that were published
	sent     int   // records that were published
	published
}

// published counts the records of a row.
type published struct{ counts, bytes int }

// measureFlow measures counts from the topic to a committed block: a row begins with the publishing of its records and
// ends when their offsets are committed.
func measureFlow(ctx context.Context, o options, out *report.Report) (err error) {
	w, closeAll, err := newFlow(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := w.objectives(ctx); err != nil {
		return err
	}
	t := out.Table("From the topic to a committed block",
		"row", "counts", "bytes", "counts/s", "CPU of each", "took", "memory", "load")
	t.Note(fmt.Sprintf("%s; SQLite, embedded broker, %d partitions, %s origins with an objective each in %s zones; every "+
		"count is added to its origin and to its zone. The CPU of producer and broker is in the rows.",
		process.Machine(), flowPartitions, report.Thousands(w.accounts*flowOrigins), report.Thousands(w.accounts)))
	row := func(name string, ticks int) error {
		list, err := w.messages(ticks)
		if err != nil {
			return err
		}
		before := process.SelfCPU()
		began := time.Now()
		if err := w.publish(ctx, list); err != nil {
			return err
		}
		took := time.Since(began)
		cpu := process.SelfCPU() - before
		t.Add(
			name,
			report.Thousands(w.counts),
			report.Megabytes(int64(w.bytes)),
			report.Rate(w.counts, took),
			fmt.Sprintf("%.2f us", float64(cpu.Nanoseconds())/1000/float64(w.counts)),
			report.Milliseconds(took),
			report.Megabytes(process.MemoryOf(os.Getpid()).Anonymous),
			process.Load(),
		)
		return nil
	}
	err = w.run(ctx, func(ctx context.Context) error {
		if err := row("first tick: series are added", 1); err != nil {
			return err
		}
		return row("ticks in order", flowTicks)
	})
	if err != nil {
		return err
	}
	err = w.run(ctx, func(context.Context) error { return row("restart, and a tick", 1) })
	if err != nil {
		return err
	}
	return w.alertLatency(ctx, out)
}

func newFlow(ctx context.Context, o options) (w *flow, closeAll func() error, err error) {
	d, err := db.Open(ctx, db.Config{
		Feature: "slo",
		DataDir: o.dir,
		Schemas: []db.Schema{bus.Schema(), slo.Schema()},
	})
	if err != nil {
		return nil, nil, err
	}
	b, err := broker.New(broker.Config{DataDir: filepath.Join(o.dir, "broker")})
	if err == nil {
		err = b.Start(ctx)
	}
	if err == nil {
		topic := bus.Topic{Name: event.TopicTrafficSharded, Partitions: flowPartitions}
		err = bus.Ensure(ctx, b.Cluster(), topic)
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	cluster := b.Cluster()
	cluster.Key = []byte("a key of the installation")
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster})
	if err != nil {
		return nil, nil, err
	}
	w = &flow{
		accounts: max(1, o.origins/flowOrigins),
		db:       d,
		cluster:  cluster,
		producer: p,
		start:    time.Now().Unix()/slo.Tick*slo.Tick - 3600,
	}
	closeAll = func() error {
		return errors.Join(p.Close(context.WithoutCancel(ctx)), b.Close(), d.Close())
	}
	return w, closeAll, nil
}

func account(i int) string { return fmt.Sprintf("%032x", 0x0192f7c4_17d17000+uint64(i)) }
func zone(i int) string    { return fmt.Sprintf("%032x", 0x0192f7c4_17d18000_0+uint64(i)) }
func origin(i int) string  { return fmt.Sprintf("origin-%d.example:443", i) }

// objectives writes the objectives' rows, without the checks of the API.
func (w *flow) objectives(ctx context.Context) error {
	columns := []string{"id", "account_id", "name", "zone_id", "kind", "value", "sli", "config",
		"created_at", "modified_at"}
	config := `{"target":99.9,"window":"30d","pairs":"standard","guard":{"alpha":0.000001}}`
	for a := range w.accounts {
		rows := make([][]any, flowOrigins)
		for i := range rows {
			rows[i] = []any{
				fmt.Sprintf("%032x", a*flowOrigins+i),
				account(a),
				fmt.Sprint("objective ", i),
				zone(a),
				"origin",
				origin(i),
				"",
				config,
				int64(0),
				int64(0),
			}
		}
		err := w.db.Tx(ctx, func(tx *db.Tx) error { return tx.Insert(ctx, "objective", columns, "", rows) })
		if err != nil {
			return err
		}
	}
	return nil
}

// messages makes the records of some ticks, one for each zone and tick.
func (w *flow) messages(ticks int) (list []bus.Message, err error) {
	w.published = published{}
	rng := rand.New(rand.NewPCG(uint64(w.next), 3))
	for range ticks {
		at := w.start + w.next*slo.Tick
		for a := range w.accounts {
			r := event.Traffic{Account: account(a), Zone: zone(a), ID: fmt.Sprint(at)}
			for i := range flowOrigins {
				c := event.Count{At: at, Seconds: slo.Tick, Origin: origin(i), Total: 1 + rng.Int64N(60)}
				if i%8 == 0 && rng.IntN(30) == 0 {
					c.Bad = 1
				}
				r.Counts = append(r.Counts, c)
			}
			m, err := message(r)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
			w.counts += len(r.Counts)
			w.bytes += len(m.Value)
		}
		w.next++
	}
	return list, nil
}

func message(r event.Traffic) (bus.Message, error) {
	value, err := json.Marshal(r)
	return bus.Message{Topic: event.TopicTrafficSharded, Key: []byte(r.Zone), Value: value}, err
}

// run consumes until done returns.
func (w *flow) run(ctx context.Context, done func(context.Context) error) error {
	f, err := slo.New(slo.Config{
		Env: feature.Env{
			DB:     w.db,
			Record: feature.NewRecorder(func(context.Context, *db.Tx, ...event.Audit) error { return nil }),
		},
		Zone: func(_ context.Context, _, ref string) (string, string, error) { return ref, ref, nil },
	})
	if err != nil {
		return err
	}
	consumer, err := f.Consumer(w.cluster)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()
	err = done(ctx)
	stop()
	return errors.Join(err, <-ended)
}

// publish publishes records and waits until they are committed.
func (w *flow) publish(ctx context.Context, list []bus.Message) error {
	if err := w.producer.Publish(ctx, list...); err != nil {
		return err
	}
	w.sent += len(list)
	return w.committed(ctx)
}

// committed waits until every published record is committed.
func (w *flow) committed(ctx context.Context) error {
	want := w.sent
	for {
		var next int
		err := w.db.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT coalesce(sum(next), 0) FROM bus_offset`).Scan(&next)
		})
		if err != nil || next >= want {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alertLatency measures the time from publishing the record that crosses the threshold to the committed alert. The
// consumer is idle before, and each alert is that of another origin.
func (w *flow) alertLatency(ctx context.Context, out *report.Report) error {
	const alerts = 50
	t := out.Table("From the crossing record on the topic to the committed alert", "row", "p50", "p99", "max", "load")
	at := w.start + w.next*slo.Tick
	var times []time.Duration
	err := w.run(ctx, func(ctx context.Context) error {
		for i := range alerts + 1 {
			began := time.Now()
			c := event.Count{At: at, Seconds: slo.Tick, Origin: origin(i), Total: 100_000, Bad: 90_000}
			m, err := message(event.Traffic{
				Account: account(0),
				Zone:    zone(0),
				ID:      fmt.Sprint("outage ", i),
				Counts:  []event.Count{c},
			})
			if err == nil {
				err = w.producer.Publish(ctx, m)
			}
			if err != nil {
				return err
			}
			if err := w.awaitAlert(ctx, i+1); err != nil {
				return err
			}
			if i > 0 { // the first one waits for the shard to be read
				times = append(times, time.Since(began))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Add(
		fmt.Sprintf("%d alerts, one after the other", alerts),
		report.Milliseconds(report.Quantile(times, 0.5)),
		report.Milliseconds(report.Quantile(times, 0.99)),
		report.Milliseconds(report.Quantile(times, 1)),
		process.Load(),
	)
	return nil
}

// awaitAlert waits until the outbox has a number of alerts.
func (w *flow) awaitAlert(ctx context.Context, want int) error {
	deadline := time.Now().Add(time.Minute)
	for {
		var n int
		err := w.db.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM transition`).Scan(&n)
		})
		if err != nil || n >= want {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d alerts after a minute", n, want)
		}
		time.Sleep(time.Millisecond)
	}
}
