package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Who sends: on one machine the process has every shard. Past one machine the
// processes share them by leases in the database; each takes as many as are
// its part, and gives back what is more when nothing of it is under way.

// shared reports whether other processes may work on the same database.
func (n *Feature) shared() bool { return n.DB.Engine == db.Postgres }

// run owns the queue until ctx ends; then attempts under way finish, at most
// for as long as one may take.
func (q *queue) run(ctx context.Context) error {
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	q.mu.Lock()
	q.ctx, q.open = attempts, true
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
	case <-time.After(q.n.Limits.Attempt + time.Second):
		cut() // what is cut is made again by the next owner
		<-ended
	}
	q.mu.Lock()
	q.owned, q.items, q.dests, q.tenants, q.ring, q.timers = [shards]bool{}, map[string]*item{}, map[string]*dest{}, map[string]*tenant{}, nil, timers{}
	q.mu.Unlock()
	if q.n.shared() {
		return q.leave(context.WithoutCancel(ctx))
	}
	return nil
}

// own takes shards and reads their deliveries, until ctx ends. Leases are
// renewed apart from the reading, which may take its time.
func (q *queue) own(ctx context.Context) {
	q.mu.Lock()
	q.holder = id.New()
	q.mu.Unlock()
	var unread []int // owned, and not read yet
	taken := make(chan []int)
	renewing := make(chan struct{})
	if q.n.shared() {
		go func() {
			defer close(renewing)
			q.renew(ctx, taken)
		}()
	} else {
		close(renewing)
		unread = q.takeAll()
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
		if err == nil && q.n.shared() {
			// What another process stored; a transaction may have begun a while ago.
			if err = q.poll(ctx, since.Add(-10*time.Second)); err == nil {
				since = began
			}
		}
		if err != nil && ctx.Err() == nil {
			q.n.Log.Warn("deliveries are not read, will be tried again", "error", err)
		}
		q.tidy()
		q.signal()
		select {
		case <-ctx.Done():
		case more := <-taken:
			unread = append(unread, more...)
		case <-time.After(q.n.Limits.Poll):
		}
	}
	<-renewing
}

