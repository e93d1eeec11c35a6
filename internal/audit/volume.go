package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
)

// Limits of the counts by product in all accounts, for the pages of product teams.
const (
	volumeTime = 300 * time.Millisecond
	volumeTTL  = time.Minute
	volumeDays = 14
	sizesTTL   = 10 * time.Second
)

// ProductDays counts the events of all accounts by product and day, for the last two weeks. The answer is up to a
// minute old; in an installation with very many accounts the count fails with the context's error.
func (f *Feature) ProductDays(ctx context.Context) ([]ledger.ProductDay, error) {
	return f.volume.Get(ctx, "", func(ctx context.Context) ([]ledger.ProductDay, error) {
		ctx, cancel := context.WithTimeout(ctx, volumeTime)
		defer cancel()
		return f.reader.ProductDays(ctx, f.now().AddDate(0, 0, 1-volumeDays))
	})
}

// Sizes returns the length of the log of every account, by id. The answer is up to ten seconds old.
func (f *Feature) Sizes(ctx context.Context) (map[string]ledger.LogSize, error) {
	return f.sizes.Get(ctx, "", func(ctx context.Context) (map[string]ledger.LogSize, error) {
		return f.reader.Sizes(ctx)
	})
}
