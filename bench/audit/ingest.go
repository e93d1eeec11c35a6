package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/event"
)

const (
	plainBatches  = "HTTP, batches" // the row that the bare parts are held against
	batchSize     = 1000
	batchCallers  = 4
	singleCallers = 64
	singleTokens  = 32 // accounts that send single events: one credential may make 2,000 requests a second
)

// fresh makes a generator whose ids and choices no earlier row had.
func (b *bench) fresh(n int, accounts []string) *generator {
	g := newGenerator(b.state.Made, accounts, present)
	b.state.Made += uint64(n)
	return g
}

// bodies makes the requests of a row before its time begins.
func (b *bench) bodies(total, batch int, zipped bool, accounts []string) ([]request, error) {
	g := b.fresh(total, accounts)
	var list []request
	for made := 0; made < total; made += batch {
		n := min(batch, total-made)
		var body []byte
		path, account := "/client/v4/audit/events", ""
		for range n {
			body, account = g.next(body)
			body = append(body, '\n')
		}
		if batch == 1 {
			path = "/client/v4/accounts/" + account + "/audit/events"
		}
		if zipped {
			var out bytes.Buffer
			z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // a valid level
			if _, err := z.Write(body); err != nil {
				return nil, err
			}
			if err := z.Close(); err != nil {
				return nil, err
			}
			body = out.Bytes()
		}
		list = append(list, request{path, bytes.Clone(body), n})
	}
	return list, nil
}

const ingestTitle = "Events in: durable, proved and queryable when answered"

func (b *bench) ingestTable() *table {
	t := b.out.table(ingestTitle, "on-ramp", "database", "events", "events/s", "server us/event", "database us/event", "broker us/event", "request p50", "request p99", "generator's share of the CPU", "load")
	t.note(fmt.Sprintf("Events of about 490 bytes with their own UUIDs, over %d accounts (Zipf 1.1). Batches are NDJSON of %d events from %d callers, single events come from %d callers with the tokens of %d accounts; "+
		"bodies are made before the time begins. us/event is user and system time of the server's process (with SQLite and the embedded broker in it), of PostgreSQL's processes and of the Kafka broker, from /proc/PID/stat. "+
		"load is the machine's load average over the last minute: others may have been at work.", b.accounts, batchSize, batchCallers, singleCallers, singleTokens))
	return t
}

func (b *bench) ingestRow(name, size string, n int, took time.Duration, u usage, times []time.Duration) {
	load := read("/proc/loadavg")[:4]
	share := float64(u.bench) / float64(u.bench+u.server+u.database+u.broker)
	b.ingestTable().add(name, size, thousands(n), rate(n, took), each(u.server, n), each(u.database, n), each(u.broker, n),
		ms(quantile(times, 0.5)), ms(quantile(times, 0.99)), fmt.Sprintf("%.0f %%", 100*share), load)
	b.say("%s, %s: %s events/s, %s us/event of the server", name, size, rate(n, took), each(u.server, n))
}

// ingest measures every on-ramp on the database as it is.
func (b *bench) ingest(ctx context.Context, size string) error {
	if err := b.makeAccounts(ctx); err != nil {
		return err
	}
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	rows := []struct {
		name       string
		total      int
		batch      int
		callers    int
		zipped     bool
		oneAccount bool
	}{
		{"HTTP, batches, first of most accounts", b.events, batchSize, batchCallers, false, false},
		{plainBatches, b.events, batchSize, batchCallers, false, false},
		{"HTTP, batches, gzip", b.events, batchSize, batchCallers, true, false},
		{"HTTP, batches, one account", b.events, batchSize, batchCallers, false, true},
		{"HTTP, single events", b.events / 5, 1, singleCallers, false, false},
	}
	if size != "empty" {
		rows = rows[1:]
	}
	for _, r := range rows {
		accounts := b.state.Accounts
		switch {
		case r.oneAccount:
			accounts = []string{b.state.One}
		case r.batch == 1:
			if accounts, err = s.publishers(ctx); err != nil {
				return err
			}
		}
		list, err := b.bodies(r.total, r.batch, r.zipped, accounts)
		if err != nil {
			return err
		}
		before := s.usage()
		n, times, err := s.publish(ctx, r.callers, b.limit, list)
		after := s.usage()
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		u := after.since(before)
		b.ingestRow(r.name, size, n, after.at.Sub(before.at), u, times)
		if r.name == plainBatches && size == "empty" && n > 0 {
			b.httpCPU = float64((u.server + u.database + u.broker).Microseconds()) / float64(n)
		}
	}
	all, own := rss(s.cmd.Process.Pid)
	b.memoryTable().add("after the HTTP rows, "+size, megabytes(all), megabytes(own))
	if err := b.topic(ctx, s, size); err != nil {
		return fmt.Errorf("topic: %w", err)
	}
	if err := b.save(); err != nil {
		return err
	}
	return s.stop()
}

