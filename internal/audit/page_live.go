package audit

import (
	"context"
	"net/url"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// live is the list's live tail: each event as the HTML of its row. The events
// of one change set arrive as one row that grows: a row with the id of one that
// is there takes its place.
func (p *pages) live(pv *page.Visit) error {
	v := p.visit(pv)
	s, err := p.state(v)
	if err != nil {
		return err
	}
	explorer := &url.URL{Path: v.base(), RawQuery: v.Request.URL.RawQuery}
	l := rowList{pages: p, visit: v, explorerURL: explorer, target: "detail", fold: true, live: true}
	keep, _ := p.keep(s)
	var set []*record.Record
	events, err := p.Tail(v.Context(), v.Account, -1, s.filters, func(rec *record.Record) ([]byte, error) {
		if !keep(rec) {
			return nil, nil
		}
		if len(set) > 0 && (!set[0].SameChangeSet(rec) || len(set) == ledger.MaxFold) {
			set = nil
		}
		one := l.row(rec)
		if rec.Event.ChangeSet != "" {
			set = append(set, rec)
			one.ID = setID(set[0])
			if len(set) > 1 {
				id := one.ID
				one = l.folded(set)
				one.ID = id
			}
		}
		html, err := p.HTML("audit-row", one)
		return []byte(html), err
	})
	if err != nil {
		return err
	}
	source := events.Source
	events.Source = func(ctx context.Context, lastID string, send func(web.Event) error) error {
		return source(ctx, lastID, func(e web.Event) error {
			if len(e.Data) == 0 {
				return nil
			}
			e.Name = "row"
			return send(e)
		})
	}
	web.ServeEvents(v.Context(), v.Writer, v.Request, events)
	return nil
}
