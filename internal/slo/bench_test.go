package slo

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// BenchmarkProcess is one count of one series with an objective: the block, the windows, what leaves them, compaction
// and evaluation, in random order. bench/slo measures the parts.
func BenchmarkProcess(b *testing.B) {
	for _, series := range []int{100, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("lines=%d", series), func(b *testing.B) {
			e := newEngine()
			o := mustCompile(b, ObjectiveSpec{Target: 99.9})
			for range series {
				e.watch(o, e.AddSeries(epoch))
			}
			rng := rand.New(rand.NewPCG(2, 2))
			samples := make([]sample, series/5)
			at := int64(epoch)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for i := range samples {
					x := Tally{Total: 100}
					if i%50 == 0 {
						x.Bad = 1
					}
					samples[i] = sample{At: at, ID: uint32(rng.IntN(series)), Tally: x}
				}
				b.StartTimer()
				if err := e.process(samples); err != nil {
					b.Fatal(err)
				}
				at += Tick
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(samples)), "ns/count")
		})
	}
}

// BenchmarkWatches measures the memory of the objectives of a million series in a shard, without the objectives
// themselves.
func BenchmarkWatches(b *testing.B) {
	const lines = 1_000_000
	o := mustCompile(b, ObjectiveSpec{Target: 99.9})
	for b.Loop() {
		e := newEngine()
		for range lines {
			e.AddSeries(epoch)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for series := range uint32(lines) {
			e.watch(o, series)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/lines, "B/line")
		runtime.KeepAlive(e)
	}
}

// BenchmarkPreview evaluates four weeks of counts with a long burn at the end, as the form does while it is filled in.
func BenchmarkPreview(b *testing.B) {
	o := mustCompile(b, ObjectiveSpec{Target: 99.95})
	const now = epoch + 28*86_400
	var list []bucket
	for at := int64(epoch); at < now-3*86_400; at += 7200 {
		list = append(list, bucket{Start: at, End: at + 7200, Tally: Tally{Total: 100_000, Bad: 10}})
	}
	for at := int64(now - 3*86_400); at < now; at += 600 {
		list = append(list, bucket{Start: at, End: at + 600, Tally: Tally{Total: 10_000, Bad: 300}})
	}
	f := &Feature{previews: make(chan struct{}, 1)}
	for b.Loop() {
		if _, err := f.simulateCounts(b.Context(), o, list); err != nil {
			b.Fatal(err)
		}
	}
}
