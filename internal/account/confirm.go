package account

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Alert mail goes to confirmed addresses only. An account may invite any address
// and has the invitation link itself, so a sign-in does not prove that the
// address belongs to the person; a link in a mail to the address does. The
// operators vouch for the addresses of the people that they add.
//
//	not confirmed --mail sent, link opened, button pressed--> confirmed

const (
	// ConfirmPath is the page that consumes the links of confirmation mails. Its
	// GET confirms nothing, because mail scanners open links.
	ConfirmPath = "/confirm-address"
	// ConfirmParameter names the link's secret, in the fragment and in the form.
	ConfirmParameter = "confirm"
	// ConfirmTime is how long the link of a confirmation mail is valid.
	ConfirmTime = 24 * time.Hour

	confirmEvery    = time.Hour // between two mails to one address from one account
	maxConfirmMails = 20        // of one account in an hour
	sendTime        = 20 * time.Second
	maxNameInMail   = 80
)

// How an address was confirmed.
const (
	confirmedByMail   = "mail"
	confirmedOnPage   = "page" // the installation had no mail server
	confirmedBySignIn = "sign_in"
)

// Mail is a message from Belfry itself to one person.
type Mail struct {
	ID      string `json:"-"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Confirmation is the result of asking for a confirmation mail.
type Confirmation struct {
	Email     string   `json:"email"`
	Sent      bool     `json:"sent" doc:"The mail server accepted the mail; false if this installation has no mail server"`
	ExpiresOn web.Time `json:"expires_on" doc:"End of the link in the mail"`
	Mail      *Mail    `json:"mail,omitempty" doc:"The mail itself, if this installation has no mail server. It is shown only once"`
}

// addressState records whether, by whom and when the address of a person was confirmed.
type addressState struct {
	vouched bool // by the operators
	by      string
}

// confirmed reports whether alert mail may be sent to the address. A confirmation
// on the page counts while the installation has no mail server, because no mail
// is sent then; with one, only a mail proves that the address is the person's.
func (s addressState) confirmed(mailServer bool) bool {
	return s.vouched || s.by == confirmedByMail || s.by == confirmedBySignIn || s.by == confirmedOnPage && !mailServer
}

func loadAddressState(ctx context.Context, tx *db.Tx, personID string) (s addressState, err error) {
	err = tx.QueryRow(ctx, `SELECT home = '', confirmed_by FROM person WHERE id = $1`, personID).Scan(&s.vouched, &s.by)
	return s, missing(err, "member")
}

// Unconfirmed finds the member of an account with an address that is not
// confirmed, and returns the path of their page; "" = no such member, or confirmed.
func (f *Feature) Unconfirmed(ctx context.Context, accountID, email string) (path string, err error) {
	email, err = foldEmail(email)
	if err != nil {
		return "", nil
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		var memberID string
		err := tx.QueryRow(ctx, `SELECT p.id FROM member m JOIN person p ON p.id = m.person_id
			WHERE m.account_id = $1 AND p.email = $2 ORDER BY p.id LIMIT 1`, accountID, email).Scan(&memberID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		state, err := loadAddressState(ctx, tx, memberID)
		if err == nil && !state.confirmed(f.cfg.SendMail != nil) {
			path = MembersPath(accountID) + "/" + memberID
		}
		return err
	})
	return path, err
}

// AddressConfirmed reports whether a member's address is confirmed.
func (f *Feature) AddressConfirmed(ctx context.Context, accountID, memberID string) (confirmed bool, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		if _, err := loadMember(ctx, tx, accountID, memberID); err != nil {
			return err
		}
		state, err := loadAddressState(ctx, tx, memberID)
		confirmed = state.confirmed(f.cfg.SendMail != nil)
		return err
	})
	return confirmed, err
}

// SendConfirmation sends a member the mail whose link confirms their address.
// CodeStateConflict: it is confirmed already. CodeRateLimited: one mail an hour
// for each address, [maxConfirmMails] an hour for the account.
func (f *Feature) SendConfirmation(
	ctx context.Context, by *web.Principal, accountID, memberID string,
) (Confirmation, error) {
	secret := id.Secret(secretBytes)
	var mail Mail
	var end int64
	err := f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		m, err := loadMember(ctx, tx, accountID, memberID)
		if err != nil {
			return err
		}
		state, err := loadAddressState(ctx, tx, memberID)
		if err != nil {
			return err
		}
		if state.confirmed(f.cfg.SendMail != nil) {
			return errs.New(errs.CodeStateConflict, "the address %s is confirmed already", m.Email)
		}
		if err := f.limitConfirmations(ctx, tx, accountID, m.Email); err != nil {
			return err
		}
		a, err := loadAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		end = f.micros() + ConfirmTime.Microseconds()
		mail = f.confirmationMail(a, m.Email, secret)
		if err := f.insertConfirmation(ctx, tx, HashOf(secret), accountID, m, end); err != nil {
			return err
		}
		return f.record(ctx, tx, by, event.NewAudit(accountID, "send_confirmation", "member", memberID, m.Email))
	})
	if err != nil {
		return Confirmation{}, err
	}
	out := Confirmation{Email: mail.To, ExpiresOn: moment(end)}
	if f.cfg.SendMail == nil {
		out.Mail = &mail
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if err := f.cfg.SendMail(ctx, mail); err != nil {
		refused := errs.New(errs.CodeUnavailable, "the confirmation mail was not sent: %s", err.Error())
		return Confirmation{}, refused.After(confirmEvery).Because(err)
	}
	out.Sent = true
	return out, nil
}

// limitConfirmations refuses a mail past the limits. Without a mail server only
// the limit of the account applies.
func (f *Feature) limitConfirmations(ctx context.Context, tx *db.Tx, accountID, email string) error {
	address := HashOf(email)
	since := f.micros() - confirmEvery.Microseconds()
	var all, same int
	var first, last int64
	err := tx.QueryRow(ctx, `SELECT count(*), COALESCE(min(created_at), 0),
			count(*) FILTER (WHERE address = $3 AND via = 'mail'),
			COALESCE(max(created_at) FILTER (WHERE address = $3 AND via = 'mail'), 0)
		FROM confirmation
		WHERE account_id = $1 AND created_at > $2`, accountID, since, address[:]).Scan(&all, &first, &same, &last)
	if err != nil {
		return err
	}
	wait := func(from int64) time.Duration { return max(time.Second, time.Duration(from-since)*time.Microsecond) }
	switch {
	case same > 0 && f.cfg.SendMail != nil:
		refused := errs.New(errs.CodeRateLimited, "a confirmation mail was sent to %s less than an hour ago", email)
		return refused.After(wait(last))
	case all >= maxConfirmMails:
		refused := errs.New(errs.CodeRateLimited,
			"the account has sent %d confirmation mails within an hour, which is the limit", all)
		return refused.After(wait(first))
	}
	return nil
}

func (f *Feature) insertConfirmation(
	ctx context.Context, tx *db.Tx, h Hash, accountID string, m Member, end int64,
) error {
	via := confirmedByMail
	if f.cfg.SendMail == nil {
		via = confirmedOnPage
	}
	address := HashOf(m.Email)
	_, err := tx.Exec(ctx, `INSERT INTO confirmation
			(hash, account_id, person_id, address, via, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
		h[:],
		accountID,
		m.ID,
		address[:],
		via,
		f.micros(),
		end,
	)
	return err
}

