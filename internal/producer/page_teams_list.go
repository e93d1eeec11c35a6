package producer

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// teamView is a team in the list.
type teamView struct {
	listedTeam
	Href     string
	Products []string
	Events   int64 // recorded in two weeks
	Rejected int64 // events in the last 24 hours
	LastUsed time.Time
}

// teamsPage is the data of the template "teams".
type teamsPage struct {
	Create  string // path; "" = the visitor may not
	Filters ui.Filters
	Counted bool // Events is known
	Rows    []teamView
	Next    string
}

const teamsPageSize = 100

var teamStates = ui.FilterKey{
	Key:   "state",
	Label: "State",
	Icon:  "circle-check",
	Only:  true,
	Options: []ui.Choice{
		{Value: teamRejected, Label: "events rejected in 24 h", Icon: "octagon-alert"},
		{Value: teamMissing, Label: "no catalogue", Icon: "book-open"},
	},
}

var teamOrders = []ui.Choice{{Value: "newest", Label: "Newest first"}, {Value: "name", Label: "By name"}}

func (p *pages) showTeams(v *page.Visit) error {
	ctx := v.Context()
	u := v.Request.URL
	out := teamsPage{Filters: ui.NewFilters(u, "Search teams", teamStates)}
	out.Filters.Sort = ui.Sorts(u, teamOrders...)
	out.Filters.Display = &ui.Display{Name: "teams", Columns: []ui.ListColumn{
		{Key: "products", Label: "Products"},
		{Key: "catalogue", Label: "Catalogue"},
		{Key: "events", Label: "Events"},
		{Key: "used", Label: "Token last used"},
		{Key: "rejected", Label: "Rejected"},
	}}
	if canWrite(v) {
		out.Create = TeamsPath + "/new"
	}

	filter := teamFilter{
		text:   page.Cut(out.Filters.Query, 200),
		state:  v.Query("state"),
		byName: ui.SortOf(u, teamOrders...) == "name",
	}
	place := func(t listedTeam) teamPlace {
		if filter.byName {
			return teamPlace{t.ID, t.Name}
		}
		return teamPlace{ID: t.ID}
	}
	list, err := page.ReadList(v, teamsPageSize, place, func(after teamPlace, limit int) ([]listedTeam, error) {
		return p.searchTeams(ctx, filter, after, limit)
	})
	if err != nil {
		return err
	}
	rejected, err := p.rejectsByOwner(ctx, scopeTeam)
	if err != nil {
		return err
	}
	products, err := p.Products(ctx)
	if err != nil {
		return err
	}
	var events map[string]int64
	events, out.Counted = p.eventsByProduct(ctx)
	rows := page.Map(list, func(t listedTeam) teamView {
		row := teamView{listedTeam: t, Href: teamPath(t.ID), Rejected: rejected[t.ID], LastUsed: t.lastUsed}
		for _, c := range products {
			if c.Team == t.ID {
				row.Products = append(row.Products, c.Name)
				row.Events += events[c.Name]
			}
		}
		return row
	})
	out.Rows = rows.Items
	out.Next = rows.Next
	return v.Show(page.View{Section: "producers", Title: "Product teams", Template: "teams", Data: out})
}

// eventsByProduct sums the recorded events of two weeks; false when they cannot be counted in a short time.
func (p *pages) eventsByProduct(ctx context.Context) (map[string]int64, bool) {
	if p.cfg.Pages.EventDays == nil {
		return nil, false
	}
	days, err := p.cfg.Pages.EventDays(ctx)
	if err != nil {
		return nil, false
	}
	sums := map[string]int64{}
	for _, one := range days {
		sums[one.Product] += one.Count
	}
	return sums, true
}
