package account

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Sign-ins, sign-outs, new passwords and failed attempts are recorded in the audit
// log of the installation and in those of the accounts that the person has
// accepted; sign-ins and sign-outs only in those that the session enters. No log
// reveals to an account what a person does in another one.

// recordsOf lists the accounts whose audit logs get the actions of a person.
func recordsOf(p *web.Principal) []string {
	list := []string{Installation}
	for _, accountID := range slices.Sorted(maps.Keys(p.Grants)) {
		if accountID != Installation {
			list = append(list, accountID)
		}
	}
	return list
}

// personPrincipal loads a person as the actor of a request.
func personPrincipal(ctx context.Context, tx *db.Tx, personID string) (Person, web.Principal, error) {
	person, err := loadPerson(ctx, tx, personID)
	if err != nil {
		return person, web.Principal{}, err
	}
	p, err := person.principal(ctx, tx)
	p.IP = web.ClientAddr(ctx)
	return person, p, err
}

// recordForPerson records an action on a resource of a person, with the person's
// id, in the audit logs of their accounts and of the installation.
func (f *Feature) recordForPerson(
	ctx context.Context, tx *db.Tx, by *web.Principal, personID, action, resource string,
) error {
	person, subject, err := personPrincipal(ctx, tx, personID)
	if err != nil {
		return err
	}
	for _, accountID := range recordsOf(&subject) {
		e := event.NewAudit(accountID, action, resource, personID, person.Email)
		if err := f.record(ctx, tx, by, e); err != nil {
			return err
		}
	}
	return nil
}

// recordSignIn records a sign-in in the audit log of the installation, and of the
// account that the session enters: the requested one, else the person's only one.
func (f *Feature) recordSignIn(ctx context.Context, tx *db.Tx, s *Session) error {
	if s.Portal != nil {
		return f.recordPortal(ctx, tx, s, signInAction)
	}
	person, p, err := personPrincipal(ctx, tx, s.PersonID)
	if err != nil {
		return err
	}
	e := event.NewAudit(Installation, signInAction, "session", s.ID, person.Email)
	if err := f.record(ctx, tx, &p, e); err != nil {
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
	return f.recordEntry(ctx, tx, s, &p, s.enters)
}

// recordEntry records the sign-in of a session in an account that it enters for
// the first time.
func (f *Feature) recordEntry(ctx context.Context, tx *db.Tx, s *Session, p *web.Principal, accountID string) error {
	first, err := enter(ctx, tx, s.ID, accountID)
	if err != nil || !first {
		return err
	}
	if err := setEntered(ctx, tx, accountID, s.PersonID, f.micros()); err != nil {
		return err
	}
	if accountID == Installation {
		return nil // its log has the sign-in already
	}
	return f.record(ctx, tx, p, event.NewAudit(accountID, signInAction, "session", s.ID, p.Email))
}

// recordSignOut records the end of a session in the audit logs that have its sign-in.
func (f *Feature) recordSignOut(ctx context.Context, tx *db.Tx, s *Session) error {
	const action = "sign_out"
	if s.Portal != nil {
		return f.recordPortal(ctx, tx, s, action)
	}
	person, p, err := personPrincipal(ctx, tx, s.PersonID)
	if err != nil {
		return err
	}
	return f.recordWhereEntered(ctx, tx, &p, s.ID, action, person.Email)
}

// recordWhereEntered records an action on a session of a person in the audit logs
// of the installation and of the accounts that the session entered.
func (f *Feature) recordWhereEntered(
	ctx context.Context, tx *db.Tx, by *web.Principal, sessionID, action, email string,
) error {
	accounts, err := listEntered(ctx, tx, sessionID)
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
		e := event.NewAudit(accountID, action, "session", sessionID, email)
		if err := f.record(ctx, tx, by, e); err != nil {
			return err
		}
	}
	return nil
}

// recordPortal records a sign-in or sign-out of a customers' session.
func (f *Feature) recordPortal(ctx context.Context, tx *db.Tx, s *Session, action string) error {
	p := s.Portal.principal(s.accountID, s.ID)
	p.IP = web.ClientAddr(ctx)
	return f.record(ctx, tx, &p, event.NewAudit(s.accountID, action, "session", s.ID, p.Name))
}

// entering records the sign-in of a person's session in the account of the
// request's path, if it is the first request of the session to the account. After
// a failed write the next request tries again: a full disk does not prevent
// reading.
func (f *Feature) entering(ctx context.Context, r *http.Request, c *credential, p *web.Principal) {
	ref := r.PathValue("account_id")
	if ref == "" || c.session == nil || c.session.Portal != nil || len(p.Grants) == 0 {
		return
	}
	accountID, err := f.ResolveAccount(ctx, ref)
	if err != nil || len(p.Grants[accountID]) == 0 {
		return
	}
	if !ui.Refresh(r) {
		f.uses.member(membership{accountID, p.ID}, f.micros())
	}
	if _, done := c.entered.Load(accountID); done {
		return
	}
	err = f.change(ctx, func(tx *db.Tx) error { return f.recordEntry(ctx, tx, c.session, p, accountID) })
	f.logged("record a sign-in", err)
	if err == nil {
		c.entered.Store(accountID, true)
	}
}
