package account

import (
	"context"
	"database/sql"
	"errors"
	"net/http"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Invitation is an account that invited a person's address, and that the person
// may join with the sign-in for which the operators vouch.
type Invitation struct {
	AccountID   string   `json:"account_id"`
	AccountName string   `json:"account_name"`
	Role        Role     `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	InvitedOn   web.Time `json:"invited_on"`
	Separate    bool     `json:"separate" doc:"It was accepted with a separate sign-in, which joining replaces"`

	personID string // the account's own person
}

// Invitations lists the accounts that have invited the address of a person. The
// list is empty for persons for whom the operators do not vouch, because they
// have not proved that the address is theirs, and for operators, who reach every
// account.
func (f *Feature) Invitations(ctx context.Context, personID string) (list []Invitation, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		p, err := loadPerson(ctx, tx, personID)
		if err != nil {
			return err
		}
		list, err = listInvitations(ctx, tx, p)
		return err
	})
	return list, err
}

func listInvitations(ctx context.Context, tx *db.Tx, p Person) ([]Invitation, error) {
	if p.home != "" || p.Staff {
		return []Invitation{}, nil
	}
	scan := func(row db.Row) (i Invitation, err error) {
		var invited, accepted int64
		err = row.Scan(&i.AccountID, &i.AccountName, &i.Role, &invited, &accepted, &i.personID)
		i.InvitedOn = moment(invited)
		i.Separate = accepted != 0
		return i, err
	}
	return db.Collect(ctx, tx, scan, `SELECT m.account_id, a.name, m.role, m.created_at, m.accepted_at, p.id
		FROM person p
			JOIN member m ON m.person_id = p.id AND m.account_id = p.home
			JOIN account a ON a.id = m.account_id
		WHERE p.email = $1 AND p.home <> ''
		ORDER BY m.account_id LIMIT $2`, p.Email, maxSameAddress)
}

// AcceptInvitation makes the session's person the member whom the account
// invited. It deletes the account's own person with the address, with its
// password, sessions and links.
func (f *Feature) AcceptInvitation(
	ctx context.Context, by *web.Principal, s *Session, accountID string,
) (Membership, error) {
	var out Membership
	err := f.answer(ctx, s, accountID, func(tx *db.Tx, me Person, i Invitation) error {
		mine, err := listMemberships(ctx, tx, me.ID)
		if err != nil {
			return err
		}
		if len(mine) >= MaxAccounts {
			return errs.New(errs.CodeLimit, "you belong to %d accounts, which is the limit", len(mine))
		}
		if err := moveMember(ctx, tx, accountID, i.personID, me.ID, f.micros()); err != nil {
			return err
		}
		out = Membership{AccountID: accountID, AccountName: i.AccountName, Role: i.Role}
		e := event.NewAudit(accountID, "accept", "member", me.ID, me.Email)
		return f.record(ctx, tx, by, e.With(map[string]any{"invited_as": i.personID}))
	})
	return out, err
}

// DeclineInvitation ends an invitation, but no membership that was accepted with
// a separate sign-in.
func (f *Feature) DeclineInvitation(ctx context.Context, by *web.Principal, s *Session, accountID string) error {
	return f.answer(ctx, s, accountID, func(tx *db.Tx, me Person, i Invitation) error {
		if i.Separate {
			return errs.New(errs.CodeStateConflict, "the membership was accepted already, with a separate sign-in")
		}
		if err := deleteMember(ctx, tx, accountID, i.personID); err != nil {
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "decline", "member", i.personID, me.Email))
	})
}

// answer runs fn with the invitation of the session's person to an account, then
// deletes the account's own person.
func (f *Feature) answer(
	ctx context.Context, s *Session, accountID string, fn func(tx *db.Tx, me Person, i Invitation) error,
) error {
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		me, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		list, err := listInvitations(ctx, tx, me)
		if err != nil {
			return err
		}
		for _, i := range list {
			if i.AccountID != accountID {
				continue
			}
			if err := fn(tx, me, i); err != nil {
				return err
			}
			if ended, err = deletePerson(ctx, tx, i.personID); err != nil {
				return err
			}
			mine, err := sessionHashes(ctx, tx, me.ID) // their permissions have changed
			ended = append(ended, mine...)
			return err
		}
		return errs.New(errs.CodeNotFound, "there is no such invitation")
	})
	f.credentials.Evict(ended...)
	return err
}

// LinkChoice is the choice of a signed-in person who opens an account's
// invitation link: join with the present sign-in, or with a separate one.
type LinkChoice struct {
	Invitation
	Me Person
}

// LinkChoice reads a link without using it. nil = there is no choice: the link
// signs in.
func (f *Feature) LinkChoice(ctx context.Context, s *Session, secret string) (*LinkChoice, error) {
	if s == nil || s.PersonID == "" || len(secret) != secretLen {
		return nil, nil
	}
	var choice *LinkChoice
	err := f.db.View(ctx, func(tx *db.Tx) error {
		l, err := loadLink(ctx, tx, HashOf(secret), f.micros())
		if errors.Is(err, sql.ErrNoRows) || err == nil && l.personID == "" {
			return nil
		}
		if err != nil {
			return err
		}
		me, err := loadPerson(ctx, tx, s.PersonID)
		if err != nil {
			return err
		}
		list, err := listInvitations(ctx, tx, me)
		for _, i := range list {
			if i.personID == l.personID {
				choice = &LinkChoice{Invitation: i, Me: me}
			}
		}
		return err
	})
	return choice, err
}

// current returns the person's session of the request's cookie; nil = none.
func (f *Feature) current(r *http.Request) *Session {
	if _, err := r.Cookie(f.cookieName(true)); err == nil {
		return nil
	}
	if _, err := r.Cookie(f.cookieName(false)); err != nil {
		return nil
	}
	s, _, err := f.SessionFromRequest(r.Context(), r)
	if err != nil || s.PersonID == "" {
		return nil
	}
	return s
}
