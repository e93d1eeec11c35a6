package email_test

import (
	"bytes"
	"errors"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/notify/email"
)

func TestANoteIsAPlainMail(t *testing.T) {
	s, url := serve(t)
	c, err := email.New(email.Config{URL: url, From: "alerts@belfry.test", Server: "https://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	link := "https://belfry.test/confirm-address#confirm=" + strings.Repeat("a1b2", 16)
	n := email.Note{ID: "01a214a12e7977219b7f520b076b6033", To: "ana@acme.example",
		Subject: "Confirm\r\nBcc: x@evil.example", Text: "Open\n\n" + link + "\n"}
	if err := c.SendNote(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(s.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("To") != "<ana@acme.example>" ||
		m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v", m.Header)
	}
	if got := m.Header.Get("Message-Id"); got != "<"+n.ID+"@belfry.test>" {
		t.Errorf("message id %q", got)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || !strings.Contains(string(body), link) {
		t.Errorf("%q, %v", body, err)
	}
	s.mu.Lock()
	s.refuse = errors.New("no such user")
	s.mu.Unlock()
	if err := c.SendNote(t.Context(), n); err == nil || !strings.Contains(err.Error(), "the mail server answered") {
		t.Errorf("a refused mail: %v", err)
	}
}

func TestWithoutAServerNoNoteLeaves(t *testing.T) {
	c, err := email.New(email.Config{Server: "https://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendNote(t.Context(), email.Note{To: "ana@acme.example"}); !errors.Is(err, email.ErrNoServer) ||
		c.HasServer() {
		t.Errorf("%v", err)
	}
}
