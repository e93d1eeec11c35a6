package delivery

import (
	"time"
)

// Fairness: tenants take turns, within a tenant its destinations, within a
// destination its ready lanes. All functions are called with mu locked.

// schedule makes a lane ready, or sets a timer for it.
func (q *Queue) schedule(l *lane) {
	if l.ready || l.parked || len(l.items) == 0 || l.items[0].inFlight {
		return
	}
	if due := l.items[0].Due; due.After(q.cfg.Now()) {
		q.timers.push(timer{at: due, lane: l})
		return
	}
	l.ready = true
	l.dest.ready = append(l.dest.ready, l)
	q.queueDestination(l.dest)
}

// queueDestination queues a destination that may send for its turn in its tenant.
func (q *Queue) queueDestination(d *destination) {
	if d.queued || len(d.ready) == 0 || q.busy(d) {
		return
	}
	if d.paused.After(q.cfg.Now()) {
		if d.alarm != d.paused {
			d.alarm = d.paused
			q.timers.push(timer{at: d.paused, dest: d})
		}
		return
	}
	d.queued = true
	d.tenant.ready = append(d.tenant.ready, d)
	q.queueTenant(d.tenant)
}

// stallAfter is how long a destination with attempts in flight may answer none of
// them before no further attempt begins. A receiver that begins to hang would
// otherwise fill its whole window, and its tenant's share, within a second.
const stallAfter = 250 * time.Millisecond

// busy reports whether a destination may begin no attempt yet: one has to end
// before, or older deliveries of its lanes are not in memory.
func (q *Queue) busy(d *destination) bool {
	stalls := d.inFlight > 0 && q.cfg.Now().Sub(d.progress) > stallAfter
	return stalls || d.inFlight >= d.window.limit() || !q.loaded[d.shard] || q.releasing[d.shard]
}

func (q *Queue) queueTenant(t *tenant) {
	if !t.queued && len(t.ready) > 0 && t.inFlight < q.cfg.Limits.PerTenant {
		t.queued = true
		q.ring = append(q.ring, t)
	}
}

// next chooses the item whose turn it is and marks it as in flight; nil when
// nothing may be sent.
func (q *Queue) next() *Item {
	if q.shared() && !time.Now().Before(q.leased) {
		return nil // another process may own the shards by now; renewLeases signals
	}
	for len(q.ring) > 0 && q.inFlight < q.cfg.Limits.InFlight {
		t := q.ring[0]
		q.ring = q.ring[1:]
		t.queued = false
		d := t.ready[0]
		t.ready = t.ready[1:]
		d.queued = false
		q.queueTenant(t)
		if d.paused.After(q.cfg.Now()) || q.busy(d) {
			q.queueDestination(d)
			continue
		}
		if it := q.nextOf(d); it != nil {
			it.inFlight = true
			q.inFlight++
			if d.inFlight++; d.inFlight == 1 {
				d.progress = q.cfg.Now()
			}
			t.inFlight++
			q.inShard[d.shard]++
			q.queueDestination(d)
			q.queueTenant(t)
			return it
		}
	}
	return nil
}

// nextOf removes the first item that may be sent from the lanes that are ready.
func (q *Queue) nextOf(d *destination) *Item {
	for len(d.ready) > 0 {
		l := d.ready[0]
		d.ready = d.ready[1:]
		l.ready = false
		switch {
		case len(l.items) == 0 || l.items[0].inFlight || !q.owned[d.shard]:
		case l.items[0].Due.After(q.cfg.Now()):
			q.schedule(l)
		case q.admit(l):
			return l.items[0]
		}
	}
	return nil
}
