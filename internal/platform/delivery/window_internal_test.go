package delivery

import (
	"testing"
	"time"
)

func TestTheWindowGrowsWithSuccessesAndHalvesOncePerRound(t *testing.T) {
	w := newWindow(32)
	if w.limit() != startWindow {
		t.Fatalf("begins at %d", w.limit())
	}
	for range 12 {
		w.succeeded()
	}
	if w.limit() != 16 {
		t.Errorf("slow start reached %d after 12 successes, want 16", w.limit())
	}
	now := time.Now()
	began := now.Add(-time.Second)
	for range 16 { // attempts that were in flight together
		w.overloaded(began, now)
	}
	if w.limit() != 8 {
		t.Errorf("one round of failures left %d, want 8", w.limit())
	}
	w.overloaded(now, now.Add(time.Second))
	if w.limit() != 4 {
		t.Errorf("a second round left %d, want 4", w.limit())
	}
	for range 4 {
		w.succeeded()
	}
	if w.limit() != 4 {
		t.Errorf("past the threshold it grew to %d within a round, want 4", w.limit())
	}
	for range 2 {
		w.succeeded()
	}
	if w.limit() != 5 {
		t.Errorf("past the threshold it grew to %d in a round, want 5", w.limit())
	}
	for range 10_000 {
		w.succeeded()
	}
	if w.limit() != 32 {
		t.Errorf("the most is %d, want 32", w.limit())
	}
	for i := range 20 {
		at := now.Add(time.Duration(i+2) * time.Second)
		w.overloaded(at, at)
	}
	if w.limit() != 1 {
		t.Errorf("the least is %d, want 1", w.limit())
	}
}
