package account

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// An invitation is a pending membership with a link. With a mail server the link is sent to the person only, so its
// use also confirms the address; without one it is shown once, to be copied.
//
//	pending --link opened--> accepted
//	pending --7 days--> expired --sent again--> pending
//	pending, expired --removed--> withdrawn

const (
	// InvitationTime is how long the link of an invitation is valid.
	InvitationTime = 7 * 24 * time.Hour

	inviteEvery     = 15 * time.Minute // between two mails to one address from one account
	maxInviteMails  = 100              // of one account in an hour
	inviteMailsTime = time.Hour
)

// InvitationSent is the result of sending an invitation.
type InvitationSent struct {
	Email     string   `json:"email"`
	Sent      bool     `json:"sent" doc:"The mail server accepted the mail; false if this installation has no mail server"`
	ExpiresOn web.Time `json:"expires_on" doc:"End of the link in the mail"`
	Mail      *Mail    `json:"mail,omitempty" doc:"The mail itself, if this installation has no mail server. It is shown only once"`
}

// SendInvitation sends a pending member the mail whose link accepts the membership. CodeStateConflict: the member has
// accepted. CodeRateLimited: one mail in 15 minutes for each address, [maxInviteMails] an hour for the account.
func (f *Feature) SendInvitation(
	ctx context.Context, by *web.Principal, accountID, memberID string,
) (InvitationSent, error) {
	var mail Mail
	var end int64
	err := f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		m, err := f.linkable(ctx, tx, by, accountID, memberID)
		if err != nil {
			return err
		}
		if m.Status != StatusPending {
			return errs.New(errs.CodeStateConflict, "%s has accepted the invitation", m.Email)
		}
		if err := f.limitInvitations(ctx, tx, accountID, m.Email); err != nil {
			return err
		}
		a, err := loadAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		end = f.micros() + InvitationTime.Microseconds()
		link := signInLink{personID: memberID, accountID: accountID, mailed: f.cfg.SendMail != nil}
		path, err := f.newLink(ctx, tx, link, end)
		if err != nil {
			return err
		}
		mail = f.invitationMail(a, m, by, path)
		if err := f.noteInvitation(ctx, tx, accountID, m); err != nil {
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "invite", "member", memberID, m.Email))
	})
	if err != nil {
		return InvitationSent{}, err
	}
	out := InvitationSent{Email: mail.To, ExpiresOn: moment(end)}
	if f.cfg.SendMail == nil {
		out.Mail = &mail
		return out, nil
	}
	if err := f.sendNow(ctx, mail); err != nil {
		refused := errs.New(errs.CodeUnavailable, "the invitation was not sent: %s", err.Error())
		return InvitationSent{}, refused.After(inviteEvery).Because(err)
	}
	out.Sent = true
	return out, nil
}

// sendNow sends a mail while the request waits.
func (f *Feature) sendNow(ctx context.Context, m Mail) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return f.cfg.SendMail(ctx, m)
}

// linkable reads a member for whom the principal may create a link.
func (f *Feature) linkable(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID, memberID string,
) (Member, error) {
	m, err := loadMember(ctx, tx, accountID, memberID)
	if err != nil {
		return m, err
	}
	person, err := loadPerson(ctx, tx, memberID)
	if err != nil {
		return m, err
	}
	if !mayLink(by, accountID, person) || !covers(by, accountID, m.Role.Permissions()) {
		return m, errs.New(errs.CodeForbidden,
			"only the operators of the installation can create sign-in links for this person")
	}
	// The person who signs in with the link may set a password, which the limits of
	// the token do not cover.
	limits, err := f.limitsOf(ctx, tx, by, accountID)
	if err != nil {
		return m, err
	}
	if limits.any() {
		return m, errs.New(errs.CodeForbidden, "a token that expires or is limited to networks cannot create "+
			"sign-in links: the limits would not apply to a person who signs in with one")
	}
	return m, nil
}

// linkEnd is the end of a member's link that is created now: an invitation is valid for longer than a sign-in link.
func (f *Feature) linkEnd(m Member) int64 {
	if m.Status == StatusPending {
		return f.micros() + InvitationTime.Microseconds()
	}
	return f.micros() + LinkTime.Microseconds()
}

// limitInvitations refuses a mail past the limits. Without a mail server there is no limit, because no mail is sent.
func (f *Feature) limitInvitations(ctx context.Context, tx *db.Tx, accountID, email string) error {
	if f.cfg.SendMail == nil {
		return nil
	}
	address := HashOf(email)
	now := f.micros()
	var all int
	var first, last int64
	err := tx.QueryRow(ctx, `SELECT count(*), COALESCE(min(at), 0), COALESCE(max(at) FILTER (WHERE address = $3), 0)
		FROM sent_mail
		WHERE account_id = $1 AND at > $2`, accountID, now-inviteMailsTime.Microseconds(), address[:]).
		Scan(&all, &first, &last)
	if err != nil {
		return err
	}
	if next := last + inviteEvery.Microseconds(); last != 0 && now < next {
		refused := errs.New(errs.CodeRateLimited, "an invitation was sent to %s less than 15 minutes ago", email)
		return refused.After(time.Duration(next-now) * time.Microsecond)
	}
	if all >= maxInviteMails {
		refused := errs.New(errs.CodeRateLimited,
			"the account has sent %d invitations within an hour, which is the limit", all)
		return refused.After(time.Duration(first+inviteMailsTime.Microseconds()-now) * time.Microsecond)
	}
	return nil
}

// noteInvitation stores that a mail is sent.
func (f *Feature) noteInvitation(ctx context.Context, tx *db.Tx, accountID string, m Member) error {
	if f.cfg.SendMail == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE member SET mailed_at = $3
		WHERE account_id = $1 AND person_id = $2`, accountID, m.ID, f.micros())
	if err != nil {
		return err
	}
	return f.noteMail(ctx, tx, accountID, m.Email)
}

// noteMail stores a mail for the limits.
func (f *Feature) noteMail(ctx context.Context, tx *db.Tx, accountID, email string) error {
	address := HashOf(email)
	_, err := tx.Exec(ctx, `INSERT INTO sent_mail (id, account_id, address, at) VALUES ($1, $2, $3, $4)`,
		id.New(), accountID, address[:], f.micros())
	return err
}

// clipName shortens a name that a tenant chose for a mail.
func clipName(name string) string {
	if r := []rune(name); len(r) > maxNameInMail {
		return string(r[:maxNameInMail]) + "…"
	}
	return name
}

// invitationMail contains only the names of the account and of the inviter, because it goes to any address.
func (f *Feature) invitationMail(a Account, m Member, by *web.Principal, path string) Mail {
	name := clipName(a.Name)
	inviter := "The account"
	switch {
	case by.Kind == web.KindToken:
	case by.Email != "" && by.Name != "" && by.Name != by.Email:
		inviter = clipName(by.Name) + " (" + by.Email + ")"
	case by.Email != "":
		inviter = by.Email
	}
	body := fmt.Sprintf(`%s invites you to the account "%s" on %s.

Your role is %s: %s

To accept, open this link and press the button. The link is valid for 7 days and works once:

%s

If you do not know the account, ignore this mail: you are not a member until you accept.
`, inviter, name, f.cfg.URL, m.Role, m.Role.Description(), f.cfg.URL+path)
	return Mail{ID: id.New(), To: m.Email, Subject: fmt.Sprintf(`Invitation to "%s"`, name), Text: body}
}
