package e2e_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// TestAnObjectOfAnotherAccountIsAnUnknownOne names, below the caller's own account, what
// exists in another: the answer must be that for an id that nobody has.
func TestAnObjectOfAnotherAccountIsAnUnknownOne(t *testing.T) {
	mine, other := newAccount(t), newAccount(t)
	objects := objectsOf(t, other)
	shapes := map[string]bool{"path": true} // parameters that name no object
	walked := 0
	for _, o := range operations(t) {
		if o.Scope != "account" || len(o.parameters()) < 2 {
			continue
		}
		name := o.parameters()[1]
		if shapes[name] {
			continue
		}
		id, ok := objects[name]
		if !ok {
			t.Errorf("%s: give an object of another account for {%s} in objectsOf", o, name)
			continue
		}
		walked++
		unknown := strings.Repeat("0", len(id))
		ask := func(id string) live.Answer {
			r := live.Request{
				Token:  mine.Token,
				Method: o.Method,
				Path:   o.at(map[string]string{"account_id": mine.ID, name: id}, "x"),
			}
			if o.Body {
				r.ContentType = "application/json"
				r.Body = []byte("{}")
			}
			return sendFromNewAddress(t, r)
		}
		foreign := ask(id)
		missing := ask(unknown)
		// The answer may repeat the id that was asked for; an empty history is no error.
		foreign.Body = bytes.ReplaceAll(foreign.Body, []byte(id), []byte(unknown))
		if show(foreign) != show(missing) {
			t.Errorf("%s tells a foreign object from a missing one\n%s\n%s", o, show(foreign), show(missing))
		}
		if empty := strings.Contains(string(foreign.Body), `"result":[]`); foreign.Status < 400 && !empty {
			t.Errorf("%s: status %d for a foreign object\n%.300s", o, foreign.Status, foreign.Body)
		}
	}
	if walked < 10 {
		t.Errorf("only %d operations name an object of an account", walked)
	}
}

// objectsOf makes one object of each kind: path parameter to id.
func objectsOf(t *testing.T, a testAccount) map[string]string {
	t.Helper()
	objects := map[string]string{"event_id": "foreign.event.1"}
	a.server.Must(t, "POST", a.path("/audit/events"), event("foreign.event.1"), nil)
	for name, made := range map[string]struct {
		path string
		body map[string]any
	}{
		"token_id":  {"/tokens", map[string]any{"name": "a token", "permissions": []string{"audit:read"}}},
		"member_id": {"/members", map[string]any{"email": "ana@" + a.ID + ".example", "role": "viewer"}},
		"zone_id":   {"/zones", map[string]any{"name": "shop.example"}},
		"job_id":    {"/audit/exports", map[string]any{"format": "ndjson"}},
		"view_id":   {"/saved_views", map[string]any{"list": "alerts", "name": "mine"}},
	} {
		answer := a.server.Call(t, a.Token, "POST", a.path(made.path), made.body)
		if !answer.Success {
			t.Fatalf("%s: status %d: %.500s", made.path, answer.Status, answer.Body)
		}
		object := live.Decode[struct{ ID string }](t, answer.Result)
		if object.ID == "" {
			t.Fatalf("%s: the new object has no id", made.path)
		}
		objects[name] = object.ID
	}
	slo := a.server.Call(t, a.Token, "POST", a.path("/slos"), map[string]any{
		"name":   "shop",
		"match":  map[string]any{"zone": objects["zone_id"]},
		"target": 99.9,
	})
	if !slo.Success {
		t.Fatalf("an objective: status %d: %.500s", slo.Status, slo.Body)
	}
	objects["slo_id"] = live.Decode[struct{ ID string }](t, slo.Result).ID
	var correction struct{ ID string }
	a.server.Must(t, "POST", a.path("/slo_corrections"), map[string]any{
		"objectives": []string{objects["slo_id"]},
		"reason":     "an upgrade",
		"from":       time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"to":         time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339),
	}, &correction)
	objects["correction_id"] = correction.ID
	notificationsOf(t, a, objects)
	objects["session_id"] = portalSession(t, a)
	return objects
}

// portalSession opens the customers' pages of an account and gives the id of
// their session.
func portalSession(t *testing.T, a testAccount) string {
	t.Helper()
	path := a.path("/portal_sessions")
	var link struct{ URL string }
	a.server.Must(t, "POST", path, map[string]any{"member": map[string]any{"id": "kim"}, "role": "viewer"}, &link)
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.server.URL+u.Path, strings.NewReader(u.Fragment))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", a.server.URL)
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	var open []struct{ ID string }
	a.server.Must(t, "GET", path, nil, &open)
	if len(open) != 1 {
		t.Fatalf("%d sessions are open; the sign-in answered %d", len(open), res.StatusCode)
	}
	return open[0].ID
}
