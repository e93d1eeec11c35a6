package tally

import (
	"math/rand/v2"
	"testing"
)

// benchSet has a million series with an objective and an hour of counts.
func benchSet(b *testing.B, active float64) (*Set, []Sample) {
	b.Helper()
	const million = 1_000_000
	s := New()
	s.SetClock(epoch)
	for range million {
		s.Watch(s.AddSeries(epoch), D30, testRules)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	samples := make([]Sample, int(million*active))
	for i := range samples {
		samples[i] = Sample{ID: uint32(rng.IntN(million)), Tally: Tally{Total: 1 + rng.Uint64N(60)}}
		if samples[i].ID%8 == 0 && rng.IntN(30) == 0 {
			samples[i].Bad = 1
		}
	}
	return s, samples
}

// BenchmarkAdd is a tick of a fifth of a million series, in random order.
func BenchmarkAdd(b *testing.B) {
	s, samples := benchSet(b, 0.2)
	at := int64(epoch)
	for b.Loop() {
		if err := s.Step(); err != nil {
			b.Fatal(err)
		}
		if _, _, err := s.Add(at, samples); err != nil {
			b.Fatal(err)
		}
		at += Tick
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(samples)), "ns/count")
}

// BenchmarkSuspects is the sweep after such a tick.
func BenchmarkSuspects(b *testing.B) {
	s, samples := benchSet(b, 0.2)
	if _, _, err := s.Add(epoch-Tick, samples); err != nil {
		b.Fatal(err)
	}
	var list []uint32
	for b.Loop() {
		for i := range samples {
			s.Mark(samples[i].ID)
		}
		b.StopTimer()
		b.StartTimer()
		list = s.Suspects(list[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(samples)), "ns/count")
}

// BenchmarkRestore decodes a dense chunk into a period.
func BenchmarkRestore(b *testing.B) {
	s, _ := benchSet(b, 0)
	var list []Entry
	for id := range uint32(chunkSize) {
		list = append(list, Entry{id, Tally{Total: 1 + uint64(id%100)}})
	}
	data := Encode(nil, list)
	start := int64(0)
	s.SetClock(epoch)
	for b.Loop() {
		if err := s.Restore(Ref{LevelCount - 1, epoch - 20*86_400 + start, 0}, data, false); err != nil {
			b.Fatal(err)
		}
		start += 7200
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunkSize, "ns/entry")
}
