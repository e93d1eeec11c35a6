package account

import (
	"context"
	"net/mail"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// NewMember is a member who was just added.
type NewMember struct {
	Member
	SignInURL string `json:"sign_in_url,omitempty" doc:"A one-time link for the new member; only where the account may vouch for the person. It is shown this once"`
}

// foldEmail checks an address and brings it into the form in which people are
// found: lower case.
func foldEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", errs.At(errs.CodeInvalid, "/email", "email is not an address such as ana@example.com")
	}
	return s, nil
}

// AddMember gives a person a role in the account, making the person when there
// is none with the address.
//
// Whoever made a person may hold sign-in links for it, so an account takes no
// person that another account made: an operator has to vouch for them, which
// ends all that the other account could have kept (password, sessions, links).
func (d *Directory) AddMember(ctx context.Context, by *web.Principal, accountID, email, name string, role Role) (NewMember, error) {
	email, err := foldEmail(email)
	if err != nil {
		return NewMember{}, err
	}
	if strings.TrimSpace(name) == "" {
		name = email
	}
	if name, err = text("/name", name, 200); err != nil {
		return NewMember{}, err
	}
	if err := mayGrant(by, accountID, role); err != nil {
		return NewMember{}, err
	}
	var out NewMember
	var ended []Hash
	err = d.change(ctx, func(tx *db.Tx) error {
		out, ended = NewMember{}, nil
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		n, _, err := countMembers(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if n >= MaxMembers {
			return errs.New(errs.CodeLimit, "the account has %d members, which is the most it may have", n)
		}
		home := accountID
		if by.Superoperator {
			home = ""
		}
		person, err := d.ensurePerson(ctx, tx, Person{Email: email, Name: name, home: home})
		if err != nil {
			return err
		}
		if person.home != "" && person.home != accountID {
			if !by.Superoperator {
				return errs.At(errs.CodeStateConflict, "/email", "the address belongs to a person of another account; the operators of the installation can add them")
			}
			if ended, err = vouch(ctx, tx, person); err != nil {
				return err
			}
			person.home = ""
		}
		memberships, err := listMemberships(ctx, tx, person.ID)
		if err != nil {
			return err
		}
		if len(memberships) >= MaxAccounts {
			return errs.At(errs.CodeLimit, "/email", "the person belongs to %d accounts, which is the most", len(memberships))
		}
		if ok, err := insertMember(ctx, tx, accountID, person.ID, role, d.micros()); err != nil {
			return err
		} else if !ok {
			return errs.At(errs.CodeExists, "/email", "the person is a member already")
		}
		if out.Member, err = loadMember(ctx, tx, accountID, person.ID); err != nil {
			return err
		}
		if ended == nil {
			if ended, err = sessionHashes(ctx, tx, person.ID); err != nil { // they can do more now
				return err
			}
		}
		if mayLink(by, accountID, person) && person.SignedInOn.IsZero() {
			path, err := d.newPersonLink(ctx, tx, person.ID)
			if err != nil {
				return err
			}
			out.SignInURL = d.cfg.ExternalURL + path
		}
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "member", person.ID, email).Changed(nil, out.Member))
	})
	d.credentials.forget(ended...)
	return out, err
}

// ensurePerson finds the person with the address, or stores the given one.
func (d *Directory) ensurePerson(ctx context.Context, tx *db.Tx, p Person) (Person, error) {
	p.CreatedOn = web.TimeOf(d.micros())
	p.ID = id.At(p.CreatedOn.Time)
	if made, err := insertPerson(ctx, tx, p); err != nil || made {
		return p, err
	}
	return loadPersonByEmail(ctx, tx, p.Email)
}

