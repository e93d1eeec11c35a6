package account

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

const selectZone = `SELECT id, name, environment, created_at, modified_at, seen FROM zone`

func scanZone(row db.Row) (z Zone, err error) {
	var created, modified int64
	var seen bool
	err = row.Scan(&z.ID, &z.Name, &z.Environment, &created, &modified, &seen)
	z.CreatedOn = moment(created)
	z.ModifiedOn = moment(modified)
	z.Aliases = []string{}
	z.Verified = !seen
	return z, err
}

func loadZone(ctx context.Context, tx *db.Tx, accountID, zoneID string) (Zone, error) {
	z, err := scanZone(tx.QueryRow(ctx, selectZone+` WHERE account_id = $1 AND id = $2`, accountID, zoneID))
	if err != nil {
		return z, missing(err, "zone")
	}
	z.Aliases, err = listAliases(ctx, tx, zoneID)
	return z, err
}

func listAliases(ctx context.Context, tx *db.Tx, zoneID string) ([]string, error) {
	return db.Collect(ctx, tx, scanString, `SELECT ref FROM zone_ref
		WHERE zone_id = $1 AND position > 0
		ORDER BY position`, zoneID)
}

// lookupZone finds a zone by id or reference; ID "" if there is none.
func lookupZone(ctx context.Context, tx *db.Tx, accountID, ref string) (Zone, error) {
	key := ZoneKey(ref)
	zoneID := key
	if !id.Valid(key) {
		var err error
		if zoneID, err = zoneOf(ctx, tx, accountID, key); err != nil || zoneID == "" {
			return Zone{}, err
		}
	}
	z, err := loadZone(ctx, tx, accountID, zoneID)
	if errs.Is(err, errs.CodeNotFound) {
		return Zone{}, nil
	}
	return z, err
}

// zoneOf returns the id of the zone with a key; "" if there is none.
func zoneOf(ctx context.Context, tx *db.Tx, accountID, key string) (zoneID string, err error) {
	err = tx.QueryRow(ctx, `SELECT zone_id FROM zone_ref
		WHERE account_id = $1 AND norm = $2 AND norm <> ''`, accountID, key).Scan(&zoneID)
	if !errors.Is(err, sql.ErrNoRows) {
		return zoneID, err
	}
	// Earlier versions stored one of the spellings of the key, and no key.
	args := []any{accountID}
	for _, s := range spellings(key) {
		args = append(args, s)
	}
	type found struct{ ref, zoneID string }
	scan := func(row db.Row) (f found, err error) { return f, row.Scan(&f.ref, &f.zoneID) }
	list, err := db.Collect(ctx, tx, scan, `SELECT ref, zone_id FROM zone_ref
		WHERE account_id = $1 AND norm = '' AND ref IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, args...)
	if err != nil || len(list) == 0 {
		return "", err
	}
	first := slices.MinFunc(list, func(a, b found) int {
		return slices.Index(args, any(a.ref)) - slices.Index(args, any(b.ref))
	})
	return first.zoneID, nil
}

// listZones reads a page of zones and all their aliases with two queries.
func listZones(ctx context.Context, tx *db.Tx, accountID, after string, limit int) ([]Zone, error) {
	list, err := db.Collect(ctx, tx, scanZone, selectZone+`
		WHERE account_id = $1 AND id > $2
		ORDER BY id LIMIT $3`, accountID, after, limit)
	if err != nil || len(list) == 0 {
		return list, err
	}
	last := list[len(list)-1].ID
	at := make(map[string]int, len(list))
	for i, z := range list {
		at[z.ID] = i
	}
	type alias struct{ zoneID, ref string }
	scan := func(row db.Row) (a alias, err error) { return a, row.Scan(&a.zoneID, &a.ref) }
	aliases, err := db.Collect(ctx, tx, scan, `SELECT r.zone_id, r.ref FROM zone z JOIN zone_ref r ON r.zone_id = z.id
		WHERE z.account_id = $1 AND z.id > $2 AND z.id <= $3 AND r.position > 0
		ORDER BY r.zone_id, r.position`, accountID, after, last)
	for _, a := range aliases {
		z := &list[at[a.zoneID]]
		z.Aliases = append(z.Aliases, a.ref)
	}
	return list, err
}

// allZones reads all zones of an account, without their aliases, in the order of their creation.
func (f *Feature) allZones(ctx context.Context, accountID string) (list []Zone, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanZone, selectZone+` WHERE account_id = $1 ORDER BY id LIMIT $2`,
			accountID, searchedZones)
		return err
	})
	return list, err
}

// fillAliases reads the aliases of the rows of a page with one query.
func (f *Feature) fillAliases(ctx context.Context, rows []propertyRow) error {
	if len(rows) == 0 {
		return nil
	}
	at := map[string]int{}
	var marks []string
	var args []any
	for i, r := range rows {
		at[r.ID] = i
		args = append(args, r.ID)
		marks = append(marks, "$"+strconv.Itoa(len(args)))
	}
	type alias struct{ zoneID, ref string }
	scan := func(row db.Row) (a alias, err error) { return a, row.Scan(&a.zoneID, &a.ref) }
	return f.db.View(ctx, func(tx *db.Tx) error {
		list, err := db.Collect(ctx, tx, scan, `SELECT zone_id, ref FROM zone_ref
			WHERE position > 0 AND zone_id IN (`+strings.Join(marks, ", ")+`)
			ORDER BY zone_id, position`, args...)
		for _, a := range list {
			r := &rows[at[a.zoneID]]
			r.Aliases = append(r.Aliases, a.ref)
		}
		return err
	})
}

// countZones counts the zones without those that are known from traffic only.
func countZones(ctx context.Context, tx *db.Tx, accountID string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM zone WHERE account_id = $1 AND NOT seen`, accountID).Scan(&n)
	return n, err
}

