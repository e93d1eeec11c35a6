package delivery

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// One process owns a shard and sends its deliveries. With SQLite that is the only
// process. With several processes on PostgreSQL, ownership is a lease in the
// database: each process claims its share of the shards, renews its leases, and
// releases a surplus shard once none of its attempts is in flight.
//
// A process that was suspended for longer than its leases begins no attempt
// before it has renewed them (see next). The outcome of an attempt that it had
// begun is fenced by the count of attempts, not by [db.Lease.Fence]: the outcome
// of the only attempt that was made is stored even if the shard has passed to
// another owner meanwhile (see update).

// shardLeases has a row for each shard.
var shardLeases = db.NewLeases(db.LeaseTable{
	Name:   "shard_owner",
	Key:    []string{"shard"},
	Holder: "holder",
	Until:  "until",
})

// run owns the queue until ctx ends; then attempts in flight finish, at most for
// as long as one may take.
func (q *Queue) run(ctx context.Context) error {
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	q.mu.Lock()
	q.ctx = attempts
	q.open = true
	q.holder = id.New()
	q.mu.Unlock()
	owning := make(chan struct{})
	go func() {
		defer close(owning)
		q.own(ctx)
	}()
	q.dispatch(ctx)
	<-owning
	q.mu.Lock()
	q.open = false
	q.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		q.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(q.cfg.Limits.Attempt + time.Second):
		cancel() // canceled attempts are made again by the next owner
		<-ended
	}
	q.mu.Lock()
	q.clear()
	q.mu.Unlock()
	if q.shared() {
		q.releaseLeases(context.WithoutCancel(ctx))
	}
	return nil
}

