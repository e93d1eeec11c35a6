package audit

import (
	"context"
	"html/template"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
)

// Overview summarises an account's record for the overview page.
type Overview struct {
	Size     int64     // events
	Signed   int64     // of these, covered by the last checkpoint
	SignedAt time.Time // when it was made; zero = never
	Stopped  bool      // nothing is signed any more: the record does not reproduce what was signed
	Day      int64     // events of the last 24 hours
	AtLeast  bool      // there were more than were counted
	Failures int64     // of these, actions that failed

	Products template.HTML // the last 24 hours by product, as rows of a table
	Recent   template.HTML // the latest changes, as items of a list
	Lesson   template.HTML // how to begin, while no product has sent an event
}

const (
	glanceRows  = 12
	glanceCount = 10_000 // events that are counted at most
	glanceTime  = 400 * time.Millisecond
)

// Overview reads what the overview shows, in a short time. It needs the templates
// that [Feature.Pages] has read.
func (f *Feature) Overview(pv *page.Visit) (*Overview, error) {
	p := f.pages
	v := p.visit(pv)
	g := &Overview{}
	var err error
	if g.Size, err = p.reader.Size(v.Context(), v.Account); err != nil {
		return nil, err
	}
	if p.glossary(v).untaught() {
		if g.Lesson, err = p.html("audit-lesson", p.lesson(v)); err != nil {
			return nil, err
		}
	}
	if g.Size == 0 {
		return g, nil
	}
	// Signing first reproduces what was signed before: that is the check.
	if _, err := p.signer.Checkpoint(v.Context(), v.Account); err != nil {
		if !errs.Is(err, errs.CodeSigningStopped) {
			return nil, err
		}
		g.Stopped = true
	}
	head, err := p.reader.SignedHead(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	g.Signed = head.Size
	g.SignedAt = head.At
	found, err := p.reader.Browse(v.Context(), v.Account, ledger.Query{}, glanceRows*3, func(r *record.Record) bool {
		return !p.isView(r)
	})
	if err != nil {
		return nil, err
	}
	l := rowList{pages: p, visit: v, explorerURL: &url.URL{Path: v.base()}, fold: true}
	rows := l.rows(found.Records)
	if g.Recent, err = p.html("audit-rows", rows[:min(len(rows), glanceRows)]); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	since := v.now.Add(-24 * time.Hour)
	done := queryWithin(v.Context(), glanceTime, func(ctx context.Context) error {
		return p.countDay(ctx, v.Account, since, g, counts)
	})
	g.AtLeast = g.AtLeast || !done
	one := group{Empty: "Nothing happened in the last 24 hours"}
	one.fill(ledger.LargestFirst(counts), func(key string) string {
		return v.base() + query(url.Values{"resource_product": {key}, "since": {"24h"}})
	})
	g.Products, err = p.html("audit-shares", one)
	return g, err
}

// countDay counts the events since a time, by product.
func (p *pages) countDay(
	ctx context.Context,
	account string,
	since time.Time,
	g *Overview,
	counts map[string]int64,
) error {
	q := ledger.Query{Since: max(0, since.UnixMicro()), Limit: 1000}
	for {
		data, err := p.reader.List(ctx, account, q)
		if err != nil {
			return err
		}
		for _, r := range data.Records {
			g.Day++
			counts[r.Event.Resource.Product]++
			if r.Event.Action.Result == "failure" {
				g.Failures++
			}
		}
		if data.Next == nil {
			return nil
		}
		if g.Day >= glanceCount {
			g.AtLeast = true
			return nil
		}
		q.After = data.Next
	}
}

func (p *pages) html(name string, data any) (template.HTML, error) {
	s, err := p.HTML(name, data)
	return template.HTML(s), err //nolint:gosec // executed by html/template just now
}
