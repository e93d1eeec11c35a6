package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// A closed account accepts no events, counts and alerts. Its tokens and sessions have ended. Its members can sign in
// again to read and export its data; only the operators can reopen it.
//
//	open --owner or operator closes--> closed --operator reopens--> open

// ClosedTime is how long the data of a closed account stays at least. Afterwards the operators may delete it.
const ClosedTime = 90 * 24 * time.Hour

// closedPermission reports whether members of a closed account keep a permission.
func closedPermission(permission string) bool {
	return strings.HasSuffix(permission, ":read") || permission == AuditExport
}

// readOnly are the permissions of the role in a closed account.
func (r Role) readOnly() web.Permissions {
	return slices.DeleteFunc(r.named(), func(permission string) bool { return !closedPermission(permission) })
}

// CloseAccount closes an account: it deletes its tokens, ends the sessions that have entered it, and withdraws the
// links of its invitations. name must be the account's name: a safeguard against the wrong account.
// CodeStateConflict: it is closed already.
func (f *Feature) CloseAccount(ctx context.Context, by *web.Principal, accountID, name string) (a Account, err error) {
	if accountID == Installation {
		return a, errs.New(errs.CodeForbidden, "the installation's own account cannot be closed")
	}
	if !covers(by, accountID, Owner.Permissions()) {
		return a, errs.New(errs.CodeForbidden, "only an owner or the operators can close the account")
	}
	var ended []Hash
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		before, err := loadAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if !before.ClosedOn.IsZero() {
			return errs.New(errs.CodeStateConflict, "the account is closed already")
		}
		if strings.TrimSpace(name) != before.Name {
			return errs.At(errs.CodeInvalid, "/name", "name is not the name of the account")
		}
		// The event is recorded before the credentials end.
		a = before
		a.ClosedOn = moment(f.micros())
		a.ClosedBy = creator(by).Name
		if err := f.record(ctx, tx, by,
			event.NewAudit(accountID, "close", "account", accountID, a.Name).Changed(before, a)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE account SET closed_at = $2, closed_by = $3, modified_at = $2 WHERE id = $1`,
			accountID, a.ClosedOn.Micros(), a.ClosedBy)
		if err != nil {
			return err
		}
		ended, err = endCredentials(ctx, tx, accountID)
		return err
	})
	f.credentials.Evict(ended...)
	f.closed.Evict(accountID)
	return a, err
}

// endCredentials deletes the tokens, links and customers' sessions of an account, and the sessions that have entered
// it.
// The sessions of other members are returned too, because the permissions that are cached with them have changed.
func endCredentials(ctx context.Context, tx *db.Tx, accountID string) ([]Hash, error) {
	members, err := db.Collect(ctx, tx, scanHash, `SELECT s.hash FROM session s
		JOIN member m ON m.person_id = s.person_id WHERE m.account_id = $1`, accountID)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM list_view WHERE account_id = $1
		AND owner_id IN (SELECT id FROM api_token WHERE account_id = $1)`, accountID); err != nil {
		return nil, err
	}
	ended := members
	for _, statement := range []string{
		`DELETE FROM api_token WHERE account_id = $1 RETURNING hash`,
		`DELETE FROM link WHERE account_id = $1 RETURNING hash`,
		`DELETE FROM session WHERE account_id = $1 AND portal <> '' RETURNING hash`,
		`DELETE FROM session WHERE id IN (SELECT session_id FROM session_account WHERE account_id = $1)
			AND person_id NOT IN (SELECT id FROM person WHERE staff) RETURNING hash`,
	} {
		list, err := db.Collect(ctx, tx, scanHash, statement, accountID)
		if err != nil {
			return nil, err
		}
		ended = append(ended, list...)
	}
	return ended, nil
}

// ReopenAccount reopens a closed account. Only operators may. Its tokens have to be created again.
func (f *Feature) ReopenAccount(ctx context.Context, by *web.Principal, accountID string) (a Account, err error) {
	if !by.Superoperator {
		return a, errs.New(errs.CodeForbidden, "only the operators of the installation can reopen an account")
	}
	var ended []Hash
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		before, err := loadAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if before.ClosedOn.IsZero() {
			return errs.New(errs.CodeStateConflict, "the account is open")
		}
		a = before
		a.ClosedOn = web.Time{}
		a.ClosedBy = ""
		_, err = tx.Exec(ctx, `UPDATE account SET closed_at = 0, closed_by = '', modified_at = $2 WHERE id = $1`,
			accountID, f.micros())
		if err != nil {
			return err
		}
		ended, err = db.Collect(ctx, tx, scanHash, `SELECT s.hash FROM session s
			JOIN member m ON m.person_id = s.person_id WHERE m.account_id = $1`, accountID)
		if err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "reopen", "account", accountID, a.Name).Changed(before, a))
	})
	f.credentials.Evict(ended...)
	f.closed.Evict(accountID)
	return a, err
}

// RefuseClosed returns CodeStateConflict for a closed account, which accepts no events, counts and alerts. It reads
// through a cache, because it is called for each of them.
func (f *Feature) RefuseClosed(ctx context.Context, accountID string) error {
	closed, err := f.closed.Get(ctx, accountID, func(ctx context.Context) (closed bool, err error) {
		err = f.db.View(ctx, func(tx *db.Tx) error {
			a, err := loadAccount(ctx, tx, accountID)
			closed = !a.ClosedOn.IsZero()
			return err
		})
		if errs.Is(err, errs.CodeNotFound) {
			return false, nil // the caller reports an unknown account
		}
		return closed, err
	})
	if err == nil && closed {
		err = errs.At(errs.CodeStateConflict, "/account_id",
			"the account is closed and accepts no events, counts and alerts; the operators can reopen it")
	}
	return err
}

// AccountClose is the request body for the end of an account.
type AccountClose struct {
	Name string `json:"name" minLength:"1" maxLength:"200" doc:"The account's name, so that no other account is closed by mistake"`
}

type closeIn struct {
	Body AccountClose
}

func (f *Feature) registerClose(api *web.API) {
	web.Post(api, web.Op{
		Path:    "/accounts/{account_id}/close",
		ID:      "close-account",
		Tag:     "Accounts",
		Summary: "Close an account",
		Description: "All tokens and sessions of the account end, and it accepts no events, counts and alerts. Members can " +
			"sign in again to read and export its data, which stays for at least 90 days. The operators can reopen it. " +
			"Only owners and operators can close an account.",
		Permission: AccountsWrite,
	}, func(ctx context.Context, in *closeIn) (Account, error) {
		return f.CloseAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body.Name)
	})
	web.Post(api, web.Op{
		Path:        "/accounts/{account_id}/reopen",
		ID:          "reopen-account",
		Tag:         "Accounts",
		Summary:     "Reopen a closed account",
		Description: "Operators only. The account's tokens have ended, and have to be created again.",
		Permission:  AccountsRead,
	}, func(ctx context.Context, _ *struct{}) (Account, error) {
		return f.ReopenAccount(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID)
	})
}
