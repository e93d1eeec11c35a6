package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/bench/internal/load"
	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// bareCommit is the number of events in a transaction, as in the ledger's group commit.
const bareCommit = 4000

// bareTopic has no consumer.
const bareTopic = "belfry.bench.bare"

type bareEvent struct {
	account, id string
	value       []byte
}

// bareTable is a table for plain inserts, with or without the columns that recognise duplicates.
type bareTable struct {
	title   string
	name    string
	columns []string
	create  []string
	row     func(position int64, e bareEvent) []any
}

var bareTables = []bareTable{
	{
		title:   "inserts",
		name:    "plain",
		columns: []string{"pos", "body"},
		create:  []string{`CREATE TABLE plain (pos BIGINT PRIMARY KEY, body BYTEA NOT NULL)`},
		row:     func(position int64, e bareEvent) []any { return []any{position, e.value} },
	},
	{
		title:   "inserts with ids",
		name:    "named",
		columns: []string{"pos", "account", "id", "body"},
		create: []string{
			`CREATE TABLE named (pos BIGINT PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, body BYTEA NOT NULL)`,
			`CREATE UNIQUE INDEX named_id ON named (account, id)`,
		},
		row: func(position int64, e bareEvent) []any {
			return []any{
				position,
				e.account,
				e.id,
				e.value,
			}
		},
	},
}

// bare measures the parts by themselves.
func (b *bench) bare(ctx context.Context) error {
	events := make([]bareEvent, b.events)
	g := newGenerator(1, []string{"0192f7c417d170008000000000000001"}, present)
	for i := range events {
		value, account := g.next(nil)
		events[i] = bareEvent{account: account, id: string(value[7:43]), value: value} // the id is the first member
	}
	for _, t := range bareTables {
		if err := b.bareInserts(ctx, t, events); err != nil {
			return err
		}
	}
	return b.bareBus(ctx, events)
}

func (b *bench) bareRow(name string, n int, u usage, took time.Duration) {
	t := b.out.Table("The bare parts: the same bytes without tree and API", "part", "events", "events/s",
		"this process us/event", "database us/event", "broker us/event",
		"HTTP batches of this run against it, CPU", "load")
	t.Note("Plain inserts by the same writer settings, 4,000 events a transaction (as the ledger's group commit), " +
		"one lane " +
		"on SQLite and two on PostgreSQL; \"with ids\" adds the account, the id and a unique index, which any store that " +
		"recognises duplicates needs. The bus: acks=all to a topic without consumers; the embedded broker and the client " +
		"run in this process. The ratio is CPU per event of all processes on an empty database, generator left out.")
	ratio := ""
	if own := u.bench + u.database + u.broker; b.httpCPU > 0 && own > 0 {
		ratio = fmt.Sprintf("%.1f times", b.httpCPU/(float64(own.Microseconds())/float64(n)))
	}
	t.Add(
		name,
		report.Thousands(n),
		report.Rate(n, took),
		report.Each(u.bench, n),
		report.Each(u.database, n),
		report.Each(u.broker, n),
		ratio,
		process.Load(),
	)
	b.say("%s: %s events/s", name, report.Rate(n, took))
}

func (b *bench) bareInserts(ctx context.Context, t bareTable, events []bareEvent) (err error) {
	d, err := db.Open(ctx, db.Config{Feature: "bare", DataDir: filepath.Join(b.dir, "bare"), URL: b.postgres})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	err = d.Tx(ctx, func(tx *db.Tx) error {
		for _, text := range append([]string{`DROP TABLE IF EXISTS ` + t.name}, t.create...) {
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
	commits := (len(events) + bareCommit - 1) / bareCommit
	before := b.usage()
	err = load.Flood(ctx, lanes, commits, func(ctx context.Context, _, i int) error {
		first := i * bareCommit
		var rows [][]any
		for n, e := range events[first:min(first+bareCommit, len(events))] {
			rows = append(rows, t.row(int64(first+n), e))
		}
		return d.Tx(ctx, func(tx *db.Tx) error { return tx.Insert(ctx, t.name, t.columns, "", rows) })
	})
	after := b.usage()
	b.bareRow(t.title, len(events), after.since(before), after.at.Sub(before.at))
	return err
}

func (b *bench) bareBus(ctx context.Context, events []bareEvent) error {
	cluster := bus.Cluster{Brokers: []string{b.kafka}}
	name := "Apache Kafka, acks=all"
	topic := bus.Topic{Name: bareTopic, Partitions: 16, Retention: time.Hour}
	if b.kafka == "" {
		embedded, err := broker.New(broker.Config{
			DataDir: filepath.Join(b.dir, "bare", "bus"),
			Listen:  "127.0.0.1:0",
			Topics:  []bus.Topic{topic},
		})
		if err != nil {
			return err
		}
		if err := embedded.Start(ctx); err != nil {
			return err
		}
		defer embedded.Close()
		cluster = embedded.Cluster()
		name = "the embedded broker, acks=all"
	} else if err := bus.Ensure(ctx, cluster, topic); err != nil {
		return err
	}

	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		records[i] = &kgo.Record{Topic: bareTopic, Key: []byte(e.id), Value: e.value}
	}
	before := b.usage()
	err := produce(ctx, cluster, records)
	after := b.usage()
	b.bareRow(name, len(events), after.since(before), after.at.Sub(before.at))
	return err
}
