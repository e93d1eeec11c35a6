package notify

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// destinationTTL is how long a destination's settings are cached. With one process
// a change evicts them; with several, the others see it after this time.
const destinationTTL = 2 * time.Second

// settings returns the destination of a delivery, which must not be changed.
// CodeNotFound when it was deleted.
func (n *Feature) settings(ctx context.Context, it *delivery.Item) (*Destination, error) {
	return n.destinationCache.Get(ctx, it.Destination, func(ctx context.Context) (*Destination, error) {
		var d Destination
		err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
			d, err = n.scanDestination(tx.QueryRow(ctx, selectDestination+` WHERE account_id = $1 AND id = $2`,
				it.Tenant, it.Destination))
			if errors.Is(err, sql.ErrNoRows) {
				return noDestination()
			}
			return err
		})
		return &d, err
	})
}
