package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/notify/email"
)

// sendMail returns the function with which the accounts send mail; nil without a
// mail server.
func (a *App) sendMail() (func(context.Context, account.Mail) error, error) {
	channel, err := email.New(email.Config{URL: a.Config.SMTPURL, From: a.Config.MailFrom, Server: a.Config.ExternalURL})
	if err != nil || !channel.HasServer() {
		return nil, err
	}
	return func(ctx context.Context, m account.Mail) error {
		return channel.SendNote(ctx, email.Note{ID: m.ID, To: m.To, Subject: m.Subject, Text: m.Text})
	}, nil
}
