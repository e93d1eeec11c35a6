package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/test/poll"
)

// One value that none of the three on-ramps takes goes back from each of them
// with the same payload, and nothing personal is in it.
func TestAllOnRampsMaskWhatTheyRefuseAlike(t *testing.T) {
	s := newSite(t)
	account := s.account("Acme")
	const value = `{"id":"r-1","ts":"soon","unknown":"Zoe","token":12345,"v6":"2001:db8::77",
		"actor":{"type":"user","id":"u1","name":"Zoe","email":"zoe\u0040example.com"},
		"before":{"street":"1 Elm St"},"after":{"street":"2 Elm St","user_id":4711},"data":{"who":"Zoe"},"summary":"Zoe"}`
	for _, path := range []string{"/audit/events", "/alerting/v3/alerts", "/traffic/counts"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/client/v4/accounts/"+account+path,
			bytes.NewReader([]byte(value)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+bootstrap)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Fatalf("%s: %s", path, res.Status)
		}
	}
	var list []event.Reject
	deadline := time.After(20 * time.Second)
	for len(list) < 3 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("only %d rejects came back: %+v", len(list), list)
		}
		if err := json.Unmarshal(s.call(http.MethodGet, "/accounts/"+account+"/audit/rejects", nil), &list); err != nil {
			t.Fatal(err)
		}
	}
	kinds := map[string]string{}
	for _, r := range list {
		kinds[r.Kind] = r.Payload
	}
	if len(kinds) != 3 || kinds[""] != kinds["alert"] || kinds[""] != kinds["traffic"] {
		t.Fatalf("%q", kinds)
	}
	payload := kinds[""]
	if !json.Valid([]byte(payload)) || !strings.Contains(payload, `"id":"r-1"`) ||
		!strings.Contains(payload, `"ts":"soon"`) {
		t.Error(payload)
	}
	for _, private := range []string{"Zoe", "zoe", "12345", "2001:", "u1", "Elm", "4711"} {
		if strings.Contains(payload, private) {
			t.Errorf("%s travels in clear: %s", private, payload)
		}
	}
}

// A refused event is shown to its account and to the team whose product it names,
// also when an account's token sent it, and counts on both pages.
func TestARefusedEventIsShownToItsAccountAndToTheTeamOfItsProduct(t *testing.T) {
	s := newSite(t)
	team := s.team("crm", crmCatalogue)
	account := s.account("Acme")
	refused := `{"id":"r-2","action":{"type":"explode"},"actor":{"type":"user","id":"u1"},
		"resource":{"product":"crm","type":"contact","id":"c-9"}}`
	status, answer := s.raw(http.MethodPost, "/accounts/"+account+"/audit/events", "application/json", refused)
	if status != http.StatusBadRequest {
		t.Fatal(status, answer)
	}
	var list []struct{ ID string }
	poll.Until(s.t, "the reject is the team's", func() bool {
		if err := json.Unmarshal(s.call(http.MethodGet, "/producers/"+team+"/rejects", nil), &list); err != nil {
			t.Fatal(err)
		}
		return len(list) == 1
	})
	operator := s.signIn("operator@localhost")
	operator.Get("/console/producers").Says(`href="/console/producers/` + team + `/rejects">1</a>`)
	console := operator.Get("/console/rejects")
	console.Says("/console/producers/"+team+"/rejects", "/accounts/"+account+"/audit/rejects",
		"No event without a valid account was rejected")
	console.Lacks("Every event that was sent is in the record")

	v := s.member(account, "auditor@acme.example", "auditor")
	path := "/accounts/" + account + "/audit/rejects"
	v.Get("/accounts/"+account).Says(`href="`+path+`"`, "1 event was")
	v.Get(path).Says("explode", "/action/type", "crm")
	v.Get(path+"?event="+list[0].ID).
		Says("r-2", "bootstrap", "&#34;action&#34;:{&#34;type&#34;:&#34;explode&#34;}", "c-9")
	// The page shows the name and the id of an account's token.
	var made struct{ ID, Value string }
	s.decode(s.call(http.MethodPost, "/accounts/"+account+
		"/tokens", object{"name": "deploy robot", "permissions": []string{"audit:write"}}), &made)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		s.url+"/client/v4/accounts/"+account+"/audit/events",
		strings.NewReader(strings.Replace(refused, "r-2", "r-3", 1)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+made.Value)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Fatal(res.Status)
	}
	var sent []struct {
		ID      string
		EventID string `json:"event_id"`
	}
	poll.Until(s.t, "the second reject is the account's", func() bool {
		s.decode(s.call(http.MethodGet, "/accounts/"+account+"/audit/rejects", nil), &sent)
		return len(sent) == 2
	})
	for _, one := range sent {
		if one.EventID == "r-3" {
			v.Get(path+"?event="+one.ID).Says("deploy robot", made.ID)
		}
	}
	if foreign := s.member(s.account("Other"), "bo@other.example", "owner").
		Get(path); foreign.Status != http.StatusNotFound {
		t.Errorf("another account's page: %d", foreign.Status)
	}
}
