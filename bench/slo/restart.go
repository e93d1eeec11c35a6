package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/belfryhq/belfry/bench/internal/process"
	"github.com/belfryhq/belfry/bench/internal/report"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// restart decodes a whole month of blocks, chunk by chunk. One chunk of each level is made and restored for every
// block: reading from the disk is not measured.
func restart(ctx context.Context, o options, out *report.Report) error {
	t := out.Table("Restart: all blocks of 92 days decoded, one goroutine",
		"active in a tick", "blocks", "entries", "encoded", "bytes a series", "bytes a series and day", "CPU of each entry",
		"CPU", "load")
	t.Note(fmt.Sprintf("%s; %s series. A series is active in a longer block if it is in one of its ticks, at random.",
		process.Machine(), report.Thousands(o.lines)))
	for _, share := range []float64{o.active, o.active / 100} {
		if err := restartAt(ctx, o.lines, share, t); err != nil {
			return err
		}
	}
	return nil
}

func restartAt(ctx context.Context, lines int, share float64, t *report.Table) error {
	clock := int64(epoch)
	s := tally.New()
	s.SetClock(clock)
	for range lines {
		s.Watch(s.AddSeries(epoch-40*86_400), tally.D30, standard)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	var c cost
	blocks := 0
	bytes := 0
	daily := 0
	for chunk := uint32(0); int(chunk)<<tally.ChunkBits < lines; chunk++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		blocks = 0
		newest := clock // the finer levels cover the time from here on
		for level, l := range tally.Levels {
			data := encoded(rng, lines, chunk, 1-math.Pow(1-share, float64(l.Size/tally.Tick)))
			oldest := clock - l.Keep
			for start := newest - l.Size; start >= oldest-l.Size; start -= l.Size {
				ref := tally.Ref{Level: level, Start: start, Chunk: chunk}
				err := c.measure(func() error { return s.Restore(ref, data, false) })
				if err != nil {
					return err
				}
				blocks++
				bytes += len(data)
				newest = start
			}
			if level == tally.D28.Level() {
				daily += len(data) * int(86_400/l.Size)
			}
		}
	}
	c.items = s.Work().Added
	t.Add(
		fmt.Sprint(share),
		fmt.Sprint(blocks),
		report.Thousands(c.items),
		report.Megabytes(int64(bytes)),
		fmt.Sprintf("%.0f", float64(bytes)/float64(lines)),
		fmt.Sprintf("%.1f", float64(daily)/float64(lines)),
		fmt.Sprintf("%.1f ns", float64(c.cpu.Nanoseconds())/float64(c.items)),
		fmt.Sprintf("%.1f s", c.cpu.Seconds()),
		process.Load(),
	)
	return nil
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
