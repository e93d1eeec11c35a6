package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// readPage is how many waiting deliveries one query reads.
const readPage = 2000

// read queues the deliveries that a query finds. unsure says that attempts may
// have been in flight when another process died.
func (q *Queue) read(ctx context.Context, unsure bool, where string, args ...any) ([]*Item, error) {
	q.mu.Lock()
	q.loads++
	q.mu.Unlock()
	list, err := q.waiting(ctx, where, args...)
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

// poll reads recently stored deliveries of all shards in one query. Deliveries of
// shards that other processes own are ignored.
func (q *Queue) poll(ctx context.Context, since time.Time) error {
	after := id.Lowest(since)
	for {
		list, err := q.read(ctx, false, `id > $1 ORDER BY id LIMIT $2`, after, readPage)
		if err != nil || len(list) < readPage {
			return err
		}
		after = list[len(list)-1].ID
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
