package slo

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// news are the objectives that were created and changed, and the corrections that wait for the visitor's approval.
func (f *Feature) news() feature.NewsSources {
	return append(feature.NewsFrom(account.SLORead, f.changed), feature.NewsFrom(account.SLOWrite, f.waiting)...)
}

// waiting lists the corrections that others requested and that a second member has to approve.
func (f *Feature) waiting(
	ctx context.Context, accountID string, who *web.Principal, since time.Time, limit int,
) (list []feature.News, err error) {
	pending, err := f.Corrections(ctx, accountID, CorrectionFilter{States: []CorrectionState{Pending}}, "", limit)
	for _, c := range pending {
		if !c.CreatedOn.After(since) || !c.approvable(who) {
			continue
		}
		list = append(list, feature.News{
			At:     c.CreatedOn.Time,
			Title:  "A correction waits for your approval",
			Detail: c.RequestedBy.words() + ": " + c.Reason,
			Href:   correctionPath(accountID, c.ID),
			Icon:   "user-check",
			Tone:   ui.Warn,
		})
	}
	return list, err
}

func (f *Feature) changed(
	ctx context.Context, accountID string, _ *web.Principal, since time.Time, limit int,
) (list []feature.News, err error) {
	var changed []*Objective
	err = f.db.View(ctx, func(tx *db.Tx) error {
		changed, err = selectObjectives(ctx, tx,
			`WHERE account_id = $1 AND modified_at > $2 ORDER BY modified_at DESC, id LIMIT $3`,
			accountID, since.UnixMicro(), limit)
		return err
	})
	for _, o := range changed {
		title := "Objective changed: "
		if o.ModifiedOn.Equal(o.CreatedOn.Time) {
			title = "Objective created: "
		}
		list = append(list, feature.News{
			At:     o.ModifiedOn.Time,
			Title:  title + o.Name,
			Detail: o.Percent() + ", " + o.WindowText(),
			Href:   objectivePath(accountID, o.ID),
			Icon:   "target",
		})
	}
	return list, err
}
