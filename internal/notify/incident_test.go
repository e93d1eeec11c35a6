package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// ago is a time of the past as alerts carry it.
func ago(d time.Duration) string {
	return time.Now().Add(-d).UTC().Format(time.RFC3339Nano)
}

// matched are the names of the policies that an alert matched.
func (w *world) matched(alertID string) string {
	w.t.Helper()
	var list []string
	for _, c := range w.decision(alertID).Policies {
		if c.Matched {
			list = append(list, c.Policy)
		}
	}
	return strings.Join(list, ", ")
}

func TestTheSameRequestAgainIsADuplicateWhateverItLeavesOut(t *testing.T) {
	for _, left := range [][]string{
		{"data"},
		{"occurred_at"},
		{"severity"},
		{"correlation_id"},
		{"occurred_at", "severity", "correlation_id", "summary", "zone"},
	} {
		t.Run(strings.Join(left, " and "), func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				body := map[string]any{
					"id":             "same",
					"alert_type":     "shop_down",
					"event":          "notice",
					"occurred_at":    ago(time.Minute),
					"severity":       "critical",
					"correlation_id": "c",
					"summary":        "The shop is down",
					"zone":           "shop.example",
				}
				for _, field := range left {
					delete(body, field)
				}
				var out []ingest.ItemResult
				w.must("POST", "/alerts", body, &out)
				first := w.decision("same")
				w.must("POST", "/alerts", body, &out)
				if out[0].Status != ingest.Duplicate {
					t.Errorf("the same bytes again are %+v", out[0])
				}
				if second := w.decision("same"); !second.OccurredAt.Equal(first.OccurredAt.Time) ||
					second.Severity != first.Severity {
					t.Errorf("the repeat changed the alert: %+v", second)
				}
				body["summary"] = "Another"
				if status, _ := w.call("acme", "POST", "/alerts", body, nil); status != 409 {
					t.Errorf("other content: status %d, want 409", status)
				}
			})
		})
	}
}

// TestARepeatIsDecidedByThePoliciesThatDidNotTell changes each thing that
// policies look at.
func TestARepeatIsDecidedByThePoliciesThatDidNotTell(t *testing.T) {
	for name, c := range map[string]struct {
		filters       map[string][]string // of the policy that the repeat matches
		before, after map[string]any
	}{
		"severity": {
			map[string][]string{"severity": {"critical"}},
			map[string]any{"severity": "warning"},
			map[string]any{"severity": "critical"},
		},
		"a filter": {
			map[string][]string{"region": {"us"}},
			map[string]any{"filters": map[string][]string{"region": {"eu"}}},
			map[string]any{"filters": map[string][]string{"region": {"us"}}},
		},
		"the zone": {
			map[string][]string{"zones": {"blog.example"}},
			map[string]any{"zone": "shop.example"},
			map[string]any{"zone": "blog.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				one, two := newReceiver(t), newReceiver(t)
				w.policy(map[string]any{"name": "all", "mechanisms": to(w.hook(one.URL))})
				w.policy(map[string]any{"name": "some", "filters": c.filters, "mechanisms": to(w.hook(two.URL))})
				send := func(id, kind string, fields map[string]any) {
					body := map[string]any{"id": id, "event": kind, "correlation_id": "c"}
					for k, v := range fields {
						body[k] = v
					}
					w.alert(body)
				}
				send("r1", "start", c.before)
				until(t, "the first policy has sent", func() bool { return len(one.all()) == 1 })
				if got := w.matched("r1"); got != "all" {
					t.Fatalf("the start matched %q", got)
				}
				send("r2", "start", c.after)
				until(t, "the second policy has sent", func() bool { return len(two.all()) == 1 })
				send("r3", "start", c.after)
				send("r4", "end", nil)
				until(t, "both hear of the end", func() bool { return len(one.all()) == 2 && len(two.all()) == 2 })
				if b := two.all()[0].Body; b.Event != "ALERT_STATE_EVENT_START" || b.AlertID != "r2" ||
					!strings.HasSuffix(b.URL, "/r1") {
					t.Errorf("the second policy has sent %+v", b)
				}
				d := w.decision("r1")
				if got := w.matched("r1"); got != "all, some" || d.State != "ended" {
					t.Errorf("%s, matched %q", d.State, got)
				}
				if name == "severity" && d.Severity != "critical" {
					t.Errorf("the alert shows the severity %s", d.Severity)
				}
			})
		})
	}
}

func TestWhatARepeatLeavesOutStaysAsItWas(t *testing.T) {
	w := newWorld(t, "", nil)
	w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c", "severity": "critical"})
	w.must("POST", "/alerts",
		map[string]any{"id": "b", "alert_type": "shop_down", "event": "start", "correlation_id": "c"}, nil)
	if d := w.decision("a"); d.Severity != "critical" || d.Zone == nil || d.Zone.Name != "shop.example" {
		t.Errorf("%s %+v", d.Severity, d.Zone)
	}
}

