package notify

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// newsSince reads the newest alerts. One that is older than all of these is no news when it ends: the alerts that still
// fire are counted in the navigation.
func (n *Feature) newsSince(
	ctx context.Context, accountID string, _ *web.Principal, since time.Time, limit int,
) (list []feature.News, err error) {
	alerts, err := n.alerts(ctx, alertFilter{account: accountID}, web.Keyset{}, 2*limit)
	if err != nil {
		return nil, err
	}
	for _, a := range alerts {
		if !a.ReceivedAt.After(since) && !a.EndedAt.After(since) {
			continue
		}
		title, err := n.titleOf(ctx, &a)
		if err != nil {
			return nil, err
		}
		one := feature.News{
			At:     a.ReceivedAt.Time,
			Title:  "Alert began: " + title,
			Detail: a.where(),
			Href:   alertPath(accountID, a.ID),
			Icon:   "siren",
			Tone:   severityTone(a.Severity),
		}
		switch {
		case a.State == stateNotice:
			one.Title = title
			one.Icon = "info"
		case a.State == stateEnded && a.EndedAt.After(since):
			ended := one
			ended.At = a.EndedAt.Time
			ended.Title = "Alert ended: " + title
			if lasted := a.lasted(); lasted != "" {
				ended.Title = "Alert ended after " + lasted + ": " + title
			}
			ended.Icon = "circle-check"
			ended.Tone = ui.Good
			list = append(list, ended)
		}
		list = append(list, one)
	}
	return list, nil
}
