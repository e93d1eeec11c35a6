package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Verified is the state of the credential of a request.
type Verified struct {
	ID        string   `json:"id"`
	Status    string   `json:"status" enum:"active"`
	ExpiresOn web.Time `json:"expires_on,omitzero"`
}

type sessionPath struct {
	SessionID string `path:"session_id" maxLength:"64"`
}

// SessionsEnded is the answer to the end of several sessions.
type SessionsEnded struct {
	Ended int `json:"ended"`
}

type passwordIn struct {
	Body PasswordSet
}

// PasswordSet is the request body for a new password.
type PasswordSet struct {
	Current  string `json:"current,omitempty" maxLength:"256" doc:"The current password, if there is one"`
	Password string `json:"password" minLength:"10" maxLength:"256"`
}

// own returns the session of the request, of a person. The principal's id is not
// enough: in customers' sessions the operators' company chooses it.
func (f *Feature) own(ctx context.Context) (*Session, error) {
	p := web.CurrentPrincipal(ctx)
	r := web.Request(ctx)
	if p != nil && p.Session && r != nil {
		s, _, err := f.SessionFromRequest(ctx, r)
		if err != nil {
			return nil, err
		}
		if s.PersonID != "" {
			return s, nil
		}
	}
	return nil, errs.New(errs.CodeForbidden, "this is for people who are signed in with a session of their own")
}

// verified returns the state of the request's credential, with its end.
func (f *Feature) verified(ctx context.Context) (Verified, error) {
	p := web.CurrentPrincipal(ctx)
	v := Verified{ID: p.ID, Status: "active"}
	if p.Kind != web.KindToken {
		return v, nil
	}
	t, err := f.Token(ctx, p.AccountID, p.ID)
	v.ExpiresOn = t.ExpiresOn
	return v, err
}

func (f *Feature) registerUser(api *web.API) {
	const tag = "User"
	web.Get(api, web.Op{
		Path:    "/user/tokens/verify",
		ID:      "verify-token",
		Tag:     tag,
		Summary: "Verify the token of this request",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (Verified, error) { return f.verified(ctx) })
	web.Get(api, web.Op{
		Path:    "/user",
		ID:      "get-user",
		Tag:     tag,
		Summary: "Read the user who is signed in",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (Profile, error) {
		s, err := f.own(ctx)
		if err != nil {
			return Profile{}, err
		}
		return f.Profile(ctx, s.PersonID)
	})
	web.Put(api, web.Op{
		Path:        "/user/password",
		ID:          "set-password",
		Errors:      []errs.Code{errs.CodeStateConflict},
		Tag:         tag,
		Summary:     "Set the user's password",
		Description: "Ends the user's other sessions.",
		Scope:       web.ScopeSelf,
	}, func(ctx context.Context, in *passwordIn) (web.None, error) {
		s, err := f.own(ctx)
		if err != nil {
			return web.None{}, err
		}
		return web.None{}, f.SetPassword(ctx, web.CurrentPrincipal(ctx), s, in.Body.Current, in.Body.Password)
	})
	web.Get(api, web.Op{
		Path:    "/user/sessions",
		ID:      "list-sessions",
		Tag:     tag,
		Summary: "List the user's sessions",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (web.Page[Session], error) {
		s, err := f.own(ctx)
		if err != nil {
			return web.Page[Session]{}, err
		}
		list, err := f.Sessions(ctx, s.PersonID, s)
		return web.Page[Session]{Items: list}, err
	})
	web.Delete(api, web.Op{
		Path:    "/user/sessions",
		ID:      "end-other-sessions",
		Tag:     tag,
		Summary: "End the user's other sessions",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (SessionsEnded, error) {
		s, err := f.own(ctx)
		if err != nil {
			return SessionsEnded{}, err
		}
		n, err := f.RevokeOtherSessions(ctx, web.CurrentPrincipal(ctx), s)
		return SessionsEnded{n}, err
	})
	web.Delete(api, web.Op{
		Path:    "/user/sessions/{session_id}",
		ID:      "end-session",
		Tag:     tag,
		Summary: "End one of the user's sessions",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, in *sessionPath) (Deleted, error) {
		s, err := f.own(ctx)
		if err != nil {
			return Deleted{}, err
		}
		return Deleted{in.SessionID}, f.RevokeSession(ctx, web.CurrentPrincipal(ctx), s.PersonID, in.SessionID)
	})
	web.Delete(api, web.Op{
		Path:    "/user",
		ID:      "delete-user",
		Errors:  []errs.Code{errs.CodeStateConflict},
		Tag:     tag,
		Summary: "Delete the user who is signed in",
		Description: "Ends the user's memberships and sessions and deletes their name, address and " +
			"password. What they did stays in the records of their accounts. An account's " +
			"last owner and the last operator cannot be deleted.",
		Scope: web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (Deleted, error) {
		s, err := f.own(ctx)
		if err != nil {
			return Deleted{}, err
		}
		return Deleted{s.PersonID}, f.DeletePerson(ctx, web.CurrentPrincipal(ctx), s.PersonID)
	})
	f.registerInvitations(api)
}

type invitationPath struct {
	Account string `path:"account" maxLength:"64" doc:"The id of the account that invites"`
}

func (f *Feature) registerInvitations(api *web.API) {
	const tag = "User"
	const base = "/user/invitations"
	web.Get(api, web.Op{
		Path:    base,
		ID:      "list-invitations",
		Tag:     tag,
		Summary: "List the accounts that invite the user",
		Scope:   web.ScopeSelf,
	}, func(ctx context.Context, _ *struct{}) (web.Page[Invitation], error) {
		s, err := f.own(ctx)
		if err != nil {
			return web.Page[Invitation]{}, err
		}
		list, err := f.Invitations(ctx, s.PersonID)
		return web.Page[Invitation]{Items: list}, err
	})
	web.Post(api, web.Op{
		Path:       base + "/{account}/accept",
		ID:         "accept-invitation",
		Errors:     []errs.Code{errs.CodeLimit, errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Accept an account's invitation",
		Scope:      web.ScopeSelf,
		Idempotent: true,
	}, func(ctx context.Context, in *invitationPath) (Membership, error) {
		s, err := f.own(ctx)
		if err != nil {
			return Membership{}, err
		}
		return f.AcceptInvitation(ctx, web.CurrentPrincipal(ctx), s, in.Account)
	})
	web.Post(api, web.Op{
		Path:       base + "/{account}/decline",
		ID:         "decline-invitation",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Decline an account's invitation",
		Scope:      web.ScopeSelf,
		Idempotent: true,
	}, func(ctx context.Context, in *invitationPath) (web.None, error) {
		s, err := f.own(ctx)
		if err != nil {
			return web.None{}, err
		}
		return web.None{}, f.DeclineInvitation(ctx, web.CurrentPrincipal(ctx), s, in.Account)
	})
}
