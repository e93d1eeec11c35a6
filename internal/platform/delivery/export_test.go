package delivery

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// Loaded reports whether the queue may send the deliveries of all shards.
func (q *Queue) Loaded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, loaded := range q.loaded {
		if !loaded {
			return false
		}
	}
	return true
}

// End ends deliveries, as the queue does for those that their Order closes.
func (q *Queue) End(ctx context.Context, tx *db.Tx, list []*Closing) error {
	return q.end(ctx, tx, list)
}
