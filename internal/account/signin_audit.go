package account

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// What people do about themselves (sign-ins, sign-outs, passwords, failed
// attempts) stands in the installation's record and in those of the accounts
// that the person has accepted; sign-ins and sign-outs in those alone that the
// session enters. An account learns nothing of what a person does elsewhere.

// recordsOf are the accounts in whose record the acts of a person stand.
func recordsOf(p *web.Principal) []string {
	list := []string{Installation}
	for _, accountID := range slices.Sorted(maps.Keys(p.Grants)) {
		if accountID != Installation {
			list = append(list, accountID)
		}
	}
	return list
}

// personPrincipal loads a person as who acts in a request.
func personPrincipal(ctx context.Context, tx *db.Tx, personID string) (Person, web.Principal, error) {
	person, err := loadPerson(ctx, tx, personID)
	if err != nil {
		return person, web.Principal{}, err
	}
	p, err := person.principal(ctx, tx)
	p.IP = web.ClientAddr(ctx)
	return person, p, err
}

// recordForPerson records an act on a person in their accounts and in the
// installation's.
func (d *Directory) recordForPerson(
	ctx context.Context, tx *db.Tx, by *web.Principal, personID, action, resource, resourceID string,
) error {
	person, subject, err := personPrincipal(ctx, tx, personID)
	if err != nil {
		return err
	}
	for _, accountID := range recordsOf(&subject) {
		if err := d.record(ctx, tx, by, event.NewAudit(accountID, action, resource, resourceID, person.Email)); err != nil {
			return err
		}
	}
	return nil
}

// recordSignIn records a sign-in in the installation's record, and in that of
// the account that the session enters with it: the one for which it was asked,
// else the person's only one.
func (d *Directory) recordSignIn(ctx context.Context, tx *db.Tx, s *Session) error {
	if s.Portal != nil {
		return d.recordPortal(ctx, tx, s, signInAction)
	}
	person, p, err := personPrincipal(ctx, tx, s.PersonID)
	if err != nil {
		return err
	}
	if err := d.record(ctx, tx, &p,
		event.NewAudit(Installation, signInAction, "session", s.ID, person.Email)); err != nil {
		return err
	}
	if len(p.Grants) == 1 {
		for accountID := range p.Grants {
			s.enters = accountID
		}
	}
	if len(p.Grants[s.enters]) == 0 {
		return nil
	}
	return d.recordEntry(ctx, tx, s, &p, s.enters)
}

// recordEntry records the sign-in of a session in an account that it enters for
// the first time.
func (d *Directory) recordEntry(ctx context.Context, tx *db.Tx, s *Session, p *web.Principal, accountID string) error {
	first, err := enter(ctx, tx, s.ID, accountID)
	if err != nil || !first {
		return err
	}
	if err := setEntered(ctx, tx, accountID, s.PersonID, d.micros()); err != nil {
		return err
	}
	if accountID == Installation {
		return nil // its record has the sign-in already
	}
	return d.record(ctx, tx, p, event.NewAudit(accountID, signInAction, "session", s.ID, p.Email))
}

// recordSignOut records the end of a session where its sign-in stands.
func (d *Directory) recordSignOut(ctx context.Context, tx *db.Tx, s *Session) error {
	const action = "sign_out"
	if s.Portal != nil {
		return d.recordPortal(ctx, tx, s, action)
	}
	person, p, err := personPrincipal(ctx, tx, s.PersonID)
	if err != nil {
		return err
	}
	return d.recordWhereEntered(ctx, tx, &p, s.ID, action, person.Email)
}

// recordWhereEntered records something about a session of a person in the
// installation's record and in those of the accounts that it entered.
func (d *Directory) recordWhereEntered(
	ctx context.Context, tx *db.Tx, by *web.Principal, sessionID, action, email string,
) error {
	accounts, err := entered(ctx, tx, sessionID)
	if err != nil {
		return err
	}
	list := []string{Installation}
	for _, accountID := range accounts {
		if accountID != Installation {
			list = append(list, accountID)
		}
	}
	for _, accountID := range list {
		if err := d.record(ctx, tx, by, event.NewAudit(accountID, action, "session", sessionID, email)); err != nil {
			return err
		}
	}
	return nil
}

// recordPortal records a sign-in or sign-out of a customers' session.
func (d *Directory) recordPortal(ctx context.Context, tx *db.Tx, s *Session, action string) error {
	p := s.Portal.principal(s.accountID, s.ID)
	p.IP = web.ClientAddr(ctx)
	return d.record(ctx, tx, &p, event.NewAudit(s.accountID, action, "session", s.ID, p.Name))
}

// entering records the sign-in of a person's session in the account of the
// request's path, where the session comes for the first time. What cannot be
// written now is tried again with the next request: reading does not wait for a
// full disk.
func (d *Directory) entering(ctx context.Context, r *http.Request, c *credential, p *web.Principal) {
	ref := r.PathValue("account_id")
	if ref == "" || c.session == nil || c.session.Portal != nil || len(p.Grants) == 0 {
		return
	}
	accountID, err := d.ResolveAccount(ctx, ref)
	if err != nil || len(p.Grants[accountID]) == 0 {
		return
	}
	if _, done := c.entered.Load(accountID); done {
		return
	}
	err = d.change(ctx, func(tx *db.Tx) error { return d.recordEntry(ctx, tx, c.session, p, accountID) })
	d.logged("record a sign-in", err)
	if err == nil {
		c.entered.Store(accountID, true)
	}
}
