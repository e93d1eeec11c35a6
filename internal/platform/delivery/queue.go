package delivery

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Queue holds the waiting deliveries of the shards that this process owns, and
// decides which attempt is next: tenants take turns, within a tenant its
// destinations, within a destination its lanes. Safe for concurrent use.
type Queue struct {
	cfg     Config
	writer  *db.Writer[*write]
	metrics *metrics
	wake    chan struct{} // a token for the dispatcher

	mu    sync.Mutex // guards everything below; attempts run without it
	open  bool       // run has begun and has not ended
	owned [shards]bool
	share int // of shards, for each live process, when the leases were last renewed

	releasing [shards]bool     // no attempt begins: the lease is being released
	loaded    [shards]bool     // the stored deliveries of an owned shard are in memory
	items     map[string]*Item // by id
	dests     map[string]*destination
	pauses    map[string]time.Time // stored ones, of destinations that are not in dests
	tenants   map[string]*tenant
	ring      []*tenant // tenants with a ready destination, in turn
	paces     map[string]*pace
	timers    timers
	inFlight  int
	inShard   [shards]int          // attempts in flight, by shard
	loads     int                  // database reads in progress
	finished  map[string]time.Time // tombstones: a read or an offer that began earlier may bring these ids again
	seen      map[string]struct{}  // with several processes: ids that the poll need not read
	done      sync.WaitGroup       // attempts, closings and reads
	ctx       context.Context      // of attempts; canceled when the drain takes too long
	holder    string               // of leases
	leased    time.Time            // with several processes: until when the leases surely hold
}

// lane is the deliveries of one destination and one key, in order. Only the
// first one may run.
type lane struct {
	key    string
	dest   *destination
	items  []*Item
	ready  bool // in dest.ready
	parked bool // waits for its rate
}

// insert puts an item into the order of ids, and never before an attempt in
// flight. An item with an older id may come later: it was being read from the
// database, or another process stored it.
func (l *lane) insert(it *Item) {
	i := len(l.items)
	for i > 0 && l.items[i-1].ID > it.ID && !l.items[i-1].inFlight {
		i--
	}
	l.items = slices.Insert(l.items, i, it)
}

type destination struct {
	id          string
	shard       int
	tenant      *tenant
	lanes       map[string]*lane
	ready       []*lane // whose first item is due, in turn
	held        int     // items in memory
	inFlight    int
	window      window
	progress    time.Time // when an attempt last ended, or the first of the running ones began
	failing     bool      // the last attempt did not arrive
	paused      time.Time // nothing is sent before; see pause.go
	pauseStored bool      // paused is in the database
	alarm       time.Time // the pause for which a timer is set
	more        bool      // the database has waiting deliveries after last
	last        string    // highest id that is or was in memory
	loading     bool
	queued      bool // in tenant.ready
}

type tenant struct {
	ready    []*destination // in turn
	inFlight int
	queued   bool // in the ring
}

// mostHeld is how many deliveries of one destination are in memory; the rest
// waits in the database, in order.
const mostHeld = 10_000

// shards is the number of parts of the deliveries, each with one owner.
const shards = 16

// shardOf is the shard of a destination: its deliveries have one owner.
func shardOf(destinationID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(destinationID)) // a hash never fails
	return int(h.Sum32() % shards)
}

func newQueue(cfg Config) *Queue {
	q := &Queue{cfg: cfg, metrics: newMetrics(cfg.Name, cfg.Kinds), wake: make(chan struct{}, 1)}
	q.clear()
	return q
}