// publishers are the accounts that send single events, each with a token.
func (s *server) publishers(ctx context.Context) ([]string, error) {
	state := &s.b.state
	if state.Tokens == nil {
		state.Tokens = map[string]string{}
	}
	list := state.Accounts[:min(singleTokens, len(state.Accounts))]
	for _, a := range list {
		if state.Tokens[a] != "" {
			continue
		}
		status, text, err := s.call(ctx, "POST", "/client/v4/accounts/"+a+"/tokens", "application/json", []byte(`{"name":"bench","permissions":["audit:write"]}`), nil)
		if err != nil {
			return nil, err
		}
		var env struct {
			Result struct {
				Value string `json:"value"`
			} `json:"result"`
		}
		if err := json.Unmarshal(text, &env); err != nil || env.Result.Value == "" {
			return nil, fmt.Errorf("token: status %d: %.300s", status, text)
		}
		state.Tokens[a] = env.Result.Value
	}
	return list, nil
}

// topic publishes to the Kafka topic and waits until the record holds it all.
func (b *bench) topic(ctx context.Context, s *server, size string) error {
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxBufferedRecords(20_000), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer cl.Close()
	before := s.usage()
	var failed error
	for _, r := range records {
		cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err // callbacks run one after the other
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	acked := time.Now()
	for {
		n, err := count.size(ctx)
		if err != nil {
			return err
		}
		if n-start >= int64(b.events) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	after := s.usage()
	b.ingestRow("Kafka topic, to the commit", size, b.events, after.at.Sub(before.at), after.since(before), nil)
	b.ingestTable().note(fmt.Sprintf("Kafka topic: from the first record's publication (acks=all) to the last one's commit in the record; at the last run the bus had acknowledged all after %.1f s.", acked.Sub(before.at).Seconds()))
	return nil
}

// counter reads the number of events in the record beside the server.
type counter struct {
	*sql.DB
	heads string // the table
}

func (b *bench) counter() (counter, error) {
	if b.postgres != "" {
		d, err := sql.Open("pgx", b.postgres)
		return counter{d, "audit.head"}, err
	}
	d, err := sql.Open("sqlite", "file:"+b.auditFile()+"?mode=ro&_pragma=busy_timeout(10000)")
	return counter{d, "head"}, err
}

func (b *bench) auditFile() string { return filepath.Join(b.dir, "data", "db", "audit.db") }

func (c counter) size(ctx context.Context) (n int64, err error) {
	err = c.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM `+c.heads).Scan(&n)
	return n, err
}

// settle waits until the record has stopped growing: what the making of the
// accounts left in the outboxes is stored.
func (s *server) settle(ctx context.Context) error {
	count, err := s.b.counter()
	if err != nil {
		return err
	}
	defer count.Close()
	last, err := count.size(ctx)
	if err != nil {
		return err
	}
	for range 120 {
		time.Sleep(time.Second)
		n, err := count.size(ctx)
		if err != nil || n == last {
			return err
		}
		last = n
	}
	return fmt.Errorf("the record still grows after two minutes")
}
