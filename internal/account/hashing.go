package account

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// hashing limits the number of concurrent password hashes: each takes 19 MiB and
// a core for some ten milliseconds. Callers wait in a queue per client address,
// and the queues are served in turn: a client with many attempts delays every
// other client by one hash, not by all of its own.
type hashing struct {
	mu      sync.Mutex // guards the fields below
	running int
	queues  map[string][]*turn // by client; never empty
	order   []string           // the clients with a queue, the next one first
	waiting int
}

// turn is a waiting caller; ready is closed when it may start.
type turn struct{ ready chan struct{} }

const (
	maxHashing     = 2   // at once
	maxQueue       = 4   // waiting of one client
	maxHashWaiting = 200 // waiting of all
)

func newHashing() *hashing { return &hashing{queues: map[string][]*turn{}} }

// slot waits for permission to hash; free returns it. CodeRateLimited if too many
// callers wait already.
func (h *hashing) slot(ctx context.Context, client string) (free func(), err error) {
	h.mu.Lock()
	if h.running < maxHashing {
		h.running++
		h.mu.Unlock()
		return h.release, nil
	}
	if h.waiting >= maxHashWaiting || len(h.queues[client]) >= maxQueue {
		h.mu.Unlock()
		return nil, errs.New(errs.CodeRateLimited, "too many attempts to sign in at once").After(time.Second)
	}
	t := &turn{ready: make(chan struct{})}
	if len(h.queues[client]) == 0 {
		h.order = append(h.order, client)
	}
	h.queues[client] = append(h.queues[client], t)
	h.waiting++
	h.mu.Unlock()
	select {
	case <-t.ready:
		return h.release, nil
	case <-ctx.Done():
		h.leave(client, t)
		return nil, ctx.Err()
	}
}

// release passes the slot to the first waiting caller of the next client.
func (h *hashing) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.order) == 0 {
		h.running--
		return
	}
	client := h.order[0]
	h.order = h.order[1:]
	t := h.queues[client][0]
	if h.queues[client] = h.queues[client][1:]; len(h.queues[client]) == 0 {
		delete(h.queues, client)
	} else {
		h.order = append(h.order, client)
	}
	h.waiting--
	close(t.ready)
}

// leave removes a caller that stopped waiting from its queue. A slot that it got
// in the same moment is passed to the next caller.
func (h *hashing) leave(client string, t *turn) {
	h.mu.Lock()
	i := slices.Index(h.queues[client], t)
	if i < 0 {
		h.mu.Unlock()
		h.release()
		return
	}
	if h.queues[client] = slices.Delete(h.queues[client], i, i+1); len(h.queues[client]) == 0 {
		delete(h.queues, client)
		h.order = slices.DeleteFunc(h.order, func(c string) bool { return c == client })
	}
	h.waiting--
	h.mu.Unlock()
}
