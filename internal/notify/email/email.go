// Package email sends notifications as mail through the operator's server.
//
//	Message -> subject, text and HTML -> SMTP (RFC 5321) -> Result
//
// Without a server the message is rendered all the same and kept on its
// delivery's page, and the outcome says so.
package email

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/url"
	"strconv"
	"strings"

	mail "github.com/wneessen/go-mail"

	"github.com/belfryhq/belfry/internal/notify"
)

// Config says how mail leaves.
type Config struct {
	URL  string // smtp[s]://user:pass@host:port (BELFRY_SMTP_URL); empty = nowhere
	From string // BELFRY_MAIL_FROM; empty = belfry@ the host of Server
	// Server is the installation's URL, whose host names it to other servers.
	Server string
}

// Channel is the channel of mail. Safe for concurrent use.
type Channel struct {
	from, domain string
	host         string // "" = no server
	options      []mail.Option
}

// New makes the channel; it opens no connection. A fault of the settings does
// not repeat them: the URL may hold a password.
func New(cfg Config) (*Channel, error) {
	c := &Channel{from: cfg.From, domain: "belfry.invalid"}
	if u, err := url.Parse(cfg.Server); err == nil && u.Hostname() != "" {
		c.domain = u.Hostname()
		if net.ParseIP(c.domain) != nil {
			c.domain = "[" + c.domain + "]"
		}
	}
	if c.from == "" {
		c.from = "belfry@" + c.domain
	}
	if err := mail.NewMsg().From(c.from); err != nil {
		return nil, errors.New("BELFRY_MAIL_FROM must be an address such as alerts@example.com; " +
			"without it the host of BELFRY_EXTERNAL_URL must be a name")
	}
	if cfg.URL == "" {
		return c, nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return nil, errors.New("BELFRY_SMTP_URL must be smtp://host:port or smtps://host:port, " +
			"with user:pass@ where the server wants it")
	}
	c.host = u.Hostname()
	port := 587
	if u.Scheme == "smtps" {
		port = 465
	}
	if s := u.Port(); s != "" {
		if port, err = strconv.Atoi(s); err != nil || port < 1 || port > 65535 {
			return nil, errors.New("BELFRY_SMTP_URL: the port is not one")
		}
	}
	// Without a password TLS is opportunistic: what would otherwise go in clear
	// goes encrypted, to a server that is not verified (RFC 7435). A password goes
	// only to a verified server, or to one on this machine.
	local := c.host == "localhost" || net.ParseIP(c.host).IsLoopback()
	policy := mail.TLSOpportunistic
	secure := &tls.Config{
		ServerName:         c.host,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: local || u.Scheme == "smtp" && u.User == nil, //nolint:gosec // see above
	}
	if u.User != nil && u.Scheme == "smtp" && !local {
		policy = mail.TLSMandatory
	}
	c.options = []mail.Option{
		mail.WithPort(port),
		mail.WithTLSPolicy(policy),
		mail.WithTLSConfig(secure),
		mail.WithHELO(c.domain),
		mail.WithoutNoop(),
	}
	if u.Scheme == "smtps" {
		c.options = append(c.options, mail.WithSSL())
	}
	if u.User != nil {
		password, _ := u.User.Password()
		c.options = append(c.options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
			mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	if _, err := mail.NewClient(c.host, c.options...); err != nil {
		return nil, errors.New("BELFRY_SMTP_URL: the settings do not fit together")
	}
	return c, nil
}

// Traits describe the channel.
func (*Channel) Traits() notify.Traits { return notify.Traits{Type: notify.KindEmail, Title: "Email"} }

// Preview is the subject and the plain part of the mail.
func (*Channel) Preview(m *notify.Message) (notify.Rendered, error) {
	return notify.Rendered{Subject: Subject(m), Body: plain(m)}, nil
}

// message is the whole mail. The mails of one incident are one thread.
func (c *Channel) message(m *notify.Message) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(c.from), msg.To(m.Address)); err != nil {
		return nil, err
	}
	msg.Subject(Subject(m))
	msg.SetMessageIDWithValue(c.messageID(m))
	msg.SetDateWithValue(m.Sent)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answer from a holiday
	if m.Correlation != "" {
		sum := sha256.Sum256([]byte(m.Account + " " + m.Correlation))
		thread := "<cause." + hex.EncodeToString(sum[:12]) + "@" + c.domain + ">"
		msg.SetGenHeader(mail.HeaderReferences, thread)
		msg.SetGenHeader(mail.HeaderInReplyTo, thread)
	}
	msg.SetBodyString(mail.TypeTextPlain, plain(m))
	var b bytes.Buffer
	if err := page.Execute(&b, notify.ViewOf(m)); err != nil {
		return nil, err
	}
	msg.AddAlternativeString(mail.TypeTextHTML, b.String())
	return msg, nil
}

