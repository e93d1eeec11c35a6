package producer

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) mountCatalogue() {
	const base = TeamsPath + "/{producer_id}"
	p.Mount("GET "+base, mayRead, false, p.showCatalogue)
	p.Mount("GET "+base+"/history", mayRead, false, p.showHistory)
	p.Mount("GET "+base+"/history/{version}", mayRead, false, p.showVersion)
}

// shownProduct is a product with the panels of its sections.
type shownProduct struct {
	catalogue.Declaration
	Panels []shownPanel
}

type shownPanel struct {
	catalogue.Panel
	Rows [][]shownCell
}

// shownCell is a cell with the name of its column, and the sentences whose
// placeholders are marked.
type shownCell struct {
	catalogue.Cell
	Column           string
	Success, Failure ui.Sentence
}

func (p *pages) showCatalogue(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.head(v, "Catalogue")
	if err != nil {
		return err
	}
	c, err := p.Catalogue(v.ctx, h.ID, 0)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return err
	}
	return p.show(w, v, "producers", h.Name, "team-catalogue", 0, map[string]any{
		"Head":     h,
		"Products": p.products(c.Catalog),
		"Revision": c.Revision,
		"Applied":  c.Version > 0,
		"Teach":    p.applyCommand(h.ID, TokenPrefix+"..."),
		"Tokens":   h.Href + "/tokens",
	})
}

func (p *pages) products(c catalogue.Catalogue) (products []shownProduct) {
	for _, declared := range c.Products {
		shown := shownProduct{Declaration: declared}
		for _, panel := range p.sections.Panels(declared) {
			shown.Panels = append(shown.Panels, showPanel(panel))
		}
		products = append(products, shown)
	}
	return products
}

func showPanel(panel catalogue.Panel) shownPanel {
	shown := shownPanel{Panel: panel}
	for _, row := range panel.Rows {
		cells := make([]shownCell, len(row))
		for i, cell := range row {
			cells[i] = shownCell{Cell: cell, Column: panel.Columns[i]}
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

const versionsAtOnce = 50

func (p *pages) showHistory(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.head(v, "History")
	if err != nil {
		return err
	}
	list := "console versions " + h.ID
	var from versionPlace
	if c := r.URL.Query().Get("cursor"); c != "" {
		if err := p.Cursors.Decode(list, c, &from); err != nil {
			return err
		}
	}
	rows, err := p.Versions(v.ctx, h.ID, from.Version, versionsAtOnce+1)
	if err != nil {
		return err
	}
	next := ""
	if len(rows) > versionsAtOnce {
		rows = rows[:versionsAtOnce]
		next = v.with("cursor", p.Cursors.Encode(list, versionPlace{rows[versionsAtOnce-1].Version}))
	}
	return p.show(w, v, "producers", h.Name, "team-history", 0, map[string]any{
		"Head": h, "Rows": rows, "Next": next, "Teach": p.applyCommand(h.ID, TokenPrefix+"..."),
	})
}

// showVersion shows one file and what it changed.
func (p *pages) showVersion(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	h, err := p.head(v, "History")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil || n < 1 {
		return errs.New(errs.CodeNotFound, "a version of a catalogue is a number from 1")
	}
	c, err := p.Catalogue(v.ctx, h.ID, n)
	if err != nil {
		return err
	}
	changes, err := p.changesOf(v.ctx, h.ID, c)
	if err != nil {
		return err
	}
	return p.show(w, v, "producers", h.Name, "team-version", 0, map[string]any{
		"Head":    h,
		"Version": c,
		"Changes": changes,
		"Back":    h.Href + "/history",
		"Current": n == h.CatalogVersion,
	})
}

// changesOf compares a version with the one before it; all of the first one is
// new.
func (p *pages) changesOf(ctx context.Context, teamID string, c StoredCatalogue) (list []shownChange, err error) {
	var before StoredCatalogue
	if c.Version > 1 {
		before, err = p.Catalogue(ctx, teamID, c.Version-1)
		if err != nil && !errs.Is(err, errs.CodeNotFound) { // old versions are dropped
			return nil, err
		}
	}
	for _, one := range p.sections.Diff(before.Catalog, c.Catalog) {
		s := shownChange{Change: one, What: catalogue.Spaced(one.Kind)}
		if one.Op == "changed" {
			s.Old = catalogue.Brief(one.Before)
			s.New = catalogue.Brief(one.After)
		}
		list = append(list, s)
	}
	return list, nil
}

type shownChange struct {
	catalogue.Change
	What, Old, New string
}
