package notify_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// Paths of the on-ramps below alerting/v3.
const (
	prometheusPath   = "/alertmanager/api/v2/alerts"
	alertmanagerPath = "/alertmanager/webhook"
	grafanaPath      = "/grafana/webhook"
)

// movedClock is a clock that a test moves.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *movedClock) move(d time.Duration) { c.ahead.Add(int64(d)) }

// latency is an alert of Prometheus.
func latency(changed map[string]any) []map[string]any {
	alert := map[string]any{
		"labels": map[string]string{
			"alertname": "HighLatency", "severity": "page", "job": "checkout", "instance": "https://www.shop.example/pay",
		},
		"annotations":  map[string]string{"summary": "Payments take\n longer than 2 s"},
		"startsAt":     time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano),
		"endsAt":       time.Now().Add(4 * time.Minute).UTC().Format(time.RFC3339Nano),
		"generatorURL": "http://prometheus.example/graph?g0.expr=latency",
	}
	maps.Copy(alert, changed)
	return []map[string]any{alert}
}

// report sends a request of another system and returns the outcomes.
func (w *world) report(path string, body any) (list []ingest.ItemResult) {
	w.t.Helper()
	if status, failures := w.call("acme", "POST", path, body, &list); status != 200 {
		w.t.Fatalf("POST %s: %d %+v", path, status, failures)
	}
	return list
}

// newReported runs a world whose webhook gets the alerts of a type from other systems.
func newReported(w *world, t *testing.T, kind string, filters map[string][]string) *receiver {
	r := newReceiver(t)
	w.policy(map[string]any{"alert_type": kind, "filters": filters, "mechanisms": to(w.hook(r.URL))})
	return r
}

func TestAnAlertThatPrometheusRepeatsIsOneAlert(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReported(w, t, notify.PrometheusAlert,
			map[string][]string{"zones": {"shop.example"}, "alertname": {"HighLatency"}, "severity": {"critical"}})

		first := w.report(prometheusPath, latency(nil))[0]
		if first.Status != ingest.Accepted {
			t.Fatalf("the start: %+v", first)
		}
		slow := map[string]any{"annotations": map[string]string{"summary": "Still slow"}}
		again := w.report(prometheusPath, latency(slow))[0]
		if again.Status != ingest.Duplicate || again.ID != first.ID {
			t.Errorf("the repeat: %+v, want a duplicate of %s", again, first.ID)
		}
		ended := latency(map[string]any{"endsAt": time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano)})
		if end := w.report(prometheusPath, ended)[0]; end.Status != ingest.Accepted {
			t.Errorf("the end: %+v", end)
		}
		if end := w.report(prometheusPath, ended)[0]; end.Status != ingest.Duplicate {
			t.Errorf("the end again: %+v", end)
		}

		until(t, "start and end arrive", func() bool { return len(r.all()) == 2 })
		if got := r.events(); !slices.Equal(got, startAndEnd) {
			t.Errorf("the receiver got %v", got)
		}
		d := w.decision(first.ID)
		if d.State != "ended" || d.Summary != "Payments take longer than 2 s" ||
			d.Zone == nil || d.Zone.Name != "shop.example" {
			t.Errorf("the alert is %+v", d.Alert)
		}

		w.report(prometheusPath, latency(nil)) // with the same beginning, after its end
		until(t, "it fires again", func() bool { return len(r.all()) == 3 })
	})
}

