package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

const epoch = 1_764_028_800 // a midnight in UTC

// residentLimit is the memory for blocks that a shard keeps.
const residentLimit = 64 << 20

// standard are the rules of the standard pairs at a target of 99.9 %.
var standard = []tally.Rule{
	{Long: tally.H1, Short: tally.M5, Limit: 14_400 * 10_000},
	{Long: tally.H6, Short: tally.M30, Limit: 6_000 * 10_000},
	{Long: tally.D1, Short: tally.H2, Limit: 3_000 * 10_000},
	{Long: tally.D3, Short: tally.H6, Limit: 1_000 * 10_000},
}

// cost is the work of a row.
type cost struct {
	cpu   time.Duration
	wall  time.Duration
	items int
}

func (c *cost) measure(f func() error) error {
	cpu := process.SelfCPU()
	began := time.Now()
	err := f()
	c.cpu += process.SelfCPU() - cpu
	c.wall += time.Since(began)
	return err
}

func (c *cost) row(t *report.Table, name, unit string) {
	each := float64(c.cpu.Nanoseconds()) / float64(max(1, c.items))
	t.Add(
		name,
		report.Thousands(c.items)+" "+unit,
		fmt.Sprintf("%.1f ns", each),
		fmt.Sprintf("%.1f M/s", 1000/each),
		report.Milliseconds(c.cpu),
		process.Load(),
	)
}

// engine is the core with its blocks on disk.
type engine struct {
	*tally.Set
	index *tally.Index
	disk  *disk
	rng   *rand.Rand
	at    int64
}

// core measures updates, expiry, sweeps and memory.
func core(ctx context.Context, o options, out *report.Report) error {
	t := out.Table("The core: one goroutine", "row", "items", "CPU of each", "rate", "CPU", "load")
	t.Note(fmt.Sprintf("%s; %s series, each with a standard 30-day objective; %v of them active in a tick.",
		process.Machine(), report.Thousands(o.lines), o.active))

	before := process.MemoryOf(os.Getpid()).Resident
	d, err := newDisk(o.dir)
	if err != nil {
		return err
	}
	defer d.close()
	e := &engine{tally.New(), tally.NewIndex(), d, rand.New(rand.NewPCG(1, 1)), epoch}
	e.Load = d.load
	var build cost
	_ = build.measure(func() error { e.build(o.lines); return nil })
	build.items = o.lines
	build.row(t, "series added: name, line, objective", "series")
	e.SetClock(epoch)

	random := e.samples(o, func(int) uint32 { return uint32(e.rng.IntN(o.lines)) })
	if err := e.count(ctx, t, "random order", o.ticks, random); err != nil {
		return err
	}
	debug.FreeOSMemory()
	e.memory(out, o, before)
	if err := e.count(ctx, t, fmt.Sprintf("sorted, %v active", o.active), 10, e.sortedSamples(o, o.active)); err != nil {
		return err
	}
	if err := e.count(ctx, t, "sorted, 0.99 active", 4, e.sortedSamples(o, 0.99)); err != nil {
		return err
	}
	return e.sweeps(t, o)
}

func (e *engine) build(lines int) {
	for i := range lines {
		id := e.AddSeries(epoch)
		e.Watch(id, tally.D30, standard)
		e.index.Put(e.index.Key(fmt.Sprint("account-", i/1000), "zone", fmt.Sprint("origin-", i)), id)
	}
	e.ClearDirty()
	e.ClearTouched()
}

// samples are the counts of a tick: a request in a thousand fails, in one of eight series.
func (e *engine) samples(o options, id func(i int) uint32) []tally.Sample {
	list := make([]tally.Sample, int(float64(o.lines)*o.active))
	for i := range list {
		list[i] = e.sample(id(i))
	}
	return list
}

