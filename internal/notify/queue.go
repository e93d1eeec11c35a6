package notify

import (
	"context"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

// queue holds the deliveries that this process owns and decides which attempt
// is next: accounts take turns, within an account its destinations, within a
// destination its lanes. A lane is what has one destination and one correlation
// id: one attempt at a time, in order. So a receiver that hangs holds a few of
// the slots and nothing else, and an account with a million messages waits for
// nobody but itself.
//
// Everything below mu is touched by mu's holder only; attempts run outside.
type queue struct {
	n    *Feature
	wake chan struct{} // a token for the dispatcher

	mu       sync.Mutex
	open     bool // run has begun and has not ended
	owned    [shards]bool
	items    map[string]*item // by id
	dests    map[string]*dest
	tenants  map[string]*tenant
	ring     []*tenant // those with a destination that is ready, in turn
	timers   timers
	running  int
	inShard  [shards]int          // attempts under way
	loads    int                  // readings of the database under way
	finished map[string]time.Time // what a reading that began earlier may show once more
	done     sync.WaitGroup       // attempts and closings
	ctx      context.Context      // of attempts; ends when the drain gave up
	holder   string               // of leases
	leased   time.Time            // past one machine: until when the shards are surely ours
}

// item is one delivery that waits or is under way.
type item struct {
	id, account, alertKey, rootKey, correlation string
	policyID, policy, destination, kind         string
	event                                       event.AlertEvent
	shard                                       int
	attempts, failures                          int
	due, created                                time.Time
	heldFor                                     string // the subject whose interval delays the first attempt; "" = none
	unsure                                      bool   // may have been under way when a process died
	replay                                      bool
	alert                                       *prepared // nil = to be read

	running bool
	lane    *lane
}

// held reports whether a policy's interval delays it still.
func (it *item) held() bool { return it.heldFor != "" && !it.tried() }

// tried reports whether the receiver may have seen it.
func (it *item) tried() bool { return it.attempts > 0 || it.unsure || it.running }

type lane struct {
	key   string
	dest  *dest
	items []*item // in order; the first is the one that may run
	ready bool    // in dest.ready
}

type dest struct {
	id      string
	tenant  *tenant
	lanes   map[string]*lane
	ready   []*lane // whose first item is due, in turn
	held    int     // items in memory
	running int
	limit   int // attempts at once: halved by a timeout, grows with success
	failing bool
	paused  time.Time
	alarm   time.Time // for which paused a timer is set
	more    bool      // the database has waiting deliveries behind last
	last    string    // id of the newest item that is or was in memory
	loading bool
	queued  bool // in tenant.ready
	known   *Destination
	fetched time.Time
	epoch   int        // raised when what was read may be old
	reading sync.Mutex // one reading of the settings at a time; taken before mu
}

type tenant struct {
	ready   []*dest // in turn
	running int
	queued  bool // in the ring
}

// holdMost is how many deliveries of one destination are in memory; the rest
// waits in the database, in order.
const holdMost = 10_000

func newQueue(n *Feature) *queue {
	return &queue{n: n, wake: make(chan struct{}, 1), items: map[string]*item{}, dests: map[string]*dest{}, tenants: map[string]*tenant{}, finished: map[string]time.Time{}}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// offer hands over deliveries that were just committed. Those of other owners
// are left to them.
func (q *queue) offer(list []*item) {
	if len(list) == 0 {
		return
	}
	q.mu.Lock()
	if q.open {
		var closed []*closing
		for _, it := range list {
			closed = append(closed, q.add(it, false)...)
		}
		q.close(closed)
	}
	q.mu.Unlock()
	q.signal()
}

// add puts an item into its lane, and gives what its coming closes. next says
// that it is the one that follows those in memory.
func (q *queue) add(it *item, next bool) []*closing {
	if !q.owned[it.shard] || q.items[it.id] != nil {
		return nil
	}
	if _, ended := q.finished[it.id]; ended {
		return nil
	}
	d := q.dest(it)
	if d.more && it.id > d.last && !next || d.held >= holdMost {
		d.more = true // it is read when those before it are through
		return nil
	}
	d.last = max(d.last, it.id)
	d.held++
	q.items[it.id] = it
	key := it.correlation
	if key == "" {
		key = it.id
	}
	l := d.lanes[key]
	if l == nil {
		l = &lane{key: key, dest: d}
		d.lanes[key] = l
	}
	it.lane = l
	l.items = append(l.items, it)
	closed := q.settle(l)
	q.schedule(l)
	return closed
}

func (q *queue) dest(it *item) *dest {
	d := q.dests[it.destination]
	if d == nil {
		t := q.tenants[it.account]
		if t == nil {
			t = &tenant{}
			q.tenants[it.account] = t
		}
		d = &dest{id: it.destination, tenant: t, lanes: map[string]*lane{}, limit: q.n.Limits.PerReceiver}
		q.dests[it.destination] = d
	}
	return d
}

// remove takes an item out of memory.
func (q *queue) remove(it *item) {
	l := it.lane
	for i, x := range l.items {
		if x == it {
			l.items = append(l.items[:i], l.items[i+1:]...)
			break
		}
	}
	if len(l.items) == 0 && l.dest.lanes[l.key] == l {
		delete(l.dest.lanes, l.key)
	}
	l.dest.held--
	delete(q.items, it.id)
	if q.loads > 0 || q.n.shared() {
		q.finished[it.id] = time.Now()
	}
	q.forget(l.dest)
}

// forget drops a destination that has nothing to do.
func (q *queue) forget(d *dest) {
	if d.held == 0 && d.running == 0 && !d.more && !d.loading && !d.queued && len(d.ready) == 0 && !d.failing && len(q.dests) > 10_000 {
		delete(q.dests, d.id)
	}
}

// schedule makes a lane ready, or sets a timer for it.
func (q *queue) schedule(l *lane) {
	if l.ready || len(l.items) == 0 || l.items[0].running {
		return
	}
	if due := l.items[0].due; due.After(q.n.Now()) {
		q.timers.push(due, l, nil)
		return
	}
	l.ready = true
	l.dest.ready = append(l.dest.ready, l)
	q.queueDest(l.dest)
}

// queueDest puts a destination that may run something into its account's turn.
func (q *queue) queueDest(d *dest) {
	if d.queued || len(d.ready) == 0 || d.running >= d.limit {
		return
	}
	if d.paused.After(q.n.Now()) {
		if d.alarm != d.paused {
			d.alarm = d.paused
			q.timers.push(d.paused, nil, d)
		}
		return
	}
	d.queued = true
	d.tenant.ready = append(d.tenant.ready, d)
	q.queueTenant(d.tenant)
}

func (q *queue) queueTenant(t *tenant) {
	if !t.queued && len(t.ready) > 0 && t.running < q.n.Limits.PerAccount {
		t.queued = true
		q.ring = append(q.ring, t)
	}
}

// next takes the item whose turn it is; nil when nothing may run.
func (q *queue) next() *item {
	if q.n.shared() && !time.Now().Before(q.leased) {
		return nil // another process may have taken over; renew signals
	}
	for len(q.ring) > 0 && q.running < q.n.Limits.Running {
		t := q.ring[0]
		q.ring, t.queued = q.ring[1:], false
		d := t.ready[0]
		t.ready, d.queued = t.ready[1:], false
		q.queueTenant(t)
		if d.paused.After(q.n.Now()) || d.running >= d.limit {
			q.queueDest(d)
			continue
		}
		for len(d.ready) > 0 {
			l := d.ready[0]
			d.ready, l.ready = d.ready[1:], false
			if len(l.items) == 0 || l.items[0].running {
				continue
			}
			if l.items[0].due.After(q.n.Now()) || !q.owned[l.items[0].shard] {
				if q.owned[l.items[0].shard] {
					q.schedule(l)
				}
				continue
			}
			it := l.items[0]
			it.running = true
			q.running++
			d.running++
			t.running++
			q.inShard[it.shard]++
			q.queueDest(d)
			q.queueTenant(t)
			return it
		}
	}
	return nil
}

// release gives back the receiver's slot when the attempt is over. Its lane and
// the process's slot stay taken until the outcome is durable: the next message
// to the receiver need not wait for our disk, the next of the same cause does.
func (q *queue) release(it *item, v verdict) {
	q.mu.Lock()
	d := it.lane.dest
	d.running--
	d.tenant.running--
	if v.slow {
		d.limit = max(1, d.limit/2)
	}
	if v.pause > 0 {
		d.paused = q.n.Now().Add(v.pause)
	}
	q.queueDest(d)
	q.queueTenant(d.tenant)
	q.mu.Unlock()
	q.signal()
}

// finish takes the outcome of an attempt into the order of things.
func (q *queue) finish(it *item, v verdict, stored bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := it.lane.dest
	it.running = false
	q.running--
	q.inShard[it.shard]--
	if v.mark != "" && stored && (d.known == nil || d.known.State != v.mark) {
		d.known, d.epoch = nil, d.epoch+1 // after the commit that wrote the new state
	}
	var closed []*closing
	switch {
	case !stored:
		// Nobody knows of the attempt but us: the process is stopping, or another
		// owner was faster. It is not tried again from here.
		q.remove(it)
	case v.state == stateWaiting:
		if v.made {
			it.attempts++
		}
		if v.counts {
			it.failures++
		}
		it.due = q.n.Now().Add(v.wait)
		it.alert = nil // read again when its time comes
		d.failing = true
	default:
		if v.state == stateDelivered {
			closed = append(closed, q.arrived(d)...)
		} else if v.state == stateFailed && it.event == event.AlertStart && !it.replay {
			closed = append(closed, q.unsent(it)...)
		}
		q.remove(it)
	}
	closed = append(closed, q.settle(it.lane)...)
	q.schedule(it.lane)
	q.queueDest(d)
	q.queueTenant(d.tenant)
	q.page(d)
	q.close(closed)
	q.signal()
}

// dispatch starts attempts until ctx ends.
func (q *queue) dispatch(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for ctx.Err() == nil {
		q.mu.Lock()
		q.expire()
		for it := q.next(); it != nil; it = q.next() {
			q.done.Go(func() { q.attempt(it) })
		}
		wait := q.timers.until(q.n.Now())
		q.mu.Unlock()
		alarm.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-alarm.C:
		}
	}
}

// expire moves what is due from the timers to the turns.
func (q *queue) expire() {
	now := q.n.Now()
	for t, ok := q.timers.pop(now); ok; t, ok = q.timers.pop(now) {
		if t.lane != nil {
			q.schedule(t.lane)
		} else {
			q.queueDest(t.dest)
		}
	}
}

// tidy forgets what no reading can show any more.
func (q *queue) tidy() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, at := range q.finished {
		if time.Since(at) > 30*time.Second {
			delete(q.finished, id)
		}
	}
}

// changed makes the next attempt read the destination again. again says that a
// test message has just arrived there: a pause ends, and what waits goes now.
func (q *queue) changed(destinationID string, again bool) {
	q.mu.Lock()
	if d := q.dests[destinationID]; d != nil {
		d.known, d.epoch = nil, d.epoch+1
		if again {
			d.paused, d.failing, d.limit = time.Time{}, false, q.n.Limits.PerReceiver
			for _, l := range d.lanes {
				if it := l.items[0]; !it.running && !it.held() && it.due.After(q.n.Now()) {
					it.due = q.n.Now()
					q.schedule(l)
				}
			}
		}
		q.queueDest(d)
	}
	q.mu.Unlock()
	q.signal()
}

// state is what metrics show: how many wait, and since when the oldest that is
// due is.
func (q *queue) state() (depth, running int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.n.Now()
	for _, d := range q.dests {
		for _, l := range d.ready {
			if len(l.items) > 0 {
				oldest = max(oldest, now.Sub(l.items[0].due))
			}
		}
	}
	return len(q.items), q.running, oldest
}
