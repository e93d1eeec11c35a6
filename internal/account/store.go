package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Account is one tenant.
type Account struct {
	ID         string   `json:"id" doc:"32 hex characters"`
	Name       string   `json:"name"`
	ExternalID string   `json:"external_id,omitempty" doc:"The operators' own id of the account; paths accept ext:<external_id> instead of the id"`
	TimeZone   string   `json:"time_zone,omitempty" doc:"Name of the IANA database, for mails, reports, schedules and pages; missing = UTC, on pages the zone of the browser"`
	CreatedOn  web.Time `json:"created_on"`
	ModifiedOn web.Time `json:"modified_on"`
	ClosedOn   web.Time `json:"closed_on,omitzero" doc:"When it was closed; missing while it is open"`
	ClosedBy   string   `json:"closed_by,omitempty" doc:"Name of the user or token that closed it"`
	Type       string   `json:"type" enum:"standard" doc:"Always standard, for clients of Cloudflare's API"`
}

// accountType is the type of every account.
const accountType = "standard"

const accountColumns = `id, name, COALESCE(external_id, ''), time_zone, created_at, modified_at,
	closed_at, closed_by`

func scanAccount(row db.Row) (a Account, err error) {
	var created, modified, closed int64
	err = row.Scan(&a.ID, &a.Name, &a.ExternalID, &a.TimeZone, &created, &modified, &closed, &a.ClosedBy)
	a.ClosedOn = moment(closed)
	a.CreatedOn = moment(created)
	a.ModifiedOn = moment(modified)
	a.Type = accountType
	return a, err
}

// missing turns sql.ErrNoRows into CodeNotFound.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.CodeNotFound, "there is no such %s", what)
	}
	return err
}

func loadAccount(ctx context.Context, tx *db.Tx, accountID string) (Account, error) {
	a, err := scanAccount(tx.QueryRow(ctx, `SELECT `+accountColumns+` FROM account WHERE id = $1`, accountID))
	return a, missing(err, "account")
}

func loadAccountByExternal(ctx context.Context, tx *db.Tx, externalID string) (Account, error) {
	a, err := scanAccount(tx.QueryRow(ctx, `SELECT `+accountColumns+` FROM account WHERE external_id = $1`, externalID))
	return a, missing(err, "account")
}

// lockAccount makes other transactions that lock the same account wait until this
// one ends, so that counts that are read after it cannot change before the commit.
func lockAccount(ctx context.Context, tx *db.Tx, accountID string) error {
	n, err := tx.Exec(ctx, `UPDATE account SET id = id WHERE id = $1`, accountID)
	if err == nil && n == 0 {
		err = errs.New(errs.CodeNotFound, "there is no such account")
	}
	return err
}

// insertAccount stores a new account; false if another one has its external id.
func insertAccount(ctx context.Context, tx *db.Tx, a Account) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO account (id, name, external_id, time_zone, created_at, modified_at)
		VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (external_id) DO NOTHING`,
		a.ID, a.Name, nullable(a.ExternalID), a.TimeZone, a.CreatedOn.Micros())
	return n == 1, err
}

func updateAccount(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := tx.Exec(ctx, `UPDATE account SET name = $2, external_id = $3, time_zone = $4, modified_at = $5
		WHERE id = $1`, a.ID, a.Name, nullable(a.ExternalID), a.TimeZone, a.ModifiedOn.Micros())
	if db.Unique(err) {
		return errs.At(errs.CodeExists, "/external_id", "another account has this external_id")
	}
	return err
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// EnsureInstallation creates the installation's own account if it does not exist,
// for features that record events there.
func (f *Feature) EnsureInstallation(ctx context.Context) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error { return f.ensureInstallation(ctx, tx) })
}

func (f *Feature) ensureInstallation(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO account (id, name, created_at, modified_at)
		VALUES ($1, 'Belfry installation', $2, $2)
		ON CONFLICT (id) DO NOTHING`, Installation, f.micros())
	return err
}

// listAccounts lists the accounts after an id, ascending; those with the ids in
// only, if it is not nil.
func listAccounts(ctx context.Context, tx *db.Tx, after string, limit int, only []string) ([]Account, error) {
	list := []Account{}
	if only != nil {
		for _, accountID := range only {
			if accountID <= after || len(list) == limit {
				continue
			}
			a, err := loadAccount(ctx, tx, accountID)
			if errs.Is(err, errs.CodeNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			list = append(list, a)
		}
		return list, nil
	}
	return db.Collect(ctx, tx, scanAccount, `SELECT `+accountColumns+` FROM account WHERE id > $1
		ORDER BY id LIMIT $2`, after, limit)
}
