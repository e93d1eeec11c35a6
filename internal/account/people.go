package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// leave removes a person from an account, and deletes the person with the last
// membership: address, name, password, sessions and links.
func (f *Feature) leave(ctx context.Context, tx *db.Tx, accountID, personID string) error {
	if err := deleteMember(ctx, tx, accountID, personID); err != nil {
		return err
	}
	p, err := loadPerson(ctx, tx, personID)
	if err != nil {
		return err
	}
	if p.Staff {
		return nil
	}
	var left int
	err = tx.QueryRow(ctx, `SELECT count(*) FROM member WHERE person_id = $1`, personID).Scan(&left)
	if err != nil || left > 0 {
		return err
	}
	_, err = deletePerson(ctx, tx, personID)
	return err
}

// DeletePerson deletes a person on request: their memberships, sessions, links,
// password, name and address. Events about their actions stay in the audit logs
// of their accounts, which can erase personal data. CodeStateConflict for an
// account's last owner and for the last operator.
func (f *Feature) DeletePerson(ctx context.Context, by *web.Principal, personID string) error {
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
		p, err := loadPerson(ctx, tx, personID)
		if err != nil {
			return err
		}
		if err := f.refuseLastOperator(ctx, tx, p); err != nil {
			return err
		}
		all, err := db.Collect(ctx, tx, scanMembership, `SELECT m.account_id, a.name, m.role, a.closed_at <> 0
			FROM member m
			JOIN account a ON a.id = m.account_id WHERE m.person_id = $1 ORDER BY m.account_id`, personID)
		if err != nil {
			return err
		}
		for _, m := range all {
			if err := f.endMembership(ctx, tx, by, m.AccountID, personID); err != nil {
				return err
			}
		}
		opened, err := deleteMadeBy(ctx, tx, personID)
		if err != nil {
			return err
		}
		if ended, err = deletePerson(ctx, tx, personID); err != nil {
			return err
		}
		ended = append(ended, opened...)
		return f.record(ctx, tx, by, event.NewAudit(Installation, "delete", "user", personID, ""))
	})
	f.credentials.Evict(ended...)
	return err
}

// endMembership ends one membership of a person who is deleted.
func (f *Feature) endMembership(ctx context.Context, tx *db.Tx, by *web.Principal, accountID, personID string) error {
	if err := lockAccount(ctx, tx, accountID); err != nil {
		return err
	}
	before, err := loadMember(ctx, tx, accountID, personID)
	if err != nil {
		return err
	}
	_, owners, err := countMembers(ctx, tx, accountID)
	if err != nil {
		return err
	}
	if before.Role == Owner && before.accepted && owners < 2 {
		return errs.New(errs.CodeStateConflict,
			"the person is the last owner of the account %s: make another owner there first", accountID)
	}
	if err := deleteMember(ctx, tx, accountID, personID); err != nil {
		return err
	}
	return f.record(ctx, tx, by,
		event.NewAudit(accountID, "delete", "member", personID, before.Email).Changed(before, nil))
}

// refuseLastOperator fails for the last operator.
func (f *Feature) refuseLastOperator(ctx context.Context, tx *db.Tx, p Person) error {
	if !p.Staff {
		return nil
	}
	// The installation's account is the lock: of two operators who remove each
	// other at the same time, one stays.
	if err := f.ensureInstallation(ctx, tx); err != nil {
		return err
	}
	if err := lockAccount(ctx, tx, Installation); err != nil {
		return err
	}
	var staff int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM person WHERE staff`).Scan(&staff); err != nil {
		return err
	}
	if staff < 2 {
		return errs.New(errs.CodeStateConflict, "the last operator cannot be removed: add another operator first")
	}
	return nil
}

// Operators lists the operators after an id, by the time at which they were added.
func (f *Feature) Operators(ctx context.Context, after string, limit int) (list []Person, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM person
			WHERE staff AND id > $1
			ORDER BY id LIMIT $2`, after, limit)
		return err
	})
	return list, err
}

// Operator reads one of the operators.
func (f *Feature) Operator(ctx context.Context, personID string) (p Person, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		p, err = loadOperator(ctx, tx, personID)
		return err
	})
	return p, err
}

func loadOperator(ctx context.Context, tx *db.Tx, personID string) (Person, error) {
	p, err := loadPerson(ctx, tx, personID)
	if err == nil && !p.Staff {
		err = errs.New(errs.CodeNotFound, "there is no such operator")
	}
	return p, err
}

func onlyOperators(by *web.Principal) error {
	if !by.Superoperator {
		return errs.New(errs.CodeForbidden, "only operators can change operators")
	}
	return nil
}

