package notify

import (
	"math/rand/v2"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

// What the order of START and END in a lane means. Everything here is called
// with the queue's mu held.

// settle applies the order of START and END in a lane:
//
//	END before START was attempted       both are superseded
//	START attempted, without success     START is superseded, END goes
//	START under way                      END waits for it
func (q *queue) settle(l *lane) (closed []*closing) {
	for i := 1; i < len(l.items); i++ {
		end := l.items[i]
		if end.event != event.AlertEnd || end.replay {
			continue
		}
		for j := 0; j < i; j++ {
			start := l.items[j]
			if start.event != event.AlertStart || start.replay || start.rootKey != end.rootKey || start.policyID != end.policyID || start.running {
				continue
			}
			if !start.tried() {
				closed = append(closed, &closing{start, stateSuperseded, "it ended before anybody was told"}, &closing{end, stateSuperseded, "it ended before anybody was told of its start"})
				q.remove(start)
				q.remove(end)
				i -= 2
			} else {
				closed = append(closed, &closing{start, stateSuperseded, "it ended before the start arrived; the end was sent instead"})
				q.remove(start)
				i--
			}
			break
		}
		i = max(i, 0)
	}
	return closed
}

// arrived lets a destination that answers again have what waits for it.
func (q *queue) arrived(d *dest) []*closing {
	d.limit = min(d.limit+1, q.n.Limits.PerReceiver)
	if !d.failing {
		return nil
	}
	d.failing, d.paused = false, time.Time{}
	now := q.n.Now()
	for _, l := range d.lanes {
		if it := l.items[0]; !it.running && !it.held() && it.due.After(now) {
			it.due = now.Add(time.Duration(rand.Int64N(int64(5 * time.Second))))
			q.schedule(l)
		}
	}
	return nil
}

// unsent closes the END of a START that failed for good.
func (q *queue) unsent(start *item) (closed []*closing) {
	for _, x := range append([]*item(nil), start.lane.items...) {
		if x.event == event.AlertEnd && !x.replay && x.rootKey == start.rootKey && x.policyID == start.policyID {
			closed = append(closed, &closing{x, stateNotSent, "its start did not arrive, so there is nothing to end"})
			q.remove(x)
		}
	}
	return closed
}

// closing is a delivery that ends without an attempt.
type closing struct {
	item       *item
	state, why string
}

// close writes them down, without waiting; what is not written is decided
// again by the next owner.
func (q *queue) close(list []*closing) {
	for _, c := range list {
		q.done.Go(func() {
			if err := q.n.outcomes.Do(q.ctx, &write{closing: c}); err != nil {
				q.n.Log.Warn("a delivery's end was not written; it is decided again later", "delivery", c.item.id, "error", err)
			}
			q.n.metrics.ended(c.item.kind, c.state)
		})
	}
}
