package audit

import (
	"context"
	"html/template"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
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

	Products template.HTML // the last 7 days by product, as rows of a table
	Recent   template.HTML // the latest changes, as items of a list
	Hidden   int           // sign-ins and steps of the set-up between them, which are left out
	Active   []Active      // who changed the most lately
	Lesson   template.HTML // how to begin, while no product has sent an event
}

// Active is an actor of the newest events.
type Active struct {
	Name, Kind, Href string
	Count            int64
	At               time.Time // of the newest event
}

const (
	glanceDays   = 7
	glanceActive = 6
	glanceReads  = 4
	glanceRows   = 8
	glanceCount  = 10_000 // events that are counted at most
	glanceTime   = 400 * time.Millisecond
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
	if err := p.fillRecent(v, g); err != nil {
		return nil, err
	}
	done := queryWithin(v.Context(), glanceTime, func(ctx context.Context) error {
		return p.countDay(ctx, v.Account, v.now.Add(-24*time.Hour), g)
	})
	g.AtLeast = g.AtLeast || !done
	return g, p.fillWeek(v, g)
}

// fillRecent shows the newest changes. A large change set is one row, so that more than one read may be needed.
func (p *pages) fillRecent(v visit, g *Overview) error {
	l := rowList{pages: p, visit: v, explorerURL: &url.URL{Path: v.base()}, fold: true}
	var records []*record.Record
	var rows []eventRow
	var q ledger.Query
	for range glanceReads {
		found, err := p.reader.Browse(v.Context(), v.Account, q, glanceRows*3, func(r *record.Record) bool {
			if ofSetUp(&r.Event) {
				g.Hidden++
				return false
			}
			return !p.isView(r)
		})
		if err != nil {
			return err
		}
		records = append(records, found.Records...)
		rows = l.rows(records)
		if found.Next == nil || len(rows) >= glanceRows {
			break
		}
		q.After = found.Next
	}
	var err error
	g.Recent, err = p.html("audit-rows", rows[:min(len(rows), glanceRows)])
	return err
}

// fillWeek counts the last days by product, and the actors of the newest events. Both are left out when they take
// long.
func (p *pages) fillWeek(v visit, g *Overview) error {
	var counts []ledger.SummaryRow
	until := v.now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 2) // whole days: the roll-ups alone answer
	queryWithin(v.Context(), glanceTime, func(ctx context.Context) (err error) {
		since := until.AddDate(0, 0, -glanceDays-1)
		counts, err = p.reader.Summary(ctx, v.Account, "product", since.UnixMicro(), until.UnixMicro())
		return err
	})
	one := group{Empty: "Nothing was recorded in the last 7 days"}
	one.fill(counts, func(row ledger.SummaryRow) string {
		return v.base() + query(url.Values{"resource_product": {row.Key}, "since": {"7d"}})
	})
	queryWithin(v.Context(), glanceTime, func(ctx context.Context) error {
		c, err := p.search.censusOf(ctx, v.Account)
		if err == nil {
			g.Active = c.active[:min(len(c.active), glanceActive)]
		}
		return err
	})
	var err error
	g.Products, err = p.html("audit-shares", one)
	return err
}

// ofSetUp reports whether an event is a sign-in, or a change of Belfry itself by the token with which an installation
// is set up: neither is a change that a reader of the overview looks for.
func ofSetUp(e *record.Event) bool {
	if e.Resource.Product != event.Product {
		return false
	}
	return e.Resource.Type == "session" || e.Resource.Type == "sign_in_link" || e.Actor.ID == account.BootstrapID
}

// countDay counts the events since a time, by product.
func (p *pages) countDay(
	ctx context.Context,
	accountID string,
	since time.Time,
	g *Overview,
) error {
	q := ledger.Query{Since: max(0, since.UnixMicro()), Limit: 1000}
	for {
		data, err := p.reader.List(ctx, accountID, q)
		if err != nil {
			return err
		}
		for _, r := range data.Records {
			g.Day++
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
