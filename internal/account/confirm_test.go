package account_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/site"
)

// post is a mail server that keeps every mail, or refuses them all.
type post struct {
	mu     sync.Mutex // guards what follows
	mails  []account.Mail
	refuse error
}

func (p *post) send(_ context.Context, m account.Mail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	p.mails = append(p.mails, m)
	return nil
}

// last is the newest mail of all that were sent.
func (p *post) last(t *testing.T, count int) account.Mail {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) != count {
		t.Fatalf("%d mails instead of %d", len(p.mails), count)
	}
	return p.mails[count-1]
}

// onBothWithMail is onBoth with a mail server.
func onBothWithMail(t *testing.T, test func(*testing.T, *fixture, *post)) {
	run := func(t *testing.T, cfg db.Config) {
		p := &post{}
		test(t, newFixture(t, cfg, func(c *account.Config) { c.SendMail = p.send }), p)
	}
	t.Run("sqlite", func(t *testing.T) { run(t, db.Config{DataDir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { run(t, db.Config{URL: engines.Postgres(t)}) })
}

// secretIn is the secret of the link in a confirmation mail.
func secretIn(t *testing.T, mail account.Mail) string {
	t.Helper()
	_, after, found := strings.Cut(mail.Text, "http://belfry.test/confirm-address#confirm=")
	secret, _, ended := strings.Cut(after, "\n")
	if !found || !ended {
		t.Fatalf("no link in %q", mail.Text)
	}
	return secret
}

// confirm presses the button of the page to which the mail's link leads.
func (f *fixture) confirm(secret string) error {
	r := httptest.NewRequestWithContext(f.t.Context(), "POST", "http://belfry.test/confirm-address", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	_, err := f.accounts.ConfirmAddress(r, secret)
	return err
}

func (f *fixture) mayMail(accountID, email string, want bool) {
	f.t.Helper()
	if is, err := f.accounts.IsMember(f.t.Context(), accountID, email); is != want || err != nil {
		f.t.Fatalf("alert mail to %s: %v instead of %v, %v", email, is, want, err)
	}
	href, err := f.accounts.Unconfirmed(f.t.Context(), accountID, email)
	if err != nil || want && href != "" {
		f.t.Fatalf("%s is unconfirmed: %q, %v", email, href, err)
	}
}

func TestAnAccountCannotConfirmAnAddressThatItWroteDown(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, mails *post) {
		a := f.account("Evil <b>offers</b>")
		_, token := f.token(a, "*")
		members := "/accounts/" + a + "/members"
		made := f.call(token, "POST", members, object{
			"email": "stranger@victim.example",
			"name":  "Click http://evil.example",
			"role":  "viewer",
		}).ok()
		one := members + "/" + made.text("id")

		// The account opens the link of its own invitation, and sets a password.
		cookie := f.signIn(made.text("sign_in_url"))
		f.call(cookie, "PUT", "/user/password", object{"password": "known to evil"}, sameOrigin).ok()
		f.form("192.0.2.7", "", "email", "stranger@victim.example", "password", "known+to+evil").ok()
		got := f.call(token, "GET", one, nil).ok()
		if got.text("status") != "active" || got.Result["email_confirmed"] != false {
			t.Errorf("the member: %s", got.Body)
		}
		f.mayMail(a, "stranger@victim.example", false)

		// It can have one mail sent, which has none of its words but its name.
		asked := f.call(token, "POST", one+"/confirmation", nil).ok()
		if asked.Result["sent"] != true || strings.Contains(asked.Body, "confirm=") {
			t.Errorf("the answer: %s", asked.Body)
		}
		mail := mails.last(t, 1)
		if mail.To != "stranger@victim.example" || strings.Contains(mail.Subject+mail.Text, "Click") ||
			!strings.Contains(mail.Subject, "Evil") {
			t.Errorf("the mail: %+v", mail)
		}
		for range 3 {
			if got := f.call(token, "POST", one+"/confirmation", nil); got.Status != 429 || got.Header.Get("Retry-After") == "" {
				t.Fatalf("a second mail within the hour: %d %s", got.Status, got.Body)
			}
		}
		// Not by removing and inviting the person again either.
		f.call(token, "DELETE", one, nil).ok()
		made = f.call(token, "POST", members, object{"email": "Stranger@Victim.example", "role": "viewer"}).ok()
		if got := f.call(token, "POST", members+"/"+made.text("id")+"/confirmation", nil); got.Status != 429 {
			t.Fatalf("a second mail for a new member: %d %s", got.Status, got.Body)
		}
		// The first mail was for a membership that has ended.
		if err := f.confirm(secretIn(t, mail)); !errs.Is(err, errs.CodeSignIn) {
			t.Errorf("a link for a removed member: %v", err)
		}
		f.mayMail(a, "stranger@victim.example", false)
		mails.last(t, 1)
	})
}

func TestALinkInAMailConfirmsOnce(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, mails *post) {
		a := f.account("Acme")
		_, token := f.token(a, "*")
		made := f.call(token, "POST", "/accounts/"+a+"/members", object{
			"email": "ana@acme.example",
			"name":  "Ana",
			"role":  "viewer",
		}).ok()
		path := "/accounts/" + a + "/members/" + made.text("id")
		f.call(token, "POST", path+"/confirmation", nil).ok()
		old := secretIn(t, mails.last(t, 1))
		f.later(account.ConfirmTime)
		if err := f.confirm(old); !errs.Is(err, errs.CodeSignIn) {
			t.Errorf("a link of yesterday: %v", err)
		}
		f.call(token, "POST", path+"/confirmation", nil).ok()
		secret := secretIn(t, mails.last(t, 2))
		for _, wrong := range []string{"", secret[1:], secret + "0", strings.Repeat("0", len(secret))} {
			if err := f.confirm(wrong); !errs.Is(err, errs.CodeSignIn) {
				t.Errorf("%q confirms: %v", wrong, err)
			}
		}
		if err := f.confirm(secret); err != nil {
			t.Fatal(err)
		}
		if err := f.confirm(secret); !errs.Is(err, errs.CodeSignIn) {
			t.Errorf("a second use: %v", err)
		}
		// The address is confirmed; the membership is accepted by the person.
		f.mayMail(a, "ana@acme.example", false)
		f.signIn(f.call(token, "POST", path+"/sign_in_link", nil).ok().text("url"))
		f.mayMail(a, "ana@acme.example", true)
		if got := f.call(token, "GET", path, nil).ok(); got.Result["email_confirmed"] != true {
			t.Errorf("the member: %s", got.Body)
		}
		f.call(token, "POST", path+"/confirmation", nil).fails(409, errs.CodeStateConflict)
		recorded := f.recorded(a, "member")
		for _, want := range []string{"send_confirmation success", "confirm success"} {
			if !slices.Contains(recorded, want) {
				t.Errorf("%s is not in the audit log: %v", want, recorded)
			}
		}
		// Another account's member with the address has confirmed nothing.
		b := f.account("Other")
		_, other := f.token(b, "*")
		f.signIn(f.call(other, "POST", "/accounts/"+b+"/members", object{
			"email": "ana@acme.example",
			"role":  "viewer",
		}).ok().text("sign_in_url"))
		f.mayMail(b, "ana@acme.example", false)
		// Those whom the operators add are vouched for.
		f.member(b, "ben@acme.example", "viewer")
		f.mayMail(b, "ben@acme.example", true)
	})
}

