package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

const crmCatalogue = `
version: 1
products:
  - product: crm
    resources:
      - type: contact
        actions: [{type: update, sentence: "{actor} changed {resource} to {after.profile.name}"}]
        personal: [contact_email, phone, name, /reason/text, /resource/name]
    alert_types:
      - type: crm_down
`

// raw sends a request as the operators and gives status and body.
func (s *site) raw(method, path, contentType, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/client/v4"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

type jobState struct {
	ID, State string
	Result    json.RawMessage
}

// job starts a job and waits for its end.
func (s *site) job(path string, body any) jobState {
	s.t.Helper()
	var j jobState
	if err := json.Unmarshal(s.call(http.MethodPost, path, body), &j); err != nil {
		s.t.Fatal(err)
	}
	account := strings.Split(path, "/")[2]
	poll.Until(s.t, "the job ends", func() bool {
		if err := json.Unmarshal(s.call(http.MethodGet, "/accounts/"+account+"/jobs/"+j.ID, nil), &j); err != nil {
			s.t.Fatal(err)
		}
		return j.State != "queued" && j.State != "running"
	})
	if j.State != "done" {
		s.t.Fatalf("%+v", j)
	}
	return j
}

// team makes a product team with a catalogue.
func (s *site) team(name, catalogue string) string {
	s.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal(s.call(http.MethodPost, "/producers", object{
		"name":          name,
		"contact_email": name + "@example.com",
	}), &made); err != nil {
		s.t.Fatal(err)
	}
	if status, text := s.raw(http.MethodPut, "/producers/"+made.ID+"/catalog", "application/yaml",
		catalogue); status != http.StatusOK {
		s.t.Fatal(status, text)
	}
	return made.ID
}

// contact is an event of the product crm that is full of a person.
func contact(id string, more object) object {
	e := object{
		"id":     id,
		"action": object{"type": "update"},
		"actor": object{
			"type":       "user",
			"id":         "u-zoe",
			"name":       "Zoe Quark",
			"email":      "zoe@quark.example",
			"ip_address": "192.0.2.77",
		},
		"resource": object{"product": "crm", "type": "contact", "id": "c-" + id, "name": "Quark, Zoe"},
		"reason":   object{"text": "Quark asked for it"},
		"after": object{"contact_email": "zoe@quark.example", "profile": object{"name": "Zoe Quark", "plan": "gold"},
			"phones": []any{object{"phone": "+49 1516 quark"}}, "colour": "green"},
		"metadata": object{"Contact_Email": "zoe@quark.example"},
	}
	for k, v := range more {
		e[k] = v
	}
	return e
}

// quark are the values that must be nowhere after the erasure. They are too long to
// occur by chance in the random bytes of salts and hashes.
var quark = []string{"Zoe Quark", "zoe@quark", "quark", "Quark", "192.0.2.77", "u-zoe"}

func lacksQuark(t *testing.T, where, text string) {
	t.Helper()
	for _, v := range quark {
		if strings.Contains(text, v) {
			t.Errorf("%s still holds %s: %.2000s", where, v, text)
		}
	}
}

// An erasure without fields takes all that the catalogue calls personal, from
// the record and from every copy that Belfry made of it.
func TestAnErasureReachesEveryCopy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.team("crm", crmCatalogue)
	account := s.account("Acme")
	base := "/accounts/" + account
	s.append(account, contact("e1", nil),
		contact("e2", object{
			"actor": object{
				"type":         "token",
				"id":           "t1",
				"on_behalf_of": object{"type": "user", "id": "u-zoe", "email": "zoe@quark.example"},
			},
			"resource": object{"product": "other", "type": "thing", "id": "x"},
			"reason":   object{},
			"after":    object{"n": 1},
			"metadata": object{},
		}))
	if status, text := s.raw(http.MethodPost, base+"/audit/events", "application/json",
		`{"id":"bad","unknown":1,"after":{"name":"Zoe"}}`); status != http.StatusBadRequest {
		t.Fatal(status, text)
	}

	s.call(http.MethodPost, base+"/alerting/v3/alerts", object{
		"id":         "a1",
		"alert_type": "crm_down",
		"event":      "start",
		"resource":   object{"product": "crm", "type": "contact", "id": "c-e1"},
	})
	alert := func() string { return string(s.call(http.MethodGet, base+"/alerting/v3/alerts/a1", nil)) }
	poll.Until(s.t, "the alert names the change that preceded it", func() bool {
		text := alert()
		if !strings.Contains(text, `"event_id":"e1"`) && !strings.Contains(text, `"changes":[]`) {
			t.Fatal(text)
		}
		return strings.Contains(text, "Zoe Quark")
	})
	export := s.job(base+"/audit/exports", object{"format": "csv"})
	if status, text := s.raw(http.MethodGet, base+"/jobs/"+export.ID+"/file", "", ""); status != http.StatusOK ||
		!strings.Contains(text, "Quark") {
		t.Fatal(status, text)
	}
	poll.Until(s.t, "the reject came back with its payload", func() bool {
		return strings.Contains(string(s.call(http.MethodGet, base+"/audit/rejects", nil)), "unknown\\\":")
	})

	if len(filesWith(t, s.dir, quark)) < 3 {
		t.Fatal("the values are not where the test looks for them")
	}
	var result struct {
		Events        int
		NotFound      json.RawMessage `json:"not_found"`
		CompleteAfter time.Time       `json:"complete_after"`
	}
	erasure := s.job(base+"/audit/erasures", object{"actor_id": "u-zoe", "reason": "a request of the person"})
	s.decode(erasure.Result, &result)
	if result.Events != 2 || result.NotFound != nil || time.Until(result.CompleteAfter) < 6*24*time.Hour {
		t.Errorf("%+v", result)
	}
	record := string(s.call(http.MethodGet, base+"/logs/audit?since=2020-01-01&before=2100-01-01", nil))
	if !strings.Contains(record, "green") || !strings.Contains(record, "gold") || !strings.Contains(record, "c-e1") {
		t.Errorf("the erasure took too much: %s", record)
	}
	lacksQuark(t, "the record", record)
	if status, _ := s.raw(http.MethodGet, base+"/jobs/"+export.ID+"/file", "", ""); status != http.StatusNotFound {
		t.Errorf("the export's file: %d", status)
	}
	poll.Until(s.t, "the alert follows", func() bool { return !strings.Contains(alert(), "Zoe") })
	lacksQuark(t, "the alert", alert())
	poll.Until(s.t, "the payload of the reject follows", func() bool {
		return strings.Contains(string(s.call(http.MethodGet, base+"/audit/rejects", nil)), "erased on request")
	})

	poll.Until(s.t, "no file of a database holds a value", func() bool { return len(filesWith(t, s.dir, quark)) == 0 })
}

