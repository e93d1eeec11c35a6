package slo

import (
	"context"
	"errors"
	"time"
)

// upkeepEvery is the time between two passes of Run.
const upkeepEvery = 10 * time.Second

// Run follows what no count reports, until ctx ends: objectives whose requests have stopped, and policies that need an
// objective. Several processes may run it.
func (f *Feature) Run(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		if err := f.upkeep(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "upkeep of objectives failed, will be tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *Feature) upkeep(ctx context.Context) error {
	return errors.Join(f.followPolicies(ctx), f.reportSilence(ctx))
}
