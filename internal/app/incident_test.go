package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/demo/inbox"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/test/poll"
	testsite "github.com/belfryhq/belfry/test/site"
)

// An incident reaches the account with a policy on its components, and no other account.
func TestAnIncidentReachesTheAccountsWithAPolicy(t *testing.T) {
	bodies := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(text)
	}))
	t.Cleanup(receiver.Close)
	s := newSiteWith(t, t.Output(), []string{"BELFRY_ALLOW_NETWORKS", "127.0.0.0/8"})
	id := func(result json.RawMessage) string {
		t.Helper()
		var made struct{ ID string }
		if err := json.Unmarshal(result, &made); err != nil || made.ID == "" {
			t.Fatalf("%s (%v)", result, err)
		}
		return made.ID
	}
	api := id(s.call("POST", "/status/components", object{"name": "API"}))
	mail := id(s.call("POST", "/status/components", object{"name": "Mail"}))
	policyOf := func(name string, filters object) string {
		accountID := s.account(name)
		base := "/accounts/" + accountID + "/alerting/v3"
		hook := id(s.call("POST", base+"/destinations/webhooks", object{"name": "hook", "url": receiver.URL}))
		<-bodies // the test message
		s.call("POST", base+"/policies", object{
			"name": "incidents", "enabled": true, "alert_type": "incident_alert", "filters": filters,
			"mechanisms": object{"webhooks": []object{{"id": hook}}},
		})
		return accountID
	}
	acme := policyOf("Acme", object{"affected_components": []string{api}})
	policyOf("Zeta", object{"affected_components": []string{mail}})
	policyOf("Initech", object{"incident_impact": []string{"INCIDENT_IMPACT_CRITICAL"}})

	one := id(s.call("POST", "/incidents", object{
		"name": "Errors of the API", "impact": "major", "message": "Some requests fail.",
		"components": []object{{"id": api, "status": "major_outage"}},
	}))
	s.call("POST", "/incidents/"+one+"/updates", object{"status": "resolved", "message": "It is fixed."})
	for _, want := range []string{"ALERT_STATE_EVENT_START", "ALERT_STATE_EVENT_END"} {
		body := <-bodies
		if !strings.Contains(body, want) || !strings.Contains(body, acme) || !strings.Contains(body, "Errors of the API") {
			t.Errorf("want %s for %s: %s", want, acme, body)
		}
	}
	poll.Until(t, "the broadcasts are done", func() bool {
		page := s.signIn("").Get("/console/incidents/" + one).Expect(200)
		return strings.Count(page.Body, "Done") >= 4 && !strings.Contains(page.Body, "Being sent")
	})
	select {
	case body := <-bodies:
		t.Errorf("another account got %s", body)
	default:
	}
}

// The page is subscribed to by mail as a person does it, through the inbox of the demo.
func TestAPersonSubscribesToTheStatusPageByMail(t *testing.T) {
	box, err := inbox.New("127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s := newSiteWith(t, t.Output(), []string{
		"BELFRY_SMTP_URL", "smtp://" + box.SMTP(), "BELFRY_MAIL_FROM", "belfry@acme.example",
	})
	s.call("POST", "/status/components", object{"name": "API"})
	person := testsite.NewVisitor(t, s.url)
	person.Get("/status/subscribe").Expect(200).Submit("Subscribe by mail", "email", "ana@acme.example").Expect(200)
	mails := func(n int) []inbox.Message {
		t.Helper()
		poll.Until(t, "the mail arrives", func() bool { return len(box.Messages()) >= n })
		return box.Messages()
	}
	link := mails(1)[0].Link
	person.Get(strings.TrimPrefix(link, s.url)).Expect(200).Submit("Confirm the subscription").Expect(200)
	s.call("POST", "/incidents", object{"name": "Errors of the API", "message": "Some requests fail."})
	m := mails(2)[0]
	if m.To != "ana@acme.example" || !strings.Contains(m.Text, "Some requests fail.") {
		t.Errorf("%+v", m)
	}
	for _, want := range []string{"List-Unsubscribe: <http", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"} {
		if !strings.Contains(strings.ReplaceAll(m.Body, "\r\n ", " "), want) {
			t.Errorf("the mail lacks %q: %s", want, m.Body)
		}
	}
}

// An operator leaves the time of an incident out of an account's budgets: the account sees the correction.
func TestAnIncidentCorrectsObjectivesOfAnAccount(t *testing.T) {
	s := newSite(t)
	accountID := s.account("Acme")
	base := "/accounts/" + accountID
	s.call("POST", base+"/zones", object{"name": "shop.example"})
	s.call("POST", base+"/slos", object{"name": "Shop", "match": object{"zone": "shop.example"}, "target": 99.9})
	i, err := s.app.Incident.DeclareIncident(t.Context(), incident.IncidentCreate{
		Name: "Errors", Message: "Some requests fail.", State: incident.Investigating,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/incidents/" + i.ID + "/corrections"
	at := func(after time.Duration) string { return time.Now().Add(after).UTC().Format(time.RFC3339) }
	in := object{"account_id": accountID, "all": true, "from": at(-10 * time.Minute), "to": at(-5 * time.Minute)}
	var list []incident.Proposal
	if err := json.Unmarshal(s.call("POST", path, in), &list); err != nil || len(list) != 1 ||
		list[0].Name != "shop.example" || list[0].State != "active" {
		t.Fatalf("%+v (%v)", list, err)
	}
	var corrections []struct{ ID, Kind, Reason string }
	err = json.Unmarshal(s.call("GET", base+"/slo_corrections", nil), &corrections)
	if err != nil || len(corrections) != 1 ||
		corrections[0].ID != list[0].Correction || corrections[0].Kind != "incident" || corrections[0].Reason != "Errors" {
		t.Errorf("%+v (%v)", corrections, err)
	}
	lee := s.signIn("")
	form := lee.Get("/console/incidents/" + i.ID + "/correct?account_id=" + accountID).Expect(200).Says("Acme")
	form.Submit("Request the corrections", "all", "on").Expect(200).Says("Was requested before")
	lee.Get("/console/incidents/"+i.ID).Expect(200).Says("shop.example", "Acme")
}