func (e *engine) sample(id uint32) tally.Sample {
	s := tally.Sample{ID: id, Tally: tally.Tally{Total: 1 + e.rng.Uint64N(60)}}
	if id%8 == 0 && e.rng.IntN(30) == 0 {
		s.Bad = 1
	}
	return s
}

func (e *engine) sortedSamples(o options, share float64) []tally.Sample {
	var list []tally.Sample
	for id := range uint32(o.lines) {
		if e.rng.Float64() < share {
			list = append(list, e.sample(id))
		}
	}
	return slices.Clip(list)
}

// count counts the same samples in a number of ticks.
func (e *engine) count(ctx context.Context, t *report.Table, name string, ticks int, samples []tally.Sample) error {
	var add, expire, compact, sweep cost
	var suspects []uint32
	for range ticks {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := e.Work()
		step := &expire
		if (e.Clock()+tally.Tick)%30 == 0 {
			step = &compact
		}
		if err := step.measure(e.Step); err != nil {
			return err
		}
		after := e.Work()
		step.items += after.Expired - before.Expired
		if step == &compact {
			step.items += after.Merged - before.Merged
		}
		err := add.measure(func() error {
			n, _, err := e.Add(e.at, samples)
			add.items += max(n, len(samples))
			return err
		})
		if err != nil {
			return err
		}
		e.at += tally.Tick
		_ = sweep.measure(func() error {
			suspects = e.Suspects(suspects[:0])
			return nil
		})
		sweep.items += len(samples)
		if err := e.store(); err != nil {
			return err
		}
	}
	add.row(t, "update: "+name, "counts")
	if expire.items > 0 {
		expire.row(t, "expiry from one window: "+name, "entries")
	}
	if compact.items > 0 {
		compact.row(t, "expiry and compaction: "+name, "entries")
	}
	sweep.row(t, "dirty sweep: "+name, "counts")
	fmt.Fprintf(os.Stderr, "%s: %s/s\n", name, report.Rate(add.items, add.cpu))
	return nil
}

// store writes the changed chunks and releases what a shard releases.
func (e *engine) store() error {
	for _, c := range e.Changed() {
		if err := e.disk.put(c); err != nil {
			return err
		}
	}
	e.MarkStored()
	e.Release(residentLimit)
	return nil
}

// sweeps evaluates every series: as they are, and with failures in each.
func (e *engine) sweeps(t *report.Table, o options) error {
	var list []uint32
	for _, name := range []string{"full sweep", "full sweep, failures in every series"} {
		for id := range uint32(o.lines) {
			e.Mark(id)
		}
		var c cost
		_ = c.measure(func() error {
			list = e.Suspects(list[:0])
			return nil
		})
		c.items = o.lines
		c.row(t, fmt.Sprintf("%s (%s suspects)", name, report.Thousands(len(list))), "series")
		all := make([]tally.Sample, o.lines)
		for i := range all {
			all[i] = tally.Sample{ID: uint32(i), Tally: tally.Tally{Total: 1, Bad: 1}}
		}
		if _, _, err := e.Add(e.at-tally.Tick, all); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) memory(out *report.Report, o options, before int64) {
	t := out.Table("Memory with the blocks on disk", "part", "bytes", "a series")
	add := func(name string, n int) {
		t.Add(name, report.Thousands(n), fmt.Sprintf("%.1f", float64(n)/float64(o.lines)))
	}
	size := e.Size()
	add("lines, first counts, classes, marks", size.Lines)
	add("index of names", e.index.Bytes())
	add("side tables", size.Side)
	add("descriptions of stored chunks", size.Chunks)
	add("blocks in memory", size.Resident)
	add("buffers of a batch of this size", size.Scratch)
	now := process.MemoryOf(os.Getpid()).Resident
	add("resident memory of the process", int(now))
	t.Note(fmt.Sprintf("Resident before: %s. The generator's samples were freed, and the collector has run.",
		report.Megabytes(before)))
	add("blocks on disk", size.Encoded)
}
