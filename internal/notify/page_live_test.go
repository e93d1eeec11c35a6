package notify_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/notify"
	testsite "github.com/belfryhq/belfry/test/site"
)

// fragment is the answer to a part of a page that asks for itself again.
func (s *site) fragment(path, id string) *testsite.Page {
	s.t.Helper()
	return s.owner.Fragment(s.base+path, "div#"+id)
}

// TestPagesAboutWhatHappensNowAskForThemselvesAgain looks at each page of the
// feature that shows what may change, and at the answer to its part.
func TestPagesAboutWhatHappensNowAskForThemselvesAgain(t *testing.T) {
	s := newSite(t)
	hook, _ := s.furnish(newReceiver(t))
	delivery := s.get("/alerts/note").Find(`href="` + s.base + `(/notifications/deliveries/[0-9a-f]{32})"`)
	for _, c := range []struct{ path, id string }{
		{"/alerts", "alerts-now"},
		{"/alerts", "alerts-list"},
		{"/alerts?state=ended", "alerts-list"},
		{"/alerts/burn", "alert-live"},
		{"/notifications", "notifications-live"},
		{hook, "webhook-live"},
		{delivery, "delivery-live"},
	} {
		whole := s.get(c.path).Expect(200).Find(`<(?:div|section) [^>]*id="` + c.id + `"([^>]*)>`)
		if !strings.Contains(whole, `hx-trigger="every 5s"`) || !strings.Contains(whole, `hx-swap="outerHTML"`) {
			t.Errorf("%s: the part %s does not ask for itself again: %s", c.path, c.id, whole)
		}
		part := s.fragment(c.path, c.id).Expect(200)
		if strings.Contains(part.Body, "<html") || strings.Count(part.Body, `id="`+c.id+`"`) != 1 {
			t.Errorf("%s: the answer is not the part %s: %.300s", c.path, c.id, part.Body)
		}
	}
	// The end of an alert reaches an open page.
	s.fragment("/alerts/burn", "alert-live").Expect(200).Says("Firing", "Acknowledge")
	s.alert(map[string]any{"id": "burn2", "event": "end", "correlation_id": "c", "summary": "checkout answers again"})
	s.fragment("/alerts/burn", "alert-live").Expect(200).Says("Ended after 2 min", "checkout answers again", "Alert ended")
	s.fragment("/alerts", "alerts-list").Expect(200).Says("checkout shop down")
	if b := s.fragment("/alerts", "alerts-now").Expect(200).Body; strings.Contains(b, "checkout") {
		t.Errorf("what ended is among what fires: %s", b)
	}
}

func TestTheAlertsPageSaysHowItIsNow(t *testing.T) {
	s := newSite(t)
	live := "checkout burns its budget 104 times too fast now."
	s.stop()
	s.deps.Registerer = nil
	s.deps.Live = func(_ context.Context, account string, about event.AlertResource) (string, error) {
		if account != s.account || about.ID != "checkout" {
			t.Errorf("asked for %+v of %s", about, account)
		}
		return live, nil
	}
	s.reopen()
	s.furnish(newReceiver(t))
	s.get("/alerts/burn").Expect(200).Says("<h1>checkout shop down</h1>", live,
		"The alert said: “checkout is burning its budget 14 times too fast")
	s.alert(map[string]any{"id": "burn2", "event": "end", "correlation_id": "c"})
	b := s.get("/alerts/burn").Expect(200).Says("<h1>checkout shop down</h1>").Body
	head, _, _ := strings.Cut(b, "Preceded by")
	if strings.Contains(head, "is burning") || strings.Contains(b, live) {
		t.Errorf("an alert that ended is shown in the present tense: %s", head)
	}
}

