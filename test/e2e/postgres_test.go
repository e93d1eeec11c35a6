package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

// TestEveryReadAnswersOnPostgres asks a server on PostgreSQL for everything that can be
// read, by the API and on the pages: a query that only SQLite understands shows here.
func TestEveryReadAnswersOnPostgres(t *testing.T) {
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand
	server, err := live.Start(belfry.Binary, t.TempDir(),
		"BELFRY_DATABASE_URL="+engines.Postgres(t),
		"BELFRY_MASTER_KEY="+base64.StdEncoding.EncodeToString(key),
		"BELFRY_TRUSTED_PROXIES=127.0.0.0/8",
		"BELFRY_ALLOW_NETWORKS=127.0.0.0/8",
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		for _, line := range server.Defects() {
			t.Errorf("the server reported a defect of its own: %s", line)
		}
	})
	a := newAccountOn(t, server)
	values := objectsOf(t, a)
	values["account_id"] = a.ID
	team := newTeamOn(t, server, "readable")
	values["producer_id"] = team.ID
	since := url.Values{
		"since":  {time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)},
		"before": {time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
	}
	walked := 0
	for _, o := range operations(t) {
		if o.Method != http.MethodGet || strings.HasSuffix(o.Path, "/stream") { // a stream does not end
			continue
		}
		walked++
		for _, query := range []string{"", "?" + since.Encode()} {
			got := server.Send(t, live.Request{Token: server.Token, Method: o.Method, Path: o.at(values, "1") + query})
			if got.Status >= 500 {
				t.Errorf("%s%s: status %d\n%.500s", o, query, got.Status, got.Body)
			}
		}
	}
	if walked < 40 {
		t.Errorf("only %d operations read something", walked)
	}
	home := "/accounts/" + a.ID
	visit := visitor(t, a, values["member_id"])
	for _, path := range []string{
		"", "/audit", "/audit?resource_product=dns&since=24h&q=e", "/audit/events/" + values["event_id"],
		"/audit/events/" + values["event_id"] + "?tab=proof&verify=1", "/audit/summary", "/audit/integrity",
		"/alerts", "/alerts?state=ended", "/alerts/" + values["alert_id"], "/notifications", "/notifications/policies/new",
		"/notifications/policies/" + values["policy_id"],
		"/notifications/deliveries/" + values["delivery_id"], "/notifications/webhooks/new",
		"/notifications/webhooks/" + values["webhook_id"],
		"/objectives", "/objectives/new", "/objectives/" + values["slo_id"], "/objectives/" + values["slo_id"] + "?range=28d",
		"/members", "/members/" + values["member_id"], "/tokens", "/tokens/" + values["token_id"], "/properties",
		"/properties/" + values["zone_id"],
	} {
		visit(home + path)
	}
}

// visitor signs a member in and answers with what opens a page, which must be there.
func visitor(t *testing.T, a testAccount, member string) func(path string) {
	t.Helper()
	if answer := a.server.Call(t, a.Token, "PATCH", a.path("/members/"+member),
		map[string]any{"role": "owner"}); !answer.Success {
		t.Fatalf("status %d: %.500s", answer.Status, answer.Body)
	}
	var link struct{ URL string }
	a.server.Must(t, "POST", a.path("/members/"+member+"/sign_in_link"), nil, &link)
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{
		Jar:           jar,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	get := func(method, path string, form url.Values) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, a.server.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", a.server.URL)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	form, err := url.ParseQuery(u.Fragment) // where a link keeps its secret
	if err != nil {
		t.Fatal(err)
	}
	if status, body := get(http.MethodPost, u.Path, form); status != http.StatusSeeOther {
		t.Fatalf("sign-in: status %d\n%.500s", status, body)
	}
	return func(path string) {
		t.Helper()
		if status, body := get(http.MethodGet, path, nil); status != http.StatusOK {
			_, main, _ := strings.Cut(body, "<main")
			t.Errorf("%s: status %d\n%.700s", path, status, main)
		}
	}
}
