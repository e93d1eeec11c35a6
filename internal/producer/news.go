package producer

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// searchedRejects are the rejected events whose faults become news.
const searchedRejects = 200

func (f *Feature) newsSince(
	ctx context.Context, accountID string, _ *web.Principal, since time.Time, limit int,
) ([]feature.News, error) {
	rejects, more, err := f.ListRejects(ctx, Rejects{Account: accountID}, RejectFilter{}, RejectPlace{}, searchedRejects)
	if err != nil {
		return nil, err
	}
	type fault struct {
		product string
		code    int
	}
	var order []fault
	counts := map[fault]int{}
	newest := map[fault]time.Time{}
	for _, r := range rejects {
		at, err := time.Parse(time.RFC3339Nano, r.At)
		if err != nil || !at.After(since) || len(r.Errors) == 0 {
			continue
		}
		k := fault{r.Product, r.Errors[0].Code}
		if counts[k] == 0 {
			order = append(order, k)
			newest[k] = at
		}
		counts[k]++
	}
	var list []feature.News
	for _, k := range order[:min(len(order), limit)] {
		n, _ := ui.Plural(counts[k], "event", "events") // an integer is a number
		if more != nil {
			n = "At least " + n
		}
		one := feature.News{
			At:    newest[k],
			Title: n + " rejected",
			Href:  strings.Replace(AccountRejectsPath, "{account_id}", accountID, 1),
			Icon:  "octagon-alert",
			Tone:  ui.Warn,
		}
		if k.product != "" {
			one.Title = n + " of " + k.product + " rejected"
		}
		if e, ok := errs.Code(k.code).Entry(); ok {
			one.Detail = e.Title
		}
		list = append(list, one)
	}
	return list, nil
}