// TestEventsOfAnIncidentAreOrderedByWhenTheyOccurred hands starts and ends in, in
// every order of arrival.
func TestEventsOfAnIncidentAreOrderedByWhenTheyOccurred(t *testing.T) {
	type sent struct {
		event string
		ago   time.Duration // 0 = occurred_at is left out
	}
	start := func(d time.Duration) sent { return sent{"start", d} }
	end := func(d time.Duration) sent { return sent{"end", d} }
	const m = time.Minute
	for name, c := range map[string]struct {
		list  []sent
		state string // of the first alert
		fires bool   // something fires in the end
	}{
		"in order":                            {[]sent{start(3 * m), end(2 * m)}, "ended", false},
		"end first":                           {[]sent{end(2 * m), start(3 * m)}, "ended", false},
		"a late repeat":                       {[]sent{start(3 * m), end(m), start(2 * m)}, "ended", false},
		"a late repeat, older than all":       {[]sent{start(3 * m), end(m), start(4 * m)}, "ended", false},
		"a new start":                         {[]sent{start(3 * m), end(2 * m), start(m)}, "ended", true},
		"an end that is older than its open":  {[]sent{start(m), end(2 * m)}, "firing", true},
		"an end that a repeat overtook":       {[]sent{start(3 * m), start(m), end(2 * m)}, "firing", true},
		"an end behind repeats":               {[]sent{start(3 * m), start(2 * m), end(m)}, "ended", false},
		"ends twice, then the start":          {[]sent{end(2 * m), end(m), start(3 * m)}, "ended", false},
		"without times":                       {[]sent{start(0), end(0), start(0)}, "ended", true},
		"a start of a clock ahead":            {[]sent{start(-m), end(0)}, "ended", false},
		"an end of a clock ahead":             {[]sent{end(-m), start(0)}, "ended", true},
		"a start behind an end that is ahead": {[]sent{end(-m), start(time.Nanosecond)}, "ended", true},
		"an end behind a start that is ahead": {[]sent{start(-m), end(time.Nanosecond)}, "ended", false},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				for i, s := range c.list {
					fields := map[string]any{"id": fmt.Sprint("e", i), "event": s.event, "correlation_id": "c"}
					if s.ago != 0 {
						fields["occurred_at"] = ago(s.ago)
					}
					w.alert(fields)
				}
				if d := w.decision("e0"); d.State != c.state {
					t.Errorf("state %s, want %s", d.State, c.state)
				}
				var firing []notify.Alert
				w.must("GET", "/alerts?state=firing", nil, &firing)
				if len(firing) > 0 != c.fires {
					t.Errorf("firing: %+v, want %v", firing, c.fires)
				}
				started, ended := 0, 0
				for _, action := range w.records("alert") {
					switch action {
					case "start":
						started++
					case "end":
						ended++
					}
				}
				fires := 0
				if c.fires {
					fires = 1
				}
				if started-ended != fires {
					t.Errorf("the record has %d starts and %d ends", started, ended)
				}
			})
		})
	}
}

func TestAStartThatArrivesAfterItsEndSendsNoMessage(t *testing.T) {
	w := newWorld(t, "", nil)
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
	w.alert(map[string]any{"id": "over", "event": "end", "correlation_id": "c", "occurred_at": ago(10 * time.Second)})
	w.alert(map[string]any{"id": "began", "event": "start", "correlation_id": "c", "occurred_at": ago(time.Minute)})
	d := w.decision("over")
	if d.ID != "began" || d.State != "ended" || len(d.Deliveries) != 0 || len(d.Related) != 1 ||
		!strings.Contains(d.Unmatched, "after its end") {
		t.Errorf("%+v", d)
	}
	if got := d.EndedAt.Sub(d.OccurredAt.Time).Round(time.Second); got != 50*time.Second {
		t.Errorf("it lasted %v, want 50 s", got)
	}
	w.alert(map[string]any{"id": "last"}) // behind it in the queue
	until(t, "the notice arrives", func() bool { return len(r.all()) == 1 })
	if id := r.all()[0].Body.AlertID; id != "last" {
		t.Errorf("a message about %s was sent", id)
	}
}

// TestTheEndOfAnotherTypeSaysNothing: two products may use one correlation id.
func TestTheEndOfAnotherTypeSaysNothing(t *testing.T) {
	w := newWorld(t, "", nil)
	w.alert(map[string]any{"id": "other", "event": "end", "correlation_id": "c", "occurred_at": ago(time.Second)})
	w.alert(map[string]any{
		"id":             "mine",
		"alert_type":     "http_alert_origin_error",
		"event":          "start",
		"correlation_id": "c",
		"occurred_at":    ago(time.Minute),
	})
	if d := w.decision("mine"); d.State != "firing" {
		t.Errorf("the alert is %s", d.State)
	}
}

