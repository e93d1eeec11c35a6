package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// restart decodes a whole month of blocks, chunk by chunk, of several shards at once, as a process does. One chunk of
// each level is made and restored for every block: reading from the disk is not measured.
func restart(ctx context.Context, o options, out *report.Report) error {
	t := out.Table(fmt.Sprintf("Restart: all blocks of 92 days decoded, %d shards at once", o.shards),
		"active in a tick", "blocks", "entries", "encoded", "bytes a series", "bytes a series and day", "CPU of each entry",
		"CPU", "took", "load")
	t.Note(fmt.Sprintf("%s; %s series. A series is active in a longer block if it is in one of its ticks, at random.",
		process.Machine(), report.Thousands(o.lines)))
	for _, share := range []float64{o.active, o.active / 100} {
		if err := restartAt(ctx, o, share, t); err != nil {
			return err
		}
	}
	return nil
}

// restoring is a shard that is read.
type restoring struct {
	*tally.Set
	lines  int
	rng    *rand.Rand
	levels [tally.LevelCount][]byte // a chunk of each level
	blocks int
	bytes  int
	daily  int
	err    error
}

func restartAt(ctx context.Context, o options, share float64, t *report.Table) error {
	shards := make([]*restoring, o.shards)
	for i := range shards {
		r := &restoring{Set: tally.New(), lines: o.lines / o.shards, rng: rand.New(rand.NewPCG(2, uint64(i)))}
		r.SetClock(epoch)
		for range r.lines {
			r.Watch(r.AddSeries(epoch-40*86_400), tally.D30, standard)
		}
		shards[i] = r
	}
	each := func(f func(*restoring)) error {
		var running sync.WaitGroup
		for _, r := range shards {
			running.Go(func() { f(r) })
		}
		running.Wait()
		var failed []error
		for _, r := range shards {
			failed = append(failed, r.err)
		}
		return errors.Join(failed...)
	}
	var c cost
	for chunk := uint32(0); int(chunk)<<tally.ChunkBits < shards[0].lines; chunk++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(func(r *restoring) { r.encode(chunk, share) }); err != nil {
			return err
		}
		if err := c.measure(func() error { return each(func(r *restoring) { r.restore(chunk) }) }); err != nil {
			return err
		}
	}
	var blocks, bytes, daily int
	for _, r := range shards {
		c.items += r.Work().Added
		blocks += r.blocks
		bytes += r.bytes
		daily += r.daily
	}
	t.Add(
		fmt.Sprint(share),
		fmt.Sprint(blocks),
		report.Thousands(c.items),
		report.Megabytes(int64(bytes)),
		fmt.Sprintf("%.0f", float64(bytes)/float64(o.lines)),
		fmt.Sprintf("%.1f", float64(daily)/float64(o.lines)),
		fmt.Sprintf("%.1f ns", float64(c.cpu.Nanoseconds())/float64(c.items)),
		fmt.Sprintf("%.1f s", c.cpu.Seconds()),
		fmt.Sprintf("%.1f s", c.wall.Seconds()),
		process.Load(),
	)
	return nil
}

// encode makes a chunk of each level.
func (r *restoring) encode(chunk uint32, share float64) {
	for level, l := range tally.Levels {
		r.levels[level] = encoded(r.rng, r.lines, chunk, 1-math.Pow(1-share, float64(l.Size/tally.Tick)))
		if level == tally.D28.Level() {
			r.daily += len(r.levels[level]) * int(86_400/l.Size)
		}
	}
}

// restore restores the blocks of a chunk. The finer levels cover the newest time.
func (r *restoring) restore(chunk uint32) {
	r.blocks = 0
	newest := int64(epoch)
	for level, l := range tally.Levels {
		oldest := epoch - l.Keep
		for start := newest - l.Size; start >= oldest-l.Size; start -= l.Size {
			ref := tally.Ref{Level: level, Start: start, Chunk: chunk}
			if r.err = r.Restore(ref, r.levels[level], false); r.err != nil {
				return
			}
			r.blocks++
			r.bytes += len(r.levels[level])
			newest = start
		}
	}
}

// encoded is a chunk of which a share is active.
func encoded(rng *rand.Rand, lines int, chunk uint32, share float64) []byte {
	first := chunk << tally.ChunkBits
	var list []tally.Entry
	for id := first; id < min(uint32(lines), first+1<<tally.ChunkBits); id++ {
		if rng.Float64() < share {
			x := tally.Tally{Total: 1 + rng.Uint64N(100)}
			if id%8 == 0 && rng.IntN(30) == 0 {
				x.Bad = 1
			}
			list = append(list, tally.Entry{ID: id, Tally: x})
		}
	}
	return tally.Encode(nil, list)
}
