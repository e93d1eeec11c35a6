package delivery

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// One process owns a shard and sends its deliveries. With SQLite that is the only
// process. With several processes on PostgreSQL, ownership is a lease in the
// database: each process takes its share of the shards, renews its leases, and
// gives up a surplus shard once none of its attempts is in flight.

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
		q.giveUpLeases(context.WithoutCancel(ctx))
	}
	return nil
}

// own acquires shards and loads their deliveries, until ctx ends. Leases are
// renewed by another goroutine, because loading may take longer than a lease.
func (q *Queue) own(ctx context.Context) {
	var unread []int // owned, and not loaded yet
	acquired := make(chan []int)
	renewing := make(chan struct{})
	if q.shared() {
		go func() {
			defer close(renewing)
			q.renewLeases(ctx, acquired)
		}()
	} else {
		close(renewing)
		unread = q.ownAll()
	}
	var since time.Time
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		for len(unread) > 0 && err == nil {
			if err = q.load(ctx, unread[0]); err == nil {
				unread = unread[1:]
			}
		}
		if err == nil && q.shared() {
			// A transaction that commits now may have made its ids some time ago.
			if err = q.poll(ctx, since.Add(-pollOverlap)); err == nil {
				since = began
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

// ownAll makes this process the owner of all shards, and returns those that are
// new.
func (q *Queue) ownAll() (acquired []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for shard := range q.owned {
		if !q.owned[shard] {
			q.owned[shard] = true
			acquired = append(acquired, shard)
		}
	}
	return acquired
}

// disown evicts the waiting items of a shard. Attempts in flight end by
// themselves.
func (q *Queue) disown(shard int) {
	if !q.owned[shard] {
		return
	}
	q.owned[shard] = false
	for _, it := range q.items {
		if shardOf(it.Destination) == shard && !it.inFlight {
			q.remove(it)
		}
	}
}

// balance renews the leases, acquires this process's share of the free shards,
// and gives up the surplus. It returns the shards that are new.
func (q *Queue) balance(ctx context.Context) (acquired []int, err error) {
	q.mu.Lock()
	b := &balancing{holder: q.holder, mine: q.owned, busy: q.inShard}
	q.mu.Unlock()
	b.now = time.Now()
	b.until = b.now.Add(q.cfg.Limits.Lease).UnixMicro()
	err = q.cfg.DB.Tx(ctx, func(tx *db.Tx) error { return b.run(ctx, tx) })
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for shard := range shards {
		if b.mine[shard] && !b.held[shard] {
			q.disown(shard)
		}
	}
	for _, shard := range b.acquired {
		q.owned[shard] = true
	}
	return b.acquired, nil
}

// balancing is one renewal of the leases of a process.
type balancing struct {
	holder string
	mine   [shards]bool // before
	busy   [shards]int  // attempts in flight
	now    time.Time
	until  int64

	share    int // of shards, for each live process
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
	for shard := range shards {
		if b.mine[shard] {
			if err := b.keep(ctx, tx, shard); err != nil {
				return err
			}
		}
	}
	for shard := range shards {
		if !b.mine[shard] && b.count < b.share {
			if err := b.acquire(ctx, tx, shard); err != nil {
				return err
			}
		}
	}
	return nil
}

// register notes that this process is alive, and counts the processes.
func (b *balancing) register(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO node (holder, until) VALUES ($1, $2)
		ON CONFLICT (holder) DO UPDATE SET until = excluded.until`, b.holder, b.until)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM node WHERE until < $1`, b.now.Add(-time.Hour).UnixMicro())
	if err != nil {
		return err
	}
	live := 0
	err = tx.QueryRow(ctx, `SELECT count(*) FROM node WHERE until >= $1`, b.now.UnixMicro()).Scan(&live)
	b.share = (shards + live - 1) / max(1, live)
	return err
}

// keep renews the lease of a shard, or gives it up when it is surplus.
func (b *balancing) keep(ctx context.Context, tx *db.Tx, shard int) error {
	if b.count >= b.share && b.busy[shard] == 0 {
		_, err := tx.Exec(ctx, `UPDATE shard_owner SET until = 0 WHERE shard = $1 AND holder = $2`, shard, b.holder)
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE shard_owner SET until = $3 WHERE shard = $1 AND holder = $2`, shard, b.holder, b.until)
	if n == 1 {
		b.held[shard] = true
		b.count++
	}
	return err
}

func (b *balancing) acquire(ctx context.Context, tx *db.Tx, shard int) error {
	n, err := tx.Exec(ctx, `INSERT INTO shard_owner (shard, holder, until) VALUES ($1, $2, $3)
		ON CONFLICT (shard) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE shard_owner.until < $4`, shard, b.holder, b.until, b.now.UnixMicro())
	if n == 1 {
		b.held[shard] = true
		b.count++
		b.acquired = append(b.acquired, shard)
	}
	return err
}

// giveUpLeases lets another process begin at once.
func (q *Queue) giveUpLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := q.cfg.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE shard_owner SET until = 0 WHERE holder = $1`, q.holder)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM node WHERE holder = $1`, q.holder)
		return err
	})
	if err != nil {
		q.cfg.Log.Info("leases of deliveries were not given up; they expire by themselves", "error", err)
	}
}
