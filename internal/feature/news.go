package feature

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// MaxNews bounds the news of one visitor: the newest.
const MaxNews = 50

// News is something that has happened in an account and that a visitor may want to know.
type News struct {
	At     time.Time // the order, and the comparison with the visitor's mark
	Title  string    // "Alert began: Checkout availability"
	Detail string
	Href   string
	Icon   string
	Tone   ui.Tone
}

// NewsSource gives the news of one feature to principals with the permission (see [Finder.Permission]).
type NewsSource struct {
	Permission string

	// Since returns what happened after a time, at most limit entries, the newest first. It reads a bounded number of
	// rows.
	Since func(ctx context.Context, account string, who *web.Principal, since time.Time, limit int) ([]News, error)
}

// NewsSources are the sources of all features.
type NewsSources []NewsSource

// NewsFrom is one source, for principals with a permission.
func NewsFrom(
	permission string,
	since func(ctx context.Context, account string, who *web.Principal, since time.Time, limit int) ([]News, error),
) NewsSources {
	return NewsSources{{permission, since}}
}

// Since merges the news of all sources that the principal may see, the newest first, at most [MaxNews].
func (list NewsSources) Since(
	ctx context.Context, account string, who *web.Principal, since time.Time,
) ([]News, error) {
	var all []News
	for _, s := range list {
		if f := (Finder{Permission: s.Permission}); !f.allows(Search{Who: who, Account: account}) {
			continue
		}
		news, err := s.Since(ctx, account, who, since, MaxNews)
		if err != nil {
			return nil, err
		}
		for _, n := range news {
			if n.At.After(since) {
				all = append(all, n)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b News) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Title, b.Title))
	})
	return all[:min(len(all), MaxNews)], nil
}
