package producer

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
)

// searchedTeams are the teams that one search reads, the newest first.
const searchedTeams = 2000

// finders find teams and the names that their catalogues declare, for the operators.
func (f *Feature) finders() feature.Finders {
	return feature.Finders{
		{Kind: "team", Label: "Teams", Icon: "package", Permission: pagesRead, Console: true, Find: f.findTeams},
		{
			Kind: "declared", Label: "Declared in catalogues", Icon: "book-open", Permission: pagesRead, Console: true,
			Find: f.findDeclared,
		},
	}
}

// actions are the feature's entries of the palette.
func (f *Feature) actions() []feature.Action {
	return []feature.Action{
		{
			Label: "See rejected events", Words: "refused errors faults invalid", Icon: "octagon-alert",
			Href: AccountRejectsPath, Permission: account.AuditRead,
		},
		{
			Label: "Create a team", Words: "producer product new", Icon: "package",
			Href: TeamsPath + "/new", Permission: pagesWrite, Console: true,
		},
	}
}

func (f *Feature) findTeams(ctx context.Context, _, query string, limit int) ([]feature.Match, error) {
	teams, err := f.Teams(ctx, "", searchedTeams)
	list := make([]feature.Match, len(teams))
	for i, t := range teams {
		list[i] = feature.Match{
			ID:     t.ID,
			Title:  t.Name,
			Detail: cmp.Or(t.ContactEmail, "no contact address"),
			Href:   teamPath(t.ID),
			At:     t.ModifiedOn.Time,
			Names:  []string{t.ContactEmail},
		}
	}
	return feature.Best(query, limit, list), err
}

// declaredWords are the kinds of names that belong to one team at a time.
var declaredWords = map[string]string{"product": "product", "alert_type": "alert type", "topic": "topic"}

// findDeclared finds products, alert types and topics by name, in memory.
func (f *Feature) findDeclared(ctx context.Context, _, query string, limit int) ([]feature.Match, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	var list []feature.Match
	for name, p := range s.owners {
		if p.Team == "" { // Belfry's own product has no page
			continue
		}
		list = append(list, feature.Match{
			ID:     name.name,
			Title:  name.name,
			Detail: cmp.Or(declaredWords[name.kind], name.kind) + " of " + s.teams[p.Team].name,
			Href:   teamPath(p.Team),
			Names:  []string{p.Title},
		})
	}
	slices.SortFunc(list, func(a, b feature.Match) int {
		return cmp.Or(strings.Compare(a.Title, b.Title), strings.Compare(a.Detail, b.Detail))
	})
	return feature.Best(query, limit, list), nil
}
