package notify

import "context"

// RecordGathered is what upkeep does every two seconds.
func (n *Feature) RecordGathered(ctx context.Context) error { return n.recordGathered(ctx) }
