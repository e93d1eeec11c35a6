package producer

import (
	"context"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addCatalogue() {
	const base = TeamsPath + "/{producer_id}"
	p.Get(base, pagesRead, p.showCatalogue)
	p.Get(base+"/history", pagesRead, p.showHistory)
	p.Get(base+"/history/{version}", pagesRead, p.showVersion)
}

// shownAction is an action with its sentence as a template, its places marked.
type shownAction struct {
	Action
	Said, SaidFailed ui.Sentence
}

type shownDecl struct {
	Resource
	Actions []shownAction
}

type shownProductPage struct {
	Product
	Resources []shownDecl
}

// cataloguePage is the data of the template "team-catalogue".
type cataloguePage struct {
	Head     teamHead
	Products []shownProductPage
	Revision Revision
	Applied  bool
	Teach    string // commands that apply a catalogue
	Tokens   string // path
}

func (p *pages) showCatalogue(v *page.Visit) error {
	h, err := p.head(v, "Catalogue")
	if err != nil {
		return err
	}
	c, err := p.Catalogue(v.Context(), h.ID, 0)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return err
	}
	return showTeamPage(v, h, "team-catalogue", ui.Faults{}, cataloguePage{
		Head:     h,
		Products: productsOf(c.Catalog),
		Revision: c.Revision,
		Applied:  c.Version > 0,
		Teach:    p.applyCommand(h.ID, TokenPrefix+"..."),
		Tokens:   h.Href + "/tokens",
	})
}

func productsOf(c Catalogue) (list []shownProductPage) {
	for _, product := range c.Products {
		s := shownProductPage{Product: product}
		for _, resource := range product.Resources {
			d := shownDecl{Resource: resource}
			for _, a := range resource.Actions {
				d.Actions = append(d.Actions, shownAction{a, marked(a.Sentence), marked(a.Failure)})
			}
			s.Resources = append(s.Resources, d)
		}
		list = append(list, s)
	}
	return list
}

// marked sets the places of a sentence's template apart.
func marked(template string) (s ui.Sentence) {
	for template != "" {
		open := strings.IndexByte(template, '{')
		end := strings.IndexByte(template, '}')
		if open < 0 || end < open {
			return append(s, ui.Part{Text: template})
		}
		if open > 0 {
			s = append(s, ui.Part{Text: template[:open]})
		}
		s = append(s, ui.Part{Text: template[open+1 : end], Code: true})
		template = template[end+1:]
	}
	return s
}

const versionsPageSize = 50

// historyPage is the data of the template "team-history".
type historyPage struct {
	Head  teamHead
	Rows  []Revision
	Next  string
	Teach string // commands that apply a catalogue
}

func (p *pages) showHistory(v *page.Visit) error {
	h, err := p.head(v, "History")
	if err != nil {
		return err
	}
	list, err := page.ReadList(v, versionsPageSize, versionOf, func(before int64, limit int) ([]Revision, error) {
		return p.Versions(v.Context(), h.ID, before, limit)
	})
	if err != nil {
		return err
	}
	return showTeamPage(v, h, "team-history", ui.Faults{}, historyPage{
		Head:  h,
		Rows:  list.Items,
		Next:  list.Next,
		Teach: p.applyCommand(h.ID, TokenPrefix+"..."),
	})
}

func versionOf(r Revision) int64 { return r.Version }

// versionPage is the data of the template "team-version".
type versionPage struct {
	Head    teamHead
	Version StoredCatalogue
	Changes []shownChange
	First   bool
	Back    string
	Current bool // the version is in force
}

// showVersion shows a version of the file, with its changes.
func (p *pages) showVersion(v *page.Visit) error {
	h, err := p.head(v, "History")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(v.PathValue("version"), 10, 64)
	if err != nil || n < 1 {
		return errs.New(errs.CodeNotFound, "a version of a catalogue is a number from 1")
	}
	c, err := p.Catalogue(v.Context(), h.ID, n)
	if err != nil {
		return err
	}
	changes, first, err := p.changesOf(v.Context(), h.ID, c)
	if err != nil {
		return err
	}
	return showTeamPage(v, h, "team-version", ui.Faults{}, versionPage{
		Head:    h,
		Version: c,
		Changes: changes,
		First:   first,
		Back:    h.Href + "/history",
		Current: n == h.CatalogVersion,
	})
}

// changesOf compares a version with the one before it; first: there is none.
func (p *pages) changesOf(ctx context.Context, teamID string, c StoredCatalogue) (list []shownChange, first bool, err error) {
	before, err := p.Catalogue(ctx, teamID, c.Version-1)
	if c.Version == 1 || errs.Is(err, errs.CodeNotFound) {
		before, first, err = StoredCatalogue{}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, one := range Diff(before.Catalog, c.Catalog) {
		s := shownChange{Change: one, What: spaced(one.Kind)}
		if one.Op == "changed" {
			s.Old, s.New = brief(one.Before), brief(one.After)
		}
		list = append(list, s)
	}
	return list, first, nil
}

type shownChange struct {
	Change
	What, Old, New string
}
