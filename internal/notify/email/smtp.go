package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	mail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Send makes one attempt.
func (c *Channel) Send(ctx context.Context, m *notify.Message) (r delivery.Result) {
	msg, err := c.message(m)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: "the message cannot be written as mail"}
	}
	r.Request = []delivery.Header{
		{Name: "From", Value: c.from},
		{Name: "To", Value: m.Address},
		{Name: "Subject", Value: Subject(m)},
		{Name: "Message-ID", Value: "<" + c.messageID(m) + ">"},
	}
	r.Body = []byte(notify.Masked(m, plain(m)))
	if c.host == "" {
		r.Fault, r.Error = delivery.Kept, "mail is kept on this page, because BELFRY_SMTP_URL is not set"
		return r
	}
	answer, err := c.deliver(ctx, msg)
	r.Answer = []byte(answer)
	if err == nil {
		r.Status = 250
		return r
	}
	var refused *textproto.Error
	if errors.As(err, &refused) {
		r.Status = refused.Code
		r.Answer = []byte(fmt.Sprintf("%d %s", refused.Code, refused.Msg))
	}
	r.Fault, r.Error = fault(ctx, err)
	return r
}

// errNoUTF8 is a server that does not take addresses beyond ASCII.
var errNoUTF8 = errors.New("the mail server does not take addresses beyond ASCII " +
	"(it does not offer SMTPUTF8, RFC 6531)")

// deliver sends a mail and returns the server's answer.
func (c *Channel) deliver(ctx context.Context, msg *mail.Msg) (answer string, err error) {
	left := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), time.Millisecond)
	}
	client, err := mail.NewClient(c.host, append(slices.Clone(c.options), mail.WithTimeout(left))...)
	if err != nil {
		return "", err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", err
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	sender, err := msg.GetSender(false)
	if err != nil {
		return "", err
	}
	recipients, err := msg.GetRecipients()
	if err != nil {
		return "", err
	}
	if ok, _ := session.Extension("SMTPUTF8"); !ok && !ascii(sender+strings.Join(recipients, "")) {
		return "", errNoUTF8
	}
	if err := session.Mail(sender); err != nil {
		return "", err
	}
	for _, recipient := range recipients {
		if err := session.Rcpt(recipient); err != nil {
			return "", err
		}
	}
	body, err := session.Data()
	if err != nil {
		return "", err
	}
	if _, err := msg.WriteTo(body); err != nil {
		return "", err
	}
	if err := body.Close(); err != nil {
		return "", err
	}
	if said, ok := body.(*smtp.DataCloser); ok {
		answer = said.ServerResponse()
	}
	// The server has accepted the mail: a failure of QUIT changes nothing.
	_ = session.Quit()
	return answer, nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// fault explains why a mail was not accepted, with the text of the server.
func fault(ctx context.Context, err error) (delivery.Fault, string) {
	var refused *textproto.Error
	var network net.Error
	var dns *net.DNSError
	var operation *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var protocol textproto.ProtocolError
	text := err.Error()
	switch {
	case errors.Is(err, errNoUTF8):
		return delivery.Permanent, err.Error()
	case errors.As(err, &refused):
		return answered(refused)
	case errors.As(err, &dns) && dns.IsNotFound:
		return delivery.NoName, "the name of the mail server does not resolve"
	case errors.As(err, &dns):
		return delivery.Temporary, "the name of the mail server could not be looked up"
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return delivery.Timeout, "the mail server did not answer in time"
	case errors.As(err, &operation) && operation.Op == "dial":
		return delivery.Temporary, "the mail server does not take connections: " + operation.Err.Error()
	case errors.As(err, &certificate):
		return delivery.BadTLS, "the mail server's certificate is not valid: " + certificate.Err.Error()
	case errors.As(err, &record), errors.As(err, &alert), strings.Contains(text, "tls: "):
		return delivery.BadTLS, "the TLS handshake with the mail server failed: " + text
	case strings.Contains(text, "does not support STARTTLS"):
		return delivery.BadTLS, "the mail server does not offer STARTTLS, and the password is not sent without TLS"
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered), strings.Contains(text, "SMTP AUTH"):
		return delivery.Temporary,
			"the mail server does not offer a way to sign in that may be used here, and BELFRY_SMTP_URL has a password"
	case errors.As(err, &protocol):
		return delivery.Temporary, "the mail server's answer is not SMTP: " + text
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return delivery.Temporary, "the mail server closed the connection"
	}
	return delivery.Temporary, "the mail server does not take the message now: " + text
}

// answered classifies a refusal by the server's code (RFC 5321, 4.2; RFC 4954, 6).
func answered(e *textproto.Error) (delivery.Fault, string) {
	said := fmt.Sprintf("the mail server answered %d: %s", e.Code, strings.Join(strings.Fields(e.Msg), " "))
	switch {
	case e.Code == 530, e.Code == 534, e.Code == 535, e.Code == 538:
		// The operator's setting is at fault, not the message.
		return delivery.Temporary, said + " (BELFRY_SMTP_URL: user or password)"
	case e.Code == 421, e.Code >= 400 && e.Code < 500:
		return delivery.Temporary, said
	case e.Code >= 500:
		return delivery.Permanent, said
	}
	return delivery.Temporary, said
}
