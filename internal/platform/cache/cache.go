// Package cache keeps answers of the database in memory, by key, for a short time.
// For one value that is derived from many rows see [db.Snapshot] of platform/db.
//
// With one process, the code that changes a row calls [Cache.Evict] after its
// commit, and the cache is never stale. With several processes, another one's
// change is seen when the entry's time to live has passed.
package cache

import (
	"context"
	"sync"
	"time"
)

// Cache keeps a bounded number of values for a limited time. Callers that ask for
// the same missing key at once share one load. Safe for concurrent use.
//
// The bound is kept with two generations of entries: when the young one reaches
// half of the limit, it replaces the old one. A use moves an entry to the young
// one, so the least recently used entries are evicted first.
type Cache[K comparable, V any] struct {
	limit int
	ttl   time.Duration
	now   func() time.Time

	mu         sync.Mutex // guards the fields below
	young, old map[K]entry[V]
	loads      map[K]*load[V]
	changes    uint64 // raised by Evict: results of earlier loads are not kept
}

type entry[V any] struct {
	value V
	until time.Time
}

type load[V any] struct {
	done    chan struct{}
	value   V
	err     error
	changes uint64 // of the cache when the load began
}

// New makes a Cache of at most limit entries; now is the clock.
func New[K comparable, V any](limit int, ttl time.Duration, now func() time.Time) *Cache[K, V] {
	return &Cache[K, V]{
		limit: limit,
		ttl:   ttl,
		now:   now,
		young: map[K]entry[V]{},
		old:   map[K]entry[V]{},
		loads: map[K]*load[V]{},
	}
}

// loadTime limits one load, for all callers that wait for it.
const loadTime = 5 * time.Second

// Get returns the value of a key, and calls fetch when it is not in memory. Errors
// are not kept.
func (c *Cache[K, V]) Get(ctx context.Context, key K, fetch func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	if e, ok := c.find(key); ok {
		c.mu.Unlock()
		return e, nil
	}
	// A load that began before a change may return the row as it was before.
	if l := c.loads[key]; l != nil && l.changes == c.changes {
		c.mu.Unlock()
		select {
		case <-l.done:
			return l.value, l.err
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
	l := &load[V]{done: make(chan struct{}), err: context.Canceled, changes: c.changes}
	c.loads[key] = l
	c.mu.Unlock()

	defer func() { // also when fetch panics: the other callers must not wait for ever
		c.mu.Lock()
		if c.loads[key] == l {
			delete(c.loads, key)
		}
		if l.err == nil && l.changes == c.changes {
			c.put(key, entry[V]{l.value, c.now().Add(c.ttl)})
		}
		c.mu.Unlock()
		close(l.done)
	}()
	// Not ctx itself: other callers wait for this load too.
	loadCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
	defer cancel()
	l.value, l.err = fetch(loadCtx)
	return l.value, l.err
}

// find looks up an entry that has not expired, and moves it to the young generation.
func (c *Cache[K, V]) find(key K) (value V, ok bool) {
	e, ok := c.young[key]
	if !ok {
		if e, ok = c.old[key]; !ok {
			return value, false
		}
	}
	if !c.now().Before(e.until) {
		delete(c.young, key)
		delete(c.old, key)
		return value, false
	}
	if _, young := c.young[key]; !young {
		c.put(key, e)
	}
	return e.value, true
}

func (c *Cache[K, V]) put(key K, e entry[V]) {
	if len(c.young) >= c.limit/2 {
		c.old = c.young
		c.young = map[K]entry[V]{}
	}
	c.young[key] = e
}

// Evict removes keys whose rows have changed.
func (c *Cache[K, V]) Evict(keys ...K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, key := range keys {
		delete(c.young, key)
		delete(c.old, key)
	}
}
