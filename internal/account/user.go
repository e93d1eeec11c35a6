package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Profile is a person with their accounts.
type Profile struct {
	Person
	HasPassword bool         `json:"has_password"`
	Accounts    []Membership `json:"accounts"`
}

// Profile reads a person.
func (d *Directory) Profile(ctx context.Context, personID string) (p Profile, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		if p.Person, err = loadPerson(ctx, tx, personID); err != nil {
			return err
		}
		p.HasPassword = p.password != ""
		p.Accounts, err = listMemberships(ctx, tx, personID)
		return err
	})
	return p, err
}

// SetPassword gives the session's person a password and ends their other
// sessions. The current one is needed, unless there is none or the session was
// made with a one-time link some minutes ago (that is how a forgotten password
// is replaced).
func (d *Directory) SetPassword(ctx context.Context, by *web.Principal, s *Session, current, next string) error {
	if s == nil || s.PersonID == "" {
		return errs.New(errs.CodeForbidden, "only a person who is signed in has a password")
	}
	p, err := d.Profile(ctx, s.PersonID)
	if err != nil {
		return err
	}
	if err := checkPassword(next, p.Email); err != nil {
		return err
	}
	fresh := s.viaLink && d.micros() < s.CreatedOn.Micros()+resetTime.Microseconds()
	if p.HasPassword && !fresh {
		if err := d.throttle(ctx, p.Email); err != nil {
			return err
		}
		right, err := d.hashing.verifyAny(ctx, clientOf(by.IP), []string{p.password}, current)
		if err != nil {
			return err
		}
		if len(right) == 0 {
			return errs.At(errs.CodeForbidden, "/current", "current is not the current password")
		}
	}
	like, err := d.samePassword(ctx, p.Email)
	if err != nil {
		return err
	}
	encoded, err := d.hashing.hash(ctx, clientOf(by.IP), next, like)
	if err != nil {
		return err
	}
	var ended []Hash
	err = d.change(ctx, func(tx *db.Tx) error {
		if err := lockPerson(ctx, tx, s.PersonID); err != nil {
			return err
		}
		now, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		if now.password != p.password {
			return errs.New(errs.CodeStateConflict, "the password was changed meanwhile")
		}
		// The session may have ended while the passwords were hashed.
		if _, err := loadSession(ctx, tx, s.hash); err != nil {
			return missing(err, "session")
		}
		if err := setPassword(ctx, tx, s.PersonID, encoded); err != nil {
			return err
		}
		if err := deleteLinks(ctx, tx, s.PersonID); err != nil {
			return err
		}
		if ended, err = deleteSessions(ctx, tx, s.PersonID, s.ID); err != nil {
			return err
		}
		return d.recordForPerson(ctx, tx, by, s.PersonID, "update", "password", s.PersonID)
	})
	d.credentials.Evict(ended...)
	return err
}

// samePassword is a stored password of another person with the address. Passwords
// of one address share a salt, so that one hashing compares with all of them. "" =
// there is none.
func (d *Directory) samePassword(ctx context.Context, email string) (like string, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		list, err := listPersons(ctx, tx, email)
		for _, p := range list {
			if p.password != "" {
				like = p.password
			}
		}
		return err
	})
	return like, err
}
