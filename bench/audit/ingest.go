package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

const (
	plainBatches = "HTTP, batches" // the row that the bare parts are compared with
	gzipBatches  = "HTTP, batches, gzip"
	singleEvents = "HTTP, single events"

	batchSize     = 1000
	batchCallers  = 4
	singleCallers = 64
	singleTokens  = 32 // accounts that send single events: one credential may make 2,000 requests a second
)

// ingestRow is one kind of ingest over HTTP.
type ingestRow struct {
	name       string
	total      int
	batch      int
	callers    int
	zipped     bool
	oneAccount bool
}

func (b *bench) rows() []ingestRow {
	return []ingestRow{
		{name: "HTTP, batches, first of most accounts", total: b.events, batch: batchSize, callers: batchCallers},
		{name: plainBatches, total: b.events, batch: batchSize, callers: batchCallers},
		{name: gzipBatches, total: b.events, batch: batchSize, callers: batchCallers, zipped: true},
		{name: "HTTP, batches, one account", total: b.events, batch: batchSize, callers: batchCallers, oneAccount: true},
		{name: singleEvents, total: b.events / 5, batch: 1, callers: singleCallers},
	}
}

// prepare makes the requests of a row before its time begins.
func (b *bench) prepare(ctx context.Context, s *measuredServer, r ingestRow) ([]request, error) {
	accounts := b.state.Accounts
	if r.oneAccount {
		accounts = []string{b.state.One}
	}
	if r.batch == 1 {
		var err error
		if accounts, err = s.publishers(ctx); err != nil {
			return nil, err
		}
	}
	g := b.fresh(r.total, accounts)
	var list []request
	for made := 0; made < r.total; made += r.batch {
		n := min(r.batch, r.total-made)
		var body []byte
		account := ""
		for range n {
			body, account = g.next(body)
			body = append(body, '\n')
		}
		path := "/audit/events"
		if r.batch == 1 {
			path = "/accounts/" + account + path
		}
		if r.zipped {
			var err error
			if body, err = zipped(body); err != nil {
				return nil, err
			}
		}
		list = append(list, request{path, body, n})
	}
	return list, nil
}

// fresh makes a generator whose ids and choices no earlier row had.
func (b *bench) fresh(n int, accounts []string) *generator {
	g := newGenerator(b.state.Made, accounts, present)
	b.state.Made += uint64(n)
	return g
}

func zipped(body []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (b *bench) ingestTable() *report.Table {
	t := b.out.Table("Events in: durable, proved and queryable when answered", "on-ramp", "database", "events", "events/s",
		"server us/event", "database us/event", "broker us/event", "request p50", "request p99",
		"generator's share of the CPU", "load")
	t.Note(fmt.Sprintf("Events of about 490 bytes with their own UUIDs, over %d accounts (Zipf 1.1). Batches are NDJSON "+
		"of %d events from %d callers, single events come from %d callers with the tokens of %d accounts; bodies are made "+
		"before the time begins. us/event is user and system time of the server's process (with SQLite and the embedded "+
		"broker in it), of PostgreSQL's processes and of the Kafka broker, from /proc/PID/stat. load is the machine's load "+
		"average over the last minute: other work counts in it.",
		b.accounts, batchSize, batchCallers, singleCallers, singleTokens))
	return t
}

func (b *bench) addIngest(name, size string, n int, took time.Duration, u usage, times []time.Duration) {
	share := float64(u.bench) / float64(u.bench+u.served())
	b.ingestTable().Add(
		name,
		size,
		report.Thousands(n),
		report.Rate(n, took),
		report.Each(u.server, n),
		report.Each(u.database, n),
		report.Each(u.broker, n),
		report.Milliseconds(report.Quantile(times, 0.5)),
		report.Milliseconds(report.Quantile(times, 0.99)),
		fmt.Sprintf("%.0f %%", 100*share),
		process.Load(),
	)
	b.say("%s, %s: %s events/s, %s us/event of the server", name, size, report.Rate(n, took), report.Each(u.server, n))
}

// ingest measures every on-ramp on the database as it is.
func (b *bench) ingest(ctx context.Context, size string) error {
	return b.within(ctx, func(s *measuredServer) error {
		rows := b.rows()
		if size != "empty" {
			rows = rows[1:]
		}
		for _, r := range rows {
			list, err := b.prepare(ctx, s, r)
			if err != nil {
				return err
			}
			before := b.usage()
			n, times, err := s.publish(ctx, r.callers, list)
			after := b.usage()
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			u := after.since(before)
			b.addIngest(r.name, size, n, after.at.Sub(before.at), u, times)
			if r.name == plainBatches && size == "empty" && n > 0 {
				b.httpCPU = float64(u.served().Microseconds()) / float64(n)
			}
		}
		s.memoryRow("after the HTTP rows, " + size)
		if err := b.topic(ctx, s, size); err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		return nil
	})
}

// publishers are the accounts that send single events, each with a token.
func (s *measuredServer) publishers(ctx context.Context) ([]string, error) {
	state := &s.b.state
	if state.Tokens == nil {
		state.Tokens = map[string]string{}
	}
	list := state.Accounts[:min(singleTokens, len(state.Accounts))]
	for _, account := range list {
		if state.Tokens[account] != "" {
			continue
		}
		var token struct{ Value string }
		body := map[string]any{"name": "bench", "permissions": []string{"audit:write"}}
		if err := s.Call(ctx, "POST", "/accounts/"+account+"/tokens", body, &token); err != nil {
			return nil, err
		}
		state.Tokens[account] = token.Value
	}
	return list, nil
}

// topic publishes to the Kafka topic and waits until the record holds all of it.
func (b *bench) topic(ctx context.Context, s *measuredServer, size string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*b.limit)
	defer cancel()
	count, err := b.counter()
	if err != nil {
		return err
	}
	defer count.Close()
	start, err := count.size(ctx)
	if err != nil {
		return err
	}
	g := b.fresh(b.events, b.state.Accounts)
	records := make([]*kgo.Record, b.events)
	for i := range records {
		value, account := g.next(nil)
		records[i] = &kgo.Record{Topic: event.TopicAuditEvents, Key: []byte(account), Value: value}
	}

	before := b.usage()
	if err := produce(ctx, bus.Cluster{Brokers: []string{s.Kafka}}, records); err != nil {
		return err
	}
	acknowledged := time.Now()
	if err := count.await(ctx, start+int64(b.events)); err != nil {
		return err
	}
	after := b.usage()
	b.addIngest("Kafka topic, to the commit", size, b.events, after.at.Sub(before.at), after.since(before), nil)
	b.ingestTable().Note(fmt.Sprintf("Kafka topic: from the first record's publication (acks=all) to the last one's "+
		"commit in the record; at the last run the bus had acknowledged all after %.1f s.",
		acknowledged.Sub(before.at).Seconds()))
	return nil
}

// produce publishes the records with acks=all and waits for the last acknowledgement.
func produce(ctx context.Context, cluster bus.Cluster, records []*kgo.Record) error {
	client, err := cluster.Client("bench", kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxBufferedRecords(20_000))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ProduceSync(ctx, records...).FirstErr()
}
