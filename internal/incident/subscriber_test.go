package incident_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/test/poll"
)

// linkIn is the id and the token of the first link of a mail to a part of the subscription's page.
func linkIn(t *testing.T, m incident.Mail, part string) (id, token string) {
	t.Helper()
	_, rest, ok := strings.Cut(m.Text, "http://belfry.test/status/subscriptions/")
	if !ok {
		t.Fatalf("the mail has no link: %s", m.Text)
	}
	address, _, _ := strings.Cut(rest, "\n")
	path, token, _ := strings.Cut(address, "?token=")
	id, got, _ := strings.Cut(path, "/")
	if got != part {
		t.Fatalf("the link leads to %q", path)
	}
	return id, token
}

func TestASubscriptionByMailIsConfirmedBeforeAnythingIsSent(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.run(w.f)
		if err := w.f.SubscribeByEmail(t.Context(), "Ana@Acme.example"); err != nil {
			t.Fatal(err)
		}
		poll.Until(t, "the mail with the link is sent", func() bool { return len(w.sent()) == 1 })
		m := w.sent()[0]
		if m.To != "Ana@Acme.example" || m.Unsubscribe != "" {
			t.Errorf("%+v", m)
		}
		i := w.declare(incident.IncidentCreate{Name: "Before"})
		w.publish(i.ID, incident.UpdateCreate{State: incident.Resolved})
		subscriber, token := linkIn(t, m, "confirm")
		if err := w.f.ConfirmSubscription(t.Context(), subscriber, token+"x"); !errs.Is(err, errs.CodeSignIn) {
			t.Errorf("another token: %v", err)
		}
		poll.Until(t, "the earlier broadcasts are done", func() bool { return w.count(`done_at = 0`) == 0 })
		if err := w.f.ConfirmSubscription(t.Context(), subscriber, token); err != nil {
			t.Fatal(err)
		}
		w.declare(incident.IncidentCreate{Name: "Errors of the API", Message: "Some requests fail."})
		poll.Until(t, "the update is sent", func() bool { return len(w.sent()) == 2 })
		m = w.sent()[1]
		if m.Subject != "[Status] Errors of the API" || !strings.Contains(m.Text, "Some requests fail.") {
			t.Errorf("%+v", m)
		}
		subscriber, token = linkIn(t, m, "")
		if !strings.HasSuffix(m.Unsubscribe, "/"+subscriber+"?token="+token) {
			t.Errorf("List-Unsubscribe is %s", m.Unsubscribe)
		}
		if err := w.f.Unsubscribe(t.Context(), subscriber, token); err != nil {
			t.Fatal(err)
		}
		w.declare(incident.IncidentCreate{Name: "After"})
		poll.Until(t, "the last broadcast is done", func() bool { return w.count(`done_at = 0`) == 0 })
		if n := len(w.sent()); n != 2 {
			t.Errorf("%d mails", n)
		}
		if list, err := w.f.Subscribers(t.Context(), "", 10); err != nil || len(list) != 0 {
			t.Errorf("subscribers %+v (%v)", list, err)
		}
	})
}