// renew keeps the leases of this process, and gives the shards that are new.
func (q *queue) renew(ctx context.Context, taken chan<- []int) {
	every := time.NewTicker(q.n.Limits.Lease / 5)
	defer every.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		more, err := q.balance(ctx)
		if err == nil {
			q.mu.Lock()
			q.leased = began.Add(q.n.Limits.Lease)
			q.mu.Unlock()
			q.signal()
		} else if ctx.Err() == nil {
			q.n.Log.Warn("leases of deliveries are not renewed, will be tried again", "error", err)
		}
		if len(more) > 0 {
			select {
			case taken <- more:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
}

// takeAll owns what is not owned yet.
func (q *queue) takeAll() (taken []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.owned {
		if !q.owned[i] {
			q.owned[i] = true
			taken = append(taken, i)
		}
	}
	return taken
}

// drop forgets the waiting items of a shard. Attempts under way end by themselves.
func (q *queue) drop(shard int) {
	if !q.owned[shard] {
		return
	}
	q.owned[shard] = false
	for _, it := range q.items {
		if it.shard == shard && !it.running {
			q.remove(it)
		}
	}
}

// balance renews the leases, takes its part of the free shards, and gives back
// what is more. It gives the shards that are new.
func (q *queue) balance(ctx context.Context) (taken []int, err error) {
	q.mu.Lock()
	mine, busy := q.owned, q.inShard
	q.mu.Unlock()
	now := time.Now()
	until, at := now.Add(q.n.Limits.Lease).UnixMicro(), now.UnixMicro()
	var held [shards]bool
	err = q.n.DB.Tx(ctx, func(tx *db.Tx) error {
		taken, held = nil, [shards]bool{}
		_, err := tx.Exec(ctx, `INSERT INTO node (holder, until) VALUES ($1, $2) ON CONFLICT (holder) DO UPDATE SET until = excluded.until`, q.holder, until)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM node WHERE until < $1`, now.Add(-time.Hour).UnixMicro()); err != nil {
			return err
		}
		nodes := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM node WHERE until >= $1`, at).Scan(&nodes); err != nil {
			return err
		}
		part, have := (shards+nodes-1)/max(1, nodes), 0
		// In the order of their numbers, so that two processes do not wait for each other.
		for i := range shards {
			if !mine[i] {
				continue
			}
			if have >= part && busy[i] == 0 {
				_, err := tx.Exec(ctx, `UPDATE shard_owner SET until = 0 WHERE shard = $1 AND holder = $2`, i, q.holder)
				if err != nil {
					return err
				}
				continue
			}
			n, err := tx.Exec(ctx, `UPDATE shard_owner SET until = $3 WHERE shard = $1 AND holder = $2`, i, q.holder, until)
			if err != nil {
				return err
			}
			if n == 1 {
				held[i] = true
				have++
			}
		}
		for i := range shards {
			if mine[i] || have >= part {
				continue
			}
			n, err := tx.Exec(ctx, `INSERT INTO shard_owner (shard, holder, until) VALUES ($1, $2, $3) ON CONFLICT (shard) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE shard_owner.until < $4`, i, q.holder, until, at)
			if err != nil {
				return err
			}
			if n == 1 {
				held[i] = true
				have++
				taken = append(taken, i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range shards {
		if mine[i] && !held[i] {
			q.drop(i)
		}
	}
	for _, i := range taken {
		q.owned[i] = true
	}
	return taken, nil
}

// leave lets another process begin at once.
func (q *queue) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := q.n.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE shard_owner SET until = 0 WHERE holder = $1`, q.holder); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM node WHERE holder = $1`, q.holder)
		return err
	})
	if err != nil {
		q.n.Log.Info("shards of deliveries are not given back; their leases end by themselves", "error", err)
	}
	return nil
}

const itemColumns = `id, account_id, shard, alert_key, root_key, correlation_id, event, policy_id, policy_name, destination_id, kind, replay_of, attempts, failures, next_at, created_at, held_for`

// readItems runs a query for waiting deliveries.
func (q *queue) readItems(ctx context.Context, query string, args ...any) (list []*item, err error) {
	err = q.n.DB.View(ctx, func(tx *db.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT `+itemColumns+` FROM delivery WHERE state = 'waiting' AND `+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			it := &item{}
			var kind, replayOf string
			var due, created int64
			if err := rows.Scan(&it.id, &it.account, &it.shard, &it.alertKey, &it.rootKey, &it.correlation, &kind, &it.policyID, &it.policy, &it.destination, &it.kind, &replayOf, &it.attempts, &it.failures, &due, &created, &it.heldFor); err != nil {
				return err
			}
			it.event, it.replay, it.due, it.created = event.AlertEvent(kind), replayOf != "", time.UnixMicro(due), time.UnixMicro(created)
			list = append(list, it)
		}
		return rows.Err()
	})
	return list, err
}

// read hands what a query finds to the lanes. unsure: nobody knows whether an
// attempt was under way.
func (q *queue) read(ctx context.Context, unsure bool, query string, args ...any) (list []*item, err error) {
	q.mu.Lock()
	q.loads++
	q.mu.Unlock()
	list, err = q.readItems(ctx, query, args...)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loads--
	if err != nil || !q.open {
		return list, err
	}
	var closed []*closing
	now := q.n.Now()
	for _, it := range list {
		// What an interval holds back and is not due was never under way.
		it.unsure = unsure && !(it.heldFor != "" && it.attempts == 0 && it.due.After(now))
		closed = append(closed, q.add(it, false)...)
	}
	q.close(closed)
	return list, nil
}

const readPage = 2000

// load reads a shard that is newly owned.
func (q *queue) load(ctx context.Context, shard int) error {
	after := ""
	for {
		list, err := q.read(ctx, true, `shard = $1 AND id > $2 ORDER BY id LIMIT $3`, shard, after, readPage)
		if err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
		if len(list) < readPage {
			return nil
		}
		after = list[len(list)-1].id
		q.signal()
	}
}

// poll reads what was stored lately, in one question for all shards; those of
// others are left to them.
func (q *queue) poll(ctx context.Context, since time.Time) error {
	after := id.At(since)
	for {
		list, err := q.read(ctx, false, `id > $1 ORDER BY id LIMIT $2`, after, readPage)
		if err != nil || len(list) < readPage {
			return err
		}
		after = list[len(list)-1].id
	}
}

// page reads what of a destination waits behind what is in memory. Called with
// mu held.
func (q *queue) page(d *dest) {
	if !d.more || d.loading || d.held > holdMost/2 || !q.open {
		return
	}
	d.loading = true
	after := d.last
	q.done.Go(func() {
		list, err := q.readItems(q.ctx, `destination_id = $1 AND id > $2 ORDER BY id LIMIT $3`, d.id, after, readPage)
		q.mu.Lock()
		defer q.mu.Unlock()
		d.loading = false
		if err != nil {
			q.n.Log.Warn("deliveries of a destination are not read, will be tried again", "destination", d.id, "error", err)
			return
		}
		var closed []*closing
		for _, it := range list {
			closed = append(closed, q.add(it, true)...)
		}
		d.more = len(list) == readPage
		q.close(closed)
		q.signal()
	})
}
