package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// post sends a body as the operators, with an Idempotency-Key.
func (s *site) post(path, key string, body any) (status int, replayed, answer string) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Idempotency-Replayed"), string(text)
}

func TestEveryPostTakesAnIdempotencyKey(t *testing.T) {
	s := newSite(t)
	posts := 0
	for _, r := range s.app.API.Routes() {
		if r.Method != http.MethodPost {
			continue
		}
		posts++
		if !r.Idempotent {
			t.Errorf("%s %s ignores Idempotency-Key", r.Method, r.Path)
		}
	}
	if posts < 20 {
		t.Fatalf("only %d routes were looked at", posts)
	}

	account := s.account("Acme")
	change := object{
		"action":   object{"type": "update"},
		"actor":    object{"type": "user", "id": "u1"},
		"resource": object{"product": "dns", "type": "record", "id": "r1"},
	}
	alert := object{"alert_type": "disk_full", "event": "notice", "summary": "The disk is full"}
	var team struct{ ID string }
	s.decode(s.call("POST", "/producers", object{"name": "Disks"}), &team)
	s.call("PUT", "/producers/"+team.ID+
		"/catalog", object{"version": 1, "products": []any{object{"product": "disks", "title": "Disks", "category": "Disks",
		"alert_types": []any{object{"type": "disk_full", "title": "Disk full", "severities": []string{"error"}}}}}})
	of := func(one object) object {
		with := object{"account_id": account}
		for k, v := range one {
			with[k] = v
		}
		return with
	}
	base := "/client/v4/accounts/" + account
	for _, one := range []struct {
		path string
		body any
	}{
		{base + "/audit/events", change},
		{"/client/v4/audit/events", of(change)},
		{base + "/alerting/v3/alerts", alert},
		{"/client/v4/alerts", of(alert)},
		{base + "/traffic/counts", object{"zone": "shop.example", "ts": time.Now().Unix(), "total": 5}},
		{"/client/v4/traffic/counts", of(object{"zone": "shop.example", "ts": time.Now().Unix(), "total": 5})},
	} {
		if status, _, _ := s.post(one.path, "a blank", one.body); status != 400 {
			t.Errorf("%s: a key with a blank: %d", one.path, status)
		}
		status, replayed, first := s.post(one.path, one.path, one.body)
		if status != 200 || replayed != "" {
			t.Errorf("%s: %d %s", one.path, status, first)
			continue
		}
		if status, replayed, again := s.post(one.path, one.path, one.body); status != 200 || replayed != "true" ||
			again != first {
			t.Errorf("%s again: %d, replayed %q\n%s\n%s", one.path, status, replayed, first, again)
		}
		if status, _, other := s.post(one.path, one.path, []any{one.body}); status != 409 {
			t.Errorf("%s with another body: %d %s", one.path, status, other)
		}
	}
	var events []json.RawMessage
	s.decode(s.call("GET", "/accounts/"+account+"/logs/audit?resource_id=r1&since=2020-01-01&before=2100-01-01", nil),
		&events)
	if len(events) != 2 {
		t.Errorf("%d events of two requests that were each sent twice", len(events))
	}
}
