package slo

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// news are the objectives that were created and changed.
func (f *Feature) news() feature.NewsSources {
	return feature.NewsSources{{Permission: account.SLORead, Since: f.newsSince}}
}

func (f *Feature) newsSince(
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
