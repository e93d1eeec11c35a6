package producer

import (
	"context"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addCatalogue() {
	const base = TeamsPath + "/{producer_id}"
	p.Get(base+"/catalogue", pagesRead, p.showCatalogue)
	p.Get(base+"/history", pagesRead, p.showHistory)
	p.Get(base+"/history/{version}", pagesRead, p.showVersion)
}

// productView is a product with the panels of its sections.
type productView struct {
	catalogue.Declaration
	Panels []panelView
}

type panelView struct {
	catalogue.Panel
	Rows [][]cellView
}

// cellView is a cell with the name of its column, and the sentences whose
// placeholders are marked.
type cellView struct {
	catalogue.Cell
	Column           string
	Success, Failure ui.Sentence
}

// cataloguePage is the data of the template "team-catalogue".
type cataloguePage struct {
	Head     teamHead
	Products []productView
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
		Products: p.products(c.Catalog),
		Revision: c.Revision,
		Applied:  c.Version > 0,
		Teach:    p.applyCommand(h.ID, TokenPrefix+"..."),
		Tokens:   h.Href + "/tokens",
	})
}

func (p *pages) products(c catalogue.Catalogue) (products []productView) {
	for _, declared := range c.Products {
		shown := productView{Declaration: declared}
		for _, panel := range p.sections.Panels(declared) {
			shown.Panels = append(shown.Panels, showPanel(panel))
		}
		products = append(products, shown)
	}
	return products
}

func showPanel(panel catalogue.Panel) panelView {
	shown := panelView{Panel: panel}
	for _, row := range panel.Rows {
		cells := make([]cellView, len(row))
		for i, cell := range row {
			cells[i] = cellView{Cell: cell, Column: panel.Columns[i]}
			if cell.Sentence {
				cells[i].Success = markPlaceholders(cell.Text)
				cells[i].Failure = markPlaceholders(cell.Failure)
			}
		}
		shown.Rows = append(shown.Rows, cells)
	}
	return shown
}

// markPlaceholders sets the placeholders of a sentence's template apart.
func markPlaceholders(template string) (s ui.Sentence) {
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
	h, err := p.head(v, "Versions")
	if err != nil {
		return err
	}
	list, err := page.ReadList(v, versionsPageSize, revisionKey, func(after web.Keyset, limit int) ([]Revision, error) {
		return p.Versions(v.Context(), h.ID, after.At, limit)
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

func revisionKey(r Revision) web.Keyset { return web.Keyset{At: r.Version} }

// versionPage is the data of the template "team-version".
type versionPage struct {
	Head    teamHead
	Version StoredCatalogue
	Changes []changeView
	Back    string
	Current bool // the version is in force
}

// showVersion shows one file and its changes.
func (p *pages) showVersion(v *page.Visit) error {
	h, err := p.head(v, "Versions")
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
	changes, err := p.changesOf(v.Context(), h.ID, c)
	if err != nil {
		return err
	}
	return showTeamPage(v, h, "team-version", ui.Faults{}, versionPage{
		Head:    h,
		Version: c,
		Changes: changes,
		Back:    h.Href + "/history",
		Current: n == h.CatalogVersion,
	})
}

// changesOf compares a version with the one before it; all of the first one is
// new.
func (p *pages) changesOf(ctx context.Context, teamID string, c StoredCatalogue) (list []changeView, err error) {
	var before StoredCatalogue
	if c.Version > 1 {
		before, err = p.Catalogue(ctx, teamID, c.Version-1)
		if err != nil && !errs.Is(err, errs.CodeNotFound) { // old versions are dropped
			return nil, err
		}
	}
	for _, one := range p.sections.Diff(before.Catalog, c.Catalog) {
		s := changeView{Change: one, What: catalogue.Spaced(one.Kind)}
		if one.Op == "changed" {
			s.Old = catalogue.Brief(one.Before)
			s.New = catalogue.Brief(one.After)
		}
		list = append(list, s)
	}
	return list, nil
}

type changeView struct {
	catalogue.Change
	What, Old, New string
}
