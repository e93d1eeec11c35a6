package email_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/email"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// certificate is one that nobody vouches for, as Debian's mail servers have.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return &tls.Config{Certificates: s.TLS.Certificates}
}

// serveAs is a relay SMTP server with settings of its own.
func serveAs(t *testing.T, set func(*smtp.Server)) (*server, string) {
	t.Helper()
	s := &server{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	relay := smtp.NewServer(s)
	relay.Domain = "mail.test"
	set(relay)
	go relay.Serve(l) // ends with Close
	t.Cleanup(func() { relay.Close() })
	return s, l.Addr().String()
}

func sendBy(t *testing.T, url string, change func(*notify.Message)) delivery.Result {
	t.Helper()
	c, err := email.New(email.Config{URL: url, From: "alerts@belfry.test", Server: "https://belfry.test"})
	if err != nil {
		t.Fatal(err)
	}
	m := message()
	if change != nil {
		change(m)
	}
	return c.Send(t.Context(), m)
}

func TestMailGoesToAServerOfThisMachineWithACertificateOfItsOwn(t *testing.T) {
	secure := certificate(t)
	s, at := serveAs(t, func(s *smtp.Server) { s.TLSConfig = secure })
	for _, url := range []string{"smtp://" + at, "smtp://localhost:" + at[strings.LastIndexByte(at, ':')+1:]} {
		if r := sendBy(t, url, nil); r.Status != 250 || r.Fault != delivery.NoFault {
			t.Errorf("%s: %+v", url, r)
		}
	}
	if len(s.mails) != 2 {
		t.Errorf("%d mails arrived", len(s.mails))
	}
	// 0.0.0.0 leads here too, but is not an address of this machine by its name:
	// without a password TLS is opportunistic, with one the server is verified.
	elsewhere := strings.Replace(at, "127.0.0.1", "0.0.0.0", 1)
	if r := sendBy(t, "smtp://"+elsewhere, nil); r.Status != 250 {
		t.Errorf("opportunistic: %+v", r)
	}
	if r := sendBy(t, "smtp://u:right@"+elsewhere, nil); r.Fault != delivery.BadTLS ||
		!strings.Contains(r.Error, "certificate is not valid") {
		t.Errorf("a password to a server that nobody vouches for: %+v", r)
	}
}

func TestAPasswordNeverGoesInClear(t *testing.T) {
	_, at := serveAs(t, func(s *smtp.Server) { s.AllowInsecureAuth = true })
	r := sendBy(t, "smtp://u:hunter2@"+strings.Replace(at, "127.0.0.1", "0.0.0.0", 1), nil)
	if r.Fault != delivery.BadTLS || !strings.Contains(r.Error, "does not offer STARTTLS") ||
		strings.Contains(r.Error, "hunter2") {
		t.Errorf("%+v", r)
	}
}

func TestTheCauseOfAMailFaultIsKept(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, plain := serveAs(t, func(*smtp.Server) {})
	// script says one line for each of the client's, beginning with the greeting.
	script := func(lines ...string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				from := bufio.NewReader(conn)
				for i, line := range lines {
					if i > 0 {
						from.ReadString('\n') // what the client says is not looked at
					}
					io.WriteString(conn, line)
				}
				conn.Close()
			}
		}()
		return "smtp://" + l.Addr().String()
	}
	seen := map[string]bool{}
	for url, want := range map[string]struct {
		fault delivery.Fault
		words string
	}{
		"smtp://" + closed.Addr().String(): {
			delivery.Temporary,
			"does not take connections: connect: connection refused",
		},
		"smtp://nowhere.invalid:25":                {delivery.NoName, "does not resolve"},
		"smtps://" + plain:                         {delivery.BadTLS, "TLS handshake with the mail server failed"},
		"smtp://u:right@" + plain:                  {delivery.Temporary, "does not offer a way to sign in"},
		script("554 5.7.1 no service for you\r\n"): {delivery.Permanent, "554: 5.7.1 no service for you"},
		script("421 4.3.2 closing down\r\n"):       {delivery.Temporary, "421: 4.3.2 closing down"},
		script("* OK IMAP4rev1 ready\r\n"):         {delivery.Temporary, "is not SMTP"},
		"smtp://u:wrong@" + strings.TrimPrefix(script("220 mail.test\r\n", "250-mail.test\r\n250 AUTH CRAM-MD5\r\n",
			"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+\r\n", "535 5.7.8 authentication failed for you\r\n"), "smtp://"): {
			delivery.Temporary,
			"535: 5.7.8 authentication failed for you",
		},
		script(): {delivery.Temporary, "closed the connection"},
	} {
		r := sendBy(t, url, nil)
		if r.Fault != want.fault || !strings.Contains(r.Error, want.words) {
			t.Errorf("%s: fault %d %q, want %d %q", url, r.Fault, r.Error, want.fault, want.words)
		}
		if seen[r.Error] {
			t.Errorf("%s: %q is said of another fault too", url, r.Error)
		}
		seen[r.Error] = true
	}
	s, url := serve(t)
	s.refuse = &smtp.SMTPError{
		Code:         550,
		EnhancedCode: smtp.EnhancedCode{5, 1, 1},
		Message:      "no such user here, see https://mail.test/why",
	}
	r := sendBy(t, url, nil)
	if r.Status != 550 || !strings.Contains(r.Error, "no such user here, see https://mail.test/why") ||
		!strings.Contains(string(r.Answer), "no such user") {
		t.Errorf("%+v", r)
	}
}

func TestAddressesBeyondASCIINeedAServerThatTakesThem(t *testing.T) {
	s, at := serveAs(t, func(s *smtp.Server) { s.EnableSMTPUTF8 = true })
	to := func(m *notify.Message) { m.Address = "j\u00f6rg@example.com" }
	if r := sendBy(t, "smtp://"+at, to); r.Status != 250 || len(s.mails) != 1 || !s.utf8 {
		t.Errorf("%+v, %d mails, SMTPUTF8 %v", r, len(s.mails), s.utf8)
	}
	s, at = serveAs(t, func(*smtp.Server) {})
	if r := sendBy(t, "smtp://"+at, to); r.Fault != delivery.Permanent || !strings.Contains(r.Error, "SMTPUTF8") ||
		len(s.mails) != 0 {
		t.Errorf("%+v, %d mails", r, len(s.mails))
	}
}
