package app

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/cache"
)

// Limits of the cache of accounts' names.
const (
	nameTime = 10 * time.Second
	maxNames = 10_000
)

// accountName returns the name of an account; empty when it cannot be found. Names
// are cached for a short time, because lists show one for each event.
func (a *App) accountName(ctx context.Context, accountID string) string {
	name, err := a.names.Get(ctx, accountID, func(ctx context.Context) (string, error) {
		found, err := a.Account.Account(ctx, accountID)
		return found.Name, err
	})
	if err != nil {
		return ""
	}
	return name
}

func newNames() *cache.Cache[string, string] {
	return cache.New[string, string](maxNames, nameTime, time.Now)
}
