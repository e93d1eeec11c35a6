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
	SignInURL string `json:"sign_in_url,omitempty" doc:"A one-time link for the new member; its use accepts the membership. Missing if the request comes from a token that expires or is limited to networks. It is shown only once"`
}

// foldEmail checks an address and returns the form in which addresses are
// compared: lower case.
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
// A member of the account invites a person of the account's own. The membership
// is pending until the person signs in with the account's link or, if the
// operators vouch for the same address, accepts the invitation on their own page
// ([Feature.AcceptInvitation]). The result does not depend on other persons with
// the address, so that it reveals nothing about them. An operator adds the
// person for whom the operators vouch, without an invitation.
func (f *Feature) AddMember(
	ctx context.Context, by *web.Principal, accountID, email, name string, role Role,
) (NewMember, error) {
	return f.addMember(ctx, by, accountID, memberSpec{email, name, role, f.micros()})
}

// memberSpec describes a new member.
type memberSpec struct {
	email string
	name  string // "" = the address
	role  Role
	since int64 // when the person joined, in microseconds
}

// check completes and checks the spec.
func (s *memberSpec) check(by *web.Principal, accountID string) error {
	var faults errs.List
	var err error
	s.email, err = foldEmail(s.email)
	gather(&faults, err)
	if strings.TrimSpace(s.name) == "" {
		s.name = s.email
	}
	if err == nil || s.name != "" {
		s.name, err = checkText("/name", s.name, 200)
		gather(&faults, err)
	}
	gather(&faults, mayGrant(by, accountID, s.role))
	return faults.Or()
}

func (f *Feature) addMember(
	ctx context.Context, by *web.Principal, accountID string, spec memberSpec,
) (NewMember, error) {
	if err := spec.check(by, accountID); err != nil {
		return NewMember{}, err
	}
	if !by.Superoperator {
		if err := f.limiter.invite(accountID); err != nil {
			return NewMember{}, err
		}
	}
	var out NewMember
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
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
		if is, err := isMember(ctx, tx, accountID, spec.email); err != nil {
			return err
		} else if is {
			return errs.At(errs.CodeExists, "/email", "a member of the account has this address already")
		}

		person, err := f.newMember(ctx, tx, by, accountID, spec)
		if err != nil {
			return err
		}
		if out.Member, err = loadMember(ctx, tx, accountID, person.ID); err != nil {
			return err
		}
		if ended, err = sessionHashes(ctx, tx, person.ID); err != nil { // their permissions have changed
			return err
		}

		limits, err := f.limitsOf(ctx, tx, by, accountID)
		if err != nil {
			return err
		}
		if !limits.any() && mayLink(by, accountID, person) && person.SignedInOn.IsZero() {
			end := f.linkEnd(out.Member)
			path, err := f.newLink(ctx, tx, signInLink{personID: person.ID, accountID: accountID}, end)
			if err != nil {
				return err
			}
			out.SignInURL = f.cfg.URL + path
			out.InvitedUntil = moment(end)
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "create", "member", person.ID, spec.email).Changed(nil, out.Member))
	})
	f.credentials.Evict(ended...)
	return out, err
}

// newMember stores the membership, and the person if there is none yet: one of
// the account's own, or one for whom the operators vouch.
func (f *Feature) newMember(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID string, spec memberSpec,
) (Person, error) {
	p := Person{Email: spec.email, Name: spec.name, home: accountID}
	accepted := int64(0)
	if by.Superoperator {
		p.home = ""
		accepted = f.micros()
	}
	person, err := f.ensurePerson(ctx, tx, p)
	if err != nil {
		return person, err
	}
	memberships, err := listMemberships(ctx, tx, person.ID)
	if err != nil {
		return person, err
	}
	if len(memberships) >= MaxAccounts {
		return person, errs.At(errs.CodeLimit, "/email",
			"the person belongs to %d accounts, which is the limit", len(memberships))
	}
	return person, insertMember(ctx, tx, memberRow{
		accountID: accountID,
		personID:  person.ID,
		role:      spec.role,
		created:   spec.since,
		accepted:  accepted,
	})
}

// ensurePerson finds the person with the address in the same home, or stores
// the given one.
func (f *Feature) ensurePerson(ctx context.Context, tx *db.Tx, p Person) (Person, error) {
	p.CreatedOn = web.TimeOf(f.micros())
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
		return errs.At(errs.CodeForbidden, "/role",
			"you can only grant permissions that you have: the role %s has more", role)
	}
	return nil
}

// mayLink reports whether the principal may create a sign-in link for the person.
// The link gives access to all accounts of the person.
func mayLink(by *web.Principal, accountID string, p Person) bool {
	return by.Superoperator || !p.Staff && p.home == accountID
}

