package notify_test

import (
	"strings"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/test/browser"
)

func TestThePagesTeachWhatToDoWhileThereIsNothing(t *testing.T) {
	s := newSite(t)
	s.get("/alerts").Expect(200).Says("Nothing is firing.", "No alerts yet", "/alerting/v3/alerts", "Set up notifications")
	s.get("/alerts?state=firing").Expect(200).Says("No alert matches")
	s.get("/notifications").Expect(200).Says("No notification policies yet", "Create a policy", "None yet. A webhook")
	s.get("/alerts/none").Expect(404)
	s.get("/notifications/deliveries/none").Expect(404)
}

// furnish makes policies, webhooks and alerts of every state by the pages' forms.
func (s *site) furnish(r *receiver) (hook, policy string) {
	t := s.t
	made := s.post("/notifications/webhooks", "name", "Shop <hook>", "url", r.URL, "secret",
		"s3cret").Expect(200).Says("whsec_", "Copy the signing secret now.")
	hook = made.Find(`href="` + s.base + `(/notifications/webhooks/[0-9a-f]{32})"`)
	id := hook[strings.LastIndexByte(hook, '/')+1:]
	s.post("/notifications/policies", "name", "", "alert_type", "shop_down", "mail", "nobody@else.example",
		"filter.color", "red").Expect(400).Says("Name is required", "is not the address of a member", "have no filter")
	s.post("/notifications/policies", "name", "Shop is down <i>", "alert_type", "shop_down", "filter.zones",
		"blog.example", "mode.zones", "not", "mail", "ana@acme.example", "webhook", id, "enabled", "on",
		"filter.severity", "info", "mode.severity", "not", "description", "page us").Expect(303)
	s.post("/notifications/policies", "name", "Only the blog", "alert_type", "shop_down", "filter.zones",
		"blog.example", "webhook", id, "enabled", "on").Expect(303)
	policy = s.get("/notifications").Expect(200).Says("Shop is down &lt;i&gt;", "Shop down",
		"for all properties except blog.example", "ana@acme.example, Shop &lt;hook&gt;",
		"severity is not info").Find(`href="` + s.base + `(/notifications/policies/[0-9a-f]{32})" data-open>Shop`)
	when := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	s.alert(map[string]any{"id": "burn", "event": "start", "correlation_id": "c", "severity": "critical",
		"occurred_at": when(2 * time.Minute), "began_at": when(3 * time.Minute),
		"summary": "checkout is burning its budget 14 times too fast",
		"resource": map[string]string{
			"product": "belfry",
			"type":    "objective",
			"id":      "checkout",
			"name":    "checkout",
		}, "url": "/accounts/x/objectives/checkout",
		"data": map[string]any{
			"objective":   "checkout",
			"target":      99.95,
			"long":        map[string]any{"window": "1h", "bad": 1200, "total": 30000, "burn_rate": 80.0},
			"short":       map[string]any{"window": "5m", "bad": 900, "total": 1500, "burn_rate": 1200.123456789},
			"budget_left": -3,
		}})
	s.alert(map[string]any{
		"id":             "over",
		"event":          "start",
		"correlation_id": "o",
		"severity":       "warning",
		"occurred_at":    when(time.Hour),
		"summary":        "search <script>alert(1)</script> answers slowly",
	})
	until(t, "the start arrives", func() bool { return len(r.all()) == 2 })
	until(t, "its delivery is written", func() bool { return s.decision("over").NotifiedAt.Unix() > 0 })
	s.alert(map[string]any{"id": "over2", "event": "end", "correlation_id": "o", "occurred_at": when(48 * time.Minute)})
	until(t, "the end arrives", func() bool { return strings.Contains(s.states("over"), "end delivered") })
	r.answers(func(received) int { return 422 })
	s.alert(map[string]any{"id": "note", "summary": "a certificate ends in 14 days", "severity": "warning"})
	s.alert(map[string]any{
		"id":         "quiet",
		"alert_type": "http_alert_origin_error",
		"event":      "start",
		"summary":    "Origin errors on api.example",
	})
	until(t, "all is written", func() bool {
		return strings.Contains(s.states("note"), "failed") && strings.Count(s.states("burn"), "waiting") == 0 &&
			strings.Count(s.states("over"), "waiting") == 0
	})
	return hook, policy
}

