package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

func fromNow(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }

// silence creates one silence; fields are beside its times.
func (w *world) silence(fields map[string]any) notify.Silence {
	w.t.Helper()
	body := map[string]any{"start_time": fromNow(-time.Minute), "end_time": fromNow(time.Hour), "reason": "planned work"}
	for k, v := range fields {
		body[k] = v
	}
	var made []notify.Silence
	w.must("POST", "/silences", []any{body}, &made)
	return made[0]
}

func TestASilencedAlertIsShownAndSentWhenItsSilenceEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		filters := map[string]any{"zones": []string{zoneID}, "severity.not": []string{"critical"}}
		s := w.silence(map[string]any{"filters": filters})
		if s.State != "active" || s.CreatedBy != "acme" {
			t.Errorf("%+v", s)
		}
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		c := w.decision("a").Policies[0]
		if c.Matched || c.SilencedBy != s.ID || !strings.Contains(c.Why, "by acme: planned work") {
			t.Errorf("%+v", c)
		}
		w.alert(map[string]any{"id": "gone", "event": "start", "correlation_id": "d"})
		w.alert(map[string]any{"id": "gone-end", "event": "end", "correlation_id": "d"})
		w.alert(map[string]any{"id": "critical", "severity": "critical"})
		until(t, "what the silence leaves out is sent", func() bool { return w.states("critical") == "notice delivered" })
		if n := len(r.all()); n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
		w.must("DELETE", "/silences/"+s.ID, nil, nil)
		until(t, "the alert that still fires is sent", func() bool { return w.states("a") == "start delivered" })
		if got := w.states("gone"); got != "" {
			t.Errorf("the alert that ended has %s", got)
		}
		if c := w.decision("a").Policies[0]; !c.Matched || c.SilencedBy != "" {
			t.Errorf("%+v", c)
		}
		w.alert(map[string]any{"id": "a-end", "event": "end", "correlation_id": "c"})
		until(t, "its end follows", func() bool { return w.states("a") == "start delivered, end delivered" })
		var after notify.Silence
		w.must("GET", "/silences/"+s.ID, nil, &after)
		if after.State != "ended" {
			t.Errorf("%+v", after)
		}
		later := []any{map[string]any{"id": s.ID, "end_time": fromNow(time.Hour)}}
		status, failures := w.call("acme", "PUT", "/silences", later, nil)
		if status != 409 || failures[0].Source.Pointer != "/0/id" {
			t.Errorf("a silence that has ended: %d %+v", status, failures)
		}
		if got := strings.Join(w.records("notification_silence"), " "); got != "create end" {
			t.Errorf("recorded %s", got)
		}
	})
}

func TestASilenceOfOnePolicyLeavesTheOthers(t *testing.T) {
	w := newWorld(t, "", nil)
	r := newReceiver(t)
	h := w.hook(r.URL)
	one := w.policy(map[string]any{"name": "one", "mechanisms": to(h)})
	w.policy(map[string]any{"name": "two", "mechanisms": to(h)})
	s := w.silence(map[string]any{"policy_id": one.ID})
	w.alert(map[string]any{"id": "a"})
	until(t, "the other policy sends", func() bool { return w.states("a") == "notice delivered" })
	later := map[string]any{"id": s.ID, "start_time": fromNow(time.Hour), "end_time": fromNow(2 * time.Hour)}
	w.must("PUT", "/silences", []any{later}, nil)
	w.alert(map[string]any{"id": "b"})
	until(t, "a silence that is to come silences nothing", func() bool {
		return w.states("b") == "notice delivered, notice delivered"
	})
	w.must("DELETE", "/silences/"+s.ID, nil, nil)
	var list []notify.Silence
	if w.must("GET", "/silences", nil, &list); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestTheFaultsOfASilenceNameTheirFields(t *testing.T) {
	w := newWorld(t, "", nil)
	for _, c := range []struct {
		fields  map[string]any
		pointer string
	}{
		{map[string]any{}, "/0/filters"},
		{map[string]any{"policy_id": "nothing"}, "/0/policy_id"},
		{map[string]any{"alert_type": "nothing"}, "/0/alert_type"},
		{
			map[string]any{"alert_type": "shop_down", "filters": map[string]any{"region": []string{"mars"}}},
			"/0/filters/region",
		},
		{map[string]any{"alert_type": "shop_down", "filters": map[string]any{"regoin": []string{"eu"}}}, "/0/filters/regoin"},
		{map[string]any{"alert_type": "shop_down", "end_time": fromNow(-time.Hour)}, "/0/end_time"},
		{map[string]any{"alert_type": "shop_down", "end_time": fromNow(800 * 24 * time.Hour)}, "/0/end_time"},
		{map[string]any{"alert_type": "shop_down", "reason": strings.Repeat("x", 600)}, "/0/reason"},
	} {
		body := map[string]any{"start_time": fromNow(0), "end_time": fromNow(time.Hour)}
		for k, v := range c.fields {
			body[k] = v
		}
		status, failures := w.call("acme", "POST", "/silences", []any{body}, nil)
		if status != 400 || failures[0].Source.Pointer != c.pointer {
			t.Errorf("%v: %d %+v", c.fields, status, failures)
		}
	}
	status, _ := w.call("reader", "POST", "/silences", []any{map[string]any{}}, nil)
	if status != 403 {
		t.Errorf("a reader: %d", status)
	}
}
