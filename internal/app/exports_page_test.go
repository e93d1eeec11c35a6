package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/poll"
)

func TestTheExportPageSaysWhatItExportsAndGivesTheFile(t *testing.T) {
	s := newSite(t)
	id := s.account("Acme")
	base := "/accounts/" + id + "/audit"
	s.append(id, auditEvent("1", "ana", nil), auditEvent("2", "ana", nil), auditEvent("3", "bo", nil),
		auditEvent("seen", "ana", object{"action": object{"type": "view"}}))
	ana := s.member(id, "ana@acme.example", "owner")

	explorer := ana.Get(base + "?actor_id=ana&views=shown&q=www").Expect(200)
	explorer.Links(base + "/export?actor_id=ana")
	exports := ana.Get(base + "/export?actor_id=ana").Expect(200)
	exports.Says("3 events where actor is ana", "No export in the last 7 days", "is not provable")
	exports.Submit("Start the export", "format", "xml").Expect(400).Says("Choose a format", "3 events where actor is ana")
	exports.Submit("Start the export", "format", "csv").RedirectsTo(base + "/export?actor_id=ana")
	var ready string
	poll.Until(t, "the export is ready", func() bool {
		ready = ana.Fragment(base+"/export?actor_id=ana", "section#export-jobs").Body
		return strings.Contains(ready, "Ready")
	})
	if !strings.Contains(ready, "CSV, actor id is ana") || !strings.Contains(ready, ">3</td>") ||
		strings.Contains(ready, "hx-trigger") {
		t.Errorf("an export that is ready: %s", ready)
	}
	_, after, _ := strings.Cut(ready, `href="/client/v4`)
	file, _, _ := strings.Cut(after, `"`)
	response, err := ana.Client().Get(s.url + "/client/v4" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || strings.Count(string(text), "\n") != 4 || response.StatusCode != http.StatusOK {
		t.Errorf("%d %s %v", response.StatusCode, text, err)
	}

	whole := ana.Get(base + "/export")
	whole.Says("All ", "it can be verified offline")
	whole.Submit("Start the export", "format", "ndjson").RedirectsTo(base + "/export")
	poll.Until(t, "the whole log is ready", func() bool {
		return strings.Contains(ana.Get(base+"/export").Body, "the whole audit log, provable")
	})

	// The page knows no more than the API, and cancels nothing but exports of its account.
	var list []struct{ Kind, State string }
	if err := json.Unmarshal(s.call("GET", "/accounts/"+id+"/jobs?kind=audit.export", nil), &list); err != nil ||
		len(list) != 2 || list[0].Kind != "audit.export" {
		t.Errorf("%v %v", list, err)
	}
	erasure := s.made("POST", "/accounts/"+id+"/audit/erasures", object{"event_ids": []string{"3"}, "reason": "test"})
	ana.Post(base + "/export/" + erasure + "/cancel").Expect(404)
	other := s.member(s.account("Other"), "eve@other.example", "owner")
	other.Get(base + "/export").Expect(404)
	s.member(id, "vi@acme.example", "viewer").Get(base + "/export").Expect(403)
}
