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
	SignInURL string `json:"sign_in_url,omitempty" doc:"A one-time link for the new member, whose use accepts the membership; not where a token that expires or is bound to networks asks. It is shown this once"`
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

// AddMember gives the person with an address a role in the account.
//
// An account invites a person of its own: pending, until they sign in with the
// account's link or, where the operators vouch for the same address, accept it
// on their own page of invitations ([Directory.AcceptInvitation]). No other
// person with the address is looked at, so that the answer tells nothing of
// them. Whom the operators add is the person that they vouch for, at once.
func (d *Directory) AddMember(
	ctx context.Context, by *web.Principal, accountID, email, name string, role Role,
) (NewMember, error) {
	return d.addMember(ctx, by, accountID, email, name, role, d.micros())
}

// addMember is AddMember with the time at which the person joined.
func (d *Directory) addMember(
	ctx context.Context, by *web.Principal, accountID, email, name string, role Role, since int64,
) (NewMember, error) {
	var faults errs.List
	email, err := foldEmail(email)
	gather(&faults, err)
	if strings.TrimSpace(name) == "" {
		name = email
	}
	if err == nil || name != "" {
		name, err = text("/name", name, 200)
		gather(&faults, err)
	}
	gather(&faults, mayGrant(by, accountID, role))
	if err := faults.Or(); err != nil {
		return NewMember{}, err
	}
	if !by.Superoperator {
		if err := d.limiter.invite(accountID); err != nil {
			return NewMember{}, err
		}
	}
	var out NewMember
	var ended []Hash
	err = d.change(ctx, func(tx *db.Tx) error {
		out = NewMember{}
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
		if is, err := isMember(ctx, tx, accountID, email); err != nil {
			return err
		} else if is {
			return errs.At(errs.CodeExists, "/email", "a member of the account has this address already")
		}
		person, err := d.newMember(ctx, tx, by, accountID, Person{Email: email, Name: name}, role, since)
		if err != nil {
			return err
		}
		if out.Member, err = loadMember(ctx, tx, accountID, person.ID); err != nil {
			return err
		}
		if ended, err = sessionHashes(ctx, tx, person.ID); err != nil { // they can do more now
			return err
		}
		bounds, err := d.boundsOf(ctx, tx, by, accountID)
		if err != nil {
			return err
		}
		if !bounds.any() && mayLink(by, accountID, person) && person.SignedInOn.IsZero() {
			path, err := d.newPersonLink(ctx, tx, person.ID, accountID)
			if err != nil {
				return err
			}
			out.SignInURL, out.InvitedUntil = d.cfg.URL+path, moment(d.micros()+LinkTime.Microseconds())
		}
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "member", person.ID, email).Changed(nil, out.Member))
	})
	d.credentials.Evict(ended...)
	return out, err
}

// newMember stores the membership, and the person where there is none yet: one
// of the account's own, or one of the operators'.
func (d *Directory) newMember(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID string, p Person, role Role, since int64,
) (Person, error) {
	accepted := int64(0)
	if p.home = accountID; by.Superoperator {
		p.home, accepted = "", d.micros()
	}
	person, err := d.ensurePerson(ctx, tx, p)
	if err != nil {
		return person, err
	}
	memberships, err := listMemberships(ctx, tx, person.ID)
	if err != nil {
		return person, err
	}
	if len(memberships) >= MaxAccounts {
		return person, errs.At(errs.CodeLimit, "/email", "the person belongs to %d accounts, which is the most",
			len(memberships))
	}
	return person, insertMember(ctx, tx, accountID, person.ID, role, since, accepted)
}

// ensurePerson finds the person with the address in the same home, or stores
// the given one.
func (d *Directory) ensurePerson(ctx context.Context, tx *db.Tx, p Person) (Person, error) {
	p.CreatedOn = web.TimeOf(d.micros())
	p.ID = id.At(p.CreatedOn.Time)
	if made, err := insertPerson(ctx, tx, p); err != nil || made {
		return p, err
	}
	return loadPersonAt(ctx, tx, p.Email, p.home)
}

