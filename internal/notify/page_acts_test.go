package notify_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
)

func TestAWebhookIsPausedAndEnabled(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook := s.hook(r.URL)
	s.policy(map[string]any{"mechanisms": to(hook)})
	path := "/notifications/webhooks/" + hook.ID
	s.post(path + "/pause").RedirectsTo(s.base + path)
	s.get(path).Expect(200).Says("paused", "Paused by Ana Lima", "Enable", "Nothing is sent here.")
	before := len(r.all())
	a := s.alert(map[string]any{"event": "start", "correlation_id": "c"})
	until(t, "the message is not sent", func() bool { return strings.Contains(s.states(a.ID), "not_sent") })
	if len(r.all()) != before {
		t.Error("a message was sent to a webhook that is paused")
	}
	s.post(path + "/enable").RedirectsTo(s.base + path)
	s.post(path+"/replay", "states", "failed", "rate", "10", "do", "count").Expect(200).
		Says("1 message would be sent again", "Send 1 message again")
	s.post(path+"/replay", "since", "yesterday", "rate", "0").Expect(400).Says("not a time", "Rate is 1 to 10000")
	var statistics notify.WebhookStatistics
	s.must("GET", "/destinations/webhooks/"+hook.ID+"/statistics", nil, &statistics)
	if statistics.Considered != 1 || statistics.Day.Failed != 1 || len(statistics.Hours) != 24 ||
		statistics.Hours[23].Failed+statistics.Hours[22].Failed != 1 {
		t.Errorf("%+v", statistics)
	}
	got := strings.Join(s.records("notification_destination"), " ")
	if !strings.Contains(got, "pause enable") {
		t.Errorf("recorded %s", got)
	}
}

func TestListsAreFilteredAndActOnChosenRows(t *testing.T) {
	s := newSite(t)
	hook, policy := s.furnish(newReceiver(t))
	s.get("/alerts?severity=warning").Expect(200).Says("a certificate ends", "2 alerts with these filters")
	if b := s.get("/alerts?severity=warning&state=firing").Expect(200).Body; strings.Contains(b, "checkout shop down") {
		t.Error("a critical alert is among those of the severity warning")
	}
	s.get("/alerts?type=http_alert_origin_error").Expect(200).Says("Origin errors", "1 alert with these filters")
	s.get("/alerts?type.not=shop_down").Expect(200).Says("1 alert with these filters")
	s.post("/alerts/chosen", "id", "burn", "id", "quiet", "act", "ack").RedirectsTo(s.base + "/alerts")
	if s.decision("burn").AckedBy != "Ana Lima" || s.decision("quiet").AckedBy != "Ana Lima" {
		t.Error("the chosen alerts are not acknowledged")
	}
	s.post("/alerts/chosen", "id", "burn", "act", "unack").RedirectsTo(s.base + "/alerts")
	if s.decision("burn").AckedBy != "" {
		t.Error("the acknowledgement is not withdrawn")
	}

	failed := s.get("/notifications/deliveries?state=failed").Expect(200).Says("certificate")
	id := failed.Find(`name="id" value="([0-9a-f]{32})"`)
	s.get("/notifications/deliveries?webhook=" + hook[strings.LastIndexByte(hook, '/')+1:] + "&state=superseded").
		Expect(200).Says("No delivery matches")
	s.post("/notifications/deliveries/replay", "id", id, "act", "ask").Expect(200).
		Says("1 message goes out again at once, to Shop &lt;hook&gt;")
	s.post("/notifications/deliveries/replay", "id", id, "act", "replay").RedirectsTo(s.base + "/notifications/deliveries")
	s.post("/notifications/deliveries/replay", "act", "replay").Expect(409)

	policyID := policy[strings.LastIndexByte(policy, '/')+1:]
	chosen := "/notifications/policies/chosen"
	s.post(chosen, "id", policyID, "act", "disable").RedirectsTo(s.base + "/notifications")
	s.get(policy).Expect(200).Says("Turn on")
	s.post(policy + "/enable").RedirectsTo(s.base + policy)
	s.post(chosen, "id", policyID, "act", "ask").Expect(200).Says("Delete 1 policy?", "Shop is down &lt;i&gt;")
	s.post(chosen, "id", policyID, "act", "delete").RedirectsTo(s.base + "/notifications")
	s.get(policy).Expect(404)
}

func TestTheEditorAnswersWhileAPolicyIsWritten(t *testing.T) {
	s := newSite(t)
	s.furnish(newReceiver(t))
	s.post("/notifications/policies/try", "alert_type", "shop_down", "filter.severity", "warning", "name", "Try").
		Expect(200).Says("It would have matched", "from the sample of the type", "alert_type", `name="filter.severity"`)
	s.post("/notifications/policies/try", "alert_type", "http_alert_origin_error", "filter.region", "eu").
		Expect(200).Lacks(`name="filter.region"`)
}
