package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Paths of the search: JSON for the palette and the pickers, and a page that works without scripts. Those of the
// console search the installation.
const (
	findPath           = accountPath + "/find"
	searchPath         = accountPath + "/search"
	palettePath        = accountPath + "/palette"
	consoleFindPath    = consolePath + "/find"
	consoleSearchPath  = consolePath + "/search"
	consolePalettePath = consolePath + "/palette"
)

// Matches of each kind, where the request does not say how many.
const (
	paletteMatches = 5
	pickerMatches  = 10
)

func (p *pages) addSearch() {
	p.Get(findPath, web.AnyPermission, p.find)
	p.Get(searchPath, web.AnyPermission, p.showSearch)
	p.Get(palettePath, web.AnyPermission, p.palette)
	p.Get(consoleFindPath, "", p.operatorsOnly(p.find))
	p.Get(consoleSearchPath, "", p.operatorsOnly(p.showSearch))
	p.Get(consolePalettePath, "", p.operatorsOnly(p.palette))
}

// findOf are the paths of the search below base, for the frame of a page.
func findOf(base, accountID string, who *web.Principal) ui.Find {
	at := pathIn(base, accountID)
	return ui.Find{
		Page:    at + "/search",
		Items:   at + "/find",
		Actions: at + "/palette",
		Scope:   firstOf(accountID, lastIsConsole) + ":" + who.ID,
	}
}

// operatorsOnly refuses visitors who may open no page of the console. The finders check the permission of each kind.
func (p *pages) operatorsOnly(h page.Handler) page.Handler {
	return func(v *page.Visit) error {
		if p.console(v.Who).Href == "" {
			return errs.New(errs.CodeForbidden, "the console is for the operators of the installation")
		}
		return h(v)
	}
}

// searchOf reads the parameters q, kind and limit.
func searchOf(v *page.Visit, limit int) feature.Search {
	if n, err := strconv.Atoi(v.Query("limit")); err == nil {
		limit = n
	}
	return feature.Search{
		Who:     v.Who,
		Account: v.Account,
		Query:   v.Query("q"),
		Kind:    v.Query("kind"),
		Limit:   limit,
	}
}

// find answers with the objects that match q: those of all kinds, or of one kind for a picker, which asks with an empty
// q for its first entries.
func (p *pages) find(v *page.Visit) error {
	s := searchOf(v, paletteMatches)
	if s.Kind != "" {
		s = searchOf(v, pickerMatches)
	}
	if s.Kind == "" && s.Query == "" {
		return writeJSON(v, SearchResult{Groups: []SearchGroup{}})
	}
	return writeJSON(v, p.app.search(v.Context(), s))
}

// paletteAction is an action as the palette shows it.
type paletteAction struct {
	Label string `json:"label"`
	Words string `json:"words,omitempty"`
	Href  string `json:"href"`
	Icon  string `json:"icon,omitempty"`
	Post  bool   `json:"post,omitempty"`
}

// palette answers with what the visitor can do here. The palette asks when it is opened.
func (p *pages) palette(v *page.Visit) error {
	list, err := p.actions(v)
	if err != nil {
		return err
	}
	return writeJSON(v, map[string]any{"actions": list})
}

// actions are the actions of all features that the visitor may do: first those that the present state offers.
func (p *pages) actions(v *page.Visit) ([]paletteAction, error) {
	offered := []paletteAction{}
	var always []paletteAction
	for _, f := range slices.Backward(p.app.features) { // of most use are those of alerts and objectives
		if f.Offer != nil && v.Account != "" && v.Can(f.Offer.Permission) {
			list, err := f.Offer.Actions(v.Context(), v.Account)
			if err != nil {
				return nil, err
			}
			for _, a := range list {
				offered = append(offered, paletteAction{a.Label, a.Words, a.Href, a.Icon, a.Post})
			}
		}
		for _, a := range f.Actions {
			if (v.Account == "") != a.Console {
				continue
			}
			if a, ok := a.In(v.Who, v.Account); ok {
				always = append(always, paletteAction{a.Label, a.Words, a.Href, a.Icon, a.Post})
			}
		}
	}
	for _, a := range checklistActions {
		if a, ok := a.In(v.Who, v.Account); ok {
			always = append(always, paletteAction{a.Label, a.Words, a.Href, a.Icon, a.Post})
		}
	}
	return append(offered, always...), nil
}

// searchPage is the data of the template "search".
type searchPage struct {
	Path    string
	Query   string
	Result  SearchResult
	Actions []paletteAction // that match, when nothing was typed all
	Audit   string          // the audit log, searched for the same text; "" without the right to read it
}

// Missing names the kinds that were left out.
func (s searchPage) Missing() string { return strings.ToLower(strings.Join(s.Result.Late, ", ")) }

// showSearch is the search without scripts: the same groups as in the palette, on a page.
func (p *pages) showSearch(v *page.Visit) error {
	data := searchPage{Path: v.Request.URL.Path, Query: page.Cut(v.Query("q"), feature.MaxQuery)}
	if data.Query != "" {
		data.Result = p.app.search(v.Context(), searchOf(v, pickerMatches))
	}
	actions, err := p.actions(v)
	if err != nil {
		return err
	}
	for _, a := range actions {
		if len(feature.Best(data.Query, 1, []feature.Match{{Title: a.Label, Names: []string{a.Words}}})) > 0 {
			data.Actions = append(data.Actions, a)
		}
	}
	if e := customerNav[1]; v.Account != "" && data.Query != "" && p.opens(e, v.Who, v.Account) {
		data.Audit = pathIn(e.path, v.Account)
	}
	return v.Show(page.View{Section: "search", Title: "Search", Template: "search-page", Data: data})
}

func writeJSON(v *page.Visit, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	h := v.Writer.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	v.Writer.WriteHeader(http.StatusOK)
	_, _ = v.Writer.Write(body) // a client that disconnected is not an error
	return nil
}