func TestAnIntervalDelaysAnOutageThatGoesOn(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"alert_interval": "1m", "mechanisms": to(w.hook(r.URL))})
		// The interval of the first is over in two seconds.
		w.alert(map[string]any{"id": "i1", "event": "start", "correlation_id": "one", "occurred_at": ago(58 * time.Second)})
		until(t, "the first start is delivered", func() bool { return w.states("i1") == "start delivered" })
		w.alert(map[string]any{"id": "i2", "event": "end", "correlation_id": "one", "occurred_at": ago(50 * time.Second)})
		until(t, "its end is delivered", func() bool { return w.states("i1") == "start delivered, end delivered" })
		w.alert(map[string]any{"id": "i3", "event": "start", "correlation_id": "two", "occurred_at": ago(40 * time.Second)})
		if c := w.decision("i3").Policies[0]; !c.Matched || !strings.Contains(c.Why, "held back") {
			t.Errorf("%+v", c)
		}
		until(t, "the second start is delivered", func() bool { return w.states("i3") == "start delivered" })
		// It counts from when it was sent: the next within a minute waits again.
		w.alert(map[string]any{"id": "i4", "event": "end", "correlation_id": "two"})
		until(t, "its end is delivered", func() bool { return w.states("i3") == "start delivered, end delivered" })
		w.alert(map[string]any{"id": "i5", "event": "start", "correlation_id": "three"})
		d := w.decision("i5")
		if len(d.Deliveries) != 1 || d.Deliveries[0].State != "waiting" ||
			!d.Deliveries[0].NextAt.After(time.Now().Add(20*time.Second)) ||
			!strings.Contains(d.Deliveries[0].Reason, "held back") {
			t.Fatalf("%+v", d.Deliveries)
		}
		// An alert that ends while it is held back is never sent, also after a restart.
		w.stop()
		w.deps.Registerer = nil
		w.start()
		w.alert(map[string]any{"id": "i6", "event": "end", "correlation_id": "three"})
		until(t, "both are superseded", func() bool { return w.states("i5") == "start superseded, end superseded" })
		if n := len(r.all()); n != 4 {
			t.Errorf("%d messages, want 4", n)
		}
	})
}

func TestAnIntervalOutlastsAReceiverThatRecovers(t *testing.T) {
	w := newWorld(t, "", quick)
	r := newReceiver(t)
	h := w.hook(r.URL)
	w.policy(map[string]any{"alert_interval": "1h", "mechanisms": to(h)})
	w.alert(map[string]any{"id": "one", "event": "start", "correlation_id": "one"})
	until(t, "the start is delivered", func() bool { return w.states("one") == "start delivered" })
	w.alert(map[string]any{"id": "two", "event": "start", "correlation_id": "two"})
	w.must("POST", "/destinations/webhooks/"+h.ID+"/enable", nil, nil) // what waits for the receiver goes now
	w.alert(map[string]any{"id": "other", "zone": "blog.example"})
	until(t, "another message arrives", func() bool { return len(r.all()) == 2 })
	if got := w.states("two"); got != "start waiting" {
		t.Errorf("what the interval holds back is %q", got)
	}
}

func TestEveryZoneOfAnAlertCounts(t *testing.T) {
	w := newWorld(t, "", nil)
	h := w.hook(newReceiver(t).URL)
	w.policy(map[string]any{"name": "all", "mechanisms": to(h)})
	w.policy(map[string]any{"name": "by id", "filters": map[string][]string{"zones": {zoneID}}, "mechanisms": to(h)})
	w.policy(map[string]any{
		"name":       "by alias",
		"filters":    map[string][]string{"zones": {"www.shop.example"}},
		"mechanisms": to(h),
	})
	w.policy(map[string]any{
		"name":       "the trial",
		"filters":    map[string][]string{"zones": {"www.try.example"}},
		"mechanisms": to(h),
	})
	for i, c := range []struct {
		zones []string
		want  string
	}{
		{[]string{"shop.example"}, "all, by id, by alias"},
		{[]string{"shop.example", "b.example"}, "all, by id, by alias"},
		{[]string{"b.example", "www.shop.example"}, "all, by id, by alias"},
		{[]string{"b.example", "c.example"}, "all"},
		{[]string{"try.example"}, "the trial"},
		{[]string{"try.example", "b.example"}, "the trial"},
		{[]string{"try.example", "shop.example"}, "all, by id, by alias, the trial"},
	} {
		id := fmt.Sprint("z", i)
		w.alert(map[string]any{"id": id, "zone": "", "filters": map[string][]string{"zones": c.zones}})
		if got := w.matched(id); got != c.want {
			t.Errorf("zones %v: matched %q, want %q", c.zones, got, c.want)
		}
	}
	var p notify.Preview
	w.must("POST", "/policies/preview",
		map[string]any{
			"name":       "try",
			"enabled":    true,
			"alert_type": "shop_down",
			"filters":    map[string][]string{"zones": {zoneID}},
			"mechanisms": to(h),
		}, &p)
	if p.Matched != 4 || p.Looked != 7 {
		t.Errorf("a dry run matches %d of %d, want 4 of 7", p.Matched, p.Looked)
	}
}
