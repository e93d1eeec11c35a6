// Command audit measures the audit log: the rates and costs of a machine, the ratio to the bare parts, and where the
// CPU goes.
//
//	go run ./bench/audit                                  SQLite and the embedded broker
//	go run ./bench/audit -engine postgres                 PostgreSQL and Apache Kafka
//	go run ./bench/audit -dir D -phases reads,verify      again on the data that an earlier run left in D
//
// README.md beside it describes the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/bench/internal/profiled"
)

// options are the flags.
type options struct {
	engine   string
	events   int
	resident int
	spread   int
	accounts int
	requests int
	limit    time.Duration
	dir      string
	phases   []string
}

// phaseNames are in the order in which they run. The last runs only when it is asked for.
var phaseNames = []string{"start", "ingest", "load", "resident", "reads", "verify", "bare", "profile"}

func main() {
	if err := runCommand(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/audit:", err)
		os.Exit(1)
	}
}

func runCommand() error {
	if profiled.Requested() {
		return profiled.Serve()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	var phases string
	flag.StringVar(&o.engine, "engine", "sqlite", "sqlite (with the embedded broker) or postgres (with Apache Kafka)")
	flag.IntVar(&o.events, "events", 200_000, "events of one ingest row")
	flag.IntVar(&o.resident, "resident", 10_000_000, "events in one account before the rows at size")
	flag.IntVar(&o.spread, "spread", 1_000_000, "further resident events over all accounts (Zipf)")
	flag.IntVar(&o.accounts, "accounts", 10_000, "accounts")
	flag.IntVar(&o.requests, "requests", 1000, "requests of one read row")
	flag.DurationVar(&o.limit, "limit", time.Minute, "longest time of one row")
	flag.StringVar(&o.dir, "dir", "", "keep the data here and use what an earlier run left; empty = a temporary folder")
	flag.StringVar(&phases, "phases", strings.Join(phaseNames[:len(phaseNames)-1], ","),
		"what is measured, of "+strings.Join(phaseNames, ", "))
	flag.Parse()
	o.phases = strings.Split(phases, ",")
	return run(ctx, o)
}

func run(ctx context.Context, o options) error {
	for _, p := range o.phases {
		if !slices.Contains(phaseNames, p) {
			return fmt.Errorf("there is no phase %q; there are %s", p, strings.Join(phaseNames, ", "))
		}
	}
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	b.machine()
	steps := map[string]func(context.Context) error{
		"start":    func(ctx context.Context) error { return b.startUp(ctx, "empty") },
		"ingest":   func(ctx context.Context) error { return b.ingest(ctx, "empty") },
		"load":     b.load,
		"resident": b.atSize,
		"reads":    b.reads,
		"verify":   b.verify,
		"bare":     b.bare,
		"profile":  b.profile,
	}
	for _, p := range phaseNames {
		if !slices.Contains(o.phases, p) {
			continue
		}
		b.say("phase %s", p)
		if err := steps[p](ctx); err != nil {
			b.out.Print(os.Stdout) // the phases that ended
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	b.out.Print(os.Stdout)
	return nil
}
