package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/channeltest"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// connect saves a webhook whose receiver is a fake.
func (w *world) connect(f *channeltest.Fake, kind string) notify.NewWebhook {
	w.t.Helper()
	body := map[string]any{"name": kind, "url": f.Address(), "type": kind}
	if f.Secret != "" {
		body["secret"] = f.Secret
	}
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", body, &made)
	return made
}

// TestTheTableOfAnswers has a receiver for every row of the table, and for every row
// that a channel adds: they accept the test message and answer an alert.
func TestTheTableOfAnswers(t *testing.T) {
	const later = 100 * time.Second
	rows := []struct {
		kind   string // "" = a generic webhook
		answer channeltest.Answer
		state  string        // of the delivery
		mark   string        // state of the destination
		why    string        // part of the reason
		wait   time.Duration // at least, until the next attempt
	}{
		{"", channeltest.Answer{Status: 200}, "delivered", "ok", "", 0},
		{"", channeltest.Answer{Status: 204}, "delivered", "ok", "", 0},
		{"", channeltest.Answer{Status: 307, Header: map[string]string{"Location": "https://example.com/new"}},
			"waiting", "ok", "update the URL to https://example.com/new", 5 * time.Second},
		{"", channeltest.Answer{Status: 400}, "failed", "ok", "can be replayed", 0},
		{"", channeltest.Answer{Status: 413}, "failed", "ok", "can be replayed", 0},
		{"", channeltest.Answer{Status: 415}, "failed", "ok", "can be replayed", 0},
		{"", channeltest.Answer{Status: 422}, "failed", "ok", "can be replayed", 0},
		{"", channeltest.Answer{Status: 401}, "waiting", "ok", "refuses the credential", 5 * time.Second},
		{"", channeltest.Answer{Status: 403}, "waiting", "ok", "refuses the credential", 5 * time.Second},
		{"", channeltest.Answer{Status: 404}, "waiting", "ok", "404", 5 * time.Second},
		{"", channeltest.Answer{Status: 408}, "waiting", "ok", "408", 5 * time.Second},
		{"", channeltest.Answer{Status: 410}, "failed", "disabled", "disabled", 0},
		{"", channeltest.Answer{Status: 425}, "waiting", "ok", "425", 5 * time.Second},
		{"", channeltest.Answer{Status: 429, Header: retryLater}, "waiting", "ok", "asks to wait", later},
		{"", channeltest.Answer{Status: 500}, "waiting", "ok", "500", 5 * time.Second},
		{"", channeltest.Answer{Status: 502}, "waiting", "ok", "502", 5 * time.Second},
		{"", channeltest.Answer{Status: 503}, "waiting", "ok", "503", 5 * time.Second},
		{"", channeltest.Answer{Status: 503, Header: retryLater}, "waiting", "ok", "asks to wait", later},
		{"", channeltest.Answer{Status: 504}, "waiting", "ok", "504", 5 * time.Second},

		{"slack", channeltest.Answer{Status: 404, Body: "no_service"}, "failed", "disabled", "no_service", 0},
		{"slack", channeltest.Answer{Status: 404, Body: "page"}, "waiting", "ok", "404", 5 * time.Second},
		{"slack", channeltest.Answer{Status: 410, Body: "channel_is_archived"}, "failed", "disabled", "archived", 0},
		{
			"slack", channeltest.Answer{Status: 403, Body: "action_prohibited"},
			"waiting", "ok", "administrator", 5 * time.Second,
		},
		{"slack", channeltest.Answer{Status: 429, Body: "rate_limited", Header: retryLater}, "waiting", "ok", "", later},
		{
			"gchat", channeltest.Answer{Status: 404, Body: `{"error":{"status":"NOT_FOUND"}}`},
			"failed", "disabled", "space", 0,
		},
		{"discord", channeltest.Answer{Status: 404, Body: `{"code": 10015}`}, "failed", "disabled", "deleted", 0},
		{"discord", channeltest.Answer{Status: 404}, "waiting", "ok", "404", 5 * time.Second},
		{"mattermost", channeltest.Answer{Status: 400, Body: `{"id":"web.incoming_webhook.invalid.app_error"}`},
			"failed", "disabled", "deleted", 0},
		{"msteams", channeltest.Answer{Status: 404, Body: `{"error":{"code":"WorkflowNotFound"}}`},
			"failed", "disabled", "workflow", 0},
		{"feishu", channeltest.Answer{Status: 200, Body: `{"code":0}`}, "delivered", "ok", "", 0},
		{"feishu", channeltest.Answer{Status: 200, Body: `{"code":19001}`}, "failed", "disabled", "removed", 0},
		{"feishu", channeltest.Answer{Status: 200, Body: `{"code":9499}`}, "failed", "ok", "does not accept", 0},
		{"feishu", channeltest.Answer{Status: 200, Body: `{"code":11232}`}, "waiting", "ok", "a minute", 5 * time.Second},
		{"opsgenie", channeltest.Answer{Status: 422, Body: `{"message":"Key format is not valid!"}`},
			"waiting", "ok", "API key", 5 * time.Second},
		{"splunk", channeltest.Answer{Status: 400, Body: `{"text":"Incorrect index","code":7}`},
			"waiting", "ok", "index", 5 * time.Second},
	}
	w := newWorld(t, "", nil)
	var hooks []notify.NewWebhook
	var fakes []*channeltest.Fake
	for _, row := range rows {
		kind := row.kind
		f := channeltest.Anything(t)
		if kind == "" {
			kind = notify.TypeGeneric
		} else {
			f = channeltest.New(t, kind)
		}
		hooks = append(hooks, w.connect(f, kind))
		fakes = append(fakes, f)
	}
	for from := 0; from < len(hooks); from += 20 { // a policy has a limited number of destinations
		w.policy(map[string]any{"name": fmt.Sprint(from), "mechanisms": to(hooks[from:min(from+20, len(hooks))]...)})
	}
	for i := range rows {
		fakes[i].Answers(&rows[i].answer)
	}
	w.alert(map[string]any{"id": "a"})

	found := map[string]notify.Delivery{}
	until(t, "every destination has answered", func() bool {
		for _, d := range w.decision("a").Deliveries {
			if d.Tries > 0 {
				found[d.DestinationID] = d
			}
		}
		return len(found) == len(rows)
	})
	for i, row := range rows {
		name := fmt.Sprintf("%s %d %s", row.kind, row.answer.Status, row.answer.Body)
		d := found[hooks[i].ID]
		if d.State != row.state || !strings.Contains(d.Reason, row.why) {
			t.Errorf("%s: %s, %q; want %s, %q", name, d.State, d.Reason, row.state, row.why)
		}
		if wait := d.NextAt.Sub(d.CreatedAt.Time); row.wait > 0 && (wait < row.wait || wait > 2*row.wait+time.Minute) {
			t.Errorf("%s: the next attempt is after %v, want %v", name, wait, row.wait)
		}
		var now notify.Destination
		w.must("GET", "/destinations/webhooks/"+hooks[i].ID, nil, &now)
		if now.State != row.mark {
			t.Errorf("%s: the destination is %s, want %s", name, now.State, row.mark)
		}
	}
}

