package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTailShipsALogOnceAndSaysWhatItHeld(t *testing.T) {
	keys := map[string]bool{}
	total := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/client/v4/accounts/ext:acme/traffic/counting" { // a server of an earlier version
			w.WriteHeader(404)
			io.WriteString(w, `{"success":false,"errors":[{"message":"no such route"}]}`)
			return
		}
		var list []struct {
			Zone  string
			Total int
		}
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil ||
			r.URL.Path != "/client/v4/accounts/ext:acme/traffic/counts" || r.Header.Get("Authorization") != "Bearer blf_x" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if key := r.Header.Get("Idempotency-Key"); key == "" || keys[key] {
			t.Errorf("key %q", key)
		} else {
			keys[key] = true
		}
		if list[0].Zone == "refused" {
			w.WriteHeader(400)
			io.WriteString(w, `{"success":false,"errors":[{"message":"no"}],"result":{"rejected_requests":1,`+
				`"other_requests":4,"refused":[{"index":0,"errors":[{"message":"zone is not a host name"}]}]},`+
				`"result_info":{"accepted":0,"rejected":1}}`)
			return
		}
		for _, c := range list {
			total += c.Total
		}
		io.WriteString(w, `{"success":true,"errors":[],"result":{"refused":[]},"result_info":{"accepted":1,"rejected":0}}`)
	}))
	defer s.Close()
	t.Setenv("BELFRY_URL", s.URL)
	t.Setenv("BELFRY_TOKEN", "blf_x")
	t.Setenv("BELFRY_ACCOUNT", "ext:acme")
	state := filepath.Join(t.TempDir(), "state.json")
	run := func(args ...string) (int, string, string) {
		var out, complaints bytes.Buffer
		code := tailCommand(t.Context(), args, &out, &complaints)
		return code, out.String(), complaints.String()
	}
	file := "../../internal/demo/data/apache_combined_2015-05.log.gz"
	code, out, complaints := run(file, "--zone", "semicomplete.com", "--state", state)
	if code != 0 || !strings.Contains(out, "10000 lines in ") ||
		!strings.Contains(out, "by status: 200 9126, 304 445, 404 213, 301 164, 206 45, 500 3, 403 2, 416 2") ||
		total != 10_000 {
		t.Fatalf("%d %s %s; %d requests", code, out, complaints, total)
	}
	if code, out, _ := run(file, "--zone", "semicomplete.com", "--state", state); code != 0 ||
		!strings.HasPrefix(out, "nothing new") || total != 10_000 {
		t.Errorf("again: %d %s; %d requests", code, out, total)
	}
	odd := filepath.Join(t.TempDir(), "odd.log")
	if err := os.WriteFile(odd, []byte("odd\n192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run("--zone", "refused", "--state", state,
		odd); code != 1 || !strings.Contains(out,
		"lines that are no requests: 1; the first: "+odd+", line 1: there is no time") ||
		!strings.Contains(out, "the server refused 1 count of 1 line; the first: zone is not a host name\nlines "+
			"counted for the property other, since their hosts have none: 4") {
		t.Errorf("%d %s", code, out)
	}
}

func TestTailNamesWrongUsage(t *testing.T) {
	for _, name := range []string{"BELFRY_URL", "BELFRY_TOKEN", "BELFRY_ACCOUNT"} {
		t.Setenv(name, "")
	}
	for _, c := range []struct {
		args string
		say  string
	}{
		{"", "--account and at least one file"},
		{"a.log", "--account"},
		{"--account a", "at least one file"},
		{"--account a a.log", "BELFRY_URL"},
		{"--account a --url u --token t --format apache a.log", "combined, nginx-json, caddy, logpush, envoy"},
		{"--account a --url u --token t -f --shift-to-now a.log", "exclude each other"},
		{"--account a --url u --token t - a.log", "alone"},
		{"--nonsense", "nonsense"},
	} {
		var out, complaints bytes.Buffer
		if code := tailCommand(t.Context(), strings.Fields(c.args), &out, &complaints); code != 2 ||
			!strings.Contains(complaints.String(), c.say) {
			t.Errorf("%s: %d %s", c.args, code, complaints.String())
		}
	}
	var out, complaints bytes.Buffer
	if code := tailCommand(t.Context(), []string{"--help"}, &out, &complaints); code != 0 ||
		!strings.Contains(out.String(), "Example:") {
		t.Errorf("--help: %d %s", code, out.String())
	}
}
