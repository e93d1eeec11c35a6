package inbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"

	"github.com/emersion/go-smtp"
)

// smtpBackend creates a session for each connection.
type smtpBackend struct{ inbox *Inbox }

// NewSession implements smtp.Backend.
func (d *smtpBackend) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{inbox: d.inbox}, nil
}

// session is one connection.
type session struct {
	inbox *Inbox
	from  string
	to    []string
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := Message{Kind: Mail, From: s.from, To: strings.Join(s.to, ", "), Body: string(raw)}
	read(raw, &m)
	s.inbox.add(m)
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (*session) Logout() error { return nil }

// read returns the subject and the plain text of a mail; a mail that cannot be parsed is shown as received.
func read(raw []byte, m *Message) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Title = "a mail that cannot be read: " + err.Error()
		return
	}
	words := new(mime.WordDecoder)
	if m.Title, err = words.DecodeHeader(msg.Header.Get("Subject")); err != nil {
		m.Title = msg.Header.Get("Subject")
	}
	for _, name := range []string{"Message-Id", "From", "To", "Date", "Content-Type"} {
		if v := msg.Header.Get(name); v != "" {
			m.Headers = append(m.Headers, Header{name, v})
		}
	}
	text, err := plain(msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body, 0)
	if err != nil {
		text = "(no plain text: " + err.Error() + ")"
	}
	m.Text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	for _, word := range strings.Fields(m.Text) {
		if m.Link == "" {
			m.Link = webLink(word)
		}
	}
}

var errNoText = errors.New("there is no part of type text/plain")

// maxNested limits the depth of nested multiparts.
const maxNested = 5

// plain returns the first plain text.
func plain(contentType, encoding string, body io.Reader, depth int) (string, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if contentType == "" {
		kind = "text/plain"
	} else if err != nil {
		return "", err
	}
	switch {
	case kind == "text/plain":
		switch strings.ToLower(encoding) {
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		}
		text, err := io.ReadAll(io.LimitReader(body, keptBody))
		return string(text), err
	case strings.HasPrefix(kind, "multipart/") && depth < maxNested:
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				return "", errNoText
			}
			text, err := plain(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, depth+1)
			if err == nil {
				return text, nil
			}
		}
	}
	return "", errNoText
}
