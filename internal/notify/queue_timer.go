package notify

import (
	"container/heap"
	"time"
)

// timer is a moment at which a lane or a destination may become ready. A timer
// whose reason has gone is harmless: what it wakes looks for itself.
type timer struct {
	at   time.Time
	lane *lane
	dest *dest
}

// timers is a heap of them, the earliest first.
type timers struct{ list []timer }

func (t *timers) Len() int           { return len(t.list) }
func (t *timers) Less(i, j int) bool { return t.list[i].at.Before(t.list[j].at) }
func (t *timers) Swap(i, j int)      { t.list[i], t.list[j] = t.list[j], t.list[i] }

// Push and Pop are the heap's.
func (t *timers) Push(x any) { t.list = append(t.list, x.(timer)) }

// Pop takes the last.
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list[len(t.list)-1] = timer{}
	t.list = t.list[:len(t.list)-1]
	return last
}

func (t *timers) push(at time.Time, l *lane, d *dest) { heap.Push(t, timer{at, l, d}) }

// pop gives a timer that is due.
func (t *timers) pop(now time.Time) (timer, bool) {
	if len(t.list) == 0 || t.list[0].at.After(now) {
		return timer{}, false
	}
	return heap.Pop(t).(timer), true
}

// until is the wait to the next one, at most an hour.
func (t *timers) until(now time.Time) time.Duration {
	if len(t.list) == 0 {
		return time.Hour
	}
	return min(max(t.list[0].at.Sub(now), time.Millisecond), time.Hour)
}
