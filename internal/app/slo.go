package app

import (
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/slo"
)

// newSLO constructs the objectives.
func (a *App) newSLO(_ context.Context, env feature.Env) (feature.Feature, error) {
	var err error
	a.SLO, err = slo.New(slo.Config{Env: env, Zone: a.Account.ResolveZone})
	if err != nil {
		return feature.Feature{}, err
	}
	return a.SLO.Describe(), nil
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
