package email

import (
	"context"
	"errors"
	"net/textproto"
	"time"

	mail "github.com/wneessen/go-mail"

	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Note is a plain mail from Belfry itself, outside of alerts.
type Note struct {
	ID      string // constant over attempts
	To      string
	Subject string
	Text    string

	// Unsubscribe is the URL that ends the subscription by one POST (RFC 8058); "" = the mail is no subscription.
	Unsubscribe string
}

// ErrNoServer is the answer of a channel without a mail server.
var ErrNoServer = errors.New("BELFRY_SMTP_URL is not set")

// HasServer reports whether mail leaves this installation.
func (c *Channel) HasServer() bool { return c.host != "" }

// SendNote sends a note, in one attempt.
func (c *Channel) SendNote(ctx context.Context, n Note) error {
	if !c.HasServer() {
		return ErrNoServer
	}
	r := c.DeliverNote(ctx, n)
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// DeliverNote makes one attempt to send a note. The result has no part of the mail.
func (c *Channel) DeliverNote(ctx context.Context, n Note) (r delivery.Result) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(c.from), msg.To(n.To)); err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written as mail"}
	}
	msg.Subject(n.Subject)
	msg.SetMessageIDWithValue(n.ID + "@" + c.domain)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no automatic reply
	if n.Unsubscribe != "" {
		msg.SetGenHeader("List-Unsubscribe", "<"+n.Unsubscribe+">")
		msg.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	msg.SetBodyString(mail.TypeTextPlain, n.Text)
	answer, err := c.deliver(ctx, msg)
	if err == nil {
		r.Status = 250
		r.Answer = []byte(answer)
		return r
	}
	var refused *textproto.Error
	if errors.As(err, &refused) {
		r.Status = refused.Code
	}
	r.Fault, r.Error = fault(ctx, err)
	return r
}
