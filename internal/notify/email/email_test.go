package email_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// server is a relay SMTP server (emersion/go-smtp) that keeps what comes.
type server struct {
	mu     sync.Mutex // guards what follows
	mails  [][]byte
	refuse error // of RCPT
	utf8   bool  // of the last MAIL
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{s}, nil }

type session struct{ *server }

func (s *session) Mail(_ string, o *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.utf8 = o.UTF8
	return nil
}
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuse
}
func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, b)
	return err
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func serve(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	relay := smtp.NewServer(s)
	relay.Domain = "mail.test"
	go relay.Serve(l) // ends with Close
	t.Cleanup(func() { relay.Close() })
	return s, "smtp://" + l.Addr().String()
}

func message() *notify.Message {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &notify.Message{ID: "01a214a12e7977219b7f520b076b6033", Sent: at, Account: "acme", Name: "ana@acme.example",
		Address: "ana@acme.example", Policy: "Checkout <i>", AlertID: "a1",
		Type: "belfry_budget_burn", Title: "Error budget burn", Event: event.AlertStart, Correlation: "c1",
		Severity: "critical", At: at, Summary: "checkout is burning its budget 14 times too fast",
		Changes: []notify.Change{{
			At:      at.Add(-43 * time.Second),
			Summary: "Ana <b>lowered</b> the payment timeout",
			URL:     "http://belfry.test/accounts/acme/audit/events/e1",
		}}, More: 2, URL: "http://belfry.test/accounts/acme/alerts/a1"}
}

func TestAMailSaysWhatHappensAndWhatPrecededIt(t *testing.T) {
	s, url := serve(t)
	c, err := email.New(email.Config{URL: url, From: "alerts@belfry.test", Server: "https://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Send(t.Context(), message()); r.Fault != delivery.NoFault || r.Status != 250 {
		t.Fatalf("%+v", r)
	}
	m, err := mail.ReadMessage(bytes.NewReader(s.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "checkout is burning its budget 14 times too fast" {
		t.Errorf("subject %q %v", subject, err)
	}
	if id := m.Header.Get("Message-Id"); id != "<01a214a12e7977219b7f520b076b6033@belfry.test>" {
		t.Errorf("message id %q", id)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("References") == "" {
		t.Errorf("%v", m.Header)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		parts[kind] = string(b)
	}
	for kind, words := range map[string][]string{
		"text/plain": {
			"Preceded 43 s earlier by:",
			"Ana <b>lowered</b> the payment timeout",
			"and 2 more",
			"http://belfry.test/accounts/acme/alerts/a1",
			`policy "Checkout <i>"`,
		},
		"text/html": {
			"Preceded 43 s earlier by:",
			"Ana &lt;b&gt;lowered&lt;/b&gt; the payment timeout",
			"and 2 more",
			`href="http://belfry.test/accounts/acme/alerts/a1"`,
			"Checkout &lt;i&gt;",
		},
	} {
		for _, w := range words {
			if !strings.Contains(parts[kind], w) {
				t.Errorf("%s does not say %q: %s", kind, w, parts[kind])
			}
		}
		if strings.Contains(strings.ToLower(parts[kind]), "caused") {
			t.Errorf("%s names a cause", kind)
		}
	}
	end := message()
	end.Event = event.AlertEnd
	if r := c.Send(t.Context(), end); r.Status != 250 {
		t.Fatalf("%+v", r)
	}
	second, err := mail.ReadMessage(bytes.NewReader(s.mails[1]))
	if err != nil {
		t.Fatal(err)
	}
	if second.Header.Get("References") != m.Header.Get("References") ||
		!strings.HasPrefix(second.Header.Get("Subject"), "Alert ended: ") {
		t.Errorf("the end does not stand in the start's thread: %v", second.Header)
	}
}

func TestAnswersOfTheServerAreDistinguished(t *testing.T) {
	s, url := serve(t)
	c, err := email.New(email.Config{URL: url, From: "alerts@belfry.test", Server: "https://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		refuse error
		want   delivery.Fault
	}{
		{&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}, delivery.Permanent},
		{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}, delivery.Temporary},
	} {
		s.mu.Lock()
		s.refuse = x.refuse
		s.mu.Unlock()
		if r := c.Send(t.Context(), message()); r.Fault != x.want || r.Error == "" {
			t.Errorf("%v: %+v", x.refuse, r)
		}
	}
}

func TestWithoutAServerTheMessageIsKept(t *testing.T) {
	c, err := email.New(email.Config{Server: "http://127.0.0.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Send(t.Context(), message()); r.Fault != delivery.Kept || !strings.Contains(r.Error, "BELFRY_SMTP_URL") ||
		!strings.Contains(string(r.Body), "payment timeout") {
		t.Errorf("%+v", r)
	}
}

func TestBadSettingsAreNamedAndNotRepeated(t *testing.T) {
	for _, url := range []string{
		"http://mail.test",
		"smtp://",
		"smtp://u:hunter2@mail.test:notaport",
		"smtp://u:hunter2@",
	} {
		_, err := email.New(email.Config{URL: url, Server: "https://belfry.test"})
		if err == nil || !strings.Contains(err.Error(), "BELFRY_SMTP_URL") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