// messageID is constant over attempts, so that a server can drop a repeat.
func (c *Channel) messageID(m *notify.Message) string { return m.ID + "@" + c.domain }

// Subject is the mail's subject: the message in one line.
func Subject(m *notify.Message) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, notify.Headline(m))
	if r := []rune(s); len(r) > 180 {
		s = string(r[:180]) + "…"
	}
	return s
}

func plain(m *notify.Message) string {
	v := notify.ViewOf(m)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", v.Headline)
	if v.Detail != "" {
		fmt.Fprintf(&b, "\n%s\n", v.Detail)
	}
	if v.Lead != "" {
		fmt.Fprintf(&b, "\n%s\n", v.Lead)
		for _, c := range v.Changes {
			fmt.Fprintf(&b, "  - %s\n    %s\n", c.Summary, c.URL)
		}
		if v.More > 0 {
			fmt.Fprintf(&b, "  and %d more\n", v.More)
		}
	}
	b.WriteString("\n")
	for _, f := range v.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	b.WriteString("\n")
	for _, l := range v.Links {
		fmt.Fprintf(&b, "%s: %s\n", l.Label, l.URL)
	}
	if v.Policy != "" {
		fmt.Fprintf(&b, "\nYou are receiving this because of the policy %q.\n", v.Policy)
	}
	return b.String()
}

// page is the HTML part: inline styles, since mail programs read no others.
var page = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="en"><body style="margin:0;padding:24px;background:#f5f6f8;
font-family:-apple-system,Segoe UI,Roboto,sans-serif;font-size:15px;line-height:1.5;color:#1c2024">
<div style="max-width:560px;margin:0 auto;background:#fff;
border:1px solid #e2e5ea;border-top:3px solid {{.Color}};border-radius:6px;padding:20px 24px">
<p style="margin:0 0 12px;font-size:18px;font-weight:600">{{.Headline}}</p>
{{with .Detail}}<p style="margin:0 0 12px">{{.}}</p>{{end}}
{{if .Lead}}<p style="margin:0 0 4px;color:#60656c">{{.Lead}}</p>
<ul style="margin:0 0 12px;padding-left:20px">
{{- range .Changes}}
<li style="margin:2px 0">
{{- if .URL}}<a href="{{.URL}}" style="color:#1c2024">{{.Summary}}</a>{{else}}{{.Summary}}{{end -}}
</li>
{{- end}}
{{- if .More}}
<li style="color:#60656c">and {{.More}} more</li>
{{- end}}
</ul>{{end}}
<table style="border-collapse:collapse;margin:0 0 16px">
{{- range .Facts}}
<tr><td style="padding:1px 16px 1px 0;color:#60656c">{{.Name}}</td>
<td style="padding:1px 0">{{.Value}}</td></tr>
{{- end}}
</table>
<p style="margin:0">{{range .Links}}<a href="{{.URL}}" style="display:inline-block;padding:7px 14px;border-radius:5px;
background:#1c2024;color:#fff;text-decoration:none">{{.Label}}</a> {{end}}</p>
</div>{{if .Policy}}<p style="max-width:560px;margin:12px auto 0;color:#60656c;font-size:13px">
You are receiving this because of the policy “{{.Policy}}”.</p>{{end}}
</body></html>`))
