package db

import (
	"context"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Writer is group commit: the work of many callers is written in few transactions. A
// free lane takes everything in the queue (up to a limit) at once. So a single caller
// does not wait for a timer, and the next batch gathers while a commit is fsynced.
type Writer[T any] struct {
	flush  func(context.Context, []T) error
	weigh  func(T) int
	limits Limits

	mu     sync.Mutex // guards the fields below
	queue  []waiting[T]
	weight int
	closed bool
	wake   chan struct{} // a token for a lane that sleeps
}

type waiting[T any] struct {
	item T
	done chan error
}

// Limits of a Writer.
type Limits struct {
	Batch int // weight of one flush; a single item may be larger
	Queue int // weight of the queue; beyond it Do returns Unavailable
	Lanes int // flushes at the same time: 1 on SQLite, a few on PostgreSQL
}

// NewWriter makes a Writer. flush writes a batch in one transaction and returns
// nil only when it is durable; the result of each item goes into the item itself.
// weigh returns the share of an item in the limits (rows, bytes).
func NewWriter[T any](limits Limits, weigh func(T) int, flush func(context.Context, []T) error) *Writer[T] {
	return &Writer[T]{flush: flush, weigh: weigh, limits: limits, wake: make(chan struct{}, 1)}
}

// Do enqueues an item and returns when its flush has ended. When ctx ends first, the
// outcome is unknown (the item may still be written), and the caller must not use the
// item again.
func (w *Writer[T]) Do(ctx context.Context, item T) error {
	done := make(chan error, 1)
	w.mu.Lock()
	switch {
	case w.closed:
		w.mu.Unlock()
		return errs.New(errs.CodeUnavailable, "the server is stopping")
	case w.weight > 0 && w.weight+w.weigh(item) > w.limits.Queue:
		w.mu.Unlock()
		return errs.New(errs.CodeUnavailable,
			"too many writes are waiting; send the request again in a moment")
	}
	w.queue = append(w.queue, waiting[T]{item, done})
	w.weight += w.weigh(item)
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run flushes until ctx ends, then flushes the queue and returns. A failed flush fails
// its items, not the Writer.
func (w *Writer[T]) Run(ctx context.Context) error {
	var lanes sync.WaitGroup
	for range max(1, w.limits.Lanes) {
		lanes.Go(func() {
			for w.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	lanes.Wait()
	return nil
}

// next flushes one batch; false when the queue is empty and closed.
func (w *Writer[T]) next(ctx context.Context) bool {
	batch := w.take()
	if len(batch) == 0 {
		select {
		case <-w.wake:
			return true
		case <-ctx.Done():
			// Do may have queued an item before Run closed the Writer.
			w.mu.Lock()
			defer w.mu.Unlock()
			return !w.closed || len(w.queue) > 0
		}
	}
	items := make([]T, len(batch))
	for i, b := range batch {
		items[i] = b.item
	}
	// Not ctx: a drain writes the queue. The database has its own deadline.
	err := w.flush(context.WithoutCancel(ctx), items)
	for _, b := range batch {
		b.done <- err
	}
	return true
}

func (w *Writer[T]) take() []waiting[T] {
	w.mu.Lock()
	defer w.mu.Unlock()
	weight, n := 0, 0
	for n < len(w.queue) {
		weight += w.weigh(w.queue[n].item)
		if n > 0 && weight > w.limits.Batch {
			weight -= w.weigh(w.queue[n].item)
			break
		}
		n++
	}
	batch := w.queue[:n:n]
	w.queue = w.queue[n:]
	w.weight -= weight
	if len(w.queue) > 0 {
		w.signal() // another lane may begin
	} else {
		w.queue = nil
	}
	return batch
}

func (w *Writer[T]) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