func TestAnAcknowledgementHasItsOwnTimeAndCanBeWithdrawn(t *testing.T) {
	s := newSite(t)
	s.furnish(newReceiver(t))
	before := time.Now()
	s.post("/alerts/burn/ack").RedirectsTo(s.base + "/alerts/burn")
	d := s.decision("burn")
	if d.AckedBy != "Ana Lima" || d.AckedAt.Before(before.Add(-time.Second)) {
		t.Errorf("%s %v", d.AckedBy, d.AckedAt)
	}
	stamp := d.AckedAt.UTC().Format("2006-01-02T15:04:05")
	s.get("/alerts/burn").Expect(200).Says(`Acknowledged by Ana Lima at <time datetime="` + stamp)
	s.get("/alerts").Expect(200).Says("acknowledged by Ana Lima")
	s.post("/alerts/burn/unack").RedirectsTo(s.base + "/alerts/burn")
	if b := s.get("/alerts/burn").Expect(200).Says(">Acknowledge<").Body; strings.Contains(b, "Acknowledged by") {
		t.Error("the acknowledgement is still shown")
	}
	s.must("POST", "/alerts/burn/ack", nil, nil)
	s.must("DELETE", "/alerts/burn/ack", nil, nil)
	if d := s.decision("burn"); !d.AckedAt.IsZero() || d.AckedBy != "" {
		t.Errorf("%+v", d.AckedAt)
	}
	got := strings.Join(s.records("alert"), " ")
	if !strings.Contains(got, "acknowledge unacknowledge acknowledge unacknowledge") {
		t.Errorf("recorded %s", got)
	}
}

// TestActsThatReachPeopleAskFirst: the page has a link to a question that names
// the recipients, and no form that acts at once.
func TestActsThatReachPeopleAskFirst(t *testing.T) {
	s := newSite(t)
	hook, policy := s.furnish(newReceiver(t))
	delivery := s.get("/alerts/note").Find(`href="` + s.base + `(/notifications/deliveries/[0-9a-f]{32})"`)
	hookName := "Shop &lt;hook&gt;"
	for _, c := range []struct {
		path, act string
		words     []string
	}{
		{"/alerts/burn", "/replay", []string{"2 messages go out again", "ana@acme.example", hookName}},
		{delivery, "/replay", []string{"is sent again now"}},
		{policy, "/test", []string{"A test message is sent at once", "ana@acme.example", hookName}},
		{policy, "/delete", []string{"sends no more messages"}},
		{hook, "/rotate", []string{hookName, "24 hours"}},
		{hook, "/delete", []string{hookName}},
		{hook, "/pause", []string{hookName, "replay the range"}},
	} {
		b := s.get(c.path).Expect(200).Body
		target := s.base + c.path + c.act
		if strings.Contains(b, `action="`+target+`"`) || !strings.Contains(b, `href="`+target+`"`) {
			t.Errorf("%s acts at once, or does not lead to a question", target)
		}
		form := `<form class="form-foot gap" method="post" action="` + target + `"`
		s.get(c.path + c.act).Expect(200).Says(append(c.words, form)...)
	}
}

func TestPoliciesShowPropertiesByNameAndKeepHowTheyWereWritten(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	hook := s.hook(r.URL)
	zones := s.zones()
	p := s.policy(map[string]any{
		"name": "named",
		"filters": map[string][]string{
			"zones":     {zones["shop.example"], "nowhere.example"},
			"zones.not": {zones["blog.example"]},
		},
		"mechanisms": to(hook),
	})
	list := s.get("/notifications").Expect(200).Says("for all properties except blog.example",
		"no such property yet: nowhere.example").Body
	s.get("/notifications/policies/" + p.ID).Expect(200).Says("no such property yet: nowhere.example")
	s.get("/notifications/policies/"+p.ID+"/edit").Expect(200).Says("<b>shop.example</b>", "<b>nowhere.example</b>",
		"Properties, except", "<b>blog.example</b>")
	for name, id := range zones {
		if strings.Contains(list, id) {
			t.Errorf("the id of %s is shown", name)
		}
	}
	s.post("/notifications/policies/"+p.ID,
		"name", "renamed",
		"alert_type", "shop_down",
		"filter.zones", zones["shop.example"]+"\nnowhere.example",
		"filter.zones.not", zones["blog.example"],
		"webhook", hook.ID,
		"enabled", "on").RedirectsTo(s.base + "/notifications/policies/" + p.ID)
	var after notify.Policy
	s.must("GET", "/policies/"+p.ID, nil, &after)
	if after.Name != "renamed" || after.Filters["zones"][0] != zones["shop.example"] ||
		after.Filters["zones.not"][0] != zones["blog.example"] {
		t.Errorf("%+v", after.Filters)
	}
}

