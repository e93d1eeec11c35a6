package account

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// A person who has no valid link or has forgotten the password asks for a link by mail on the sign-in page. The answer
// is the same for every address and comes before the address is looked up, so that it reveals no member.

const (
	maxMailRequests = 100 // that wait
	signInMailEvery = 5 * time.Minute
	maxMailedLinks  = 10 // persons with one address in one mail
)

// mailRequest is a request for a link by mail.
type mailRequest struct{ email, next string }

// MailsLinks reports whether the sign-in page can send links.
func (f *Feature) MailsLinks() bool { return f.cfg.SendMail != nil }

// RequestLink asks for a mail with one-time links to the persons with an address. Call it on POST; the request must
// come from a page of this server. [Feature.Run] sends the mail. Errors say nothing about the address: CodeInvalid,
// CodeRateLimited, CodeCrossOrigin, CodeUnavailable.
func (f *Feature) RequestLink(r *http.Request, email, next string) error {
	email, err := foldEmail(email)
	if err != nil {
		return err
	}
	if !f.MailsLinks() {
		return errs.New(errs.CodeUnavailable, "this installation has no mail server")
	}
	if err := f.admit(r, "mail", email); err != nil {
		return err
	}
	select {
	case f.mailRequests <- mailRequest{email, next}:
		return nil
	default:
		return errs.New(errs.CodeUnavailable, "too many mails wait to be sent").After(time.Minute)
	}
}

// sendLinks sends the mails that are requested, until ctx ends.
func (f *Feature) sendLinks(ctx context.Context) {
	for {
		select {
		case r := <-f.mailRequests:
			// A mail that has begun is sent, also when the process ends.
			f.logged("send a sign-in link", f.sendLink(context.WithoutCancel(ctx), r))
		case <-ctx.Done():
			f.sendLast(context.WithoutCancel(ctx))
			return
		}
	}
}

// sendLast sends the mails that wait when the process ends, for at most some seconds.
func (f *Feature) sendLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		select {
		case r := <-f.mailRequests:
			f.logged("send a sign-in link", f.sendLink(ctx, r))
		default:
			return
		}
	}
}

func (f *Feature) sendLink(ctx context.Context, r mailRequest) error {
	var mail *Mail
	err := f.change(ctx, func(tx *db.Tx) error {
		mail = nil
		persons, err := listPersons(ctx, tx, r.email)
		if err != nil || len(persons) == 0 {
			return err
		}
		address := HashOf(r.email)
		var recent int
		err = tx.QueryRow(ctx, `SELECT count(*) FROM sent_mail
			WHERE account_id = '' AND at > $1 AND address = $2`,
			f.micros()-signInMailEvery.Microseconds(), address[:]).Scan(&recent)
		if err != nil || recent > 0 {
			return err
		}
		mail, err = f.linkMail(ctx, tx, persons[:min(len(persons), maxMailedLinks)], r.next)
		if err != nil {
			return err
		}
		return f.noteMail(ctx, tx, "", r.email)
	})
	if err != nil || mail == nil {
		return err
	}
	return f.sendNow(ctx, *mail)
}

// linkMail makes links for the persons with one address, and the mail that has them.
func (f *Feature) linkMail(ctx context.Context, tx *db.Tx, persons []Person, next string) (*Mail, error) {
	var links strings.Builder
	for _, p := range persons {
		path, err := f.newLink(ctx, tx, signInLink{personID: p.ID, mailed: true}, f.micros()+LinkTime.Microseconds())
		if err != nil {
			return nil, err
		}
		if next != "" {
			path = strings.Replace(path, "#", strings.TrimPrefix(SignInURL(next), SignInPath)+"#", 1)
		}
		if len(persons) > 1 {
			name := "the accounts that you have joined"
			if p.home != "" {
				a, err := loadAccount(ctx, tx, p.home)
				if err != nil {
					return nil, err
				}
				name = `the account "` + clipName(a.Name) + `"`
			}
			fmt.Fprintf(&links, "For %s:\n", name)
		}
		fmt.Fprintf(&links, "%s\n\n", f.cfg.URL+path)
		if err := f.recordForPerson(ctx, tx, feature.Belfry(), p.ID, "create", "sign_in_link"); err != nil {
			return nil, err
		}
	}
	body := fmt.Sprintf(`A link to sign in to %s was requested for this address.

Open the link and press the button. It is valid for 15 minutes and works once. After that you can set a new password in
your profile, without the present one:

%sIf you did not ask for it, ignore this mail: nothing has changed.
`, f.cfg.URL, links.String())
	return &Mail{ID: id.New(), To: persons[0].Email, Subject: "Your sign-in link for Belfry", Text: body}, nil
}

// confirmByLink confirms the address of a person who used a link from a mail to it.
func (f *Feature) confirmByLink(ctx context.Context, tx *db.Tx, personID string) error {
	_, err := tx.Exec(ctx, `UPDATE person SET confirmed_at = $2, confirmed_by = 'mail'
		WHERE id = $1 AND confirmed_by <> 'mail'`, personID, f.micros())
	return err
}