// Member reads one member.
func (f *Feature) Member(ctx context.Context, accountID, memberID string) (m Member, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		m, err = loadMember(ctx, tx, accountID, memberID)
		return err
	})
	return m, err
}

// Members lists the account's members after an id, ascending.
func (f *Feature) Members(ctx context.Context, accountID, after string, limit int) (list []Member, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = listMembers(ctx, tx, accountID, after, limit)
		return err
	})
	return list, err
}

// IsMember reports whether alert mail may be sent to an address: it belongs to a
// member who has accepted, and it was confirmed by a link in a mail, or the
// operators vouch for it. A sign-in confirms no address, because an account has
// the invitation links of the people that it invites.
func (f *Feature) IsMember(ctx context.Context, accountID, email string) (is bool, err error) {
	email, err = foldEmail(email)
	if err != nil {
		return false, nil
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		scan := func(row db.Row) (s addressState, err error) {
			err = row.Scan(&s.vouched, &s.by)
			return s, err
		}
		states, err := db.Collect(ctx, tx, scan, `SELECT p.home = '', p.confirmed_by
			FROM member m JOIN person p ON p.id = m.person_id
			WHERE m.account_id = $1 AND p.email = $2 AND m.accepted_at <> 0`, accountID, email)
		for _, s := range states {
			is = is || s.confirmed(f.cfg.SendMail != nil)
		}
		return err
	})
	return is, err
}

// ChangeRole gives a member another role.
func (f *Feature) ChangeRole(
	ctx context.Context, by *web.Principal, accountID, memberID string, role Role,
) (Member, error) {
	if err := mayGrant(by, accountID, role); err != nil {
		return Member{}, err
	}
	var after Member
	err := f.changeMember(ctx, by, accountID, memberID, func(tx *db.Tx, before Member, owners int) error {
		if err := web.IfMatch(ctx, before); err != nil {
			return err
		}
		if after = before; before.Role == role {
			return nil
		}
		if before.Role == Owner && before.accepted && owners < 2 {
			return errs.At(errs.CodeStateConflict, "/role",
				"the account's last owner must stay owner: add another owner first")
		}
		after.Role = role
		if err := setRole(ctx, tx, accountID, memberID, role); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "update", "member", memberID, before.Email).Changed(before, after))
	})
	return after, err
}

// RemoveMember removes a member from the account. Their sessions lose the account
// at once. A person who belongs to no account any more is deleted.
func (f *Feature) RemoveMember(ctx context.Context, by *web.Principal, accountID, memberID string) error {
	return f.changeMember(ctx, by, accountID, memberID, func(tx *db.Tx, before Member, owners int) error {
		if before.Role == Owner && before.accepted && owners < 2 {
			return errs.New(errs.CodeStateConflict,
				"the account's last owner cannot be removed: add another owner first")
		}
		action := "delete"
		if before.Status == StatusPending && !before.accepted {
			action = "withdraw"
		}
		if err := f.leave(ctx, tx, accountID, memberID); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, action, "member", memberID, before.Email).Changed(before, nil))
	})
}

// changeMember runs fn while no other transaction changes members of the account.
// The principal must have all permissions of the member.
func (f *Feature) changeMember(
	ctx context.Context, by *web.Principal, accountID, memberID string,
	fn func(tx *db.Tx, before Member, owners int) error,
) error {
	var sessions []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		before, err := loadMember(ctx, tx, accountID, memberID)
		if err != nil {
			return err
		}
		if !covers(by, accountID, before.Role.Permissions()) {
			return errs.New(errs.CodeForbidden,
				"the member has the role %s, which has more permissions than you", before.Role)
		}
		_, owners, err := countMembers(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if sessions, err = sessionHashes(ctx, tx, memberID); err != nil {
			return err
		}
		opened, err := madeBy(ctx, tx, memberID) // their permissions depend on the member's
		if err != nil {
			return err
		}
		sessions = append(sessions, opened...)
		return fn(tx, before, owners)
	})
	f.credentials.Evict(sessions...)
	return err
}

// MemberLink makes a one-time sign-in URL for a member, if the account or an
// operator may create one for the person ([mayLink]).
func (f *Feature) MemberLink(
	ctx context.Context, by *web.Principal, accountID, memberID string,
) (out OneTimeURL, err error) {
	err = f.change(ctx, func(tx *db.Tx) error {
		m, err := f.linkable(ctx, tx, by, accountID, memberID)
		if err != nil {
			return err
		}
		end := f.linkEnd(m)
		path, err := f.newLink(ctx, tx, signInLink{personID: memberID, accountID: accountID}, end)
		if err != nil {
			return err
		}
		out = OneTimeURL{URL: f.cfg.URL + path, ExpiresOn: moment(end)}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "create", "sign_in_link", memberID, m.Email))
	})
	return out, err
}