var retryLater = map[string]string{"Retry-After": "100"}

// TestAFallbackTakesOver: a message that its destination refuses goes to the fallback,
// and the end of the alert follows it there.
func TestAFallbackTakesOver(t *testing.T) {
	w := newWorld(t, "", nil)
	spare := newReceiver(t)
	backup := w.hook(spare.URL)
	f := channeltest.New(t, "slack")
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", map[string]any{
		"name": "chat", "url": f.Address(), "type": "slack", "fallback": map[string]any{"destination_id": backup.ID},
	}, &made)
	if made.Fallback == nil || made.Fallback.DestinationID != backup.ID {
		t.Errorf("%+v", made)
	}
	w.policy(map[string]any{"mechanisms": to(made)})
	f.Answers(&channeltest.Answer{Status: 404, Body: "no_service"})
	w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	until(t, "the fallback gets the start", func() bool { return len(spare.all()) == 1 })
	w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
	until(t, "the fallback gets the end", func() bool {
		got := spare.all()
		return len(got) == 2 && got[1].Body.Event == "ALERT_STATE_EVENT_END"
	})
	d := w.decision("a")
	if !strings.Contains(fmt.Sprint(d.Deliveries), "it goes to the fallback hook") {
		t.Errorf("%+v", d.Deliveries)
	}
	status, failures := w.call("acme", "DELETE", "/destinations/webhooks/"+backup.ID, nil, nil)
	if status != 409 || !strings.Contains(failures[0].Message, `"chat" falls back to this`) {
		t.Errorf("%d %+v", status, failures)
	}
	for _, bad := range []map[string]any{
		{"destination_id": made.ID},
		{"destination_id": "nothing"},
		{"destination_id": backup.ID, "after": "1s"},
		{"destination_id": backup.ID, "after": "soon"},
	} {
		status, failures := w.call("acme", "PUT", "/destinations/webhooks/"+made.ID,
			map[string]any{"name": "chat", "url": made.URL, "fallback": bad}, nil)
		if status != 400 || failures[0].Source.Pointer != "/fallback" {
			t.Errorf("%v: %d %+v", bad, status, failures)
		}
	}
}

// TestAFallbackTakesOverAfterATime has a destination that is only slow to recover.
func TestAFallbackTakesOverAfterATime(t *testing.T) {
	w := newWorld(t, "", func(d *notify.Config) {
		d.Limits.Schedule = []time.Duration{0, time.Second, 24 * time.Hour, 24 * time.Hour}
		created := time.Now()
		d.Now = func() time.Time { return created.Add(time.Since(created) * 600) } // a minute is 100 ms
	})
	spare := newReceiver(t)
	backup := w.hook(spare.URL)
	r := newReceiver(t)
	r.answers(func(received) int { return 500 })
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", map[string]any{
		"name": "slow", "url": r.URL, "fallback": map[string]any{"destination_id": backup.ID, "after": "5m"},
	}, &made)
	w.policy(map[string]any{"mechanisms": to(made)})
	w.alert(map[string]any{"id": "a"})
	until(t, "the fallback gets it", func() bool { return len(spare.all()) == 1 })
	for _, d := range w.decision("a").Deliveries {
		given := d.State == delivery.StateFailed && strings.Contains(d.Reason, "given up after 5 min")
		if d.DestinationID == made.ID && !given {
			t.Errorf("%+v", d)
		}
	}
}
