// Command notify measures notifications: the number of deliveries that a machine makes durable and sends, the time from
// the request to the receiver, the CPU of each delivery, and the effect of one receiver that hangs on the others.
//
//	go run ./bench/notify                     SQLite and the embedded broker
//	go run ./bench/notify -engine postgres    PostgreSQL and Apache Kafka
//
// Every webhook-id is counted: lost and doubled messages are columns of the result. bench/README.md describes the
// method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/profiled"
	"github.com/belfryhq/belfry/bench/internal/report"
)

type options struct {
	engine       string
	binary       string
	rows         string
	alerts       int
	destinations int
	batch        int
	callers      int
	rate         int
	seconds      int
	profile      string
	pairs        int
}

func main() {
	if profiled.Requested() {
		if err := profiled.Serve(); err != nil {
			fmt.Fprintln(os.Stderr, "bench/notify:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.engine, "engine", "sqlite", "sqlite (with the embedded broker) or postgres (with Apache Kafka)")
	flag.StringVar(&o.binary, "binary", "", "a built belfry; empty = it is built")
	flag.IntVar(&o.alerts, "alerts", 30_000, "alerts of the throughput rows, each one delivery")
	flag.StringVar(&o.rows, "rows", "", "only the rows whose name has this prefix")
	flag.IntVar(&o.destinations, "destinations", 20, "destinations of the rows with several")
	flag.IntVar(&o.batch, "batch", 50, "alerts in a request of the throughput rows")
	flag.IntVar(&o.callers, "callers", 8, "concurrent requests of the throughput rows")
	flag.IntVar(&o.rate, "rate", 500, "alerts a second of the latency rows")
	flag.IntVar(&o.seconds, "seconds", 20, "length of a latency row")
	flag.IntVar(&o.pairs, "pairs", 0, "instead of the rows: pairs of rows without and with bad receivers, and the ratios")
	flag.StringVar(&o.profile, "profile", "", "folder for a CPU profile of the server in each row")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/notify:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	folder, err := os.MkdirTemp("", "belfry-bench-notify")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	serve := "serve"
	if o.profile != "" {
		serve = profiled.Argument
		if o.binary, err = os.Executable(); err != nil {
			return err
		}
	}
	if o.binary == "" {
		if o.binary, err = process.Build(ctx, folder); err != nil {
			return err
		}
	}
	settings, err := o.settings(filepath.Join(folder, "data"))
	if err != nil {
		return err
	}
	server, err := process.Start(ctx, settings, o.binary, serve)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()

	b := &bench{options: o, server: server, receivers: newReceivers()}
	defer b.receivers.server.CloseClientConnections()
	if err := b.findEngines(settings); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if o.pairs > 0 {
		return b.measurePairs(ctx)
	}
	return b.measure(ctx)
}

// settings are the server's.
func (o options) settings(data string) (map[string]string, error) {
	extra := map[string]string{}
	if o.engine == "postgres" {
		extra["BELFRY_DATABASE_URL"] = os.Getenv("BELFRY_TEST_POSTGRES")
		extra["BELFRY_KAFKA_BROKERS"] = os.Getenv("BELFRY_TEST_KAFKA")
		extra["BELFRY_MASTER_KEY"] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
		if extra["BELFRY_DATABASE_URL"] == "" || extra["BELFRY_KAFKA_BROKERS"] == "" {
			return nil, errors.New("BELFRY_TEST_POSTGRES and BELFRY_TEST_KAFKA must name an empty database and a cluster")
		}
	}
	return process.Settings(data, strings.Repeat("b", 40), extra), nil
}

// bench is a run.
type bench struct {
	options
	server    *process.Server
	receivers *receivers
	account   string

	database int // process id of PostgreSQL; 0 = it does not run here
	broker   int // of Apache Kafka
}

func (b *bench) measure(ctx context.Context) error {
	var out report.Report
	t := out.Table("Notifications: accepted, matched, durable, signed and sent",
		"row", "deliveries/s", "p50", "p99", "max",
		"CPU us/delivery: server", "database", "broker", "generator", "lost", "doubled", "own audit events", "load")
	t.Note(fmt.Sprintf("%s; %s. %d alerts a request from %d callers; server, generator and receivers on one machine.",
		b.engine, process.Machine(), b.batch, b.callers))
	for _, row := range b.rowList() {
		if !strings.HasPrefix(row.name, b.rows) {
			continue
		}
		r, err := b.profiled(ctx, row)
		if err != nil {
			out.Print(os.Stdout)
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s/s\n", row.name, report.Rate(r.received, r.took))
		t.Add(
			row.name,
			report.Rate(r.received, r.took),
			report.Milliseconds(report.Quantile(r.latencies, 0.5)),
			report.Milliseconds(report.Quantile(r.latencies, 0.99)),
			report.Milliseconds(report.Quantile(r.latencies, 1)),
			report.Each(r.used.server, r.sent),
			report.Each(r.used.database, r.sent),
			report.Each(r.used.broker, r.sent),
			report.Each(r.used.generator, r.sent),
			fmt.Sprint(r.expected-r.received),
			fmt.Sprint(r.doubled),
			fmt.Sprint(r.ownEvents),
			process.Load(),
		)
	}
	m := process.MemoryOf(b.server.PID())
	t.Note(fmt.Sprintf("The server's memory at the end: %s, %s without pages of files.",
		report.Megabytes(m.Resident), report.Megabytes(m.Anonymous)))
	out.Print(os.Stdout)
	return nil
}

// profiled runs a row, with a CPU profile of its first seconds where one is asked for.
func (b *bench) profiled(ctx context.Context, row benchmark) (result, error) {
	if b.profile == "" {
		return row.run(ctx)
	}
	file := filepath.Join(b.profile, strings.NewReplacer(" ", "-", "/", "-").Replace(row.name)+".pprof")
	saved := make(chan error, 1)
	go func() { saved <- profiled.Save(ctx, b.server, profileLength, file) }()
	r, err := row.run(ctx)
	return r, errors.Join(err, <-saved)
}

// profileLength is shorter than a row of the default size.
const profileLength = 10 * time.Second

type benchmark struct {
	name string
	run  func(context.Context) (result, error)
}

func (b *bench) rowList() []benchmark {
	flood := func(kind string, alerts int) func(context.Context) (result, error) {
		return func(ctx context.Context) (result, error) { return b.flood(ctx, kind, alerts, b.alert) }
	}
	return []benchmark{
		{"warm-up: one destination", flood("one", b.alerts/5)},
		{"flood: one destination", flood("one", b.alerts)},
		{fmt.Sprintf("flood: %d destinations", b.destinations), flood("many", b.alerts)},
		{"storm: starts, a correlation each", func(ctx context.Context) (result, error) { return b.storm(ctx, "start") }},
		{"storm: their ends", func(ctx context.Context) (result, error) { return b.storm(ctx, "end") }},
		{fmt.Sprintf("%d/s, %d destinations", b.rate, b.destinations), func(ctx context.Context) (result, error) {
			return b.steady(ctx, "many")
		}},
		{fmt.Sprintf("%d/s, one of %d hangs", b.rate, b.destinations), func(ctx context.Context) (result, error) {
			b.receivers.hanging.Store(true)
			defer b.receivers.hanging.Store(false)
			return b.steady(ctx, "poisoned")
		}},
		{fmt.Sprintf("%d/s, %d destinations, all good", b.rate, spread), func(ctx context.Context) (result, error) {
			return b.steady(ctx, "spread")
		}},
		{fmt.Sprintf("%d/s, %d of %d hang, drip or answer 429", b.rate, spreadBad, spread), b.spreadWithBad},
	}
}

// spreadWithBad measures good destinations among those that hang, drip or refuse.
func (b *bench) spreadWithBad(ctx context.Context) (result, error) {
	b.receivers.hanging.Store(true)
	defer b.receivers.hanging.Store(false)
	return b.steady(ctx, "spread")
}

// idle returns when the server has used little CPU for two seconds, or after five minutes.
func (b *bench) idle(ctx context.Context) {
	deadline := time.Now().Add(5 * time.Minute)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		before := b.cpu()
		time.Sleep(2 * time.Second)
		if b.cpu()-before < 100*time.Millisecond {
			return
		}
	}
}

func (b *bench) cpu() time.Duration { return process.CPU(b.server.PID()) }