func TestAnAlertThatIsNotRepeatedEnds(t *testing.T) {
	var c movedClock
	everywhereWith(t, func(cfg *notify.Config) { cfg.Now = c.now }, func(t *testing.T, w *world) {
		ends := func() map[string]any {
			return map[string]any{"endsAt": c.now().Add(4 * time.Minute).UTC().Format(time.RFC3339)}
		}
		alertID := w.report(prometheusPath, latency(ends()))[0].ID
		state := func() string { return w.decision(alertID).State }
		end := func() {
			t.Helper()
			if err := w.n.EndUnrepeated(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.move(4*time.Minute + 30*time.Second)
		end()
		if got := state(); got != "firing" {
			t.Errorf("while the process is young the alert is %s", got)
		}
		w.report(prometheusPath, latency(ends()))
		c.move(time.Minute)
		end()
		if got := state(); got != "firing" {
			t.Errorf("a repeated alert is %s", got)
		}
		c.move(4 * time.Minute)
		end()
		if got := state(); got != "ended" {
			t.Errorf("an alert that is not repeated is %s", got)
		}
		var left int
		err := w.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM reported`).Scan(&left)
		})
		if err != nil || left != 0 {
			t.Errorf("%d rows of alerts that fire are left, error %v", left, err)
		}
	})
}

func TestAnAlertNameThatACatalogueDeclaresIsItsType(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		named := func(labels map[string]string) []map[string]any {
			return latency(map[string]any{"labels": labels})
		}
		down := w.report(prometheusPath, named(map[string]string{
			"alertname": "shop_down", "region": "eu", "severity": "error", "property": "shop.example",
		}))[0]
		if d := w.decision(down.ID); d.Type != "shop_down" || d.Severity != "warning" {
			t.Errorf("type %s, severity %s", d.Type, d.Severity)
		}
		// Belfry's own alerts are Belfry's.
		burn := w.report(prometheusPath, named(map[string]string{"alertname": "belfry_budget_burn"}))[0]
		if d := w.decision(burn.ID); d.Type != notify.PrometheusAlert || d.Severity != "warning" {
			t.Errorf("type %s, severity %s", d.Type, d.Severity)
		}
	})
}

func TestAFaultOfAnAlertOfAnotherSystemNamesItsField(t *testing.T) {
	w := newWorld(t, "", nil)
	firing := func(labels map[string]any) map[string]any {
		return map[string]any{"labels": labels, "status": "firing"}
	}
	for _, c := range []struct {
		name, path string
		body       any
		pointer    string
	}{
		{"no name", prometheusPath, latency(map[string]any{"labels": map[string]string{"job": "a"}}),
			"/0/labels/alertname"},
		{"a number", prometheusPath, []any{firing(map[string]any{"alertname": "A", "code": 5})}, "/0/labels/code"},
		{"no time", prometheusPath, latency(map[string]any{"startsAt": "yesterday"}), "/0/startsAt"},
		{"a value outside the list", prometheusPath,
			[]any{firing(map[string]any{"alertname": "shop_down", "region": "asia"})}, "/0/labels/region"},
		{"no alerts", alertmanagerPath, map[string]any{"version": "4"}, "/alerts"},
		{"no status", alertmanagerPath, map[string]any{"alerts": []any{map[string]any{
			"labels": map[string]string{"alertname": "A"}}}}, "/alerts/0/status"},
		{"no list", grafanaPath, map[string]any{"alerts": 5}, "/alerts"},
	} {
		status, failures := w.call("acme", "POST", c.path, c.body, nil)
		if status != 400 || len(failures) != 1 || failures[0].Source.Pointer != c.pointer {
			t.Errorf("%s: %d %+v, want 400 and %s", c.name, status, failures, c.pointer)
		}
	}
	var returned int
	err := w.db.View(t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM outbox`).Scan(&returned)
	})
	if err != nil || returned != 5 {
		t.Errorf("%d rejects are on their way to the account, error %v; want 5", returned, err)
	}
}

// alertmanagerBody is a request of Alertmanager 0.25.
const alertmanagerBody = `{"receiver":"belfry","status":"STATUS","alerts":[{"status":"STATUS","labels":{"alertname":"DiskFull",
"instance":"www.shop.example:9100","severity":"warning"},"annotations":{"description":"The disk is full at 15:00"},
"startsAt":"2026-11-28T10:00:00Z","endsAt":"END","generatorURL":"http://prometheus:9090/graph",
"fingerprint":"8b2f0d4c7e1a9b63"}],
"groupLabels":{"alertname":"DiskFull"},"commonLabels":{},"commonAnnotations":{},
"externalURL":"http://alertmanager:9093",
"version":"4","groupKey":"{}:{alertname=\"DiskFull\"}","truncatedAlerts":0}`

// grafanaBody is a request of Grafana 11.
const grafanaBody = `{"receiver":"belfry","status":"STATUS","orgId":1,"alerts":[{"status":"STATUS","labels":{"alertname":"DiskFull",
"grafana_folder":"Storage","instance":"www.shop.example"},"annotations":{"summary":"The disk is full at 15:00"},
"startsAt":"2026-11-28T10:00:00Z","endsAt":"END",
"generatorURL":"https://grafana.example/alerting/grafana/abc/view?orgId=1",
"fingerprint":"c6eadffa33fcdf37","silenceURL":"https://grafana.example/alerting/silence/new",
"dashboardURL":"","panelURL":"",
"values":{"A":91.5},"valueString":"[ var='A' value=91.5 ]"}],"groupLabels":{},"commonLabels":{},"commonAnnotations":{},
"externalURL":"https://grafana.example/","version":"1","groupKey":"{}","truncatedAlerts":0,
"title":"[FIRING:1] DiskFull",
"state":"alerting","message":"**Firing**"}`

func TestWebhooksOfAlertmanagerAndGrafanaStartAndEndAlerts(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ path, body, kind string }{
			{alertmanagerPath, alertmanagerBody, notify.PrometheusAlert},
			{grafanaPath, grafanaBody, notify.GrafanaAlert},
		} {
			r := newReported(w, t, c.kind, nil)
			firing := strings.NewReplacer("STATUS", "firing", "END", "0001-01-01T00:00:00Z").Replace(c.body)
			resolved := strings.NewReplacer("STATUS", "resolved", "END", "2026-11-28T10:05:00Z").Replace(c.body)
			alertID := w.report(c.path, firing)[0].ID
			w.report(c.path, firing)
			if d := w.decision(alertID); d.Summary != "The disk is full at 15:00" || d.Zone == nil || d.Zone.ID != zoneID {
				t.Errorf("%s: the alert is %+v", c.path, d.Alert)
			}
			w.report(c.path, resolved)
			w.report(c.path, resolved)
			until(t, "start and end arrive", func() bool { return len(r.all()) == 2 })
			if got := r.events(); !slices.Equal(got, startAndEnd) {
				t.Errorf("%s: the receiver got %v", c.path, got)
			}
		}
	})
}

