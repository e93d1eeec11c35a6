package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

func TestAnAlertIsSilencedFromItsPage(t *testing.T) {
	s := newSite(t)
	zones := s.zones()
	s.get("/notifications/silences").Expect(200).Says("No silences")
	s.policy(map[string]any{"mechanisms": to(s.hook(newReceiver(t).URL))})
	s.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	form := s.get("/alerts/a").Expect(200).Find(`href="` + s.base + `(/notifications/silences/new[^"]*)"`)
	s.get(strings.ReplaceAll(form, "&amp;", "&")).Expect(200).Says("Shop down", "shop.example")

	s.post("/notifications/silences", "lasts", "2h").Expect(400).
		Says("Choose a type of alert, a property, a severity or a policy.")
	s.post("/notifications/silences", "alert_type", "shop_down", "severity", "huge", "lasts", "long").Expect(400).
		Says("end_time is required")
	s.post("/notifications/silences", "alert_type", "shop_down", "zones", zones["shop.example"], "lasts", "2h",
		"reason", "Deployment <b>").RedirectsTo(s.base + "/notifications/silences")
	var list []notify.Silence
	s.must("GET", "/silences", nil, &list)
	if len(list) != 1 || list[0].EndTime.Sub(list[0].StartTime.Time) != 2*time.Hour || list[0].CreatedBy != "Ana Lima" {
		t.Fatalf("%+v", list)
	}
	page := s.get("/notifications/silences").Expect(200).Says("Shop down, property is shop.example", "Ana Lima", "active")
	if strings.Contains(page.Body, "<b>") && strings.Contains(page.Body, "Deployment <b>") {
		t.Error("the reason is not escaped")
	}
	s.alert(map[string]any{"id": "b", "event": "start", "correlation_id": "d"})
	s.get("/alerts/b").Expect(200).Says("silenced until", "Deployment")
	end := "/notifications/silences/" + list[0].ID + "/end"
	s.get(end).Expect(200).Says("End this silence?", "sent at once")
	s.post(end).RedirectsTo(s.base + "/notifications/silences")
	until(t, "the alert is sent", func() bool { return s.states("b") == "start delivered" })
	s.get("/notifications/silences").Expect(200).Says("ended")
	s.get("/notifications/silences/" + strings.Repeat("0", 32) + "/end").Expect(404)
}

func TestAPagerDutyServiceIsConnectedOnItsPage(t *testing.T) {
	s := newSite(t)
	events := newReceiver(t)
	s.get("/notifications").Expect(200).Says("PagerDuty", "Connect a service")
	s.get("/notifications/pagerduty/new?connect=abc").Expect(200).Says(`value="abc"`)
	s.post("/notifications/pagerduty", "name", "On-call", "routing_key", "4567890", "url", events.URL).Expect(400).
		Says("has 32 letters and digits").Lacks("4567890")
	s.post("/notifications/pagerduty", "name", "On-call", "routing_key", strings.Repeat("0123", 8), "url", events.URL,
		"connect", "abc").RedirectsTo(s.base + "/notifications")
	s.get("/notifications").Expect(200).Says("On-call").Lacks("01230123")
}