// count counts broadcasts.
func (w *world) count(where string) (n int) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(w.t.Context(), `SELECT count(*) FROM broadcast WHERE `+where).Scan(&n)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestTheAnswerDoesNotSayWhetherAnAddressIsSubscribed(t *testing.T) {
	w := newWorld(t, "")
	w.run(w.f)
	ask := func(address string) {
		t.Helper()
		if err := w.f.SubscribeByEmail(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	ask("ana@acme.example")
	poll.Until(t, "the mail is sent", func() bool { return len(w.sent()) == 1 })
	subscriber, token := linkIn(t, w.sent()[0], "confirm")
	if err := w.f.ConfirmSubscription(t.Context(), subscriber, token); err != nil {
		t.Fatal(err)
	}
	ask("ANA@acme.example") // within the hour: no mail
	w.Pass(2 * time.Hour)
	ask("ana@acme.example")
	poll.Until(t, "the owner is told", func() bool { return len(w.sent()) == 2 })
	if m := w.sent()[1]; !strings.Contains(m.Text, "subscribed already") || m.Unsubscribe == "" {
		t.Errorf("%+v", m)
	}
	list, err := w.f.Subscribers(t.Context(), "", 10)
	if err != nil || len(list) != 1 || list[0].Shown != "a…@acme.example" {
		t.Errorf("%+v (%v)", list, err)
	}
}

func TestANetworkAsksForFewSubscriptionsAnHour(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			err = w.f.SubscribeByEmail(t.Context(), strings.Repeat("a", n+1)+"@acme.example")
		}
		if !errs.Is(err, errs.CodeRateLimited) || n != 11 {
			t.Fatalf("%d requests: %v", n, err)
		}
		w.Pass(61 * time.Minute)
		if err := w.f.SubscribeByEmail(t.Context(), "b@acme.example"); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

func TestAnExpiredLinkConfirmsNothing(t *testing.T) {
	w := newWorld(t, "")
	w.run(w.f)
	if err := w.f.SubscribeByEmail(t.Context(), "ana@acme.example"); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the mail is sent", func() bool { return len(w.sent()) == 1 })
	subscriber, token := linkIn(t, w.sent()[0], "confirm")
	w.Pass(25 * time.Hour)
	if err := w.f.ConfirmSubscription(t.Context(), subscriber, token); !errs.Is(err, errs.CodeSignIn) {
		t.Errorf("%v", err)
	}
}

func TestAWebhookIsTestedAndSigned(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.run(w.f)
		r := newReceiver(t)
		r.answers(500)
		if _, err := w.f.SubscribeByWebhook(t.Context(), r.URL+"/hook-with-a-secret"); !errs.Is(err, errs.CodeInvalid) {
			t.Fatalf("a receiver that fails: %v", err)
		}
		r.answers(200)
		hook, err := w.f.SubscribeByWebhook(t.Context(), r.URL+"/hook-with-a-secret")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.f.SubscribeByWebhook(t.Context(), r.URL+"/hook-with-a-secret"); !errs.Is(err, errs.CodeExists) {
			t.Errorf("twice: %v", err)
		}
		api := w.component("API")
		w.declare(incident.IncidentCreate{Name: "Errors of the API", Components: down(api, incident.Degraded)})
		poll.Until(t, "the update arrives", func() bool { return len(r.all()) == 3 })
		verifier, err := webhooks.NewWebhook(hook.SigningSecret)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range r.all()[1:] {
			// The clock of the test is fixed: the signature is checked, not its age.
			if err := verifier.VerifyIgnoringTimestamp([]byte(got.Body), got.Header); err != nil {
				t.Errorf("%v: %s", err, got.Body)
			}
		}
		var body struct {
			Meta     struct{ Type, Unsubscribe string }
			Incident struct{ Name, Status string }
			Page     struct{ URL string }
		}
		if err := json.Unmarshal([]byte(r.all()[2].Body), &body); err != nil {
			t.Fatal(err)
		}
		if body.Incident.Name != "Errors of the API" || body.Incident.Status != "investigating" ||
			body.Meta.Unsubscribe != hook.Unsubscribe || body.Meta.Type != "incident" {
			t.Errorf("%+v", body)
		}
		list, err := w.f.Subscribers(t.Context(), "", 10)
		if err != nil || len(list) != 1 || strings.Contains(list[0].Shown, "secret") {
			t.Errorf("%+v (%v)", list, err)
		}
	})
}

func TestAReceiverThatIsGoneIsUnsubscribed(t *testing.T) {
	w := newWorld(t, "")
	w.run(w.f)
	r := newReceiver(t)
	if _, err := w.f.SubscribeByWebhook(t.Context(), r.URL); err != nil {
		t.Fatal(err)
	}
	r.answers(410)
	w.declare(incident.IncidentCreate{Name: "Errors"})
	poll.Until(t, "the subscription has ended", func() bool {
		list, err := w.f.Subscribers(t.Context(), "", 10)
		return err == nil && len(list) == 0
	})
}

func TestAWebhookReachesThePublicInternetOnly(t *testing.T) {
	w := newWorld(t, "")
	f := w.another(func(c *incident.Config) {
		c.Post = outbound.New(outbound.Config{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}}).Post
	})
	r := newReceiver(t)
	for _, address := range []string{r.URL, "http://hooks.example.com/x", "ftp://x", "http://user:pass@x/", ""} {
		if _, err := f.SubscribeByWebhook(t.Context(), address); !errs.Is(err, errs.CodeInvalid) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(r.all()) != 0 {
		t.Errorf("%d requests", len(r.all()))
	}
}
