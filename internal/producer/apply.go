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

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Applied is the result of an apply, or of a dry run.
type Applied struct {
	DryRun  bool               `json:"dry_run"`
	Version int64              `json:"version" doc:"Of the catalogue now; a file that is in force already makes no new one"`
	Changes []catalogue.Change `json:"changes"`
}

// Apply makes the file the team's catalogue. A name of another team is refused
// (CodeProductForbidden), and so is a file that takes back what was declared
// personal (CodeCatalogueInvalid). A dry run refuses the same and changes
// nothing. match, if it is not nil, is called with the present version and may
// refuse the change.
func (f *Feature) Apply(
	ctx context.Context, teamID string, file *catalogue.File, dryRun bool, match func(StoredCatalogue) error,
) (Applied, error) {
	var out Applied
	work := func(tx *db.Tx) (err error) {
		out, err = f.apply(ctx, tx, teamID, file, dryRun, match)
		return err
	}
	if dryRun {
		err := f.db.View(ctx, work)
		return out, err
	}
	if err := f.change(ctx, work); err != nil {
		return out, err
	}
	if err := f.refresh(ctx); err != nil {
		// The catalogue is applied: this process reads it at its next poll.
		f.log.Warn("catalogue applied and not read yet", "team", teamID, "error", err)
	}
	return out, nil
}

func (f *Feature) apply(
	ctx context.Context, tx *db.Tx, teamID string, file *catalogue.File, dryRun bool, match func(StoredCatalogue) error,
) (Applied, error) {
	if !dryRun {
		// The row's lock admits one apply at a time: names and personal fields are
		// compared with the stored ones, not with those of a concurrent apply.
		if err := db.Tick(ctx, tx, clock); err != nil {
			return Applied{}, err
		}
	}

	team, err := loadTeam(ctx, tx, teamID)
	if err != nil {
		return Applied{}, err
	}
	present, err := f.loadCatalogue(ctx, tx, teamID, team.CatalogVersion)
	if err != nil {
		return Applied{}, err
	}
	if match != nil {
		if err := match(present); err != nil {
			return Applied{}, err
		}
	}

	out := Applied{
		DryRun:  dryRun,
		Version: team.CatalogVersion,
		Changes: f.sections.Diff(present.Catalog, file.Catalogue),
	}
	refused, err := f.objections(ctx, tx, teamID, file)
	if err != nil {
		return out, err
	}
	if err := refused.Or(); err != nil || dryRun {
		return out, err
	}

	if present.Version > 0 && len(out.Changes) == 0 && bytes.Equal([]byte(present.Text), file.Text) {
		return out, nil
	}
	out.Version++
	if err := f.store(ctx, tx, team, out.Version, file); err != nil {
		return out, err
	}
	return out, f.auditApply(ctx, tx, team, present, file, out)
}

// objections are the faults of a file that only the server can find.
func (f *Feature) objections(ctx context.Context, tx *db.Tx, teamID string, file *catalogue.File) (errs.List, error) {
	faults, err := f.foreignNames(ctx, tx, teamID, file)
	if err != nil {
		return nil, err
	}
	declared, err := loadLasting(ctx, tx)
	if err != nil {
		return nil, err
	}
	for i, p := range file.Products {
		for _, fault := range f.sections.Retracted(p, declared[p.Product]) {
			faults = append(faults, file.Fault(errs.CodeCatalogueInvalid, productPointer(i)+fault.Pointer, fault.Message))
		}
	}
	return faults, nil
}

