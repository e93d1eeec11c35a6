package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/slo"
)

const (
	accountZones  = 10_000  // an account has at most 20,000 series in a shard
	publishAtOnce = 200_000 // records
)

// measureShard measures a number of series in shards with their database: every property is a series, and every record
// one count of it. A row begins with the publishing of its records and ends when their offsets are committed.
func measureShard(ctx context.Context, o options, out *report.Report) (err error) {
	w, closeAll, err := newFlow(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	t := out.Table("Properties in shards with their database",
		"row", "records", "records/s", "CPU of each", "took", "memory", "database", "load")
	t.Note(fmt.Sprintf("%s; SQLite, embedded broker, %d partitions, %s properties without objectives. The CPU and the "+
		"memory of producer and broker are in the rows.", process.Machine(), flowPartitions, report.Thousands(o.lines)))

	rng := rand.New(rand.NewPCG(5, 5))
	row := func(name string, share float64) error {
		before := process.SelfCPU()
		began := time.Now()
		sent := w.sent
		if err := w.publishTick(ctx, o.lines, share, rng); err != nil {
			return err
		}
		n := w.sent - sent
		took := time.Since(began)
		cpu := process.SelfCPU() - before
		t.Add(
			name,
			report.Thousands(n),
			report.Rate(n, took),
			fmt.Sprintf("%.2f us", float64(cpu.Nanoseconds())/1000/float64(max(1, n))),
			report.Milliseconds(took),
			report.Megabytes(process.MemoryOf(os.Getpid()).Resident),
			report.Megabytes(folderSize(o.dir, "slo")),
			process.Load(),
		)
		fmt.Fprintf(os.Stderr, "%s: %s records/s\n", name, report.Rate(n, took))
		return nil
	}
	err = w.run(ctx, func(ctx context.Context) error {
		if err := row("first tick: every series is added", 1); err != nil {
			return err
		}
		for i := range 3 {
			if err := row(fmt.Sprintf("tick %d: %v of the series", i+2, o.active), o.active); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.run(ctx, func(context.Context) error {
		return row("restart, and a tick of a thousandth of the series", 0.001)
	})
}

// publishTick publishes a count of a share of the properties, and waits until all are committed.
func (w *flow) publishTick(ctx context.Context, lines int, share float64, rng *rand.Rand) error {
	at := w.start + w.next*slo.Tick
	w.next++
	var list []bus.Message
	for i := range lines {
		if rng.Float64() >= share {
			continue
		}
		m, err := message(event.Traffic{
			Account: account(i / accountZones),
			Zone:    zone(i),
			ID:      fmt.Sprint(at, " ", i),
			Counts:  []event.Count{{At: at, Seconds: slo.Tick, Total: 1 + rng.Int64N(60)}},
		})
		if err != nil {
			return err
		}
		if list = append(list, m); len(list) < publishAtOnce {
			continue
		}
		if err := w.publish(ctx, list); err != nil {
			return err
		}
		list = list[:0]
	}
	if len(list) == 0 {
		return nil
	}
	return w.publish(ctx, list)
}

// folderSize is the size of the files whose names begin with a name.
func folderSize(folder, name string) (size int64) {
	list, err := filepath.Glob(filepath.Join(folder, name+"*"))
	if err != nil {
		return 0
	}
	for _, file := range list {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	return size
}
