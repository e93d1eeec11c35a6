package notify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

// fast has a clock on which a minute takes 100 ms.
func fast(d *notify.Config) {
	created := time.Now()
	d.Now = func() time.Time { return created.Add(time.Since(created) * 600) }
}

// around are weekly hours that a moment is within, or is not.
func around(now time.Time, within bool) map[string]any {
	now = now.UTC()
	if !within {
		now = now.Add(12 * time.Hour)
	}
	return map[string]any{
		"days": []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"},
		"from": now.Add(-time.Hour).Format("15:04"),
		"to":   now.Add(time.Hour).Format("15:04"),
	}
}

func TestASeverityBelowTheLeastIsNotSent(t *testing.T) {
	w := newWorld(t, "", nil)
	p := w.policy(map[string]any{"min_severity": "critical", "mechanisms": to(w.hook(newReceiver(t).URL))})
	if p.MinSeverity != "critical" {
		t.Errorf("%+v", p)
	}
	w.alert(map[string]any{"id": "mild", "severity": "warning"})
	w.alert(map[string]any{"id": "severe", "severity": "critical"})
	if c := w.decision("mild").Policies[0]; c.Matched || c.Why != "its severity warning is below critical" {
		t.Errorf("%+v", c)
	}
	until(t, "the severe one is sent", func() bool { return w.states("severe") == "notice delivered" })
}

func TestOutsideOfItsHoursAPolicyDropsOrHolds(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		h := w.hook(newReceiver(t).URL) // one that is held back does not hold back the others
		now := time.Now()
		schedule := func(outside string, within bool) map[string]any {
			return map[string]any{"outside": outside, "hours": []any{around(now, within)}, "except": []string{"critical"}}
		}
		drops := w.policy(map[string]any{"name": "drops", "schedule": schedule("drop", false), "mechanisms": to(h)})
		holds := w.policy(map[string]any{"name": "holds", "schedule": schedule("hold", false), "mechanisms": to(h)})
		sends := w.policy(map[string]any{"name": "sends", "schedule": schedule("drop", true), "mechanisms": to(h)})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c", "severity": "warning"})
		d := w.decision("a")
		matched := map[string]bool{}
		for _, c := range d.Policies {
			matched[c.PolicyID] = c.Matched
			if c.PolicyID == drops.ID && !strings.Contains(c.Why, "outside of its hours") {
				t.Errorf("%+v", c)
			}
		}
		if matched[drops.ID] || !matched[holds.ID] || !matched[sends.ID] {
			t.Errorf("%+v", d.Policies)
		}
		until(t, "one is sent and one held", func() bool {
			states := strings.Split(w.states("a"), ", ")
			slices.Sort(states)
			return slices.Equal(states, []string{"start delivered", "start waiting"})
		})
		for _, one := range w.decision("a").Deliveries {
			if one.State == "waiting" && (one.NextAt.Sub(now) < 10*time.Hour || !strings.Contains(one.Reason, "held back")) {
				t.Errorf("%+v", one)
			}
		}
		// An alert that ends while it is held is not sent to this policy, also by a webhook.
		w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
		until(t, "the held pair is superseded", func() bool {
			states := strings.Split(w.states("a"), ", ")
			slices.Sort(states)
			return slices.Equal(states, []string{"end delivered", "end superseded", "start delivered", "start superseded"})
		})
		w.alert(map[string]any{"id": "critical", "severity": "critical"})
		until(t, "a critical one is sent by all", func() bool {
			return w.states("critical") == "notice delivered, notice delivered, notice delivered"
		})
	})
}

func TestADigestIsOneMessageAboutItsAlerts(t *testing.T) {
	everywhereWith(t, fast, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"digest": map[string]any{"every": "30m"}, "mechanisms": to(w.hook(r.URL))})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		w.alert(map[string]any{"id": "b", "summary": "another one"})
		w.alert(map[string]any{"id": "a-end", "event": "end", "correlation_id": "c"})
		if c := w.decision("a").Policies[0]; !c.Matched || !strings.Contains(c.Why, "collected for the message of") {
			t.Errorf("%+v", c)
		}
		until(t, "the digest arrives", func() bool { return len(r.all()) > 0 })
		var total int
		for _, one := range r.all() {
			var data struct {
				Total, Firing int
				Alerts        []struct{ ID, State, URL string }
			}
			if err := json.Unmarshal(one.Body.Data, &data); err != nil {
				t.Fatal(err)
			}
			total += data.Total
			if data.Total != len(data.Alerts) || data.Firing != 0 || !strings.Contains(one.Body.Text, "alert") {
				t.Errorf("%s", one.Raw)
			}
		}
		if total != 2 { // in one message, or in two when the time between them is at a border
			t.Errorf("%d alerts in %d messages", total, len(r.all()))
		}
		if n := len(w.decision("a").Deliveries); n != 0 {
			t.Errorf("%d messages of its own", n)
		}
		var history []notify.Sent
		until(t, "the history has it", func() bool {
			w.must("GET", "/history", nil, &history)
			return len(history) > 0 && history[0].State == "delivered"
		})
		if one := history[0]; one.AlertType != "shop_down" || !strings.HasPrefix(one.AlertBody, "Digest: ") {
			t.Errorf("%+v", one)
		}
	})
}

