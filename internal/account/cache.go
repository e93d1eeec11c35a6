package account

import (
	"context"
	"sync"
	"time"
)

// cache stores loaded values for a short time and for a bounded number of keys.
// Concurrent callers with the same key wait for one load.
//
// Entries have two generations. When the young one reaches half of the limit, it
// replaces the old one. An entry that is used moves to the young generation, so
// that the least recently used entries go first.
type cache[K comparable, V any] struct {
	limit int
	ttl   time.Duration
	now   func() time.Time

	mu         sync.Mutex // guards what follows
	young, old map[K]cached[V]
	loads      map[K]*load[V]
	changes    uint64 // raised by forget: what was loaded before is not kept
}

type cached[V any] struct {
	value V
	until time.Time
}

type load[V any] struct {
	done    chan struct{}
	value   V
	err     error
	changes uint64 // of the cache when the load began
}

func newCache[K comparable, V any](limit int, ttl time.Duration, now func() time.Time) *cache[K, V] {
	return &cache[K, V]{limit: limit, ttl: ttl, now: now,
		young: map[K]cached[V]{}, old: map[K]cached[V]{}, loads: map[K]*load[V]{}}
}

// loadTime bounds one load, whatever the deadlines of its callers.
const loadTime = 5 * time.Second

// get gives the value of key, asking fetch when it is not known. Errors are
// not remembered.
func (c *cache[K, V]) get(ctx context.Context, key K, fetch func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	if e, ok := c.find(key); ok {
		c.mu.Unlock()
		return e, nil
	}
	// A load that began before a change may have read what was there before it.
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

	defer func() { // also when fetch panics: the others must not wait for ever
		c.mu.Lock()
		if c.loads[key] == l {
			delete(c.loads, key)
		}
		if l.err == nil && l.changes == c.changes {
			c.put(key, cached[V]{l.value, c.now().Add(c.ttl)})
		}
		c.mu.Unlock()
		close(l.done)
	}()
	// Not ctx itself: others wait for this load too.
	loadCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
	defer cancel()
	l.value, l.err = fetch(loadCtx)
	return l.value, l.err
}

// find looks a live entry up and moves it to the young generation.
func (c *cache[K, V]) find(key K) (value V, ok bool) {
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

func (c *cache[K, V]) put(key K, e cached[V]) {
	if len(c.young) >= c.limit/2 {
		c.old, c.young = c.young, map[K]cached[V]{}
	}
	c.young[key] = e
}

// forget drops keys after they changed in the database.
func (c *cache[K, V]) forget(keys ...K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, key := range keys {
		delete(c.young, key)
		delete(c.old, key)
	}
}
