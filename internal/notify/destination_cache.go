package notify

import (
	"context"
	"time"
)

// destinationTTL is how long a destination's settings are cached. With one process
// a change evicts them; with several, the others see it after this time.
const destinationTTL = 2 * time.Second

// settings returns a destination, which must not be changed. CodeNotFound when it was
// deleted.
func (n *Feature) settings(ctx context.Context, accountID, destinationID string) (*Destination, error) {
	return n.destinationCache.Get(ctx, destinationID, func(ctx context.Context) (*Destination, error) {
		d, err := n.destinationByID(ctx, accountID, destinationID)
		if err == nil {
			n.rateKeys.learn(&d, n.channelOf(d.Kind, d.Type))
		}
		return &d, err
	})
}
