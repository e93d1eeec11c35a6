package account

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// TransferOwnership makes another member an owner, and the principal, who is an owner, an admin. Both get a mail.
// CodeForbidden: the principal is no owner who is signed in. CodeStateConflict: the other member has not accepted.
func (f *Feature) TransferOwnership(
	ctx context.Context, by *web.Principal, accountID, memberID string,
) (Member, error) {
	if by.Kind != web.KindUser || !by.Session || !covers(by, accountID, Owner.Permissions()) {
		return Member{}, errs.New(errs.CodeForbidden, "only an owner who is signed in can transfer the ownership")
	}
	if memberID == by.ID {
		return Member{}, errs.At(errs.CodeInvalid, "/member_id", "you are the owner: choose another member")
	}
	var a Account
	var from, to Member
	var ended []Hash
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if err = lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if a, err = loadAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if from, err = loadMember(ctx, tx, accountID, by.ID); err != nil {
			return err
		}
		if from.Role != Owner {
			return errs.New(errs.CodeForbidden, "only an owner can transfer the ownership")
		}
		if to, err = loadMember(ctx, tx, accountID, memberID); err != nil {
			return err
		}
		if !to.accepted {
			return errs.At(errs.CodeStateConflict, "/member_id", "%s has not accepted the invitation yet", to.Email)
		}
		ended = nil
		for _, m := range []struct {
			before Member
			role   Role
			action string
		}{{to, Owner, "transfer"}, {from, Admin, "update"}} {
			after := m.before
			after.Role = m.role
			if err := setRole(ctx, tx, accountID, m.before.ID, m.role); err != nil {
				return err
			}
			e := event.NewAudit(accountID, m.action, "member", m.before.ID, m.before.Email).Changed(m.before, after)
			if err := f.record(ctx, tx, by, e); err != nil {
				return err
			}
			sessions, err := sessionHashes(ctx, tx, m.before.ID)
			if err != nil {
				return err
			}
			ended = append(ended, sessions...)
		}
		return nil
	})
	f.credentials.Evict(ended...)
	if err != nil {
		return Member{}, err
	}
	f.mailTransfer(ctx, a, from, to)
	to.Role = Owner
	return to, nil
}

// mailTransfer tells both members. The transfer is done and recorded, so a mail that cannot be sent is only logged.
func (f *Feature) mailTransfer(ctx context.Context, a Account, from, to Member) {
	if f.cfg.SendMail == nil {
		return
	}
	name := clipName(a.Name)
	subject := fmt.Sprintf(`The ownership of "%s" was transferred`, name)
	for _, m := range []struct{ to, text string }{
		{to.Email, fmt.Sprintf("%s made you an owner of the account \"%s\" on %s.\n", from.Email, name, f.cfg.URL)},
		{from.Email, fmt.Sprintf("You made %s an owner of the account \"%s\" on %s. You are an admin now.\n"+
			"If this was not you, ask the new owner or the operators of the installation.\n", to.Email, name, f.cfg.URL)},
	} {
		text := m.text + "\n" + f.cfg.URL + MembersPath(a.ID) + "\n"
		mail := Mail{ID: id.New(), To: m.to, Subject: subject, Text: text}
		f.logged("send a mail about the ownership", f.sendNow(ctx, mail))
	}
}

// OwnershipTransfer is the request body for the transfer of an account.
type OwnershipTransfer struct {
	MemberID string `json:"member_id" minLength:"1" maxLength:"64" doc:"The member who becomes an owner; must have accepted"`
}

type transferIn struct {
	Body OwnershipTransfer
}

func (f *Feature) registerOwnership(api *web.API) {
	web.Post(api, web.Op{
		Path:    "/accounts/{account_id}/ownership",
		ID:      "transfer-ownership",
		Tag:     "Members",
		Summary: "Transfer the ownership to another member",
		Description: "The member becomes an owner, and the owner of this request, who must be signed in, an admin. Both " +
			"get a mail if the installation has a mail server.",
		Permission: MembersWrite,
	}, func(ctx context.Context, in *transferIn) (Member, error) {
		return f.TransferOwnership(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body.MemberID)
	})
}
