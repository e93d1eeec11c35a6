package notify

import "context"

// RecordGathered runs the step that upkeep runs every two seconds.
func (n *Feature) RecordGathered(ctx context.Context) error { return n.recordGathered(ctx) }

// SealURLs is the upkeep's step.
func (n *Feature) SealURLs(ctx context.Context) error { return n.sealURLs(ctx) }

// EndUnrepeated is the upkeep's step.
func (n *Feature) EndUnrepeated(ctx context.Context) error { return n.endUnrepeated(ctx) }
