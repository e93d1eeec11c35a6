package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

const stormCatalogue = `
version: 1
products:
  - product: storm
    resources:
      - type: setting
        actions: [{type: update, sentence: "{actor} changed {resource}"}]
    alert_types:
      - {type: storm_down, title: Origin down}
`

// TestAStormOf10000AlertsDecodesEachChangeOnceAndRecordsFewEvents sends 10,000
// alerts, each of its own cause, through the whole program, and counts what they
// read of the audit log and write into it.
func TestAStormOf10000AlertsDecodesEachChangeOnceAndRecordsFewEvents(t *testing.T) {
	const storm, changes = 10_000, 50
	var told atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && strings.Contains(string(body), "Ana changed the limit") {
			told.Add(1)
		}
	}))
	t.Cleanup(receiver.Close)
	s := newSiteWith(t, t.Output(), []string{"BELFRY_ALLOW_NETWORKS", "127.0.0.0/8"})
	s.team("storm", stormCatalogue)
	account := s.account("Acme")
	base := "/accounts/" + account
	s.call(http.MethodPost, base+"/zones", object{"name": "shop.example"})
	var list []object
	for i := range changes {
		list = append(list, object{
			"id":          fmt.Sprint("change-", i),
			"occurred_at": time.Now().Add(-time.Duration(i+1) * time.Second).UTC().Format(time.RFC3339Nano),
			"action":      object{"type": "update"},
			"actor":       object{"type": "user", "id": "u-ana", "name": "Ana"},
			"resource":    object{"product": "storm", "type": "setting", "id": fmt.Sprint(i), "name": "the limit"},
			"zone":        "shop.example",
		})
	}
	s.append(account, list...)
	var hook struct{ ID string }
	if err := json.Unmarshal(s.call(http.MethodPost, base+
		"/alerting/v3/destinations/webhooks", object{"name": "hook", "url": receiver.URL}), &hook); err != nil {
		t.Fatal(err)
	}
	policy := object{
		"name":       "tell us",
		"enabled":    true,
		"alert_type": "storm_down",
		"mechanisms": object{"webhooks": []any{object{"id": hook.ID}}},
	}
	s.call(http.MethodPost, base+"/alerting/v3/policies", policy)
	for first := 0; first < storm; first += 100 {
		list = nil
		for i := first; i < first+100; i++ {
			list = append(list, object{
				"id":             fmt.Sprint("a", i),
				"correlation_id": fmt.Sprint("c", i),
				"alert_type":     "storm_down",
				"event":          "start",
				"zone":           "shop.example",
			})
		}
		s.call(http.MethodPost, base+"/alerting/v3/alerts", list)
	}
	delivered := 0
	for next := 500; next <= storm; next += 500 {
		poll.Until(s.t, fmt.Sprint(next, " messages are delivered"), func() bool {
			delivered = int(s.metric(`belfry_notify_deliveries_total{kind="webhook",outcome="delivered"}`))
			return delivered >= next
		})
	}
	// The record takes the events of notifications in their order: when the last is
	// there, all are.
	before := s.actions(account)["create"]
	policy["name"] = "the last"
	s.call(http.MethodPost, base+"/alerting/v3/policies", policy)
	poll.Until(s.t, "the last event is recorded", func() bool { return s.actions(account)["create"] > before })

	if told.Load() == 0 { // a message waits for the changes only so long, so not all name them
		t.Error("no message names a change")
	}
	if n := s.metric("belfry_audit_preceding_decoded_total"); n == 0 || n > 2*changes {
		t.Errorf("%v events were decoded for %d alerts and %d changes", n, storm, changes)
	}
	// In a minute six events at most of each action; a slow machine needs minutes.
	counts := s.actions(account)
	for _, action := range []string{"start", "deliver"} {
		if n := counts[action]; n < 5 || n > 6*5 {
			t.Errorf("%d events of the action %s", n, action)
		}
	}
}

// metric is the value of one series.
func (s *site) metric(series string) float64 {
	s.t.Helper()
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("there is no series %s", series)
	return 0
}

// actions counts an account's events by their action.
func (s *site) actions(account string) map[string]int {
	s.t.Helper()
	var rows []struct {
		Key   string
		Count int
	}
	if err := json.Unmarshal(s.call(http.MethodGet, "/accounts/"+account+"/audit/summary?group_by=action", nil),
		&rows); err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Key] = r.Count
	}
	return counts
}