func TestAnAccountSendsFewConfirmationMails(t *testing.T) {
	onBothWithMail(t, func(t *testing.T, f *fixture, mails *post) {
		a := f.account("Acme")
		_, token := f.token(a, "*")
		ask := func(n int) *response {
			made := f.call(token, "POST", "/accounts/"+a+"/members", object{
				"email": "p" + string(rune('a'+n)) + "@acme.example",
				"role":  "viewer",
			}).ok()
			return f.call(token, "POST", "/accounts/"+a+"/members/"+made.text("id")+"/confirmation", nil)
		}
		for n := range 20 {
			ask(n).ok()
		}
		ask(20).fails(429, errs.CodeRateLimited)
		mails.last(t, 20)
		f.later(time.Hour)
		ask(21).ok()
		// A server that refuses is named, and the mail counts.
		mails.refuse = errors.New("the mail server answered 550: no")
		if got := ask(22); got.Status != 503 || !strings.Contains(got.Body, "the mail server answered 550") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}

func TestWithoutAMailServerTheMailIsOnThePage(t *testing.T) {
	s := newDashboard(t)
	acme := s.Account("Acme")
	ana := s.Member(acme, "ana@acme.example", "owner")
	base := "/accounts/" + acme + "/members"
	link := ana.Post(base, "email", "bo@acme.example", "name", "Bo", "role", "viewer").Expect(200).Find(oneTimeLink)
	s.Visitor().Post("/sign-in", "link", site.Secret(link)).RedirectsTo("/")
	href := ana.Get(base).Expect(200).Find(`href="(` + base + `/[0-9a-f]{32})" data-open>Bo`)
	ana.Get(href).Expect(200).Says("Not confirmed yet", "Send the confirmation mail")
	s.mayMail(acme, "bo@acme.example", false)
	kept := ana.Post(href+"/confirmation").Expect(200).
		Says("this installation has no mail server", "bo@acme.example", "BELFRY_SMTP_URL")
	secret := kept.Find(`confirm-address#confirm=([0-9a-z]+)`)

	// A scanner opens the link in every way that it knows, and submits nothing.
	for _, path := range []string{"/confirm-address", "/confirm-address?confirm=" + secret} {
		s.Visitor().Get(path).Expect(200).Says("Confirm my address", `data-fragment="confirm"`).Lacks("Confirmed:")
	}
	s.Visitor().Post("/confirm-address?confirm="+secret, "x", "y").Expect(401)
	s.Visitor().PostFrom("cross-site", "/confirm-address", "confirm", secret).Expect(403)
	s.mayMail(acme, "bo@acme.example", false)

	whole := "http://belfry.test/confirm-address#confirm=" + secret
	s.Visitor().Post("/confirm-address", "confirm", whole).Expect(200).
		Says("Confirmed: the account <b>Acme</b>", "bo@acme.example")
	s.Visitor().Post("/confirm-address", "confirm", secret).Expect(401).Says("used already")
	ana.Get(href).Expect(200).Says("confirmed").Lacks("Send the confirmation mail")
	s.mayMail(acme, "bo@acme.example", true)

	// With a mail server from now on, only a mail that was sent confirms.
	mails := &post{}
	s.open(func(c *account.Config) { c.SendMail = mails.send })
	s.mayMail(acme, "bo@acme.example", false)
	if _, err := s.accounts.SendConfirmation(t.Context(), feature.Belfry(), acme, href[len(base)+1:]); err != nil {
		t.Fatal(err)
	}
	if err := s.confirm(secretIn(t, mails.last(t, 1))); err != nil {
		t.Fatal(err)
	}
	s.mayMail(acme, "bo@acme.example", true)
}
