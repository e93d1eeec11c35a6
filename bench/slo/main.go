// Command slo measures the objectives' engine: its core at a given number of series, each with a standard objective
// over 30 days, and counts from the topic to a committed block.
//
//	go run ./bench/slo                    a million series
//	go run ./bench/slo -lines 25000000    the size that docs/scale.md calculates with; 4 GB of memory, 8 GB on disk
//	go run ./bench/slo -rows shard        as many properties through topic, shard and database
//	go run ./bench/slo -rows prometheus   the same series in Prometheus, at the size of -targets
//
// The rows of the core run on one goroutine; CPU is user and system time of this process, the collector included.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"

	"github.com/belfryhq/belfry/bench/internal/report"
)

type options struct {
	lines   int
	active  float64
	ticks   int
	origins int
	shards  int
	targets int
	minutes float64
	rows    string
	dir     string
	profile string
}

func main() {
	if listen := os.Getenv(exporterVariable); listen != "" {
		fmt.Fprintln(os.Stderr, "bench/slo:", export(listen))
		os.Exit(1)
	}
	var o options
	flag.IntVar(&o.lines, "lines", 1_000_000, "series, each with an objective")
	flag.Float64Var(&o.active, "active", 0.2, "share of the series with a request in a tick of ten seconds")
	flag.IntVar(&o.ticks, "ticks", 66, "ticks that are counted in the core's rows, 40 at least")
	flag.IntVar(&o.origins, "origins", 50_000, "origins, each with an objective, of the rows from the topic")
	flag.IntVar(&o.shards, "shards", runtime.GOMAXPROCS(0), "shards that a restart reads at once")
	flag.IntVar(&o.targets, "targets", 2000, "series of the comparison with Prometheus, each with an objective in Belfry")
	flag.Float64Var(&o.minutes, "minutes", 2, "length of the comparison with Prometheus")
	flag.StringVar(&o.rows, "rows", "core,restart,flow", "the groups of rows: core, restart, flow, shard, prometheus")
	flag.StringVar(&o.dir, "dir", "", "folder for blocks; empty = a temporary one")
	flag.StringVar(&o.profile, "profile", "", "file for a CPU profile of all rows")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/slo:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	folder, err := os.MkdirTemp(o.dir, "belfry-bench-slo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	o.dir = folder
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, file.Close())
		}()
	}
	var out report.Report
	for _, group := range []struct {
		name string
		run  func(context.Context, options, *report.Report) error
	}{
		{"core", core},
		{"restart", restart},
		{"flow", measureFlow},
		{"shard", measureShard},
		{"prometheus", compare},
	} {
		if !strings.Contains(","+o.rows+",", ","+group.name+",") {
			continue
		}
		if err := group.run(ctx, o, &out); err != nil {
			out.Print(os.Stdout)
			return fmt.Errorf("%s: %w", group.name, err)
		}
	}
	out.Print(os.Stdout)
	return nil
}
