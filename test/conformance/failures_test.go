package conformance_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"os"
	"strings"
	"testing"
)

// failures provokes the errors of the read routes. The official clients understand one
// only as JSON with a numeric code, and repeat a request unless they are told not to.
func failures(t *testing.T, s *server, f *fixture) {
	content, err := os.ReadFile(f.file)
	if err != nil {
		t.Fatal(err)
	}
	var x expected
	if err := json.Unmarshal(content, &x); err != nil {
		t.Fatal(err)
	}
	v1 := s.accountPath("/audit_logs")
	v2 := s.accountPath("/logs/audit")
	window := "?since=" + x.Since + "&before=" + x.Before
	for _, c := range []struct {
		name, token, method, path string
		status, code              int
		field                     string
	}{
		{"no token", "", "GET", v1, 401, 10000, ""},
		{"an unknown token", strings.Repeat("x", 40), "GET", v1, 401, 10000, ""},
		{"no token and no account", "", "GET", "/accounts/" + strings.Repeat("0", 32) + "/audit_logs", 401, 10000, ""},
		{"a token without the permission", x.Writer, "GET", v1, 403, 10001, ""},
		{"a token of another account", x.Reader, "GET", "/accounts/" + x.Other + "/audit_logs", 403, 10001, ""},
		{"permission comes before parameters", x.Writer, "GET", v2 + "?since=never", 403, 10001, ""},
		{"an account that does not exist", s.Token, "GET", "/accounts/" + strings.Repeat("0", 32) + "/audit_logs", 404, 7004,
			""},
		{"no such route", s.Token, "GET", "/nothing/here", 404, 7003, ""},
		{"no such method", s.Token, "DELETE", v1, 405, 7001, ""},
		{"no such event", s.Token, "GET", s.accountPath("/audit/events/never-written"), 404, 7004, ""},
		{"v2 without since", s.Token, "GET", v2 + "?before=" + x.Before, 400, 0, "since"},
		{"v2 without before", s.Token, "GET", v2 + "?since=" + x.Since, 400, 0, "before"},
		{"a bad time", s.Token, "GET", v2 + "?since=yesterday&before=" + x.Before, 400, 0, "since"},
		{"an unknown category", s.Token, "GET", v2 + window + "&product_category=no-such-category", 400, 0,
			"product_category"},
		{"a cursor of nobody", s.Token, "GET", v2 + window + "&cursor=AAAA", 400, 1109, "cursor"},
		{"an unknown direction", s.Token, "GET", v2 + window + "&direction=sideways", 400, 0, "direction"},
		{"an impossible limit", s.Token, "GET", v2 + window + "&limit=0", 400, 0, "limit"},
		{"a status that is no number", s.Token, "GET", v2 + window + "&raw_status_code=ok", 400, 0, "raw_status_code"},
		{"an address that is none", s.Token, "GET", v1 + "?actor.ip=1.2.3", 400, 0, "actor.ip"},
		{"an impossible page", s.Token, "GET", v1 + "?page=0", 400, 0, "page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.Call(t, c.token, c.method, c.path, nil)
			if a.Status != c.status || a.Success || len(a.Errors) == 0 {
				t.Fatalf("status %d, want %d\n%.1000s", a.Status, c.status, a.Body)
			}
			first := a.Errors[0]
			if first.Code == 0 || c.code != 0 && first.Code != c.code {
				t.Errorf("code %d, want %d", first.Code, c.code)
			}
			if first.Message == "" || c.field != "" && !strings.Contains(first.Source.Pointer+first.Message, c.field) {
				t.Errorf("the message %q at %q does not name %q", first.Message, first.Source.Pointer, c.field)
			}
			if kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || kind != "application/json" {
				t.Errorf("Content-Type %q", a.Header.Get("Content-Type"))
			}
			if string(a.Messages) != "[]" {
				t.Errorf("messages is %s, want []", a.Messages)
			}
		})
	}
	t.Run("an answer with result [] is not null", func(t *testing.T) {
		a := s.Call(t, s.Token, "GET", v1+"?page=1000", nil)
		if a.Status != http.StatusOK || string(a.Result) != "[]" {
			t.Errorf("past the end: status %d, result %.200s", a.Status, a.Result)
		}
	})
	t.Run("an export is JSON unless CSV is asked for", func(t *testing.T) {
		plain := s.Get(t, s.Token, v1+"?export=true", "Accept", "application/json")
		csv := s.Get(t, s.Token, v1+"?export=true", "Accept", "text/csv")
		if kind := plain.Header.Get("Content-Type"); plain.Status != 200 || !strings.HasPrefix(kind, "application/json") {
			t.Errorf("status %d, %s", plain.Status, kind)
		}
		if kind := csv.Header.Get("Content-Type"); csv.Status != 200 || !strings.HasPrefix(kind, "text/csv") {
			t.Errorf("status %d, %s", csv.Status, kind)
		}
	})
}
