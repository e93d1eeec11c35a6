package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/slo"
)

// openSLO wires the objectives: the counts' consumer, the way of their alerts
// and audit events out of the outbox, and the API.
func (a *App) openSLO(context.Context) (err error) {
	relay, err := bus.NewRelay(a.dbs.slo, a.deliver, bus.RelayOptions{Name: "slo", Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	a.relays = append(a.relays, stagedRelay{"slo relay", relay})
	a.SLO, err = slo.New(slo.Deps{DB: a.dbs.slo, Record: enqueueSelf, Zone: a.Account.ResolveZone, Wake: relay.Notify, Log: a.Log, Registerer: a.Registry})
	if err != nil {
		return err
	}
	a.SLO.API(a.API)
	if !a.Config.Has("slo") {
		return nil
	}
	consumer, err := a.SLO.Consumer(a.cluster)
	if err != nil {
		return err
	}
	a.consume("slo consumer", consumer)
	return nil
}
