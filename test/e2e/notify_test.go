package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/poll"
)

// notificationsOf makes a webhook, a policy, an alert and its delivery.
func notificationsOf(t *testing.T, a testAccount, objects map[string]string) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	kind := fmt.Sprint("foreign_", time.Now().UnixNano())
	var team struct{ ID string }
	a.server.Must(t, "POST", "/producers", map[string]any{"name": kind}, &team)
	a.server.Must(t, "PUT", "/producers/"+team.ID+"/catalog",
		map[string]any{"version": 1, "products": []any{map[string]any{"product": kind, "title": "Foreign",
			"alert_types": []any{map[string]any{"type": kind, "title": "Foreign", "severities": []string{"error"}}}}}}, nil)
	base := a.path("/alerting/v3")
	create := func(path string, body any) string {
		t.Helper()
		answer := a.server.Call(t, a.Token, "POST", base+path, body)
		if !answer.Success {
			t.Fatalf("%s: status %d: %.500s", path, answer.Status, answer.Body)
		}
		return live.Decode[struct{ ID string }](t, answer.Result).ID
	}
	objects["webhook_id"] = create("/destinations/webhooks", map[string]any{"name": "hook", "url": receiver.URL})
	objects["service_id"] = create("/destinations/pagerduty", map[string]any{
		"name":        "service",
		"routing_key": strings.Repeat("k", 32),
		"url":         receiver.URL,
	})
	objects["connect_id"] = create("/destinations/pagerduty/connect", nil)
	objects["policy_id"] = create("/policies", map[string]any{
		"name":       "policy",
		"enabled":    true,
		"alert_type": kind,
		"mechanisms": map[string]any{
			"webhooks": []any{map[string]any{"id": objects["webhook_id"]}},
			"inbox":    []any{map[string]any{"id": "user:kim"}},
		},
	})
	silences := a.server.Call(t, a.Token, "POST", base+"/silences", []any{map[string]any{
		"alert_type": kind, "start_time": time.Now().Add(time.Hour).UTC(), "end_time": time.Now().Add(2 * time.Hour).UTC(),
	}})
	if !silences.Success {
		t.Fatalf("status %d: %.500s", silences.Status, silences.Body)
	}
	objects["silence_id"] = live.Decode[[]struct{ ID string }](t, silences.Result)[0].ID
	objects["alert_id"] = "foreign.alert.1"
	if answer := a.server.Call(t, a.Token, "POST", base+
		"/alerts", map[string]any{"id": objects["alert_id"], "alert_type": kind, "event": "start"}); !answer.Success {
		t.Fatalf("status %d: %.500s", answer.Status, answer.Body)
	}
	poll.Until(t, "the alert is delivered", func() bool {
		history := a.server.Call(t, a.Token, "GET", base+"/history", nil)
		list := live.Decode[[]struct{ ID, State string }](t, history.Result)
		for _, d := range list {
			if d.State != "delivered" {
				return false
			}
			objects["delivery_id"] = d.ID
		}
		return len(list) == 2
	})
	inbox := a.server.Call(t, a.Token, "GET", a.path("/inbox?member=user:kim"), nil)
	entries := live.Decode[[]struct{ ID string }](t, inbox.Result)
	if len(entries) != 1 {
		t.Fatalf("the inbox has %d entries: %.500s", len(entries), inbox.Body)
	}
	objects["entry_id"] = entries[0].ID
}
