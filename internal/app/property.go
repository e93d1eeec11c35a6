package app

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/slo"
)

// The page of a property shows objectives, alerts and traffic. Its feature is constructed before theirs, so these
// functions find them when they are called.

func (a *App) propertyObjectives(ctx context.Context, accountID string) ([]account.ZoneObjective, error) {
	list, err := a.SLO.Summaries(ctx, accountID)
	out := make([]account.ZoneObjective, len(list))
	for i, o := range list {
		out[i] = account.ZoneObjective{
			Zone:     o.Zone,
			Name:     o.Name,
			Href:     o.Href,
			State:    o.Word,
			Tone:     o.Tone,
			Sentence: o.Sentence,
			Left:     o.Left,
			Bar:      o.Bar,
			Counted:  o.Counted,
			Burn:     o.Burn,
		}
	}
	return out, err
}

func (a *App) propertyAlerts(ctx context.Context, accountID, zoneID string, limit int) ([]account.ZoneAlert, error) {
	list, err := a.Notify.ZoneAlerts(ctx, accountID, zoneID, limit)
	out := make([]account.ZoneAlert, len(list))
	for i, one := range list {
		out[i] = account.ZoneAlert{
			Title:    one.Title,
			Href:     one.Href,
			Firing:   one.State == "firing",
			Notice:   one.State == "notice",
			Severity: one.Severity,
			At:       one.At,
			EndedAt:  one.EndedAt,
			AckedBy:  one.AckedBy,
		}
	}
	return out, err
}

func (a *App) propertyTraffic(ctx context.Context, accountID, zoneID string) (account.ZoneTraffic, error) {
	t, err := a.SLO.ZoneTraffic(ctx, accountID, zoneID)
	out := account.ZoneTraffic{Total: t.Total, Bad: t.Bad, LastAt: t.LastAt.Time}
	if err != nil {
		return out, err
	}
	names, err := a.Traffic.Names(ctx, accountID)
	for _, k := range names.Kinds {
		if k.Over != nil {
			out.Limited = append(out.Limited, account.ZoneLimit{
				Noun:     nameNouns[k.Kind],
				Limit:    names.Limit,
				Requests: k.Over.Requests,
				Example:  k.Over.Example,
				Since:    k.Over.Since.Time,
				Last:     k.Over.Last.Time,
			})
		}
	}
	for _, h := range t.Intervals {
		out.Intervals = append(out.Intervals, account.ZoneInterval{Start: h.Start.Time, Total: h.Total, Bad: h.Bad})
	}
	if err != nil {
		return out, err
	}
	down, err := a.SLO.DownOrigins(ctx, accountID, zoneID)
	for _, o := range down {
		out.Down = append(out.Down, o.Origin)
	}
	return out, err
}

// propertyChanges are the newest changes of a property as flags on its charts, the oldest first.
func (a *App) propertyChanges(
	ctx context.Context, accountID, zoneID string, since, until time.Time, limit int,
) ([]ui.ChartMark, error) {
	list, err := a.zoneChanges(ctx, slo.ChangesQuery{
		Account: accountID,
		Zone:    zoneID,
		Since:   since,
		Until:   until,
		Limit:   limit,
	})
	var marks []ui.ChartMark
	for _, c := range list {
		marks = append(marks, ui.ChartMark{At: c.At.Unix(), Label: c.Label, Href: c.Href, Tone: ui.Info})
	}
	return marks, err
}

// nameNouns are the words for the kinds of names in traffic.
var nameNouns = map[string]string{"origin": "origins", "hostname": "hostnames", "path_class": "path classes"}