func TestWhatIsFiringIsSaidFirstAndEveryStepCanBeRead(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook, policy := s.furnish(r)
	s.get("/alerts").Expect(200).Says("2 alerts are firing.", "checkout shop down",
		"checkout is burning its budget 14 times too fast", "Shop &lt;hook&gt;: delivered",
		"ana@acme.example: not sent (no mail server)", "no messages: the account has no policy", "&lt;script&gt;",
		"for 12 min")
	s.get("/alerts?state=ended").Expect(200).Says("answers slowly")
	s.get("/alerts?state=wrong").Expect(400)
	p := s.get("/alerts/burn").Expect(200).Says("Firing", "Preceded by", "Ana Lima lowered the payment timeout",
		"43 s earlier: the same property", "and 3 changes more", "1200.1", "Data as it was sent", "long", "short",
		"burn rate", "did not match", "its filter zones has blog.example",
		"Alert started", "Delivered to Shop &lt;hook&gt;",
		"BELFRY_SMTP_URL is not set", `<a href="/accounts/x/objectives/checkout">checkout</a>`, "Open the objective",
		"terraform &lt;b&gt;changed&lt;/b&gt;")
	if strings.Contains(p.Body, "s3cret") {
		t.Error("the page shows the shared secret")
	}
	s.post("/alerts/burn/ack").RedirectsTo(s.base + "/alerts/burn")
	s.get("/alerts/burn").Expect(200).Says("Acknowledged by Ana Lima at <time", "Alert acknowledged.", "Unacknowledge")
	s.get("/alerts/quiet").Expect(200).Says("Nobody was notified:", "Create a policy")
	s.get("/notifications").Expect(200).Says("1 message could not be delivered in the last 24 hours.", "failing")
	s.get(hook).Expect(200).Says("failing", "The last attempt failed at", "whsec_•", "Success, 24 hours", "HTTP 422")
	s.get(hook + "/edit").Expect(200).Says("One is set. Type another to replace it.")
	s.get(policy).Expect(200).Says("page us", "severity is not info", "blog.example",
		"It would have matched", "as they were made")
	s.get(policy+"/edit").Expect(200).Says("page us", `name="mode.severity"`, "<b>blog.example</b>")
	s.post(policy, "name", "Shop is down", "alert_type", "shop_down", "mail", "ana@acme.example", "enabled",
		"on", "do", "preview").Expect(200).Says("It would have matched 3 alerts of 3 in the last 7 days.")
	s.post(policy + "/test").RedirectsTo(s.base + "/notifications")
	s.post(hook + "/test").Expect(200).Says("Test message delivered.")
	s.post(hook + "/rotate").Expect(200).Says("signs too for 24 hours")
	s.post(hook + "/delete").Expect(409).Says("sends to this webhook")
	// The webhook's delivery, not the mail's of the same moment.
	delivery := s.get("/alerts/note").Find(`href="` + s.base + `(/notifications/deliveries/[0-9a-f]{32})" data-open>Shop`)
	p = s.get(delivery).Expect(200).Says("Send again", "HTTP 422", "Failed after 1 attempt", "Attempt 1",
		"webhook-signature", "cf-webhook-auth: (secret)", "Sent because of")
	if strings.Contains(p.Body, "s3cret") {
		t.Error("the page shows the shared secret")
	}
	again := s.post(delivery + "/replay").Expect(303).Location
	if !strings.HasPrefix(again, s.base+"/notifications/deliveries/") {
		t.Errorf("the replay leads to %q", again)
	}
	s.get(policy + "/delete").Expect(200).Says("It sends no more messages.")
	s.post(policy + "/delete").RedirectsTo(s.base + "/notifications/policies")
	g, err := s.n.AlertSummary(t.Context(), s.account)
	change := "Ana Lima lowered the payment timeout of shop.example from 5 s to 300 ms."
	if err != nil || g.Count != 2 || g.Firing[1].Sentence != "checkout shop down" || !g.Firing[1].Acked ||
		g.Firing[1].AckedBy != "Ana Lima" || g.Firing[1].Preceded != change || g.Failed < 1 || g.Destinations != 2 {
		t.Errorf("%+v %v", g, err)
	}
}

func TestAViewerReadsAndChangesNothing(t *testing.T) {
	s := newSite(t)
	hook, policy := s.furnish(newReceiver(t))
	viewer := s.installation.Member(s.account, "jo@acme.example", accounts.Viewer)
	for _, path := range []string{"/alerts", "/alerts/burn", "/notifications", hook, policy} {
		viewer.Get(s.base + path).Expect(200).Lacks(`<form method="post" action="` + s.base)
	}
	for _, path := range []string{
		"/alerts/burn/ack",
		"/alerts/burn/replay",
		"/notifications/policies",
		policy,
		policy + "/delete",
		policy + "/test",
		"/notifications/webhooks",
		hook,
		hook + "/delete",
		hook + "/rotate",
		hook + "/test",
		hook + "/enable",
		hook + "/pause",
		hook + "/replay",
		policy + "/disable",
		"/alerts/chosen",
		"/notifications/policies/chosen",
		"/notifications/policies/try",
		"/notifications/deliveries/replay",
	} {
		viewer.Post(s.base+path, "name", "x").Expect(403)
	}
}

func TestThePagesStandInABrowser(t *testing.T) {
	b := browser.Start(t)
	s := newSite(t)
	b.Carry(s.owner.URL, s.owner.Cookies())
	show := func(name, path string) {
		t.Helper()
		for _, view := range []struct {
			theme string
			width int64
		}{{"light", 1400}, {"dark", 1400}, {"light", 390}} {
			b.Open(s.owner.URL+s.base+path, view.theme, view.width)
			b.Look(name, view.theme, view.width)
		}
	}
	show("alerts-none", "/alerts")
	show("notifications-none", "/notifications")
	hook, policy := s.furnish(newReceiver(t))
	show("alerts", "/alerts")
	show("alerts-ended", "/alerts?state=ended")
	show("alert", "/alerts/burn")
	show("alert-quiet", "/alerts/quiet")
	show("notifications", "/notifications")
	show("policy-new", "/notifications/policies/new")
	show("policy", policy)
	show("webhook-new", "/notifications/webhooks/new")
	show("policy-edit", policy+"/edit")
	show("webhook", hook)
	show("webhook-edit", hook+"/edit")
	show("webhook-replay", hook+"/replay")
	show("deliveries", "/notifications/deliveries")
	show("delivery", s.get("/alerts/note").Find(`href="`+s.base+`(/notifications/deliveries/[0-9a-f]{32})"`))
	b.Open(s.owner.URL+s.base+"/alerts/burn", "light", 1400)
	b.Evaluate(`document.querySelectorAll("details.whole").forEach((d) => d.open = true); ""`)
	b.Look("alert-open", "light", 1400)
}
