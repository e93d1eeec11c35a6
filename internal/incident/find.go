package incident

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// searchedIncidents are the incidents that one search reads, those that began last.
const searchedIncidents = 500

// finders find incidents for the operators, and components for all: policies name them.
func (f *Feature) finders() feature.Finders {
	return feature.Finders{
		{
			Kind: "incident", Label: "Incidents", Icon: "siren", Permission: permissionRead, Console: true,
			Find: f.findIncidents,
		},
		{
			Kind: "component", Label: "Components of the platform", Icon: "boxes", Permission: web.AnyPermission,
			Find: f.findComponents,
		},
	}
}

// actions are the feature's entries of the palette.
func (f *Feature) actions() []feature.Action {
	return []feature.Action{
		{
			Label: "Declare an incident", Words: "outage report status page", Icon: "siren",
			Href: ConsolePath + "/new", Permission: permissionWrite, Console: true,
		},
		{
			Label: "Schedule a maintenance", Words: "planned work window", Icon: "wrench",
			Href: ConsolePath + "/new-maintenance", Permission: permissionWrite, Console: true,
		},
	}
}

func (f *Feature) findIncidents(ctx context.Context, _, query string, limit int) ([]feature.Match, error) {
	incidents, err := f.Incidents(ctx, Query{}, web.Keyset{}, searchedIncidents)
	list := make([]feature.Match, len(incidents))
	for n, i := range incidents {
		list[n] = feature.Match{
			ID:     i.ID,
			Title:  i.Name,
			Detail: i.State.Words(),
			Href:   consolePath(i.ID),
			Tone:   i.State.Tone(),
			At:     i.StartedOn.Time,
		}
		if i.Kind == KindMaintenance {
			list[n].Icon = "wrench"
		}
	}
	return feature.Best(query, limit, list), err
}

// findComponents finds components in memory. Their page is the public one.
func (f *Feature) findComponents(ctx context.Context, _, query string, limit int) ([]feature.Match, error) {
	b, err := f.board.Get(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]feature.Match, len(b.Components))
	for n, c := range b.Components {
		list[n] = feature.Match{
			ID:     c.ID,
			Title:  c.Name,
			Detail: strings.TrimPrefix(c.Group+", "+strings.ToLower(c.Health.Words()), ", "),
			Href:   StatusPath,
			Tone:   c.Health.Tone(),
			Names:  []string{c.Group, c.Location},
		}
	}
	return feature.Best(query, limit, list), nil
}
