package db

import (
	"context"
	"sync"
	"sync/atomic"
)

// Snapshot keeps a value derived from many rows in memory, for readers that
// must not wait for the database (a catalogue, the rules of feature flags). A
// row of the table clock counts the changes:
//
//	CREATE TABLE clock (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
//	INSERT INTO clock (id, n) VALUES (1, 0);
//
// Who changes the rows calls [Tick] in the same transaction, and Refresh after
// the commit; other processes call Refresh every few seconds. Without a change,
// that reads one row. Safe for concurrent use; the value is shared and must not
// be changed.
type Snapshot[T any] struct {
	db    *DB
	clock int
	load  func(ctx context.Context, tx *Tx, before T) (T, error)

	refreshing sync.Mutex // one refresh at a time
	current    atomic.Pointer[moment[T]]
}

// moment is the value at one reading of the clock.
type moment[T any] struct {
	clock int64
	value T
}

// NewSnapshot makes a Snapshot, which is empty until the first use. clock is the
// id of its row. load reads the value in one consistent view; before is the value
// that is replaced (at first the zero value), so that unchanged parts need not be
// built again.
func NewSnapshot[T any](d *DB, clock int, load func(ctx context.Context, tx *Tx, before T) (T, error)) *Snapshot[T] {
	return &Snapshot[T]{db: d, clock: clock, load: load}
}

// Get returns the value; only the first call reads the database.
func (s *Snapshot[T]) Get(ctx context.Context) (T, error) {
	if m := s.current.Load(); m != nil {
		return m.value, nil
	}
	if _, err := s.Refresh(ctx); err != nil {
		var none T
		return none, err
	}
	return s.current.Load().value, nil
}

// Refresh loads the value again if the clock has moved, and reports whether it
// has. After an error the value before stays in use.
func (s *Snapshot[T]) Refresh(ctx context.Context) (changed bool, err error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()

	old := s.current.Load()
	next := &moment[T]{}
	err = s.db.View(ctx, func(tx *Tx) error {
		err := tx.QueryRow(ctx, `SELECT n FROM clock WHERE id = $1`, s.clock).Scan(&next.clock)
		changed = err == nil && (old == nil || old.clock != next.clock)
		if !changed {
			return err
		}
		var before T
		if old != nil {
			before = old.value
		}
		next.value, err = s.load(ctx, tx, before)
		return err
	})
	if err != nil || !changed {
		return false, err
	}
	s.current.Store(next)
	return true, nil
}

// Tick moves a clock in the transaction that changes the rows of its [Snapshot].
func Tick(ctx context.Context, tx *Tx, clock int) error {
	_, err := tx.Exec(ctx, `UPDATE clock SET n = n + 1 WHERE id = $1`, clock)
	return err
}
