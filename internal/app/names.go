package app

import (
	"context"
	"sync"
	"time"
)

// nameCache keeps the names of accounts for a short time: lists show one for each event.
type nameCache struct {
	find func(ctx context.Context, accountID string) (string, error)

	mu    sync.Mutex // guards known
	known map[string]cachedName
}

type cachedName struct {
	name string
	at   time.Time
}

// Limits of a nameCache.
const (
	nameTime = 10 * time.Second
	maxNames = 10_000
)

// accountNames makes the cache of the accounts' names.
func (a *App) accountNames() *nameCache {
	return &nameCache{
		known: map[string]cachedName{},
		find: func(ctx context.Context, accountID string) (string, error) {
			found, err := a.Account.Account(ctx, accountID)
			return found.Name, err
		},
	}
}

// of returns the name; empty when it cannot be found.
func (c *nameCache) of(ctx context.Context, accountID string) string {
	c.mu.Lock()
	k, ok := c.known[accountID]
	c.mu.Unlock()
	if ok && time.Since(k.at) < nameTime {
		return k.name
	}

	name, err := c.find(ctx, accountID)
	if err != nil {
		return ""
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxNames {
		clear(c.known)
	}
	c.known[accountID] = cachedName{name, time.Now()}
	return name
}
