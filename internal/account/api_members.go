package account

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type memberIn struct {
	Body MemberAdd
}

// MemberAdd is the request body for a new member.
type MemberAdd struct {
	Email string `json:"email" minLength:"3" maxLength:"254"`
	Name  string `json:"name,omitempty" maxLength:"200"`
	Role  Role   `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	Since string `json:"since,omitempty" format:"date-time" doc:"When the person joined; operators only, not in the future"`
}

type memberRef struct {
	MemberID string `path:"member_id" maxLength:"64"`
}

type memberPatch struct {
	MemberID string `path:"member_id" maxLength:"64"`
	Body     MemberUpdate
}

// MemberUpdate is the request body for changes of a member.
type MemberUpdate struct {
	Role Role `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
}

type portalIn struct {
	Body PortalSessionCreate
}

// PortalSessionCreate is the request body for a session of the customers' pages.
type PortalSessionCreate struct {
	Member struct {
		ID    string `json:"id" minLength:"1" maxLength:"128" doc:"The person's id in your own system; named in the audit log"`
		Email string `json:"email,omitempty" maxLength:"254"`
		Name  string `json:"name,omitempty" maxLength:"200"`
	} `json:"member"`
	Role      Role     `json:"role" enum:"owner,admin,operator,editor,viewer,auditor"`
	Sections  []string `json:"sections,omitempty" maxItems:"3" doc:"Of audit, notifications, slo; all by default"`
	ReturnURL string   `json:"return_url,omitempty" maxLength:"2048" doc:"Target of the pages' link back to your product"`
	ExpiresIn int64    `json:"expires_in,omitempty" doc:"Length of the session in seconds, 60 to 43200; 3600 by default"`
}

// OneTimeURL is a URL that works once.
type OneTimeURL struct {
	URL       string   `json:"url"`
	ExpiresOn web.Time `json:"expires_on" doc:"The end of the time in which it can be opened"`
}

func (f *Feature) registerMembers(api *web.API) {
	const tag = "Members"
	const base = "/accounts/{account_id}/members"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-members",
		Tag:        tag,
		Summary:    "List members",
		Permission: MembersRead,
	}, func(ctx context.Context, in *web.AnyPaging) (web.Page[Member], error) {
		accountID := web.Account(ctx).ID
		return web.ReadAnyPage(api.Cursors(), "members "+accountID, *in, memberKey,
			func(after web.Keyset, limit int) ([]Member, error) { return f.Members(ctx, accountID, after.ID, limit) })
	})
	web.Post(api, web.Op{
		Path:    base,
		ID:      "add-member",
		Errors:  []errs.Code{errs.CodeExists, errs.CodeLimit},
		Tag:     tag,
		Summary: "Add a member",
		Description: "The member is pending until the person accepts: by signing in with the one-time " +
			"link in the response or, if the operators have added a user with the address, on " +
			"that user's own page of invitations. The response does not depend on whether other " +
			"accounts have a member with the address.",
		Permission: MembersWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *memberIn) (NewMember, error) {
		by := web.CurrentPrincipal(ctx)
		since, err := f.joinedOn(by, in.Body.Since)
		if err != nil {
			return NewMember{}, err
		}
		return f.addMember(ctx, by, web.Account(ctx).ID, memberSpec{in.Body.Email, in.Body.Name, in.Body.Role, since})
	})
	web.Get(api, web.Op{
		Path:       base + "/{member_id}",
		ID:         "get-member",
		Tag:        tag,
		Summary:    "Read a member",
		Permission: MembersRead,
	}, func(ctx context.Context, in *memberRef) (Member, error) {
		return f.Member(ctx, web.Account(ctx).ID, in.MemberID)
	})
	web.Patch(api, web.Op{
		Path:       base + "/{member_id}",
		ID:         "update-member",
		Errors:     []errs.Code{errs.CodeStateConflict, errs.CodeStale},
		Tag:        tag,
		Summary:    "Change a member's role",
		Permission: MembersWrite,
	}, func(ctx context.Context, in *memberPatch) (Member, error) {
		return f.ChangeRole(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.MemberID, in.Body.Role)
	})
	web.Delete(api, web.Op{
		Path:       base + "/{member_id}",
		ID:         "remove-member",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Remove a member",
		Permission: MembersWrite,
	}, func(ctx context.Context, in *memberRef) (Deleted, error) {
		return Deleted{in.MemberID}, f.RemoveMember(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.MemberID)
	})
	web.Post(api, web.Op{
		Path:    base + "/{member_id}/sign_in_link",
		ID:      "create-member-sign-in-link",
		Tag:     tag,
		Summary: "Create a one-time sign-in link for a member",
		Description: "Accounts create links for the users that they invited; operators, for every user. The link of a " +
			"pending member is valid for 7 days, another one for 15 minutes. A token that expires or is limited to networks cannot create links.",
		Permission: MembersWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *memberRef) (OneTimeURL, error) {
		return f.MemberLink(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.MemberID)
	})
	web.Post(api, web.Op{
		Path:    base + "/{member_id}/invitation",
		ID:      "send-invitation",
		Tag:     tag,
		Summary: "Send a pending member the invitation",
		Description: "The link in the mail is valid for 7 days and works once. An account sends one mail in 15 minutes " +
			"to an address, and 100 an hour in all. If the installation has no mail server, the response contains the mail.",
		Permission: MembersWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *memberRef) (InvitationSent, error) {
		return f.SendInvitation(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.MemberID)
	})
	web.Post(api, web.Op{
		Path:    "/accounts/{account_id}/portal_sessions",
		ID:      "create-portal-session",
		Errors:  []errs.Code{errs.CodeStateConflict},
		Tag:     tag,
		Summary: "Open the customers' pages for one of your users",
		Description: "The URL works once and opens a session with the permissions of the role in the " +
			"sections. The session ends when the token that created it is revoked or expires, or " +
			"when the member who created it loses the permission, and it works from the token's " +
			"networks only. The audit log names its user portal:ACCOUNT:MEMBER.",
		Permission: MembersWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *portalIn) (OneTimeURL, error) {
		b := &in.Body
		url, expires, err := f.PortalURL(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, Portal{
			Member:    PortalMember{b.Member.ID, b.Member.Email, b.Member.Name},
			Role:      b.Role,
			Sections:  b.Sections,
			ReturnURL: b.ReturnURL,
			Seconds:   b.ExpiresIn,
		})
		return OneTimeURL{url, expires}, err
	})
	const portals = "/accounts/{account_id}/portal_sessions"
	web.Get(api, web.Op{
		Path:       portals,
		ID:         "list-portal-sessions",
		Tag:        tag,
		Summary:    "List the open sessions of the customers' pages",
		Permission: MembersRead,
	}, func(ctx context.Context, in *web.AnyPaging) (web.Page[PortalSession], error) {
		accountID := web.Account(ctx).ID
		return web.ReadAnyPage(api.Cursors(), "portal sessions "+accountID, *in, portalSessionKey,
			func(after web.Keyset, limit int) ([]PortalSession, error) {
				return f.PortalSessions(ctx, accountID, after.ID, limit)
			})
	})
	web.Delete(api, web.Op{
		Path:       portals + "/{session_id}",
		ID:         "end-portal-session",
		Tag:        tag,
		Summary:    "End a session of the customers' pages",
		Permission: MembersWrite,
	}, func(ctx context.Context, in *sessionPath) (Deleted, error) {
		accountID := web.Account(ctx).ID
		return Deleted{in.SessionID}, f.RevokePortalSession(ctx, web.CurrentPrincipal(ctx), accountID, in.SessionID)
	})
}
