package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

const bareTitle = "The bare parts: the same bytes without tree and API"

func (b *bench) bareRow(name string, n int, took time.Duration, u usage) {
	t := b.out.table(bareTitle, "part", "events", "events/s", "this process us/event", "database us/event", "broker us/event", "HTTP batches of this run against it, CPU", "load")
	t.note("Plain inserts by the same writer settings, 4,000 events a transaction (as the ledger's group commit), one lane on SQLite and two on PostgreSQL; \"with ids\" adds the account, the id and a unique index, which any store that recognises duplicates needs. " +
		"The bus: acks=all to a topic that nobody reads; the embedded broker and the client run in this process. The ratio is CPU per event of all processes on an empty database, generator left out.")
	ratio := ""
	if own := u.bench + u.database + u.broker; b.httpCPU > 0 && own > 0 {
		ratio = fmt.Sprintf("%.1f times", b.httpCPU/(float64(own.Microseconds())/float64(n)))
	}
	t.add(name, thousands(n), rate(n, took), each(u.bench, n), each(u.database, n), each(u.broker, n), ratio, read("/proc/loadavg")[:4])
	b.say("%s: %s events/s", name, rate(n, took))
}

// bare measures what the parts do by themselves.
func (b *bench) bare(ctx context.Context) error {
	values := make([]bareEvent, b.events)
	g := newGenerator(1, []string{"0192f7c417d170008000000000000001"}, present)
	for i := range values {
		value, account := g.next(nil)
		values[i] = bareEvent{account, string(value[7:43]), value} // the id is the first member
	}
	for _, ids := range []bool{false, true} {
		if err := b.bareInserts(ctx, values, ids); err != nil {
			return err
		}
	}
	return b.bareBus(ctx, values)
}

type bareEvent struct {
	account, id string
	value       []byte
}

// usageHere is the CPU of this process and, on PostgreSQL, of the database and
// the broker.
func (b *bench) usageHere() usage {
	s := &server{b: b}
	s.others = map[string][]int{"broker": family(listener(b.kafka))}
	u := usage{at: time.Now(), bench: selfCPU()}
	if b.postgres != "" {
		for _, pid := range family(listener(hostport(b.postgres))) {
			u.database += cpu(pid)
		}
		for _, pid := range s.others["broker"] {
			u.broker += cpu(pid)
		}
	}
	return u
}

func (b *bench) bareInserts(ctx context.Context, values []bareEvent, ids bool) (err error) {
	d, err := db.Open(ctx, db.Config{Feature: "bare", DataDir: filepath.Join(b.dir, "bare"), URL: b.postgres})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	name, table, columns := "inserts", "plain", []string{"pos", "body"}
	create := []string{`CREATE TABLE plain (pos BIGINT PRIMARY KEY, body BYTEA NOT NULL)`}
	if ids {
		name, table, columns = "inserts with ids", "named", []string{"pos", "account", "id", "body"}
		create = []string{`CREATE TABLE named (pos BIGINT PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, body BYTEA NOT NULL)`, `CREATE UNIQUE INDEX named_id ON named (account, id)`}
	}
	err = d.Tx(ctx, func(tx *db.Tx) error {
		for _, text := range append([]string{`DROP TABLE IF EXISTS ` + table}, create...) {
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	lanes := 1
	if d.Engine == db.Postgres {
		lanes = 2
	}
	var next atomic.Int64
	failed := make([]error, lanes)
	before := b.usageHere()
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for {
				end := int(next.Add(4000))
				part := values[min(end-4000, len(values)):min(end, len(values))]
				if len(part) == 0 {
					return
				}
				rows := make([][]any, len(part))
				for i, v := range part {
					if pos := int64(end - 4000 + i); ids {
						rows[i] = []any{pos, v.account, v.id, v.value}
					} else {
						rows[i] = []any{pos, v.value}
					}
				}
				failed[lane] = d.Tx(ctx, func(tx *db.Tx) error { return tx.Insert(ctx, table, columns, "", rows) })
				if failed[lane] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	after := b.usageHere()
	b.bareRow(name, len(values), after.at.Sub(before.at), after.since(before))
	return errors.Join(failed...)
}

// bareTopic is read by nobody.
const bareTopic = "belfry.bench.bare"

func (b *bench) bareBus(ctx context.Context, values []bareEvent) error {
	address, name := b.kafka, "Apache Kafka, acks=all"
	topic := bus.Topic{Name: bareTopic, Partitions: 16, Retention: time.Hour}
	if address == "" {
		br, err := broker.New(broker.Config{DataDir: filepath.Join(b.dir, "bare", "bus"), Listen: "127.0.0.1:0", Topics: []bus.Topic{topic}})
		if err != nil {
			return err
		}
		if err := br.Start(ctx); err != nil {
			return err
		}
		defer br.Close()
		address, name = br.Addr(), "the embedded broker, acks=all"
	} else if err := bus.Ensure(ctx, bus.Cluster{Brokers: []string{address}}, topic); err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxBufferedRecords(20_000), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed error
	before := b.usageHere()
	for _, v := range values {
		cl.Produce(ctx, &kgo.Record{Topic: bareTopic, Key: []byte(v.id), Value: v.value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err // callbacks run one after the other
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	after := b.usageHere()
	b.bareRow(name, len(values), after.at.Sub(before.at), after.since(before))
	return failed
}
