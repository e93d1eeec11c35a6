package delivery

import (
	"testing"
	"time"
)

func TestARatePermitsABurstAndThenOnePerInterval(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		name string
		rate Rate
		at   []time.Duration // of requests
		want []time.Duration // waits
	}{
		{"unlimited", Rate{}, []time.Duration{0, 0, 0}, []time.Duration{0, 0, 0}},
		{"one per second", Rate{Every: time.Second}, []time.Duration{0, 0, 1}, []time.Duration{0, 1, 0}},
		{"a burst of three", Rate{Every: time.Second, Burst: 3}, []time.Duration{0, 0, 0, 0, 1, 1},
			[]time.Duration{0, 0, 0, 1, 0, 1}},
		{"unused time is not saved", Rate{Every: time.Second}, []time.Duration{0, 100, 100}, []time.Duration{0, 0, 1}},
		{"a burst fills up again", Rate{Every: time.Second, Burst: 2}, []time.Duration{0, 0, 100, 100, 100},
			[]time.Duration{0, 0, 0, 0, 1}},
	} {
		tat := time.Time{}
		for i, at := range c.at {
			var wait time.Duration
			tat, wait = c.rate.take(tat, start.Add(at*time.Second))
			if wait != c.want[i]*time.Second {
				t.Errorf("%s: request %d waits %v, want %v s", c.name, i, wait, int(c.want[i]))
			}
		}
	}
}

// FuzzARateNeverPermitsMoreThanItsBurstAndItsIntervals counts what is permitted
// over any series of requests.
func FuzzARateNeverPermitsMoreThanItsBurstAndItsIntervals(f *testing.F) {
	f.Add(uint16(100), uint8(3), []byte{0, 0, 0, 0, 50, 200, 1})
	f.Add(uint16(1), uint8(0), []byte{1, 1, 1, 255})
	f.Fuzz(func(t *testing.T, every uint16, burst uint8, gaps []byte) {
		rate := Rate{Every: time.Duration(every) * time.Millisecond, Burst: int(burst)}
		if rate.Every == 0 {
			t.Skip()
		}
		start := time.Unix(1_800_000_000, 0)
		now := start
		var tat time.Time
		permitted := 0
		for _, gap := range gaps {
			now = now.Add(time.Duration(gap) * time.Millisecond)
			next, wait := rate.take(tat, now)
			if wait == 0 {
				permitted++
			} else if next != tat {
				t.Fatal("a refused request changed the state")
			}
			tat = next
		}
		most := max(1, rate.Burst) + int(now.Sub(start)/rate.Every)
		if permitted > most {
			t.Fatalf("%d permitted in %v, want at most %d", permitted, now.Sub(start), most)
		}
	})
}