// foreignNames are faults of names that belong to other teams, or to Belfry.
func (f *Feature) foreignNames(ctx context.Context, tx *db.Tx, teamID string, file *catalogue.File) (errs.List, error) {
	var faults errs.List
	own := f.sections.Names(f.builtin.Declaration)
	for _, n := range f.names(file) {
		isBuiltin := func(b catalogue.Name) bool { return b.Kind == n.Kind && b.Name == n.Name }
		if slices.ContainsFunc(own, isBuiltin) {
			message := fmt.Sprintf("the %s %s is Belfry's own", catalogue.Spaced(n.Kind), catalogue.Quote(n.Name))
			faults = append(faults, file.Fault(errs.CodeProductForbidden, n.Pointer, message))
			continue
		}
		var owner, team string
		err := tx.QueryRow(ctx, `
			SELECT team.id, team.name
			FROM owned JOIN team ON team.id = owned.team_id
			WHERE owned.kind = $1 AND owned.name = $2`, n.Kind, n.Name).Scan(&owner, &team)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if owner != teamID {
			message := fmt.Sprintf("the %s %s belongs to the product team %s",
				catalogue.Spaced(n.Kind), catalogue.Quote(n.Name), catalogue.Quote(team))
			faults = append(faults, file.Fault(errs.CodeProductForbidden, n.Pointer, message))
		}
	}
	return faults, nil
}

// names are the names of a file that belong to one team at a time, in the order
// in which their rows are locked.
func (f *Feature) names(file *catalogue.File) []catalogue.Name {
	var names []catalogue.Name
	for i, p := range file.Products {
		for _, n := range f.sections.Names(p) {
			n.Pointer = productPointer(i) + n.Pointer
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b catalogue.Name) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return names
}

func productPointer(i int) string { return "/products/" + strconv.Itoa(i) }

// store writes a version, the names that it owns and its lasting items.
func (f *Feature) store(ctx context.Context, tx *db.Tx, team Team, version int64, file *catalogue.File) error {
	if err := f.storeVersion(ctx, tx, team.ID, version, file); err != nil {
		return err
	}

	if _, err := tx.Exec(ctx, `DELETE FROM owned WHERE team_id = $1`, team.ID); err != nil {
		return err
	}
	var owned [][]any
	for _, n := range f.names(file) {
		owned = append(owned, []any{n.Kind, n.Name, team.ID})
	}
	if err := tx.Insert(ctx, "owned", []string{"kind", "name", "team_id"}, "", owned); err != nil {
		return err
	}

	var declared [][]any
	for _, p := range file.Products {
		for _, entry := range f.sections.Lasting(p) {
			for _, item := range entry.Items {
				declared = append(declared, []any{p.Product, entry.Name, item})
			}
		}
	}
	columns := []string{"product", "resource", "pointer"}
	return tx.Insert(ctx, "personal", columns, "ON CONFLICT DO NOTHING", declared)
}

func (f *Feature) auditApply(
	ctx context.Context, tx *db.Tx, team Team, present StoredCatalogue, file *catalogue.File, out Applied,
) error {
	breaking := 0
	for _, c := range out.Changes {
		if c.Breaking {
			breaking++
		}
	}
	before := versionSummary(present.Version, present.Catalog)
	after := versionSummary(out.Version, file.Catalogue)
	e := event.NewAudit(f.cfg.OperatorAccount, "apply", "catalog", team.ID, team.Name).Changed(before, after)
	e.Metadata = map[string]any{"changes": len(out.Changes), "breaking": breaking}
	return f.cfg.Record(ctx, tx, e)
}

// versionSummary is a catalogue in the record. Its text is in the history, and
// would be too long.
func versionSummary(version int64, c catalogue.Catalogue) any {
	if version == 0 {
		return nil
	}
	products := []string{}
	for _, p := range c.Products {
		products = append(products, p.Product)
	}
	return map[string]any{"version": version, "products": products}
}

func appliedBy(ctx context.Context) AppliedBy {
	p := web.CurrentPrincipal(ctx)
	if p == nil {
		return AppliedBy{Type: string(web.KindSystem), ID: "belfry"}
	}
	a := feature.Actor(p)
	return AppliedBy{Type: string(p.Kind), ID: p.ID, Name: short(cmp.Or(a.Name, a.Email))}
}
