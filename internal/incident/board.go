package incident

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// clock is the row that counts the changes of the status page.
const clock = 1

// Limits of the public page.
const (
	shownDays    = 90
	recentDays   = 14
	recentMost   = 30
	boardOutages = 20_000
	feedMost     = 50
	historyMost  = 200 // incidents of a month
)

// StatusPage has the texts of the page, which operators write.
type StatusPage struct {
	Title       string `json:"title" minLength:"1" maxLength:"200"`
	Description string `json:"description,omitempty" maxLength:"1000"`
	SupportURL  string `json:"support_url,omitempty" maxLength:"500" doc:"http(s) or mailto"`
}

// board is the content of the status page at one moment of the clock. It never changes.
type board struct {
	Version    int64 // of the clock, as of the load
	Page       StatusPage
	Components []Component
	Open       []*Incident // with updates: incidents and running maintenance; those that began last first
	Planned    []*Incident // maintenance that has not begun, the next first
	Recent     []*Incident // that ended in the last two weeks, with updates
	outages    map[string][]outage
	Changed    time.Time // of the newest change
}

// shown reports whether there is a public page.
func (f *Feature) shown(b *board) bool { return !f.cfg.PageOff && len(b.Components) > 0 }

func (f *Feature) loadBoard(ctx context.Context, tx *db.Tx, _ *board) (*board, error) {
	b := &board{outages: map[string][]outage{}}
	now := f.now()
	err := tx.QueryRow(ctx, `SELECT n FROM clock WHERE id = $1`, clock).Scan(&b.Version)
	if err != nil {
		return nil, err
	}
	if b.Page, err = loadPage(ctx, tx); err != nil {
		return nil, err
	}
	if b.Components, err = selectComponents(ctx, tx); err != nil {
		return nil, err
	}
	if err := setHealth(ctx, tx, b.Components); err != nil {
		return nil, err
	}
	open, err := selectIncidents(ctx, tx, `WHERE i.resolved_at = 0
		ORDER BY i.started_at DESC, i.id DESC LIMIT $1`, maxOpen)
	if err != nil {
		return nil, err
	}
	since := now.AddDate(0, 0, -recentDays).UnixMicro()
	b.Recent, err = selectIncidents(ctx, tx, `WHERE i.resolved_at > 0 AND i.started_at > $1
		ORDER BY i.started_at DESC, i.id DESC LIMIT $2`, since, recentMost)
	if err != nil {
		return nil, err
	}
	if err := loadUpdates(ctx, tx, append(open[:len(open):len(open)], b.Recent...)); err != nil {
		return nil, err
	}
	for _, i := range open {
		if i.State != Scheduled {
			b.Open = append(b.Open, i)
		}
	}
	b.Planned = plannedOf(open)
	for _, list := range [][]*Incident{open, b.Recent} {
		for _, i := range list {
			if i.ModifiedOn.After(b.Changed) {
				b.Changed = i.ModifiedOn.Time
			}
		}
	}
	err = b.loadOutages(ctx, tx, now.AddDate(0, 0, -shownDays-1))
	return b, err
}

// plannedOf are the maintenances that have not begun, the next first.
func plannedOf(open []*Incident) (list []*Incident) {
	for n := len(open) - 1; n >= 0; n-- {
		if open[n].State == Scheduled {
			list = append(list, open[n])
		}
	}
	return list
}

func (b *board) loadOutages(ctx context.Context, tx *db.Tx, since time.Time) error {
	return db.Each(ctx, tx, func(row db.Row) error {
		var o outage
		var from, to int64
		if err := row.Scan(&o.Component, &o.Incident, &o.Health, &from, &to); err != nil {
			return err
		}
		o.From = time.UnixMicro(from)
		o.End = timeOf(to).Time
		b.outages[o.Component] = append(b.outages[o.Component], o)
		return nil
	}, `SELECT component_id, incident_id, status, from_at, to_at FROM outage WHERE to_at = 0 OR to_at > $1
		ORDER BY to_at DESC LIMIT $2`, since.UnixMicro(), boardOutages)
}

func loadPage(ctx context.Context, tx *db.Tx) (p StatusPage, err error) {
	err = tx.QueryRow(ctx, `SELECT title, description, support_url FROM status_page WHERE one = 1`).
		Scan(&p.Title, &p.Description, &p.SupportURL)
	return p, err
}

// Page reads the texts of the status page.
func (f *Feature) Page(ctx context.Context) (p StatusPage, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		p, err = loadPage(ctx, tx)
		return err
	})
	return p, err
}

// ReplacePage changes the texts of the status page.
func (f *Feature) ReplacePage(ctx context.Context, in StatusPage) (StatusPage, error) {
	k := &checker{}
	in.Title = k.line("/title", in.Title, true)
	in.Description = k.text("/description", in.Description, 1000, false)
	in.SupportURL = k.link("/support_url", in.SupportURL)
	if err := k.err(); err != nil {
		return StatusPage{}, err
	}
	err := f.change(ctx, func(tx *db.Tx) error {
		before, err := loadPage(ctx, tx)
		if err != nil {
			return err
		}
		if err := web.IfMatch(ctx, before); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE status_page SET title = $1, description = $2, support_url = $3 WHERE one = 1`,
			in.Title, in.Description, in.SupportURL)
		if err != nil {
			return err
		}
		updated := event.NewAudit(f.cfg.OperatorAccount, "update", "status_page", "status", in.Title)
		return f.cfg.Record(ctx, tx, updated.Changed(before, in))
	})
	return in, err
}

// overall is the worst status of all components: the first line of the page.
type overall struct {
	Indicator string // none, minor, major, critical, maintenance: as other status pages say
	Words     string
	Tone      ui.Tone
}

func (b *board) overall() overall {
	worst := Operational
	for _, c := range b.Components {
		if c.Health.rank() > worst.rank() {
			worst = c.Health
		}
	}
	switch {
	case worst == MajorOutage:
		return overall{"critical", "Major outage", ui.Bad}
	case worst == PartialOutage:
		return overall{"major", "Partial outage", ui.Warn}
	case worst == Degraded:
		return overall{"minor", "Degraded performance", ui.Warn}
	case worst == Maintained:
		return overall{"maintenance", "Maintenance in progress", ui.Info}
	}
	for _, i := range b.Open {
		if i.Kind == KindIncident && i.Impact != ImpactNone {
			return overall{"minor", "An incident is open; all components are operational", ui.Warn}
		}
	}
	return overall{"none", "All systems operational", ui.Good}
}