// own acquires shards and loads their deliveries, until ctx ends. Leases are
// renewed by another goroutine, because loading may take longer than a lease.
func (q *Queue) own(ctx context.Context) {
	var unread []int // owned, and not loaded yet
	alone := !q.shared()
	acquired := make(chan []int)
	renewing := make(chan struct{})
	if alone {
		close(renewing)
	} else {
		go func() {
			defer close(renewing)
			q.renewLeases(ctx, acquired)
		}()
	}
	var since time.Time
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if alone && len(unread) == 0 {
			unread, err = q.ownAll(ctx)
		}
		for len(unread) > 0 && err == nil {
			if err = q.load(ctx, unread[0]); err == nil {
				unread = unread[1:]
			}
		}
		if err == nil && !alone {
			// A transaction that commits now may have made its ids some time ago.
			if err = q.poll(ctx, since.Add(-pollOverlap)); err == nil {
				since = began
				err = q.endedPauses(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			q.cfg.Log.Warn("deliveries could not be read, will be tried again", "error", err)
		}
		q.dropTombstones()
		q.signal()
		select {
		case <-ctx.Done():
		case more := <-acquired:
			unread = append(unread, more...)
		case <-time.After(q.cfg.Limits.Poll):
		}
	}
	<-renewing
}

// pollOverlap is how much older than the last poll a delivery's id may be.
const pollOverlap = 10 * time.Second

// renewLeases keeps the leases of this process, and sends the shards that are
// new to acquired.
func (q *Queue) renewLeases(ctx context.Context, acquired chan<- []int) {
	every := time.NewTicker(q.cfg.Limits.Lease / 5)
	defer every.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		more, err := q.balance(ctx)
		if err == nil {
			q.mu.Lock()
			q.leased = began.Add(q.cfg.Limits.Lease)
			q.mu.Unlock()
			q.signal()
		} else if ctx.Err() == nil {
			q.cfg.Log.Warn("leases of deliveries were not renewed, will be tried again", "error", err)
		}
		if len(more) > 0 {
			select {
			case acquired <- more:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
}

// ownAll makes this process the owner of all shards, and returns the shards that
// are new: none after the first call.
func (q *Queue) ownAll(ctx context.Context) (acquired []int, err error) {
	q.mu.Lock()
	owned := q.owned
	q.mu.Unlock()
	for shard := range owned {
		if !owned[shard] {
			acquired = append(acquired, shard)
		}
	}
	if len(acquired) == 0 {
		return nil, nil
	}

	var pauses map[string]time.Time
	err = q.cfg.DB.View(ctx, func(tx *db.Tx) (err error) {
		pauses, err = readPauses(ctx, tx, q.cfg.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	q.acquire(acquired, pauses)
	return acquired, nil
}

// acquire makes this process the owner of shards. From now on it takes offered
// deliveries; it sends them when the stored ones are loaded, so that lanes stay in
// order.
func (q *Queue) acquire(list []int, pauses map[string]time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loadPauses(list, pauses)
	for _, shard := range list {
		q.owned[shard] = true
	}
}

// disown evicts the waiting items of a shard. Attempts in flight end by
// themselves.
func (q *Queue) disown(shard int) {
	if !q.owned[shard] {
		return
	}
	q.owned[shard] = false
	q.loaded[shard] = false
	for _, it := range q.items {
		if shardOf(it.Destination) == shard && !it.inFlight {
			q.remove(it)
		}
	}
}

// balance renews the leases, claims this process's share of the free shards,
// and releases the surplus. It returns the shards that are new.
func (q *Queue) balance(ctx context.Context) (acquired []int, err error) {
	for {
		b := q.beginBalance()
		before := b.share
		more, err := q.renew(ctx, b)
		q.endBalance()
		acquired = append(acquired, more...)
		if err != nil || b.share >= before {
			return acquired, err
		}
		// Another process has begun: which shards are surplus is known only now.
	}
}

func (q *Queue) renew(ctx context.Context, b *balancing) (acquired []int, err error) {
	var pauses map[string]time.Time
	err = q.cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		pauses = nil
		if err := b.run(ctx, tx); err != nil || len(b.acquired) == 0 {
			return err
		}
		var err error
		pauses, err = readPauses(ctx, tx, q.cfg.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	q.share = b.share
	for shard := range shards {
		if b.mine[shard] && !b.held[shard] {
			q.disown(shard)
		}
	}
	q.mu.Unlock()
	q.acquire(b.acquired, pauses)
	return b.acquired, nil
}

// beginBalance chooses the surplus shards that may be released, by the share of the
// last renewal: those without an attempt in flight. Until endBalance none begins there:
// the next owner would make it again.
func (q *Queue) beginBalance() *balancing {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := 0
	for shard := range shards {
		if q.owned[shard] {
			count++
		}
	}
	for shard := shards - 1; shard >= 0 && count > q.share; shard-- {
		if q.owned[shard] && q.inShard[shard] == 0 {
			q.releasing[shard] = true
			count--
		}
	}
	return &balancing{
		holder: q.holder,
		ttl:    q.cfg.Limits.Lease,
		mine:   q.owned,
		idle:   q.releasing,
		share:  q.share,
	}
}

// endBalance lets the destinations of shards that were not released send again.
func (q *Queue) endBalance() {
	q.mu.Lock()
	releasing := q.releasing
	q.releasing = [shards]bool{}
	if releasing != q.releasing {
		for _, d := range q.dests {
			if releasing[d.shard] {
				q.queueDestination(d)
			}
		}
	}
	q.mu.Unlock()
	q.signal()
}

// balancing is one renewal of the leases of a process.
type balancing struct {
	holder string
	ttl    time.Duration // of a lease
	mine   [shards]bool  // before
	idle   [shards]bool  // no attempt is in flight, and none begins

	share    int // of shards, for each live process; before the first run, the last known one
	surplus  int // shards to release
	held     [shards]bool
	count    int
	acquired []int
}

// run works through the shards in the order of their numbers, so that two
// processes do not deadlock.
func (b *balancing) run(ctx context.Context, tx *db.Tx) error {
	b.held = [shards]bool{}
	b.count = 0
	b.acquired = nil
	if err := b.register(ctx, tx); err != nil {
		return err
	}
	b.surplus = -b.share
	for shard := range shards {
		if b.mine[shard] {
			b.surplus++
		}
	}
	for shard := range shards {
		if b.mine[shard] {
			if err := b.keep(ctx, tx, shard); err != nil {
				return err
			}
		}
	}
	for shard := range shards {
		if !b.mine[shard] && b.count < b.share {
			if err := b.claim(ctx, tx, shard); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *balancing) lease(shard int) db.Lease { return shardLeases.Of(b.holder, shard) }

// register notes that this process is alive, and counts the processes. A row of
// the table node is a heartbeat and no lease: there is nothing to claim.
func (b *balancing) register(ctx context.Context, tx *db.Tx) error {
	now := time.Now()
	_, err := tx.Exec(ctx, `INSERT INTO node (holder, until) VALUES ($1, $2)
		ON CONFLICT (holder) DO UPDATE SET until = excluded.until`, b.holder, now.Add(b.ttl).UnixMicro())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM node WHERE until < $1`, now.Add(-time.Hour).UnixMicro())
	if err != nil {
		return err
	}
	live := 0
	err = tx.QueryRow(ctx, `SELECT count(*) FROM node WHERE until >= $1`, now.UnixMicro()).Scan(&live)
	b.share = (shards + live - 1) / max(1, live)
	return err
}

// keep renews the lease of a shard, or releases it when it is surplus.
func (b *balancing) keep(ctx context.Context, tx *db.Tx, shard int) error {
	if b.surplus > 0 && b.idle[shard] {
		b.surplus--
		return b.lease(shard).Release(ctx, tx, 0)
	}
	held, err := b.lease(shard).Renew(ctx, tx, b.ttl)
	if held {
		b.held[shard] = true
		b.count++
	}
	return err
}

func (b *balancing) claim(ctx context.Context, tx *db.Tx, shard int) error {
	held, err := b.lease(shard).Claim(ctx, tx, b.ttl)
	if held {
		b.held[shard] = true
		b.count++
		b.acquired = append(b.acquired, shard)
	}
	return err
}

// releaseLeases lets another process begin at once.
func (q *Queue) releaseLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := q.cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		for shard := range shards {
			if err := shardLeases.Of(q.holder, shard).Release(ctx, tx, 0); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM node WHERE holder = $1`, q.holder)
		return err
	})
	if err != nil {
		q.cfg.Log.Info("leases of deliveries were not released; they end by themselves", "error", err)
	}
}
