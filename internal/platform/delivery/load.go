package delivery

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// readPage is how many waiting deliveries one query reads.
const readPage = 2000

// read queues the waiting deliveries that a condition finds. unsure says that attempts
// may have been in flight when another process died.
func (q *Queue) read(ctx context.Context, unsure bool, where string, args ...any) ([]*Item, error) {
	return q.queueRead(unsure, func() ([]*Item, error) { return q.waiting(ctx, where, args...) })
}

func (q *Queue) queueRead(unsure bool, read func() ([]*Item, error)) ([]*Item, error) {
	q.mu.Lock()
	q.loads++
	q.mu.Unlock()
	list, err := read()
	q.mu.Lock()
	defer q.mu.Unlock()
	// Until the whole list is added: an item that closes another one may come before it in the list.
	defer func() { q.loads-- }()
	if err != nil || !q.open {
		return list, err
	}
	now := q.cfg.Now()
	var closed []Closing
	for _, it := range list {
		it.read = true
		// An item that is still held was never in flight.
		it.unsure = unsure && (it.HoldUntil.IsZero() || it.Attempts > 0 || !it.Due.After(now))
		closed = append(closed, q.add(it, false)...)
	}
	q.close(closed)
	return list, nil
}

// load reads the deliveries of a shard that is newly owned, destination by
// destination.
func (q *Queue) load(ctx context.Context, shard int) error {
	last := ""
	after := ""
	for {
		const where = `shard = $1 AND (destination, id) > ($2, $3) ORDER BY destination, id LIMIT $4`
		list, err := q.read(ctx, true, where, shard, last, after, readPage)
		if err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
		if len(list) < readPage {
			q.begin(shard)
			return nil
		}
		last = list[len(list)-1].Destination
		after = list[len(list)-1].ID
	}
}

// begin lets the destinations of a shard send, now that it is loaded.
func (q *Queue) begin(shard int) {
	q.mu.Lock()
	q.loaded[shard] = q.owned[shard] // the lease may have been lost meanwhile
	for _, d := range q.dests {
		if d.shard == shard {
			q.queueDestination(d)
		}
	}
	q.mu.Unlock()
	q.signal()
}

// poll reads deliveries that were stored since a time and that this process has not
// seen: other processes stored them. Deliveries of shards that other processes own are
// ignored.
func (q *Queue) poll(ctx context.Context, since time.Time) error {
	oldest := id.Lowest(since)
	q.mu.Lock()
	maps.DeleteFunc(q.seen, func(itemID string, _ struct{}) bool { return itemID < oldest })
	q.mu.Unlock()
	for after := oldest; ; {
		list, err := q.waitingIDs(ctx, after)
		if err != nil {
			return err
		}
		unseen := q.unseen(list)
		if len(unseen) > 0 {
			_, err = q.queueRead(false, func() ([]*Item, error) { return q.waitingByID(ctx, unseen) })
		}
		if err != nil {
			return err
		}
		q.see(unseen)
		if len(list) < readPage {
			return nil
		}
		after = list[len(list)-1]
	}
}

func (q *Queue) waitingIDs(ctx context.Context, after string) (list []string, err error) {
	err = q.cfg.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, db.ScanText,
			`SELECT id FROM delivery WHERE state = 'waiting' AND id > $1 ORDER BY id LIMIT $2`, after, readPage)
		return err
	})
	return list, err
}

// unseen returns the ids of deliveries that were neither offered nor polled. A delivery
// needs no second look: a shard that is acquired and a destination with more deliveries
// than fit in memory are read as a whole.
func (q *Queue) unseen(list []string) (unseen []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, itemID := range list {
		if _, seen := q.seen[itemID]; !seen && q.items[itemID] == nil {
			unseen = append(unseen, itemID)
		}
	}
	return unseen
}

func (q *Queue) see(list []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, itemID := range list {
		q.seen[itemID] = struct{}{}
	}
}

// loadMore reads the next page of a destination's waiting deliveries, when few
// are left in memory. Called with mu held.
func (q *Queue) loadMore(d *destination) {
	if !d.more || d.loading || d.held > mostHeld/2 || !q.open {
		return
	}
	d.loading = true
	after := d.last
	q.done.Go(func() {
		const where = `shard = $1 AND destination = $2 AND id > $3 ORDER BY id LIMIT $4`
		list, err := q.waiting(q.ctx, where, shardOf(d.id), d.id, after, readPage)
		q.mu.Lock()
		defer q.mu.Unlock()
		d.loading = false
		if err != nil {
			q.cfg.Log.Warn("deliveries of a destination could not be read, will be tried again",
				"destination", d.id, "error", err)
			return
		}
		var closed []Closing
		for _, it := range list {
			it.read = true
			closed = append(closed, q.add(it, true)...)
		}
		d.more = len(list) == readPage
		q.close(closed)
		q.signal()
	})
}