// confirmationMail contains no text of the tenant except the account's name,
// because it is sent to addresses that are not confirmed.
func (f *Feature) confirmationMail(a Account, email, secret string) Mail {
	name := a.Name
	if r := []rune(name); len(r) > maxNameInMail {
		name = string(r[:maxNameInMail]) + "…"
	}
	link := f.cfg.URL + ConfirmPath + "#" + url.Values{ConfirmParameter: {secret}}.Encode()
	body := fmt.Sprintf(`The account "%s" on %s would like to send its alerts to this address, %s.

To agree, open this link and press the button. The link is valid for 24 hours and works once:

%s

If you do not know the account, ignore this mail: no alert is sent to an address that is not confirmed.
`, name, f.cfg.URL, email, link)
	return Mail{
		ID:      id.New(),
		To:      email,
		Subject: fmt.Sprintf(`Confirm this address for alerts of "%s"`, name),
		Text:    body,
	}
}

// Confirmed is an address that was just confirmed.
type Confirmed struct{ Email, AccountName string }

// ConfirmAddress consumes the link of a confirmation mail. Call it on POST; the
// request must come from a page of this server. CodeSignIn: the link is unknown,
// was used or is too old.
func (f *Feature) ConfirmAddress(r *http.Request, secret string) (Confirmed, error) {
	if err := f.admit(r, "confirmation", ""); err != nil {
		return Confirmed{}, err
	}
	ctx := r.Context()
	refused := errs.New(errs.CodeSignIn, "the link is not valid: it was used already, or is older than 24 hours")
	if len(secret) != secretLen {
		return Confirmed{}, refused
	}
	var out Confirmed
	err := f.change(ctx, func(tx *db.Tx) error {
		h := HashOf(secret)
		now := f.micros()
		var accountID, personID, via string
		var address []byte
		err := tx.QueryRow(ctx, `UPDATE confirmation SET used_at = $2
			WHERE hash = $1 AND used_at = 0 AND expires_at > $2
			RETURNING account_id, person_id, via, address`, h[:], now).Scan(&accountID, &personID, &via, &address)
		if errors.Is(err, sql.ErrNoRows) {
			return refused
		}
		if err != nil {
			return err
		}
		m, err := loadMember(ctx, tx, accountID, personID)
		if errs.Is(err, errs.CodeNotFound) {
			return refused // removed in the meantime
		}
		if err != nil {
			return err
		}
		if sent := HashOf(m.Email); !bytes.Equal(sent[:], address) {
			return refused
		}
		a, err := loadAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		// A confirmation on the page does not replace one by mail.
		_, err = tx.Exec(ctx, `UPDATE person SET confirmed_at = $2, confirmed_by = $3
			WHERE id = $1 AND ($3 = 'mail' OR confirmed_by = '')`, personID, now, via)
		if err != nil {
			return err
		}
		out = Confirmed{Email: m.Email, AccountName: a.Name}
		_, who, err := personPrincipal(ctx, tx, personID)
		if err != nil {
			return err
		}
		return f.record(ctx, tx, &who, event.NewAudit(accountID, "confirm", "member", personID, m.Email))
	})
	return out, err
}

func (f *Feature) registerConfirmations(api *web.API) {
	web.Post(api, web.Op{
		Path:    "/accounts/{account_id}/members/{member_id}/confirmation",
		ID:      "send-confirmation-mail",
		Errors:  []errs.Code{errs.CodeStateConflict},
		Tag:     "Members",
		Summary: "Send a member the confirmation mail",
		Description: "Alert mail goes to confirmed addresses only. The link in the mail is valid for 24 hours and " +
			"works once. An account sends one mail an hour to an address, and 20 an hour in all. If the " +
			"installation has no mail server, the response contains the mail.",
		Permission: MembersWrite,
		Idempotent: true,
	}, func(ctx context.Context, in *memberRef) (Confirmation, error) {
		return f.SendConfirmation(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.MemberID)
	})
}