// TestEveryFaultOfAPolicyIsShownAtItsField sends a form with a fault in each
// field.
func TestEveryFaultOfAPolicyIsShownAtItsField(t *testing.T) {
	s := newSite(t)
	p := s.post("/notifications/policies",
		"name", "",
		"alert_type", "shop_down",
		"alert_interval", "1s",
		"description", strings.Repeat("x", 1001),
		"filter.zones", strings.Repeat("z", 300),
		"filter.color", "red",
		"filter.region", "mars",
		"mail", "nobody@else.example\nnot an address",
		"webhook", "0123456789abcdef0123456789abcdef").Expect(400)
	for field, want := range map[string][]string{
		"name":           {"Name is required"},
		"alert_interval": {"alert_interval is a time"},
		"description":    {"at most 1000 characters"},
		"filter.zones":   {"value has 1 to 255 bytes"},
		"filter.color":   {"have no filter &#34;color&#34;"},
		"filter.region":  {"has no value &#34;mars&#34;"},
		"mail": {"nobody@else.example&#34; is not the address of a member",
			"&#34;not an address&#34; is not an address"},
	} {
		note := p.Find(`(?s)id="h-` + regexp.QuoteMeta(field) + `">(.*?)</p>`)
		for _, w := range want {
			if !strings.Contains(note, w) {
				t.Errorf("under %s stands %q, want %q", field, note, w)
			}
		}
	}
	p.Expect(400).Says("There is no webhook")
}

func TestWhatAnObjectiveReportsIsReadable(t *testing.T) {
	s := newSite(t)
	data := map[string]any{
		"objective":            map[string]any{"id": "o1", "name": "Checkout", "target": 99.95, "window": "28d"},
		"pair":                 map[string]any{"long": "1h", "short": "5m", "factor": 14.4, "severity": "page"},
		"long":                 map[string]any{"window": "1h", "burn": 16.61, "total": 36000, "bad": 300},
		"short":                map[string]any{"window": "5m", "burn": 1217.4, "total": 3000, "bad": 300},
		"budget_left":          0.88979,
		"exhausted_in_seconds": 124464,
		"detection_seconds":    60,
	}
	status, failures := s.call("operator", "POST", "/alerts", map[string]any{
		"id":         "objective",
		"alert_type": "belfry_budget_burn",
		"event":      "start",
		"severity":   "critical",
		"summary":    "Checkout is burning its budget 16 times too fast.",
		"resource":   map[string]string{"product": "belfry", "type": "objective", "id": "o1", "name": "Checkout"},
		"data":       data,
	}, nil)
	if status != 200 {
		t.Fatal(status, failures)
	}
	p := s.get("/alerts/objective").Expect(200).Says("<h1>Checkout error budget burn</h1>",
		"Checkout: 99.95 % over 28d", "14.4 times", "89 %", "in 34 h 34 min at that rate", "within 1 min",
		"Data as it was sent")
	for _, cell := range []string{
		`data-label="Burn rate">16.61×`,
		`data-label="Burn rate">1,217×`,
		`data-label="Requests">36,000`,
		`data-label="Failed">300`,
	} {
		if !strings.Contains(p.Body, cell) {
			t.Errorf("no cell %s", cell)
		}
	}
}

// TestTheUndoIsAmongWhatHappenedInOrder has changes that were made before, while
// and after an alert fired.
func TestTheUndoIsAmongWhatHappenedInOrder(t *testing.T) {
	s := newSite(t)
	start := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second)
	end := start.Add(5 * time.Minute)
	s.stop()
	s.deps.Registerer = nil
	s.deps.Changes = func(_ context.Context, q notify.ChangesQuery) (list []notify.Change, more int, err error) {
		for id, at := range map[string]time.Time{
			"before": start.Add(-time.Minute),
			"undo":   end.Add(-time.Minute),
			"after":  end.Add(time.Minute),
		} {
			if !at.After(q.Began) {
				list = append(list, notify.Change{
					EventID: id,
					At:      at,
					Summary: "change " + id,
					URL:     "/accounts/" + q.Account + "/audit/events/" + id,
				})
			}
		}
		return list, 0, nil
	}
	s.reopen()
	s.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c", "occurred_at": start.Format(time.RFC3339)})
	until(t, "the changes before are found", func() bool { return len(s.decision("a").Changes) == 1 })
	s.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c", "occurred_at": end.Format(time.RFC3339)})
	b := s.get("/alerts/a").Expect(200).Says("Ended after 5 min").Body
	_, order, _ := strings.Cut(b, "In order")
	last := -1
	for _, words := range []string{"change before", "Alert started", "change undo", "Alert ended"} {
		i := strings.Index(order, words)
		if i <= last {
			t.Errorf("%q is not in its place", words)
		}
		last = i
	}
	if strings.Contains(order, "change after") {
		t.Error("a change made after the end is in the alert's order")
	}
}