func TestAnAlertThatIsNotAcknowledgedIsEscalated(t *testing.T) {
	everywhereWith(t, fast, func(t *testing.T, w *world) {
		first := newReceiver(t)
		second := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(first.URL)), "escalation": []any{
			map[string]any{"after": "5m", "mechanisms": to(w.hook(second.URL))},
		}})
		w.alert(map[string]any{"id": "acked", "event": "start", "correlation_id": "acked"})
		w.must("POST", "/alerts/acked/ack", nil, nil)
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		until(t, "the alert is escalated", func() bool { return w.states("a") == "start delivered, start delivered" })
		got := second.all()
		if len(got) != 1 || got[0].Body.CorrelationID != "c" {
			t.Errorf("%d messages: %+v", len(got), got)
		}
		if d := w.decision("a").Deliveries[1]; d.Escalated != "5m" {
			t.Errorf("%+v", d)
		}
		w.alert(map[string]any{"id": "a-end", "event": "end", "correlation_id": "c"})
		until(t, "the end follows to both", func() bool {
			return w.states("a") == "start delivered, start delivered, end delivered, end delivered"
		})
		if w.states("acked") != "start delivered" {
			t.Errorf("the acknowledged alert has %s", w.states("acked"))
		}
		if got := strings.Join(w.records("alert"), " "); strings.Count(got, "escalate") != 1 {
			t.Errorf("recorded %s", got)
		}
	})
}

func TestTheFaultsOfRulesNameTheirFields(t *testing.T) {
	w := newWorld(t, "", nil)
	h := w.hook(newReceiver(t).URL)
	week := []string{"mon"}
	hours := func(begin, end string) map[string]any {
		return map[string]any{"days": week, "from": begin, "to": end}
	}
	schedule := func(fields map[string]any) map[string]any {
		out := map[string]any{"outside": "drop", "hours": []any{hours("09:00", "17:00")}}
		for k, v := range fields {
			out[k] = v
		}
		return map[string]any{"schedule": out}
	}
	steps := func(list ...any) map[string]any { return map[string]any{"escalation": list} }
	second := w.hook(newReceiver(t).URL)
	for _, c := range []struct {
		fields  map[string]any
		pointer string
	}{
		{map[string]any{"min_severity": "huge"}, "/min_severity"},
		{schedule(map[string]any{"time_zone": "Mars/Olympus"}), "/schedule/time_zone"},
		{schedule(map[string]any{"time_zone": "Local"}), "/schedule/time_zone"},
		{schedule(map[string]any{"hours": []any{hours("9:00", "17:00")}}), "/schedule/hours/0/from"},
		{schedule(map[string]any{"hours": []any{hours("24:00", "24:00")}}), "/schedule/hours/0/from"},
		{schedule(map[string]any{"hours": []any{hours("09:00", "25:00")}}), "/schedule/hours/0/to"},
		{schedule(map[string]any{"hours": []any{}}), "/schedule/hours"},
		{schedule(map[string]any{"except": []string{"huge"}}), "/schedule/except/0"},
		{map[string]any{"digest": map[string]any{"every": "1m"}}, "/digest/every"},
		{map[string]any{"digest": map[string]any{"at": "8:00"}}, "/digest/at"},
		{map[string]any{"digest": map[string]any{"at": "08:00", "every": "1h"}}, "/digest"},
		{map[string]any{"digest": map[string]any{"at": "08:00"}, "alert_interval": "1h"}, "/digest"},
		{steps(map[string]any{"after": "soon", "mechanisms": to(second)}), "/escalation/0/after"},
		{steps(map[string]any{"after": "5m", "mechanisms": to(h)}), "/escalation/0/mechanisms/webhooks/0/id"},
		{steps(map[string]any{"after": "5m", "mechanisms": map[string]any{}}), "/escalation/0/mechanisms"},
		{steps(map[string]any{"after": "5m", "mechanisms": to(second)},
			map[string]any{"after": "4m", "mechanisms": to(w.hook(newReceiver(t).URL))}), "/escalation/1/after"},
	} {
		body := map[string]any{"name": "p", "enabled": true, "alert_type": "shop_down", "mechanisms": to(h)}
		for k, v := range c.fields {
			body[k] = v
		}
		status, failures := w.call("acme", "POST", "/policies", body, nil)
		if status != 400 || failures[0].Source.Pointer != c.pointer {
			t.Errorf("%v: %d %+v", c.fields, status, failures)
		}
	}
	p := w.policy(map[string]any{"mechanisms": to(h), "digest": map[string]any{"at": "08:00"}})
	w.must("PUT", "/policies/"+p.ID, map[string]any{"digest": map[string]any{}}, nil)
	var after notify.Policy
	w.must("GET", "/policies/"+p.ID, nil, &after)
	if after.Digest != nil {
		t.Errorf("an empty object does not remove the digest: %+v", after.Digest)
	}
}
