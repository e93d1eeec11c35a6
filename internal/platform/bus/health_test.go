package bus_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

func TestTheStateFollowsProgressNotTraffic(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type look struct {
		after     time.Duration
		next, end int64
		want      bus.State
	}
	for name, looks := range map[string][]look{
		"idle for an hour": {{0, 5, 5, bus.OK}, {time.Hour, 5, 5, bus.OK}},
		"a record after a quiet day": {{0, 5, 5, bus.OK}, {24 * time.Hour, 5, 6, bus.Stalled},
			{24*time.Hour + time.Second, 6, 6, bus.OK}},
		"it moves and falls behind": {{0, 0, 50, bus.OK}, {time.Minute, 10, 500, bus.Lagging},
			{2 * time.Minute, 20, 900, bus.Lagging}},
		"it stands still":      {{0, 7, 9, bus.OK}, {59 * time.Second, 7, 9, bus.OK}, {time.Minute, 7, 9, bus.Stalled}},
		"the log lost its end": {{0, 7, 9, bus.OK}, {time.Second, 7, 3, bus.AheadOf}},
	} {
		var p bus.Progress
		for i, l := range looks {
			now := start.Add(l.after)
			p = p.Advance(l.next, l.end, now)
			if got := bus.Judge(p, now, 100, time.Minute); got != l.want {
				t.Errorf("%s: look %d is %s, want %s", name, i, got, l.want)
			}
		}
	}
}

func TestABackoffStaysInItsBoundsAndCanBeCancelled(t *testing.T) {
	b := bus.Backoff{Min: 10 * time.Millisecond, Max: time.Second}
	top := 10 * time.Millisecond
	for range 100 {
		if d := b.Next(); d < time.Millisecond || d > top {
			t.Fatalf("%v, limit %v", d, top)
		}
		top = min(2*top, time.Second)
	}
	b.Reset()
	if d := b.Next(); d > 10*time.Millisecond {
		t.Fatalf("after a reset: %v", d)
	}
}
