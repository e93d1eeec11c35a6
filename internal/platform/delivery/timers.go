package delivery

import (
	"container/heap"
	"time"
)

// timer is a moment at which a lane, a destination or a rate key may become
// ready: one of the three is set. A timer whose reason has gone is harmless, the
// handler checks the present state.
type timer struct {
	at   time.Time
	lane *lane
	dest *destination
	pace *pace
}

// timers is a heap, the earliest first.
type timers struct{ list []timer }

func (t *timers) Len() int           { return len(t.list) }
func (t *timers) Less(i, j int) bool { return t.list[i].at.Before(t.list[j].at) }
func (t *timers) Swap(i, j int)      { t.list[i], t.list[j] = t.list[j], t.list[i] }

// Push implements heap.Interface.
func (t *timers) Push(x any) { t.list = append(t.list, x.(timer)) }

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list[len(t.list)-1] = timer{}
	t.list = t.list[:len(t.list)-1]
	return last
}

func (t *timers) push(one timer) { heap.Push(t, one) }

// pop removes and returns a timer that is due.
func (t *timers) pop(now time.Time) (timer, bool) {
	if len(t.list) == 0 || t.list[0].at.After(now) {
		return timer{}, false
	}
	return heap.Pop(t).(timer), true
}

// until is the wait for the next timer, at most an hour.
func (t *timers) until(now time.Time) time.Duration {
	if len(t.list) == 0 {
		return time.Hour
	}
	return min(max(t.list[0].at.Sub(now), time.Millisecond), time.Hour)
}
