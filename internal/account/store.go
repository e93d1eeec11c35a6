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
	ExternalID string   `json:"external_id,omitempty" doc:"The operators' own id of the account; ext:<external_id> may stand for the id in every path"`
	CreatedOn  web.Time `json:"created_on"`
	ModifiedOn web.Time `json:"modified_on"`
	Type       string   `json:"type" enum:"standard" doc:"Always standard, for clients of Cloudflare's API"`
}

// accountType is the type of every account.
const accountType = "standard"

const accountColumns = `id, name, COALESCE(external_id, ''), created_at, modified_at`

func scanAccount(row interface{ Scan(...any) error }) (a Account, err error) {
	var created, modified int64
	err = row.Scan(&a.ID, &a.Name, &a.ExternalID, &created, &modified)
	a.CreatedOn, a.ModifiedOn, a.Type = moment(created), moment(modified), accountType
	return a, err
}

// missing describes sql.ErrNoRows as a thing that is not there.
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
// one ends, so that counts read after it stay true until the commit.
func lockAccount(ctx context.Context, tx *db.Tx, accountID string) error {
	n, err := tx.Exec(ctx, `UPDATE account SET id = id WHERE id = $1`, accountID)
	if err == nil && n == 0 {
		err = errs.New(errs.CodeNotFound, "there is no such account")
	}
	return err
}

// insertAccount stores a new account; false when its external id is taken.
func insertAccount(ctx context.Context, tx *db.Tx, a Account) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO account (id, name, external_id, created_at, modified_at)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT (external_id) DO NOTHING`,
		a.ID, a.Name, nullable(a.ExternalID), a.CreatedOn.Micros())
	return n == 1, err
}

func updateAccount(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := tx.Exec(ctx, `UPDATE account SET name = $2, external_id = $3, modified_at = $4 WHERE id = $1`,
		a.ID, a.Name, nullable(a.ExternalID), a.ModifiedOn.Micros())
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

// EnsureInstallation makes the account of the installation's own acts, for the
// features that record theirs there and do not know whether it exists.
func (d *Directory) EnsureInstallation(ctx context.Context) error {
	return d.db.Tx(ctx, func(tx *db.Tx) error { return d.ensureInstallation(ctx, tx) })
}

// ensureInstallation makes the account of the installation's own acts.
func (d *Directory) ensureInstallation(ctx context.Context, tx *db.Tx) error {
	now := d.micros()
	_, err := tx.Exec(ctx, `INSERT INTO account (id, name, created_at, modified_at)
		VALUES ($1, 'Belfry installation', $2, $2) ON CONFLICT (id) DO NOTHING`, Installation, now)
	return err
}

// listAccounts gives accounts after an id, ascending; the ids in only, where it
// is not nil.
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
	return collect(ctx, tx, scanAccount, `SELECT `+accountColumns+` FROM account WHERE id > $1
		ORDER BY id LIMIT $2`, after, limit)
}

// collect reads all rows of a query; the list is never nil.
func collect[T any](
	ctx context.Context, tx *db.Tx, scan func(interface{ Scan(...any) error }) (T, error), query string, args ...any,
) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}
