package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A closed account stays readable by its members and the operators, and accepts nothing.
func TestAClosedAccountAnswersReadsAndRefusesWrites(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	path := "/accounts/" + id
	s.append(id, auditEvent("before", "ana", nil))
	s.call("POST", "/accounts/"+id+"/zones", object{"name": "www.acme.example"})
	s.member(id, "ana@acme.example", "owner")
	s.call("POST", "/accounts/"+id+"/close", object{"name": "Acme"})

	count := object{"zone": "www.acme.example", "ts": time.Now().Unix() - 20, "total": 5, "bad": 1}
	alert := object{"alert_type": "disk_full", "event": "notice", "summary": "The disk is full"}
	for _, write := range []struct {
		path string
		body any
	}{
		{"/audit/events", auditEvent("after", "ana", nil)},
		{"/traffic/counts", count},
		{"/alerting/v3/alerts", alert},
	} {
		in, err := json.Marshal(write.body)
		if err != nil {
			t.Fatal(err)
		}
		status, body := s.raw(http.MethodPost, path+write.path, "application/json", string(in))
		if status < 400 || status >= 500 || !strings.Contains(body, "the account is closed") {
			t.Errorf("%s: %d %s", write.path, status, body)
		}
	}

	ana := s.signIn("ana@acme.example")
	for _, read := range []string{
		"/audit", "/audit/summary", "/audit/integrity", "/audit/events/before", "/properties", "/settings",
	} {
		if p := ana.Get("/accounts/" + id + read); p.Status != http.StatusOK {
			t.Errorf("%s: %d", read, p.Status)
		}
	}
	ana.Get("/accounts/" + id + "/audit").Says(`id="e-before"`).Lacks(`id="e-after"`)
	ana.Get("/accounts/" + id + "/settings").Says("This account is closed")
	for _, read := range []string{"/logs/audit?since=2020-01-01&before=2030-01-01", "/audit/summary?group_by=person",
		"/audit/log/checkpoint", "/zones"} {
		if status, body := s.raw(http.MethodGet, path+read, "", ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", read, status, body)
		}
	}
}