// vouch makes a person one of the operators' and ends what others may hold.
func vouch(ctx context.Context, tx *db.Tx, p Person) ([]Hash, error) {
	if err := deleteLinks(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE person SET home = '', password = '' WHERE id = $1`, p.ID); err != nil {
		return nil, err
	}
	return deleteSessions(ctx, tx, p.ID, "")
}

// mayGrant reports whether the principal may give somebody the role.
func mayGrant(by *web.Principal, accountID string, role Role) error {
	if !role.Valid() {
		return errs.At(errs.CodeInvalid, "/role", "there is no role %q; there are owner, admin, operator, editor, viewer, auditor", clip(string(role), 32))
	}
	if !covers(by, accountID, role.Permissions()) {
		return errs.At(errs.CodeForbidden, "/role", "nobody grants what they do not have: the role %s may do more than you", role)
	}
	return nil
}

// mayLink reports whether the principal may make a sign-in link for the person:
// whoever has it becomes the person, in all of their accounts.
func mayLink(by *web.Principal, accountID string, p Person) bool {
	return by.Superoperator || !p.Staff && p.home == accountID
}

// Member reads one member.
func (d *Directory) Member(ctx context.Context, accountID, memberID string) (m Member, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		m, err = loadMember(ctx, tx, accountID, memberID)
		return err
	})
	return m, err
}

// Members lists the account's members after an id, ascending.
func (d *Directory) Members(ctx context.Context, accountID, after string, limit int) (list []Member, err error) {
	err = d.db.View(ctx, func(tx *db.Tx) error {
		list, err = listMembers(ctx, tx, accountID, after, limit)
		return err
	})
	return list, err
}

// IsMember reports whether an address belongs to a member of the account.
func (d *Directory) IsMember(ctx context.Context, accountID, email string) (is bool, err error) {
	email, err = foldEmail(email)
	if err != nil {
		return false, nil
	}
	err = d.db.View(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM member m JOIN person p ON p.id = m.person_id WHERE m.account_id = $1 AND p.email = $2`, accountID, email).Scan(&n); err != nil {
			return err
		}
		is = n > 0
		return nil
	})
	return is, err
}

// ChangeRole gives a member another role.
func (d *Directory) ChangeRole(ctx context.Context, by *web.Principal, accountID, memberID string, role Role) (Member, error) {
	if err := mayGrant(by, accountID, role); err != nil {
		return Member{}, err
	}
	var after Member
	err := d.changeMember(ctx, by, accountID, memberID, func(tx *db.Tx, before Member, owners int) error {
		if err := web.IfMatch(ctx, before); err != nil {
			return err
		}
		if after = before; before.Role == role {
			return nil
		}
		if before.Role == Owner && owners < 2 {
			return errs.At(errs.CodeStateConflict, "/role", "the account's last owner stays owner: make another one first")
		}
		after.Role = role
		if err := setRole(ctx, tx, accountID, memberID, role); err != nil {
			return err
		}
		return d.record(ctx, tx, by, event.NewAudit(accountID, "update", "member", memberID, before.Email).Changed(before, after))
	})
	return after, err
}

// RemoveMember takes a member out of the account. Their sessions lose the
// account at once.
func (d *Directory) RemoveMember(ctx context.Context, by *web.Principal, accountID, memberID string) error {
	return d.changeMember(ctx, by, accountID, memberID, func(tx *db.Tx, before Member, owners int) error {
		if before.Role == Owner && owners < 2 {
			return errs.New(errs.CodeStateConflict, "the account's last owner stays: make another one first")
		}
		if err := deleteMember(ctx, tx, accountID, memberID); err != nil {
			return err
		}
		return d.record(ctx, tx, by, event.NewAudit(accountID, "delete", "member", memberID, before.Email).Changed(before, nil))
	})
}

// changeMember runs fn while nobody else changes members of the account.
// Nobody changes the role of a member who may do more than they.
func (d *Directory) changeMember(ctx context.Context, by *web.Principal, accountID, memberID string, fn func(tx *db.Tx, before Member, owners int) error) error {
	var sessions []Hash
	err := d.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		before, err := loadMember(ctx, tx, accountID, memberID)
		if err != nil {
			return err
		}
		if !covers(by, accountID, before.Role.Permissions()) {
			return errs.New(errs.CodeForbidden, "the member has the role %s, which may do more than you", before.Role)
		}
		_, owners, err := countMembers(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if sessions, err = sessionHashes(ctx, tx, memberID); err != nil {
			return err
		}
		return fn(tx, before, owners)
	})
	d.credentials.forget(sessions...)
	return err
}

// MemberLink makes a one-time sign-in URL for a member, where the account (or
// an operator) may vouch for the person.
func (d *Directory) MemberLink(ctx context.Context, by *web.Principal, accountID, memberID string) (url string, err error) {
	err = d.change(ctx, func(tx *db.Tx) error {
		m, err := loadMember(ctx, tx, accountID, memberID)
		if err != nil {
			return err
		}
		person, err := loadPerson(ctx, tx, memberID)
		if err != nil {
			return err
		}
		if !mayLink(by, accountID, person) || !covers(by, accountID, m.Role.Permissions()) {
			return errs.New(errs.CodeForbidden, "only the operators of the installation make sign-in links for this person")
		}
		path, err := d.newPersonLink(ctx, tx, memberID)
		if err != nil {
			return err
		}
		url = d.cfg.ExternalURL + path
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "sign_in_link", memberID, m.Email))
	})
	return url, err
}
