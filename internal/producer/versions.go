package producer

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// keepVersions is the number of versions of a team's catalogue that are kept.
const keepVersions = 1000

// Revision is one version of a team's catalogue.
type Revision struct {
	Version   int64            `json:"version"`
	AppliedOn web.Time         `json:"applied_on"`
	AppliedBy AppliedBy        `json:"applied_by"`
	Format    catalogue.Format `json:"format" enum:"yaml,json"`
}

// AppliedBy is the principal that applied a version.
type AppliedBy struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// StoredCatalogue is a revision with its content.
type StoredCatalogue struct {
	ProducerID string `json:"producer_id"`
	Revision
	Text    string              `json:"text" doc:"The file as it was applied"`
	Catalog catalogue.Catalogue `json:"catalog" doc:"What the file says"`
}

const revisionColumns = `version, format, applied_at, by_type, by_id, by_name`

func scanRevision(row db.Row, more ...any) (Revision, error) {
	var v Revision
	var at int64
	targets := []any{
		&v.Version,
		&v.Format,
		&at,
		&v.AppliedBy.Type,
		&v.AppliedBy.ID,
		&v.AppliedBy.Name,
	}
	err := row.Scan(append(targets, more...)...)
	v.AppliedOn = web.TimeOf(at)
	return v, err
}

// storeVersion writes a version and drops the ones that are too old to be kept.
func (f *Feature) storeVersion(
	ctx context.Context, tx *db.Tx, teamID string, version int64, file *catalogue.File,
) error {
	by := appliedBy(ctx)
	_, err := tx.Exec(ctx, `
		INSERT INTO catalogue (team_id, `+revisionColumns+`, content)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		teamID, version, string(file.Format), f.now().UnixMicro(), by.Type, by.ID, by.Name, file.Text)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE team SET version = $2 WHERE id = $1`, teamID, version); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM catalogue WHERE team_id = $1 AND version <= $2`, teamID, version-keepVersions)
	return err
}

// Catalogue returns a version of a team's catalogue; 0 = the one in force.
// CodeNotFound when there is none.
func (f *Feature) Catalogue(ctx context.Context, teamID string, version int64) (c StoredCatalogue, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		team, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		c, err = f.loadCatalogue(ctx, tx, teamID, cmp.Or(version, team.CatalogVersion))
		if err == nil && c.Version == 0 {
			err = errs.New(errs.CodeNotFound, "the product team has applied no catalogue (or not this version)")
		}
		return err
	})
	return c, err
}

// loadCatalogue reads one version; version 0 when it is not stored.
func (f *Feature) loadCatalogue(ctx context.Context, tx *db.Tx, teamID string, version int64) (StoredCatalogue, error) {
	c := StoredCatalogue{
		ProducerID: teamID,
		Catalog:    catalogue.Catalogue{Version: 1, Products: []catalogue.Declaration{}},
	}
	var content []byte
	row := tx.QueryRow(ctx, `SELECT `+revisionColumns+`, content FROM catalogue WHERE team_id = $1 AND version = $2`,
		teamID, version)
	revision, err := scanRevision(row, &content)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, err
	}

	c.Revision = revision
	c.Text = string(content)
	file, err := f.sections.ParseStored(content, c.Format)
	if err != nil {
		// The faults are the server's here: their codes must not reach the caller.
		return c, fmt.Errorf("version %d of the catalogue of %s: %w", version, teamID, errors.New(err.Error()))
	}
	c.Catalog = file.Catalogue
	return c, nil
}

// Versions lists a team's catalogue versions below the given one (0 = all),
// newest first.
func (f *Feature) Versions(ctx context.Context, teamID string, below int64, limit int) (list []Revision, err error) {
	if below == 0 {
		below = 1 << 62
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if _, err := loadTeam(ctx, tx, teamID); err != nil {
			return err
		}
		scan := func(row db.Row) (Revision, error) { return scanRevision(row) }
		list, err = db.Collect(ctx, tx, scan, `
			SELECT `+revisionColumns+` FROM catalogue
			WHERE team_id = $1 AND version < $2
			ORDER BY version DESC LIMIT $3`, teamID, below, limit)
		return err
	})
	return list, err
}
