package producer

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// keepVersions is how many versions of a team's catalogue are kept.
const keepVersions = 1000

// Applied says what an apply did, or would do.
type Applied struct {
	DryRun  bool     `json:"dry_run"`
	Version int64    `json:"version" doc:"Of the catalogue now; a file that is in force already makes no new one"`
	Changes []Change `json:"changes"`
}

// Revision is one version of a team's catalogue.
type Revision struct {
	Version   int64     `json:"version"`
	AppliedOn web.Time  `json:"applied_on"`
	AppliedBy AppliedBy `json:"applied_by"`
	Format    Format    `json:"format" enum:"yaml,json"`
}

// AppliedBy is who applied a version.
type AppliedBy struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Apply makes the file the team's catalogue. A name of another team is refused
// (CodeProductForbidden), and so is a file that takes back what was declared
// personal (CodeCatalogueInvalid). A dry run refuses the same and changes
// nothing. match, if it is not nil, is asked with the present version.
func (r *Registry) Apply(ctx context.Context, teamID string, f *File, dryRun bool, match func(StoredCatalogue) error) (Applied, error) {
	var out Applied
	work := func(tx *db.Tx) error {
		if !dryRun {
			// One apply at a time: names and pointers are compared with what is
			// there, not with what is being written.
			if _, err := tx.Exec(ctx, `UPDATE clock SET n = n + 1 WHERE id = 1`); err != nil {
				return err
			}
		}
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		present, err := loadCatalogue(ctx, tx, teamID, team.CatalogVersion)
		if err != nil {
			return err
		}
		if match != nil {
			if err := match(present); err != nil {
				return err
			}
		}
		out = Applied{DryRun: dryRun, Version: team.CatalogVersion, Changes: Diff(present.Catalog, f.Catalogue)}
		list, err := objections(ctx, tx, teamID, f)
		if err != nil {
			return err
		}
		if err := list.Or(); err != nil || dryRun {
			return err
		}
		if present.Version > 0 && len(out.Changes) == 0 && bytes.Equal([]byte(present.Text), f.Text) {
			return nil
		}
		out.Version++
		if err := r.store(ctx, tx, team, out.Version, f); err != nil {
			return err
		}
		return r.auditApply(ctx, tx, team, present, f, out)
	}
	if dryRun {
		return out, r.db.View(ctx, work)
	}
	if err := r.change(ctx, work); err != nil {
		return out, err
	}
	if err := r.refresh(ctx); err != nil {
		// It is applied: this process sees it at its next look.
		r.log.Warn("catalogue applied and not read yet", "team", teamID, "error", err)
	}
	return out, nil
}

// names of a catalogue that one team has at a time, with where they stand.
func (f *File) names() []ownedName {
	var list []ownedName
	for i, p := range f.Products {
		at := "/products/" + strconv.Itoa(i)
		list = append(list, ownedName{"product", p.Product, at})
		for j, a := range p.AlertTypes {
			list = append(list, ownedName{"alert_type", a.Type, at + "/alert_types/" + strconv.Itoa(j)})
		}
		for j, t := range p.Topics {
			list = append(list, ownedName{"topic", t.Topic, at + "/topics/" + strconv.Itoa(j)})
		}
	}
	// The order in which rows are locked.
	slices.SortFunc(list, func(a, b ownedName) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	return list
}

type ownedName struct{ kind, name, pointer string }

// objections are those that only the server can have.
func objections(ctx context.Context, tx *db.Tx, teamID string, f *File) (errs.List, error) {
	var list errs.List
	for _, n := range f.names() {
		var owner, team string
		err := tx.QueryRow(ctx, `SELECT team.id, team.name FROM owned JOIN team ON team.id = owned.team_id WHERE owned.kind = $1 AND owned.name = $2`, n.kind, n.name).Scan(&owner, &team)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if owner != teamID {
			list = append(list, f.fault(errs.CodeProductForbidden, n.pointer, fmt.Sprintf("the %s %s belongs to the product team %s", spaced(n.kind), show(n.name), show(team))))
		}
	}
	remembered := map[string]map[string][]string{}
	if err := allPersonal(ctx, tx, remembered); err != nil {
		return nil, err
	}
	for i, p := range f.Products {
		for j, res := range p.Resources {
			now := event.ParseFields(res.Personal)
			for _, entry := range remembered[p.Product][res.Type] {
				// A version of before may have written out a name as pointers.
				if !now.Covers(entry) && !slices.ContainsFunc(res.Personal, func(e string) bool { return strings.EqualFold(e, entry) }) {
					at := fmt.Sprintf("/products/%d/resources/%d", i, j)
					list = append(list, f.fault(errs.CodeCatalogueInvalid, at, fmt.Sprintf(
						"%s of %s/%s was declared personal once and stays so: the record's format adds committed fields and never removes one; put it back under personal",
						entry, p.Product, res.Type)))
				}
			}
		}
	}
	return list, nil
}

func spaced(kind string) string {
	if kind == "alert_type" {
		return "alert type"
	}
	return kind
}

// store writes a version and what follows from it.
func (r *Registry) store(ctx context.Context, tx *db.Tx, team Team, version int64, f *File) error {
	by := appliedBy(ctx)
	now := r.now().UnixMicro()
	_, err := tx.Exec(ctx, `INSERT INTO catalogue (team_id, version, format, content, applied_at, by_type, by_id, by_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		team.ID, version, string(f.Format), f.Text, now, by.Type, by.ID, by.Name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE team SET version = $2 WHERE id = $1`, team.ID, version); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM catalogue WHERE team_id = $1 AND version <= $2`, team.ID, version-keepVersions); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM owned WHERE team_id = $1`, team.ID); err != nil {
		return err
	}
	var rows [][]any
	for _, n := range f.names() {
		rows = append(rows, []any{n.kind, n.name, team.ID})
	}
	if err := tx.Insert(ctx, "owned", []string{"kind", "name", "team_id"}, "", rows); err != nil {
		return err
	}
	rows = nil
	for _, p := range f.Products {
		for _, res := range p.Resources {
			for _, entry := range res.Personal {
				rows = append(rows, []any{p.Product, res.Type, entry})
			}
		}
	}
	return tx.Insert(ctx, "personal", []string{"product", "resource", "pointer"}, "ON CONFLICT DO NOTHING", rows)
}

