package app

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/traffic"
)

// newTraffic constructs the on-ramps of request counts and access logs.
func (a *App) newTraffic(_ context.Context, env feature.Env) (feature.Feature, error) {
	var err error
	a.Traffic, err = traffic.New(traffic.Config{
		Env:        env,
		Zone:       a.Account.EnsureZone,
		FindZone:   a.Account.ResolveZone,
		Account:    a.Account.ResolveAccount,
		Closed:     a.Account.RefuseClosed,
		Partitions: a.partitions(),
		Thresholds: a.thresholds,
		MaxNames:   a.Config.TrafficNames,
	})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.Traffic.Describe(), nil
}

// thresholds lists the latency thresholds of the objectives about a property. The objectives are constructed later than
// the on-ramps, and before the first request.
func (a *App) thresholds(ctx context.Context, accountID, zoneID string) ([]time.Duration, error) {
	return a.SLO.LatencyThresholds(ctx, accountID, zoneID)
}

// partitions is the number of partitions of a topic on the bus that this process uses.
func (a *App) partitions() int {
	if a.broker != nil {
		return 1
	}
	return partitions
}