// filesWith names the files of databases that hold one of the values.
func filesWith(t *testing.T, dir string, values []string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "db", "*.db*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var list []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if slices.ContainsFunc(values, func(v string) bool { return bytes.Contains(content, []byte(v)) }) {
			list = append(list, filepath.Base(file))
		}
	}
	return list
}

// An erasure that cannot do what it was asked says so.
func TestAnErasureSaysWhatItDidNotFind(t *testing.T) {
	s := newSite(t)
	s.team("crm", crmCatalogue)
	account := s.account("Acme")
	path := "/accounts/" + account + "/audit/erasures"
	s.append(account, contact("e1", nil))
	if status, text := s.raw(http.MethodPost, path, "application/json",
		`{"actor_id":"u-zoe","reason":"x","fields":["/actor/id","/zone/name"]}`); status != http.StatusBadRequest ||
		!strings.Contains(text, "/fields/1") {
		t.Error(status, text)
	}
	for _, c := range []struct {
		body object
		want string
	}{
		{
			object{
				"event_ids": []string{"e1", "nope"},
				"fields":    []string{"/after/colour", "/after/phones/0/phone", "/resource/name"},
			},
			`{"events":1,"not_found":{"event_ids":["nope"],"fields":["/after/colour","/after/phones/0/phone"]}}`,
		},
		{
			object{"actor_id": "nobody", "fields": []string{"/actor/id"}},
			`{"events":0,"not_found":{"actor":true,"fields":["/actor/id"]}}`,
		},
		{object{"actor_id": "nobody"}, `{"events":0,"not_found":{"actor":true}}`},
		{object{"event_ids": []string{"e1"}, "fields": []string{"/resource/name"}}, `{"events":0}`},
		{object{"event_ids": []string{"e1"}, "fields": []string{"/after"}}, `{"events":1}`},
	} {
		c.body["reason"] = "x"
		var got map[string]any
		if err := json.Unmarshal(s.job(path, c.body).Result, &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "complete_after")
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.body, text, c.want)
		}
	}
	// A value goes with all that was cut out of it.
	if record := string(s.call(http.MethodGet, "/accounts/"+account+"/audit/events/e1", nil)); strings.Contains(record,
		"gold") || strings.Contains(record, `"after":`) {
		t.Error(record)
	}
}

