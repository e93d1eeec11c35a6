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
	Confirmed   bool         `json:"email_confirmed" doc:"Alert mail is sent to confirmed addresses only"`
	Accounts    []Membership `json:"accounts"`
}

// Profile reads a person.
func (f *Feature) Profile(ctx context.Context, personID string) (p Profile, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if p.Person, err = loadPerson(ctx, tx, personID); err != nil {
			return err
		}
		p.HasPassword = p.password != ""
		state, err := loadAddressState(ctx, tx, personID)
		if err != nil {
			return err
		}
		p.Confirmed = state.confirmed(f.cfg.SendMail != nil)
		p.Accounts, err = listMemberships(ctx, tx, personID)
		return err
	})
	return p, err
}

// SetPassword sets the password of the session's person and ends their other
// sessions. The current password is required, unless there is none or the session
// began with a one-time link some minutes ago (to replace a forgotten password).
func (f *Feature) SetPassword(ctx context.Context, by *web.Principal, s *Session, current, next string) error {
	if s == nil || s.PersonID == "" {
		return errs.New(errs.CodeForbidden, "only a person who is signed in has a password")
	}
	p, err := f.Profile(ctx, s.PersonID)
	if err != nil {
		return err
	}
	if err := checkPassword(next, p.Email); err != nil {
		return err
	}
	fresh := s.viaLink && f.micros() < s.CreatedOn.Micros()+resetTime.Microseconds()
	if p.HasPassword && !fresh {
		if err := f.throttle(ctx, p.Email); err != nil {
			return err
		}
		right, err := f.hashing.verifyAny(ctx, clientOf(by.IP), []string{p.password}, current)
		if err != nil {
			return err
		}
		if len(right) == 0 {
			return errs.At(errs.CodeForbidden, "/current", "current is not the current password")
		}
	}
	like, err := f.samePassword(ctx, p.Email)
	if err != nil {
		return err
	}
	encoded, err := f.hashing.hash(ctx, clientOf(by.IP), next, like)
	if err != nil {
		return err
	}
	var ended []Hash
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockPerson(ctx, tx, s.PersonID); err != nil {
			return err
		}
		now, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		if now.password != p.password {
			return errs.New(errs.CodeStateConflict, "the password was changed in the meantime")
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
		return f.recordForPerson(ctx, tx, by, s.PersonID, "update", "password")
	})
	f.credentials.Evict(ended...)
	return err
}

// samePassword returns a stored password of another person with the address; "" =
// none. Passwords of one address share a salt, so that one hash is compared with
// all of them.
func (f *Feature) samePassword(ctx context.Context, email string) (like string, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
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
