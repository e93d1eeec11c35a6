package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/traffic"
)

// openTraffic wires the on-ramps of request counts and access logs.
func (a *App) openTraffic(context.Context) error {
	relay, err := bus.NewRelay(a.dbs.traffic, a.deliver, bus.RelayOptions{Name: "traffic", Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	a.relays = append(a.relays, stagedRelay{"traffic relay", relay})
	a.Traffic, err = traffic.New(traffic.Config{
		DB: a.dbs.traffic, Zone: a.Account.EnsureZone, Account: a.Account.ResolveAccount, Partitions: a.partitions(),
		Wake: relay.Notify, Log: a.Log, Registerer: a.Registry,
	})
	if err != nil {
		return err
	}
	a.Traffic.Register(a.API)
	if !a.Config.Has("traffic") {
		return nil
	}
	consumer, err := a.Traffic.Consumer(a.cluster)
	if err != nil {
		return err
	}
	a.consume("traffic consumer", consumer)
	return nil
}

// partitions is how many a topic has on the bus that this process uses.
func (a *App) partitions() int {
	if a.broker != nil {
		return 1
	}
	return partitions
}
