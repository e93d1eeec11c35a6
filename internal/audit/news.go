package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// news are the exports of the visitor that have ended.
func (f *Feature) news() feature.NewsSources {
	if f.cfg.Jobs == nil {
		return nil
	}
	return feature.NewsSources{{Permission: account.AuditExport, Since: f.newsSince}}
}

func (f *Feature) newsSince(
	ctx context.Context, accountID string, who *web.Principal, since time.Time, limit int,
) (list []feature.News, err error) {
	ended, err := f.cfg.Jobs.Ended(ctx, accountID, jobExport, who.Key(), since, limit)
	for _, j := range ended {
		one := feature.News{
			At:    j.EndedAt.Time,
			Title: "Your export failed",
			Href:  exportPath(accountID),
			Icon:  "download",
			Tone:  ui.Bad,
		}
		if j.Error != nil {
			one.Detail = j.Error.Message
		}
		if j.State == jobs.Done {
			one.Title = "Your export is ready"
			one.Tone = ui.Good
		}
		if j.File != nil {
			one.Href = j.File.URL
			one.Detail = j.File.Name + ", " + ui.Bytes(j.File.Bytes)
		}
		list = append(list, one)
	}
	return list, err
}
