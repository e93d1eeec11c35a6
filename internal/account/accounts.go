package account

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// externalPrefix begins a reference to an account by the operators' own id.
const externalPrefix = "ext:"

// ResolveAccount finds the account with a reference, a 32-character id or
// ext:<external_id>. It is a [web.ResolveAccount]: CodeNotFound if there is no
// such account.
func (f *Feature) ResolveAccount(ctx context.Context, ref string) (string, error) {
	external, byExternal := strings.CutPrefix(ref, externalPrefix)
	if !byExternal && !id.Valid(ref) || byExternal && checkExternalID(external) != nil {
		return "", errs.New(errs.CodeNotFound, "an account is named by its id (32 hex characters) or by ext:<external_id>")
	}
	return f.accounts.Get(ctx, ref, func(ctx context.Context) (string, error) {
		var a Account
		err := f.db.View(ctx, func(tx *db.Tx) (err error) {
			if byExternal {
				a, err = loadAccountByExternal(ctx, tx, external)
			} else {
				a, err = loadAccount(ctx, tx, ref)
			}
			return err
		})
		return a.ID, err
	})
}

// checkExternalID checks an operators' own id of an account.
func checkExternalID(s string) error {
	ok := s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._:@-", r)
	})
	if !ok {
		return errs.At(errs.CodeInvalid, "/external_id", "external_id has 1 to 128 characters of [A-Za-z0-9._:@-]")
	}
	return nil
}

// Account reads one account.
func (f *Feature) Account(ctx context.Context, accountID string) (a Account, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		a, err = loadAccount(ctx, tx, accountID)
		return err
	})
	return a, err
}

// Accounts lists the accounts that the principal may read, after an id,
// ascending.
func (f *Feature) Accounts(
	ctx context.Context, by *web.Principal, after string, limit int,
) (list []Account, err error) {
	only := readable(by)
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = listAccounts(ctx, tx, after, limit, only)
		return err
	})
	return list, err
}

// readable lists the accounts that the principal may read, ascending; nil = all.
func readable(by *web.Principal) []string {
	if by.Can("", AccountsRead) {
		return nil
	}
	only := slices.Sorted(maps.Keys(by.Grants))
	only = slices.DeleteFunc(only, func(accountID string) bool { return !by.Can(accountID, AccountsRead) })
	if by.AccountID != "" && by.Can(by.AccountID, AccountsRead) && !slices.Contains(only, by.AccountID) {
		only = append(only, by.AccountID)
		slices.Sort(only)
	}
	if only == nil {
		only = []string{}
	}
	return only
}

// CreateAccount makes an account; the external id may be empty. CodeExists if
// another account has the external id.
func (f *Feature) CreateAccount(ctx context.Context, by *web.Principal, name, external string) (Account, error) {
	return f.CreateAccountAs(ctx, by, AccountCreate{Name: name, ExternalID: external})
}

// CreateAccountAs makes an account with settings. CodeExists if another account has the external id.
func (f *Feature) CreateAccountAs(ctx context.Context, by *web.Principal, in AccountCreate) (Account, error) {
	a, err := f.newAccount(in)
	if err != nil {
		return a, err
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		if ok, err := insertAccount(ctx, tx, a); err != nil {
			return err
		} else if !ok {
			return errs.At(errs.CodeExists, "/external_id", "another account has this external_id")
		}
		return f.record(ctx, tx, by, event.NewAudit(a.ID, "create", "account", a.ID, a.Name).Changed(nil, a))
	})
	return a, err
}

func (f *Feature) newAccount(in AccountCreate) (Account, error) {
	name, err := checkText("/name", in.Name, 200)
	if err != nil {
		return Account{}, err
	}
	if in.ExternalID != "" {
		if err := checkExternalID(in.ExternalID); err != nil {
			return Account{}, err
		}
	}
	if err := checkTimeZone(in.TimeZone); err != nil {
		return Account{}, err
	}
	now := web.TimeOf(f.micros())
	return Account{
		ID:         id.At(now.Time),
		Name:       name,
		ExternalID: in.ExternalID,
		TimeZone:   in.TimeZone,
		CreatedOn:  now,
		ModifiedOn: now,
		Type:       accountType,
	}, nil
}

// UpsertAccount sets the name of the account with the external id, and creates
// the account if there is none. A call that changes nothing is not recorded.
func (f *Feature) UpsertAccount(ctx context.Context, by *web.Principal, external, name string) (Account, error) {
	fresh, err := f.newAccount(AccountCreate{Name: name, ExternalID: external})
	if err == nil {
		err = checkExternalID(external)
	}
	if err != nil {
		return fresh, err
	}
	a := fresh
	err = f.change(ctx, func(tx *db.Tx) error {
		a = fresh
		made, err := insertAccount(ctx, tx, fresh)
		if err != nil {
			return err
		}
		if made {
			return f.record(ctx, tx, by, event.NewAudit(a.ID, "create", "account", a.ID, a.Name).Changed(nil, a))
		}
		if a, err = loadAccountByExternal(ctx, tx, external); err != nil {
			return err
		}
		a, err = f.updateAccount(ctx, tx, by, a.ID, AccountUpdate{Name: &name})
		return err
	})
	return a, err
}

// UpdateAccount changes an account; nil leaves a field as it is. Only operators
// may change the external id, because it routes the events of producers.
func (f *Feature) UpdateAccount(
	ctx context.Context, by *web.Principal, accountID string, in AccountUpdate,
) (a Account, err error) {
	var before Account
	err = f.change(ctx, func(tx *db.Tx) error {
		if before, err = loadAccount(ctx, tx, accountID); err != nil {
			return err
		}
		a, err = f.updateAccount(ctx, tx, by, accountID, in)
		return err
	})
	if err == nil {
		f.timeZones.Evict(accountID)
	}
	if err == nil && before.ExternalID != a.ExternalID {
		f.accounts.Evict(externalPrefix+before.ExternalID, externalPrefix+a.ExternalID)
	}
	return a, err
}

func (f *Feature) updateAccount(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID string, in AccountUpdate,
) (Account, error) {
	if err := lockAccount(ctx, tx, accountID); err != nil {
		return Account{}, err
	}
	before, err := loadAccount(ctx, tx, accountID)
	if err != nil {
		return before, err
	}
	if err := web.IfMatch(ctx, before); err != nil {
		return before, err
	}
	after := before
	if err := in.apply(&after, by); err != nil {
		return before, err
	}
	if after == before {
		return before, nil
	}
	after.ModifiedOn = web.TimeOf(max(f.micros(), before.ModifiedOn.Micros()+1))
	if err := updateAccount(ctx, tx, after); err != nil {
		return before, err
	}
	return after, f.record(ctx, tx, by,
		event.NewAudit(accountID, "update", "account", accountID, after.Name).Changed(before, after))
}

// apply changes the settings that are given. All faults are found.
func (in AccountUpdate) apply(a *Account, by *web.Principal) error {
	var faults errs.List
	if in.Name != nil {
		name, err := checkText("/name", *in.Name, 200)
		gather(&faults, err)
		a.Name = name
	}
	if external := in.ExternalID; external != nil && *external != a.ExternalID {
		if !by.Can("", AccountsWrite) {
			return errs.At(errs.CodeForbidden, "/external_id", "only the installation's operators may change external_id")
		}
		if *external != "" {
			gather(&faults, checkExternalID(*external))
		}
		a.ExternalID = *external
	}
	if in.TimeZone != nil {
		gather(&faults, checkTimeZone(*in.TimeZone))
		a.TimeZone = *in.TimeZone
	}
	return faults.Or()
}
