package slo

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// benchEngine has series that were counted for an hour, a tick each ten seconds.
func benchEngine(b *testing.B, series int, failing float64) *engine {
	b.Helper()
	e := newEngine()
	o := mustCompile(b, ObjectiveSpec{Target: 99.9})
	for range series {
		series := e.addSeries(epoch)
		e.watches[series] = []*watch{{Objective: o, series: series, pairs: make([]pairState, len(o.rules))}}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var samples []sample
	for at := int64(epoch); at < epoch+60*Tick; at += Tick {
		samples = samples[:0]
		for series := range uint32(series) {
			if rng.Float64() < failing {
				samples = append(samples, sample{at, series, Tally{100, 0}})
			}
		}
		if err := e.process(samples); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// cpuTime returns the processor time of the process: other processes use the machine too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUpdate is one count of one series: sorting, the block, ten windows,
// what leaves them, and the judgement. Random order is sorted by the engine.
func BenchmarkUpdate(b *testing.B) {
	for _, series := range []int{100, 100_000, 1_000_000} {
		for _, order := range []string{"sorted", "random"} {
			b.Run(fmt.Sprintf("lines=%d/%s", series, order), func(b *testing.B) {
				e := benchEngine(b, series, 0.2)
				rng := rand.New(rand.NewPCG(2, 2))
				n := series / 5
				at := e.clock
				samples := make([]sample, n)
				b.ReportAllocs()
				var used time.Duration
				for b.Loop() {
					b.StopTimer()
					for i := range samples {
						id := uint32(i * 5)
						if order == "random" {
							id = uint32(rng.IntN(series))
						}
						samples[i] = sample{at, id, Tally{100, 1}}
					}
					b.StartTimer()
					began := cpuTime(b)
					if err := e.process(samples); err != nil {
						b.Fatal(err)
					}
					used += cpuTime(b) - began
					at += Tick
				}
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/update")
			})
		}
	}
}

// BenchmarkWindows is the update of a series' windows alone, without block and
// judgement: what the machine's memory allows.
func BenchmarkWindows(b *testing.B) {
	const lines = 1_000_000
	for _, order := range []string{"sorted", "random"} {
		b.Run(order, func(b *testing.B) {
			all := make([]sums, lines)
			ids := make([]uint32, lines)
			for i := range ids {
				ids[i] = uint32(i)
			}
			if order == "random" {
				rand.New(rand.NewPCG(1, 1)).Shuffle(lines, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			}
			began := cpuTime(b)
			for b.Loop() {
				for _, id := range ids {
					s := &all[id]
					for w := range s {
						s[w].add(Tally{3, 1})
					}
				}
			}
			b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(b.N)/lines, "cpu-ns/update")
		})
	}
}

// BenchmarkJudge is the evaluation of every series' four pairs.
func BenchmarkJudge(b *testing.B) {
	const lines = 1_000_000
	e := benchEngine(b, lines, 0.2)
	began := cpuTime(b)
	for b.Loop() {
		for series := range uint32(lines) {
			e.dirty.set(series)
		}
		if err := e.evaluateDirty(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(b.N)/lines, "cpu-ns/line")
}

// BenchmarkMemory measures the memory of a series with an objective and of one without.
func BenchmarkMemory(b *testing.B) {
	const lines = 1_000_000
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("objective=%v", watched), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				e := newEngine()
				o := mustCompile(b, ObjectiveSpec{Target: 99.9})
				for range lines {
					series := e.addSeries(epoch)
					if watched {
						e.watches[series] = []*watch{{Objective: o, series: series, pairs: make([]pairState, len(o.rules))}}
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/lines, "B/line")
				runtime.KeepAlive(e)
			}
		})
	}
}
