package notify

import "context"

// RecordGathered runs the step that upkeep runs every two seconds.
func (n *Feature) RecordGathered(ctx context.Context) error { return n.recordGathered(ctx) }
