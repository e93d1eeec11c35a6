package app

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/ui"
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

// mountSLO adds the pages of objectives.
func (p *pages) mountSLO(u *ui.UI) error {
	a := p.app
	return a.SLO.MountPages(slo.Pages{UI: u, Cursors: a.API.Cursors(), Mount: p.kit.Mount, Shell: p.Shell, URL: a.URL(), Changes: a.zoneChanges,
		Zones: func(ctx context.Context, accountID string) ([][2]string, error) {
			list, err := a.Account.Zones(ctx, accountID, "", 200)
			var out [][2]string
			for _, z := range list {
				out = append(out, [2]string{z.ID, z.Name})
			}
			return out, err
		}})
}

// zoneChanges are the newest changes of a zone in a time, as marks on a chart:
// views are none, and a change set is one.
func (a *App) zoneChanges(ctx context.Context, accountID, zoneID string, since, until time.Time, limit int) ([]slo.Change, error) {
	// A chart waits for the record a short time only.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	sets := map[string]bool{}
	found, err := a.Audit.Reader().Browse(ctx, accountID, ledger.Query{Since: since.UnixMicro(), Before: until.UnixMicro(),
		Filters: []record.Filter{{Field: "zone", Values: []string{zoneID}}}}, limit, func(r *record.Record) bool {
		e := &r.Event
		_, view := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		again := e.ChangeSet != "" && sets[e.ChangeSet]
		sets[e.ChangeSet] = true
		return !view && !again && audit.RelevantToTraffic(r)
	})
	if err != nil {
		return nil, err
	}
	var list []slo.Change
	for _, r := range found.Records {
		e := &r.Event
		at, err := time.Parse(time.RFC3339Nano, e.OccurredAt)
		if err != nil {
			continue // it was accepted with a time
		}
		template, _ := a.sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
		list = append(list, slo.Change{At: at, Label: r.Sentence(template), Href: account.RecordPath(accountID) + "?event=" + e.ID})
	}
	slices.Reverse(list)
	return list, nil
}