func appliedBy(ctx context.Context) AppliedBy {
	p := web.CurrentPrincipal(ctx)
	if p == nil {
		return AppliedBy{Type: string(web.KindSystem), ID: "belfry"}
	}
	a := feature.Actor(p)
	return AppliedBy{Type: string(p.Kind), ID: p.ID, Name: short(cmp.Or(a.Name, a.Email))}
}

func (r *Registry) auditApply(ctx context.Context, tx *db.Tx, team Team, present StoredCatalogue, f *File, out Applied) error {
	breaking := 0
	for _, c := range out.Changes {
		if c.Breaking {
			breaking++
		}
	}
	e := event.NewAudit(r.cfg.OperatorAccount, "apply", "catalog", team.ID, team.Name).Changed(
		shownVersion(present.Version, present.Catalog), shownVersion(out.Version, f.Catalogue))
	e.Metadata = map[string]any{"changes": len(out.Changes), "breaking": breaking}
	return r.cfg.Record(ctx, tx, e)
}

// shownVersion is what of a catalogue stands in the record: its text is in the
// history, and would be too long.
func shownVersion(version int64, c Catalogue) any {
	if version == 0 {
		return nil
	}
	products := []string{}
	for _, p := range c.Products {
		products = append(products, p.Product)
	}
	return map[string]any{"version": version, "products": products}
}

// StoredCatalogue is a revision with its content.
type StoredCatalogue struct {
	ProducerID string `json:"producer_id"`
	Revision
	Text    string    `json:"text" doc:"The file as it was applied"`
	Catalog Catalogue `json:"catalog" doc:"What the file says"`
}

// Catalogue gives a version of a team's catalogue; 0 = the one in force.
// CodeNotFound when there is none.
func (r *Registry) Catalogue(ctx context.Context, teamID string, version int64) (c StoredCatalogue, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		c, err = loadCatalogue(ctx, tx, teamID, cmp.Or(version, team.CatalogVersion))
		if err == nil && c.Version == 0 {
			err = errs.New(errs.CodeNotFound, "the product team has applied no catalogue (or not this version)")
		}
		return err
	})
	return c, err
}

// loadCatalogue reads one version; version 0 when it is not there.
func loadCatalogue(ctx context.Context, tx *db.Tx, teamID string, version int64) (StoredCatalogue, error) {
	c := StoredCatalogue{ProducerID: teamID, Catalog: Catalogue{Version: 1, Products: []Product{}}}
	var content []byte
	var at int64
	err := tx.QueryRow(ctx, `SELECT version, format, content, applied_at, by_type, by_id, by_name FROM catalogue WHERE team_id = $1 AND version = $2`, teamID, version).
		Scan(&c.Version, &c.Format, &content, &at, &c.AppliedBy.Type, &c.AppliedBy.ID, &c.AppliedBy.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.AppliedOn = web.TimeOf(at)
	c.Text = string(content)
	f, err := parseStored(content, c.Format)
	if err != nil {
		return c, fmt.Errorf("version %d of the catalogue of %s: %w", version, teamID, errors.New(err.Error()))
	}
	c.Catalog = f.Catalogue
	return c, nil
}

// Versions lists a team's catalogue versions below the given one (0 = all),
// newest first.
func (r *Registry) Versions(ctx context.Context, teamID string, below int64, limit int) (list []Revision, err error) {
	if below == 0 {
		below = 1 << 62
	}
	err = r.db.View(ctx, func(tx *db.Tx) error {
		if _, err := loadTeam(ctx, tx, teamID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT version, format, applied_at, by_type, by_id, by_name FROM catalogue WHERE team_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`, teamID, below, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var v Revision
			var at int64
			if err := rows.Scan(&v.Version, &v.Format, &at, &v.AppliedBy.Type, &v.AppliedBy.ID, &v.AppliedBy.Name); err != nil {
				return err
			}
			v.AppliedOn = web.TimeOf(at)
			list = append(list, v)
		}
		return rows.Err()
	})
	return list, err
}
