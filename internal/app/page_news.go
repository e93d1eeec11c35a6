package app

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const (
	newsPath     = accountPath + "/news"
	newsSeenPath = newsPath + "/seen"
	newsKept     = 30 * 24 * time.Hour // how far the list goes back
)

func (p *pages) addNews() {
	p.Get(newsPath, web.AnyPermission, p.showNews)
	p.Post(newsSeenPath, web.AnyPermission, p.newsSeen)
}

// newsSources are those of all features.
func (p *pages) newsSources() feature.NewsSources {
	var list feature.NewsSources
	for _, f := range p.app.features {
		list = append(list, f.News...)
	}
	return list
}

// readsNews reports whether the visitor has a mark of their own: a person who signed in, not a customer's portal.
func readsNews(who *web.Principal) bool { return who.Session && who.AccountID == "" }

// newsPage is the data of the template "news".
type newsPage struct {
	Path   string
	Rows   []newsRow
	Unseen int
	Until  string // of the newest row, for the button
}

type newsRow struct {
	feature.News
	New bool
}

func (p *pages) newsPage(ctx context.Context, who *web.Principal, accountID string) (newsPage, error) {
	data := newsPage{Path: pathIn(newsPath, accountID)}
	seen, err := p.app.Account.NewsSeen(ctx, who.ID, accountID)
	if err != nil {
		return data, err
	}
	list, err := p.newsSources().Since(ctx, accountID, who, p.app.now().Add(-newsKept))
	for _, n := range list {
		row := newsRow{n, n.At.After(seen)}
		if row.New {
			data.Unseen++
		}
		data.Rows = append(data.Rows, row)
	}
	if len(list) > 0 {
		data.Until = list[0].At.UTC().Format(time.RFC3339Nano)
	}
	return data, err
}

func (p *pages) showNews(v *page.Visit) error {
	if !readsNews(v.Who) {
		return v.Redirect(pathIn(accountPath, v.Account), "")
	}
	data, err := p.newsPage(v.Context(), v.Who, v.Account)
	if err != nil {
		return err
	}
	return v.Show(page.View{Section: "news", Title: "News", Template: "news", Data: data})
}

// newsSeen moves the mark of the visitor to the newest entry that their page showed, so that a later one stays new.
func (p *pages) newsSeen(v *page.Visit) error {
	until, err := time.Parse(time.RFC3339Nano, v.Field("until", 64))
	if err != nil || until.After(p.app.now()) {
		until = p.app.now()
	}
	if readsNews(v.Who) {
		if err := p.app.Account.SetNewsSeen(v.Context(), v.Who.ID, v.Account, until); err != nil {
			return err
		}
	}
	return v.Redirect(pathIn(newsPath, v.Account), "")
}

// bell is the bell of a page: the number of news since the visitor's mark.
func (p *pages) bell(ctx context.Context, who *web.Principal, accountID string) ui.Bell {
	if !readsNews(who) {
		return ui.Bell{}
	}
	b := ui.Bell{Href: pathIn(newsPath, accountID)}
	seen, err := p.app.Account.NewsSeen(ctx, who.ID, accountID)
	if err == nil {
		since := seen
		if oldest := p.app.now().Add(-newsKept); since.Before(oldest) {
			since = oldest
		}
		var list []feature.News
		list, err = p.newsSources().Since(ctx, accountID, who, since)
		b.Count = len(list)
	}
	if err != nil && ctx.Err() == nil {
		p.app.Log.WarnContext(ctx, "the news of a member cannot be read", "error", err)
	}
	return b
}
