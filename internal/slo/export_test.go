package slo

// KeepNoBlocks makes shards read every block from the database.
func (f *Feature) KeepNoBlocks() { f.resident = 0 }

// NewestPast is the place before which every transition lies.
var NewestPast = newestPast
