package email

import (
	"context"
	"errors"
	"time"

	mail "github.com/wneessen/go-mail"
)

// Note is a plain mail from Belfry itself, outside of alerts.
type Note struct {
	ID      string // constant over attempts
	To      string
	Subject string
	Text    string
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
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(c.from), msg.To(n.To)); err != nil {
		return err
	}
	msg.Subject(n.Subject)
	msg.SetMessageIDWithValue(n.ID + "@" + c.domain)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no automatic reply
	msg.SetBodyString(mail.TypeTextPlain, n.Text)
	if _, err := c.deliver(ctx, msg); err != nil {
		_, why := fault(ctx, err)
		return errors.New(why)
	}
	return nil
}
