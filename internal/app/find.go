package app

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// SearchResult is the answer to a search, for the API, the palette and the pickers of forms.
type SearchResult struct {
	Groups  []SearchGroup `json:"groups" doc:"By kind; kinds without a match are left out"`
	Partial bool          `json:"partial" doc:"A kind took too long and was left out: see late"`
	Late    []string      `json:"late,omitempty" doc:"The kinds that were left out"`
}

// SearchGroup holds the objects of one kind.
type SearchGroup struct {
	Kind  string       `json:"kind"`
	Label string       `json:"label"`
	Icon  string       `json:"-"`
	Items []SearchItem `json:"items" doc:"The best match first"`
}

// SearchItem is an object that was found.
type SearchItem struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Detail string   `json:"detail,omitempty"`
	Href   string   `json:"href" doc:"Path of its page"`
	Icon   string   `json:"icon,omitempty" doc:"Of the dashboard"`
	Tone   ui.Tone  `json:"tone,omitempty" doc:"good, warn, bad or info"`
	Count  int64    `json:"count,omitempty" doc:"Recent events, of a value of events"`
	At     web.Time `json:"at,omitzero"`
}

// finders are the finders of all features, in the order of the features, and those of most use first.
func (a *App) finders() feature.Finders {
	var list feature.Finders
	for _, f := range a.features {
		list = append(list, f.Finders...)
	}
	rank := func(f feature.Finder) int {
		i := slices.Index(foundFirst, f.Kind)
		if i < 0 {
			i = len(foundFirst)
		}
		return i
	}
	slices.SortStableFunc(list, func(x, y feature.Finder) int { return rank(x) - rank(y) })
	return list
}

// foundFirst are the kinds whose groups come first.
var foundFirst = []string{"event", "delivery", "alert", "objective", "zone", "policy", "webhook", "member", "token",
	"account", "customer", "team", "declared", "alert_type", "resource", "actor"}

// search searches for everything that the principal may see. Failures of single kinds are logged.
func (a *App) search(ctx context.Context, s feature.Search) SearchResult {
	found, err := a.finders().Search(ctx, s)
	if err != nil && ctx.Err() == nil {
		a.Log.WarnContext(ctx, "some kinds could not be searched", "error", err)
	}
	out := SearchResult{Groups: []SearchGroup{}, Partial: len(found.Late) > 0, Late: found.Late}
	for _, g := range found.Groups {
		group := SearchGroup{Kind: g.Kind, Label: g.Label, Icon: g.Icon}
		for _, m := range g.Matches {
			group.Items = append(group.Items, itemOf(g, m))
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

func itemOf(g feature.Group, m feature.Match) SearchItem {
	item := SearchItem{
		ID:     m.ID,
		Title:  m.Title,
		Detail: m.Detail,
		Href:   m.Href,
		Icon:   firstOf(m.Icon, g.Icon),
		Tone:   m.Tone,
		Count:  m.Count,
	}
	if !m.At.IsZero() {
		item.At = web.TimeOf(m.At.UnixMicro())
	}
	return item
}

// searchInput is the input of the operation.
type searchInput struct {
	Query string `query:"q" maxLength:"256" doc:"Beginnings of words of a name, or an id; empty = the first objects of the kind"`
	Kind  string `query:"kind" doc:"Search only for objects of one kind, such as policy"`
	Limit int    `query:"limit" minimum:"1" maximum:"20" default:"8" doc:"Of each kind"`
}

// registerSearch registers the search of an account, after all features.
func (a *App) registerSearch() {
	web.Get(a.API, web.Op{
		Path:       "/accounts/{account_id}/search",
		ID:         "search-account",
		Tag:        "Search",
		Permission: web.AnyPermission,
		Summary:    "Search an account",
		Description: "Finds events, alerts, objectives, policies, webhooks, deliveries, members, tokens, properties and " +
			"values of the audit log by name, and by an id in full. Only kinds that the credential may read are " +
			"searched. A kind that takes longer than 300 ms is left out. Events are found by their id; the lists of " +
			"the audit log search them by their fields.",
	}, func(ctx context.Context, in *searchInput) (SearchResult, error) {
		known := func(f feature.Finder) bool { return f.Kind == in.Kind }
		switch {
		case in.Kind != "" && !slices.ContainsFunc(a.finders(), known):
			return SearchResult{}, errs.At(errs.CodeInvalid, "kind", "there are no objects of this kind")
		case in.Kind == "" && in.Query == "":
			return SearchResult{}, errs.At(errs.CodeMissingField, "q", "q or kind is required")
		}
		return a.search(ctx, feature.Search{
			Who:     web.CurrentPrincipal(ctx),
			Account: web.Account(ctx).ID,
			Query:   in.Query,
			Kind:    in.Kind,
			Limit:   in.Limit,
		}), nil
	})
}