// What Belfry itself records of a person can be erased like a product's events.
func TestAnErasureReachesBelfrysOwnEvents(t *testing.T) {
	s := newSite(t)
	account := s.account("Acme")
	s.member(account, "boss@acme.example", "owner")
	v := s.member(account, "zoe@quark.example", "admin")
	v.Get("/accounts/" + account)
	var members []struct{ ID, Email string }
	if err := json.Unmarshal(s.call(http.MethodGet, "/accounts/"+account+"/members", nil), &members); err != nil {
		t.Fatal(err)
	}
	for _, one := range members {
		if one.Email == "zoe@quark.example" {
			s.call(http.MethodPatch, "/accounts/"+account+"/members/"+one.ID, object{"role": "viewer"})
			// The outbox keeps the order: what was done before is on record as well then.
			poll.Until(s.t, "the change of the role is on record", func() bool {
				_, text := s.raw(http.MethodGet, "/accounts/"+account+"/audit/export", "", "")
				for line := range strings.Lines(text) {
					if strings.Contains(line, `"type":"update"`) && strings.Contains(line, "zoe@quark.example") {
						return true
					}
				}
				return false
			})
			history := s.historyOf(account, "member", one.ID)
			if status, text := s.raw(http.MethodGet, history, "", ""); status != http.StatusOK ||
				!strings.Contains(text, `"history_status":"exact"`) {
				t.Error(status, text)
			}
			defer func() {
				if status, text := s.raw(http.MethodGet, history, "", ""); status != http.StatusOK ||
					!strings.Contains(text, `"history_status":"unavailable"`) {
					t.Error("the history of a resource whose id was erased:", status, text)
				}
			}()
			// What is still in the outbox is recorded first: it names the person, too.
			for _, role := range []string{"editor", "operator", "viewer", "editor"} {
				s.call(http.MethodPatch, "/accounts/"+account+"/members/"+one.ID, object{"role": role})
			}
			s.job("/accounts/"+account+"/audit/erasures", object{"actor_id": one.ID, "reason": "left"})
			break
		}
	}
	for _, path := range []string{"/accounts/" + account + "/logs/audit?since=2020-01-01&before=2100-01-01",
		"/accounts/" + account + "/audit/export"} {
		_, text := s.raw(http.MethodGet, path, "", "")
		if !strings.Contains(text, "boss@acme.example") {
			t.Errorf("%s: the others went too: %s", path, text)
		}
		for _, gone := range []string{"zoe@", "quark"} { // an "@" is in no base64, three letters may be
			if strings.Contains(text, gone) {
				t.Errorf("%s still holds %s:\n%s", path, gone, text)
			}
		}
	}
}

// historyOf is the path of the history of a resource.
func (s *site) historyOf(account, resourceType, resourceID string) string {
	s.t.Helper()
	var list []struct{ ID string }
	path := "/accounts/" + account + "/logs/audit"
	if err := json.Unmarshal(s.call(http.MethodGet,
		path+"?since=2020-01-01&before=2100-01-01&resource_type="+resourceType+"&resource_id="+resourceID, nil),
		&list); err != nil {
		s.t.Fatal(err)
	}
	if len(list) == 0 {
		s.t.Fatalf("no event of %s %s", resourceType, resourceID)
	}
	return path + "/" + list[0].ID + "/history?since=2020-01-01&before=2100-01-01"
}