// mayGrant checks that the principal may grant the role.
func mayGrant(by *web.Principal, accountID string, role Role) error {
	if !role.Valid() {
		return errs.At(errs.CodeInvalid, "/role",
			"there is no role %q; there are owner, admin, operator, editor, viewer, auditor", clip(string(role), 32))
	}
	if !covers(by, accountID, role.Permissions()) {
		return errs.At(errs.CodeForbidden, "/role", "you can only grant permissions that you have: the role %s has more",
			role)
	}
	return nil
}

// mayLink reports whether the principal may create a sign-in link for the person.
// The link gives access to all accounts of the person.
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

// IsMember reports whether alert mail may go to an address: it belongs to a
// member who has accepted, and it is confirmed by a mail to it, or the operators
// vouch for it. A sign-in confirms nothing: an account has the invitation links
// of the people that it invites.
func (d *Directory) IsMember(ctx context.Context, accountID, email string) (is bool, err error) {
	email, err = foldEmail(email)
	if err != nil {
		return false, nil
	}
	err = d.db.View(ctx, func(tx *db.Tx) error {
		scan := func(row interface{ Scan(...any) error }) (s addressState, err error) {
			err = row.Scan(&s.vouched, &s.by)
			return s, err
		}
		states, err := collect(ctx, tx, scan, `SELECT p.home = '', p.confirmed_by FROM member m JOIN person p ON p.id = m.person_id
			WHERE m.account_id = $1 AND p.email = $2 AND m.accepted_at <> 0`, accountID, email)
		for _, s := range states {
			is = is || s.confirmed(d.cfg.SendMail != nil)
		}
		return err
	})
	return is, err
}

// ChangeRole gives a member another role.
func (d *Directory) ChangeRole(
	ctx context.Context, by *web.Principal, accountID, memberID string, role Role,
) (Member, error) {
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
		if before.Role == Owner && before.accepted && owners < 2 {
			return errs.At(errs.CodeStateConflict, "/role", "the account's last owner stays owner: make another one first")
		}
		after.Role = role
		if err := setRole(ctx, tx, accountID, memberID, role); err != nil {
			return err
		}
		return d.record(ctx, tx, by,
			event.NewAudit(accountID, "update", "member", memberID, before.Email).Changed(before, after))
	})
	return after, err
}

// RemoveMember takes a member out of the account. Their sessions lose the
// account at once. A person who belongs nowhere any more is deleted.
func (d *Directory) RemoveMember(ctx context.Context, by *web.Principal, accountID, memberID string) error {
	return d.changeMember(ctx, by, accountID, memberID, func(tx *db.Tx, before Member, owners int) error {
		if before.Role == Owner && before.accepted && owners < 2 {
			return errs.New(errs.CodeStateConflict, "the account's last owner stays: make another one first")
		}
		if err := d.leave(ctx, tx, accountID, memberID); err != nil {
			return err
		}
		return d.record(ctx, tx, by,
			event.NewAudit(accountID, "delete", "member", memberID, before.Email).Changed(before, nil))
	})
}

// changeMember runs fn while no other transaction changes members of the account.
// The principal must have all permissions of the member.
func (d *Directory) changeMember(
	ctx context.Context, by *web.Principal, accountID, memberID string,
	fn func(tx *db.Tx, before Member, owners int) error,
) error {
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
		opened, err := madeBy(ctx, tx, memberID) // what they may no more, these may no more
		if err != nil {
			return err
		}
		sessions = append(sessions, opened...)
		return fn(tx, before, owners)
	})
	d.credentials.Evict(sessions...)
	return err
}

// MemberLink makes a one-time sign-in URL for a member, where the account (or
// an operator) may vouch for the person.
func (d *Directory) MemberLink(
	ctx context.Context, by *web.Principal, accountID, memberID string,
) (url string, err error) {
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
		// The person who signs in with the link may set a password, which the limits of
		// the token do not cover.
		if bounds, err := d.boundsOf(ctx, tx, by, accountID); err != nil {
			return err
		} else if bounds.any() {
			return errs.New(errs.CodeForbidden,
				"a token that expires or is bound to networks makes no sign-in links: a person who signed in with one would not be bound")
		}
		path, err := d.newPersonLink(ctx, tx, memberID, accountID)
		if err != nil {
			return err
		}
		url = d.cfg.URL + path
		return d.record(ctx, tx, by, event.NewAudit(accountID, "create", "sign_in_link", memberID, m.Email))
	})
	return url, err
}
