package notify

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// destinationTTL is how long a destination's settings are cached when several
// processes share the database. With one process the cache is invalidated
// explicitly.
const destinationTTL = 2 * time.Second

// destinationCache holds the settings of destinations between attempts.
type destinationCache struct {
	mu    sync.Mutex // guards known, and the entries but for their reading
	known map[string]*cachedDestination
}

type cachedDestination struct {
	reading  sync.Mutex   // one read of the database at a time; locked before the cache's mu
	settings *Destination // nil = to be read; never changed
	fetched  time.Time
	epoch    int // raised by an invalidation, so that a read in progress is not kept
}

func (c *destinationCache) entry(destinationID string) *cachedDestination {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[destinationID]
	if e == nil {
		if c.known == nil || len(c.known) >= mostCached {
			c.known = map[string]*cachedDestination{}
		}
		e = &cachedDestination{}
		c.known[destinationID] = e
	}
	return e
}

func (c *destinationCache) invalidate(destinationID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.known[destinationID]; e != nil {
		e.settings = nil
		e.epoch++
	}
}

// settings returns the destination of a delivery, from the cache while it is
// fresh. CodeNotFound when it was deleted.
func (n *Feature) settings(ctx context.Context, it *delivery.Item) (*Destination, error) {
	e := n.settingsOf.entry(it.Destination)
	e.reading.Lock()
	defer e.reading.Unlock()
	n.settingsOf.mu.Lock()
	known := e.settings
	fetched := e.fetched
	epoch := e.epoch
	n.settingsOf.mu.Unlock()
	if known != nil && (!n.shared() || time.Since(fetched) < destinationTTL) {
		return known, nil
	}
	var d Destination
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		d, err = n.scanDestination(tx.QueryRow(ctx, `SELECT `+destinationColumns+` FROM destination
			WHERE account_id = $1 AND id = $2`, it.Tenant, it.Destination))
		if errors.Is(err, sql.ErrNoRows) {
			return noDestination()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	n.settingsOf.mu.Lock()
	if e.epoch == epoch {
		e.settings = &d
		e.fetched = time.Now()
	}
	n.settingsOf.mu.Unlock()
	return &d, nil
}
