package slo

import "context"

// Upkeep is one pass of Run.
func (f *Feature) Upkeep(ctx context.Context) error { return f.upkeep(ctx) }

// KeepNoBlocks makes shards read every block from the database.
func (f *Feature) KeepNoBlocks() { f.resident = 0 }

// NewestPast is the place before which every transition lies.
var NewestPast = newestPast