func TestOnRampsTakeTheTokenAsPassword(t *testing.T) {
	w := newWorld(t, "", nil)
	for _, c := range []struct {
		account, user, password string
		status                  int
	}{
		{acme, "anybody", "acme", 400},
		{acme, "acme", "", 400},
		{acme, "acme", "wrong", 401},
		{other, "", "acme", 403},
		{acme, "", "reader", 403},
	} {
		address := w.api.URL + "/client/v4/accounts/" + c.account + "/alerting/v3" + prometheusPath
		r, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(`[{"labels":{}}]`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(c.user, c.password)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s:%s: status %d, want %d", c.user, c.password, answer.StatusCode, c.status)
		}
		// Other operations take no password.
		r, _ = http.NewRequestWithContext(t.Context(), "GET", strings.Replace(address, prometheusPath, "/alerts", 1), nil)
		r.SetBasicAuth(c.user, c.password)
		if answer, err = http.DefaultClient.Do(r); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 401 {
			t.Errorf("%s:%s: the list of alerts answers %d", c.user, c.password, answer.StatusCode)
		}
	}
}

func TestATypeWithoutAProducerIsMarkedUntilAnAlertArrives(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		marked := func() (list []string) {
			var types map[string][]notify.Available
			w.must("GET", "/available_alerts", nil, &types)
			for _, category := range types {
				for _, one := range category {
					if one.Unsent {
						list = append(list, one.Type)
					}
				}
			}
			return list
		}
		if got := marked(); !slices.Equal(got, []string{"secondary_dns_warning"}) {
			t.Errorf("marked are %v", got)
		}
		w.alert(map[string]any{"alert_type": "secondary_dns_warning"})
		if got := marked(); len(got) > 0 {
			t.Errorf("after an alert %v are marked", got)
		}
	})
}