// AddOperator makes a person one of the operators, and creates a one-time link if
// they have never signed in.
func (f *Feature) AddOperator(
	ctx context.Context, by *web.Principal, email, name string,
) (p Person, signInURL string, err error) {
	if err := onlyOperators(by); err != nil {
		return p, "", err
	}
	var faults errs.List
	email, err = foldEmail(email)
	gather(&faults, err)
	name, err = checkText("/name", name, 200)
	gather(&faults, err)
	if err := faults.Or(); err != nil {
		return p, "", err
	}
	var ended []Hash
	err = f.change(ctx, func(tx *db.Tx) error {
		if p, err = f.ensurePerson(ctx, tx, Person{Email: email, Name: name}); err != nil {
			return err
		}
		if p.Staff {
			return errs.At(errs.CodeExists, "/email", "an operator has this address already")
		}
		if ended, err = sessionHashes(ctx, tx, p.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE person SET staff = TRUE WHERE id = $1`, p.ID); err != nil {
			return err
		}
		p.Staff = true
		signInURL = ""
		if p.SignedInOn.IsZero() {
			path, err := f.newPersonLink(ctx, tx, p.ID, "")
			if err != nil {
				return err
			}
			signInURL = f.cfg.URL + path
		}
		return f.record(ctx, tx, by, event.NewAudit(Installation, "create", "operator", p.ID, p.Email).Changed(nil, p))
	})
	f.credentials.Evict(ended...)
	return p, signInURL, err
}

// UpdateOperator changes an operator's address and name; nil leaves one as it is.
func (f *Feature) UpdateOperator(
	ctx context.Context, by *web.Principal, personID string, email, name *string,
) (p Person, err error) {
	if err := onlyOperators(by); err != nil {
		return p, err
	}
	var ended []Hash
	err = f.change(ctx, func(tx *db.Tx) error {
		before, err := loadOperator(ctx, tx, personID)
		if err != nil {
			return err
		}
		var faults errs.List
		if p = before; email != nil {
			p.Email, err = foldEmail(*email)
			gather(&faults, err)
		}
		if name != nil {
			p.Name, err = checkText("/name", *name, 200)
			gather(&faults, err)
		}
		if err := faults.Or(); err != nil {
			return err
		}
		if p == before {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE person SET email = $2, name = $3 WHERE id = $1`, personID, p.Email, p.Name)
		if db.Unique(err) {
			return errs.At(errs.CodeExists, "/email", "another person has this address")
		}
		if err != nil {
			return err
		}
		if ended, err = sessionHashes(ctx, tx, personID); err != nil { // the name is cached with the session
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(Installation, "update", "operator", p.ID, p.Email).Changed(before, p))
	})
	f.credentials.Evict(ended...)
	return p, err
}

// RemoveOperator ends the rights of an operator. A person who belongs to no
// account is deleted. CodeStateConflict for the last operator.
func (f *Feature) RemoveOperator(ctx context.Context, by *web.Principal, personID string) error {
	if err := onlyOperators(by); err != nil {
		return err
	}
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
		p, err := loadOperator(ctx, tx, personID)
		if err != nil {
			return err
		}
		if err := f.refuseLastOperator(ctx, tx, p); err != nil {
			return err
		}
		if ended, err = sessionHashes(ctx, tx, personID); err != nil {
			return err
		}
		opened, err := madeBy(ctx, tx, personID)
		if err != nil {
			return err
		}
		ended = append(ended, opened...)
		if _, err := tx.Exec(ctx, `UPDATE person SET staff = FALSE WHERE id = $1`, personID); err != nil {
			return err
		}
		memberships, err := listMemberships(ctx, tx, personID)
		if err != nil {
			return err
		}
		if len(memberships) == 0 {
			if _, err := deletePerson(ctx, tx, personID); err != nil {
				return err
			}
		}
		return f.record(ctx, tx, by, event.NewAudit(Installation, "delete", "operator", p.ID, p.Email).Changed(p, nil))
	})
	f.credentials.Evict(ended...)
	return err
}

// OperatorLink makes a one-time sign-in URL for an operator.
func (f *Feature) OperatorLink(ctx context.Context, by *web.Principal, personID string) (url string, err error) {
	if err := onlyOperators(by); err != nil {
		return "", err
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		p, err := loadOperator(ctx, tx, personID)
		if err != nil {
			return err
		}
		path, err := f.newPersonLink(ctx, tx, personID, "")
		if err != nil {
			return err
		}
		url = f.cfg.URL + path
		return f.record(ctx, tx, by, event.NewAudit(Installation, "create", "sign_in_link", personID, p.Email))
	})
	return url, err
}