func insertZone(ctx context.Context, tx *db.Tx, accountID string, z Zone) error {
	_, err := tx.Exec(ctx, `INSERT INTO zone (id, account_id, name, environment, created_at, modified_at, seen)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		z.ID, accountID, z.Name, string(z.Environment), z.CreatedOn.Micros(), z.ModifiedOn.Micros(), !z.Verified)
	return err
}

func updateZone(ctx context.Context, tx *db.Tx, z Zone) error {
	_, err := tx.Exec(ctx, `UPDATE zone SET name = $2, environment = $3, modified_at = $4, seen = $5 WHERE id = $1`,
		z.ID, z.Name, string(z.Environment), z.ModifiedOn.Micros(), !z.Verified)
	return err
}

func deleteZone(ctx context.Context, tx *db.Tx, accountID, zoneID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM zone WHERE account_id = $1 AND id = $2`, accountID, zoneID)
	return err
}

func deleteRefs(ctx context.Context, tx *db.Tx, zoneID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM zone_ref WHERE zone_id = $1`, zoneID)
	return err
}

// insertRefs stores the references to the zone; CodeExists names a reference that
// another zone has.
func insertRefs(ctx context.Context, tx *db.Tx, accountID string, z Zone) error {
	for i, r := range z.refs() {
		pointer := "/name"
		if i > 0 {
			pointer = "/aliases"
		}
		exists := errs.At(errs.CodeExists, pointer, "%s is the name of another property of the account", clip(r.text, 100))
		if other, err := zoneOf(ctx, tx, accountID, r.key); err != nil {
			return err
		} else if other != "" {
			return exists
		}
		n, err := tx.Exec(ctx, `INSERT INTO zone_ref (account_id, ref, zone_id, position, norm)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			accountID, r.text, z.ID, i, r.key)
		if err != nil {
			return err
		}
		if n == 0 {
			return exists
		}
	}
	return nil
}
