package slo

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// benchEngine has lines that were counted for an hour, a tick each ten seconds.
func benchEngine(b *testing.B, lines int, share float64) *engine {
	b.Helper()
	e := newEngine()
	o := mustCompile(b, Spec{Target: 99.9})
	for range lines {
		line := e.newLine(epoch)
		e.watches[line] = []*watch{{Objective: o, line: line, standing: make([]standing, len(o.rules))}}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var pieces []piece
	for at := int64(epoch); at < epoch+60*Tick; at += Tick {
		pieces = pieces[:0]
		for line := range uint32(lines) {
			if rng.Float64() < share {
				pieces = append(pieces, piece{at, line, Tally{100, 0}})
			}
		}
		if err := e.process(pieces); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// cpuTime is what the process has used, on a machine that others use too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUpdate is one count of one line: sorting, the column, ten windows,
// what leaves them, and the judgement. Random order is sorted by the engine.
func BenchmarkUpdate(b *testing.B) {
	for _, lines := range []int{100, 100_000, 1_000_000} {
		for _, order := range []string{"sorted", "random"} {
			b.Run(fmt.Sprintf("lines=%d/%s", lines, order), func(b *testing.B) {
				e := benchEngine(b, lines, 0.2)
				rng := rand.New(rand.NewPCG(2, 2))
				n := lines / 5
				at := e.clock
				pieces := make([]piece, n)
				b.ReportAllocs()
				var used time.Duration
				for b.Loop() {
					b.StopTimer()
					for i := range pieces {
						line := uint32(i * 5)
						if order == "random" {
							line = uint32(rng.IntN(lines))
						}
						pieces[i] = piece{at, line, Tally{100, 1}}
					}
					b.StartTimer()
					began := cpuTime(b)
					if err := e.process(pieces); err != nil {
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

// BenchmarkWindows is the update of a line's windows alone, without column and
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

// BenchmarkJudge is the evaluation of every line's four pairs.
func BenchmarkJudge(b *testing.B) {
	const lines = 1_000_000
	e := benchEngine(b, lines, 0.2)
	began := cpuTime(b)
	for b.Loop() {
		for line := range uint32(lines) {
			e.dirty.set(line)
		}
		if err := e.judge(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(b.N)/lines, "cpu-ns/line")
}

// BenchmarkMemory is what a line with an objective takes, and what one without.
func BenchmarkMemory(b *testing.B) {
	const lines = 1_000_000
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("objective=%v", watched), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				e := newEngine()
				o := mustCompile(b, Spec{Target: 99.9})
				for range lines {
					line := e.newLine(epoch)
					if watched {
						e.watches[line] = []*watch{{Objective: o, line: line, standing: make([]standing, len(o.rules))}}
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