// clear drops everything that is in memory.
func (q *Queue) clear() {
	q.owned = [shards]bool{}
	q.releasing = [shards]bool{}
	q.share = shards
	q.loaded = [shards]bool{}
	q.items = map[string]*Item{}
	q.dests = map[string]*destination{}
	q.pauses = map[string]time.Time{}
	q.tenants = map[string]*tenant{}
	q.paces = map[string]*pace{}
	q.finished = map[string]time.Time{}
	q.seen = map[string]struct{}{}
	q.ring = nil
	q.timers = timers{}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Offer enqueues deliveries after the commit of the transaction that inserted
// them. Deliveries of shards that this process does not own are ignored: their
// owner reads them from the database.
func (q *Queue) Offer(list []*Item) {
	if len(list) == 0 {
		return
	}
	q.mu.Lock()
	if q.open {
		var closed []Closing
		for _, it := range list {
			if it.State == StateWaiting {
				closed = append(closed, q.add(it, false)...)
				if q.shared() {
					q.seen[it.ID] = struct{}{}
				}
			}
		}
		q.close(closed)
	}
	q.mu.Unlock()
	q.signal()
}

// add queues a delivery and returns the deliveries that it closes. next says
// that it directly follows the deliveries in memory.
func (q *Queue) add(it *Item, next bool) []Closing {
	if !q.owned[shardOf(it.Destination)] || q.items[it.ID] != nil {
		return nil
	}
	if _, ended := q.finished[it.ID]; ended {
		return nil
	}
	d := q.destination(it)
	if d.more && it.ID > d.last && !next || d.held >= mostHeld {
		d.more = true // it is read once the deliveries before it have ended
		return nil
	}
	d.last = max(d.last, it.ID)
	d.held++
	q.items[it.ID] = it
	key := it.Lane
	if key == "" {
		key = it.ID
	}
	l := d.lanes[key]
	if l == nil {
		l = &lane{key: key, dest: d}
		d.lanes[key] = l
	}
	it.lane = l
	l.insert(it)
	closed := q.order(l)
	q.schedule(l)
	return closed
}

func (q *Queue) destination(it *Item) *destination {
	d := q.dests[it.Destination]
	if d == nil {
		t := q.tenants[it.Tenant]
		if t == nil {
			t = &tenant{}
			q.tenants[it.Tenant] = t
		}
		d = &destination{
			id:     it.Destination,
			shard:  shardOf(it.Destination),
			tenant: t,
			lanes:  map[string]*lane{},
			window: newWindow(q.cfg.Limits.PerDestination),
			paused: q.pauses[it.Destination],

			pauseStored: true,
		}
		delete(q.pauses, it.Destination)
		q.dests[it.Destination] = d
	}
	return d
}

// order asks the feature which deliveries of a lane end without an attempt, and
// removes them.
func (q *Queue) order(l *lane) []Closing {
	if q.cfg.Order == nil || len(l.items) < 2 {
		return nil
	}
	closed := q.cfg.Order(l.items)
	for _, c := range closed {
		q.remove(c.Item)
	}
	return closed
}

// remove evicts an item from memory.
func (q *Queue) remove(it *Item) {
	l := it.lane
	if i := slices.Index(l.items, it); i >= 0 {
		l.items = slices.Delete(l.items, i, i+1)
	}
	if len(l.items) == 0 && l.dest.lanes[l.key] == l {
		delete(l.dest.lanes, l.key)
	}
	l.dest.held--
	delete(q.items, it.ID)
	if q.loads > 0 || q.shared() || it.read {
		q.finished[it.ID] = time.Now()
	}
	q.evict(l.dest)
}

// mostIdle is how many destinations without deliveries stay in memory, so that
// they keep their windows.
const mostIdle = 10_000

func (q *Queue) evict(d *destination) {
	busy := d.held > 0 || d.inFlight > 0 || d.more || d.loading || d.queued || len(d.ready) > 0 || d.failing ||
		d.paused.After(q.cfg.Now())
	if !busy && len(q.dests) > mostIdle {
		delete(q.dests, d.id)
	}
}

// release frees the destination's slot when the attempt has ended. The lane and
// the process's slot are held until the outcome is committed, so that messages
// of one lane stay in order.
func (q *Queue) release(o *Outcome) {
	now := q.cfg.Now()
	v := &o.Verdict
	if v.Pause > 0 {
		o.pausedUntil = now.Add(v.Pause)
	}
	q.mu.Lock()
	d := o.Item.lane.dest
	d.inFlight--
	d.tenant.inFlight--
	d.progress = now
	if v.Overload {
		d.window.overloaded(o.At, now)
	}
	if v.State == StateDelivered {
		d.window.succeeded()
	}
	d.pause(o.pausedUntil)
	q.queueDestination(d)
	q.queueTenant(d.tenant)
	q.mu.Unlock()
	q.signal()
}

// finish applies the outcome of an attempt. stored is false when the outcome is
// not in the database: the process is stopping, or another owner was faster.
func (q *Queue) finish(o *Outcome, stored bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := o.Item
	v := &o.Verdict
	l := it.lane
	d := l.dest
	if stored && d.paused.Equal(o.pausedUntil) {
		d.pauseStored = true
	}
	it.inFlight = false
	it.admitted = false
	q.inFlight--
	q.inShard[d.shard]--
	switch {
	case !stored:
		q.remove(it) // it is not sent again from here
	case v.State == StateWaiting:
		if v.made {
			it.Attempts++
		}
		if v.Counts {
			it.Failures++
		}
		it.Due = q.cfg.Now().Add(v.Wait)
		d.failing = true
	default:
		q.remove(it)
		if v.State == StateDelivered {
			q.recovered(d)
		}
	}
	closed := q.order(l)
	q.schedule(l)
	q.queueDestination(d)
	q.queueTenant(d.tenant)
	q.loadMore(d)
	q.close(closed)
	q.signal()
}

// recoverySpread is the time over which the retries of a destination that works
// again are spread.
const recoverySpread = 5 * time.Second

// recovered brings forward the retries of a destination that works again. Its
// pause lasts: the attempt that arrived began before the destination asked to
// wait.
func (q *Queue) recovered(d *destination) {
	if !d.failing {
		return
	}
	d.failing = false
	q.expedite(d, recoverySpread)
}

// expedite makes the retries of a destination due within a span.
func (q *Queue) expedite(d *destination, span time.Duration) {
	now := q.cfg.Now()
	for _, l := range d.lanes {
		it := l.items[0]
		if it.inFlight || it.held() || !it.Due.After(now) {
			continue
		}
		it.Due = now
		if span > 0 {
			it.Due = now.Add(rand.N(span))
		}
		q.schedule(l)
	}
}

// dispatch starts attempts until ctx ends.
func (q *Queue) dispatch(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for ctx.Err() == nil {
		q.mu.Lock()
		q.expire()
		for it := q.next(); it != nil; it = q.next() {
			q.done.Go(func() { q.attempt(it) })
		}
		wait := q.timers.until(q.cfg.Now())
		q.mu.Unlock()
		alarm.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-alarm.C:
		}
	}
}

// expire handles the timers that are due.
func (q *Queue) expire() {
	now := q.cfg.Now()
	for t, ok := q.timers.pop(now); ok; t, ok = q.timers.pop(now) {
		switch {
		case t.lane != nil:
			q.schedule(t.lane)
		case t.dest != nil:
			q.queueDestination(t.dest)
		default:
			q.resumePace(t.pace)
		}
	}
}

// dropTombstones drops tombstones older than any database read still in progress.
func (q *Queue) dropTombstones() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for itemID, at := range q.finished {
		if time.Since(at) > 30*time.Second {
			delete(q.finished, itemID)
		}
	}
}

// state is shown by the metrics: deliveries in memory, attempts in flight, and
// how long the delivery that is overdue longest has been due.
func (q *Queue) state() (depth, inFlight int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.cfg.Now()
	for _, d := range q.dests {
		for _, l := range d.ready {
			if len(l.items) > 0 {
				oldest = max(oldest, now.Sub(l.items[0].Due))
			}
		}
	}
	return len(q.items), q.inFlight, oldest
}
