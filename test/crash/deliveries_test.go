package crash_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// TestAKilledServerDeliversEveryAlertItAcknowledged kills a server while it takes alerts
// and sends webhooks. Every acknowledged alert must arrive; what arrives twice is at most
// what was under way at a kill, and has the same webhook-id.
func TestAKilledServerDeliversEveryAlertItAcknowledged(t *testing.T) {
	n := kills(t)
	token := id.Secret(40)
	p := newProcess(t, token, "BELFRY_KAFKA_LISTEN="+freeAddress(t), "BELFRY_ALLOW_NETWORKS=127.0.0.0/8")
	c := newClient(token, p)
	var mu sync.Mutex
	got := map[string]map[string]int{} // by alert and webhook-id
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body) // a broken request is not a message
		var body struct {
			ID string `json:"alert_id"`
		}
		if json.Unmarshal(data, &body) != nil || body.ID == "" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if got[body.ID] == nil {
			got[body.ID] = map[string]int{}
		}
		got[body.ID][r.Header.Get("webhook-id")]++
	}))
	t.Cleanup(receiver.Close)
	call := func(method, path string, body, result any) {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.send(t.Context(), method, "/client/v4"+path, "application/json", data)
		if err != nil || a.status > 299 {
			t.Fatalf("%s %s: %d %s %v", method, path, a.status, a.body, err)
		}
		if result != nil {
			if err := json.Unmarshal(a.body, &struct{ Result any }{result}); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.start()
	p.waitReady()
	var account, team, hook struct{ ID string }
	call("POST", "/accounts", map[string]any{"name": "deliveries"}, &account)
	call("POST", "/producers", map[string]any{"name": "deliveries"}, &team)
	call("PUT", "/producers/"+team.ID+"/catalog",
		map[string]any{
			"version": 1,
			"products": []any{
				map[string]any{
					"product":     "crash",
					"title":       "Crash",
					"alert_types": []any{map[string]any{"type": "crash_test", "title": "Crash test", "severities": []string{"error"}}},
				},
			},
		}, nil)
	base := "/accounts/" + account.ID + "/alerting/v3"
	call("POST", base+"/destinations/webhooks", map[string]any{"name": "hook", "url": receiver.URL}, &hook)
	call("POST", base+"/policies", map[string]any{
		"name":       "all",
		"enabled":    true,
		"alert_type": "crash_test",
		"mechanisms": map[string]any{"webhooks": []any{map[string]any{"id": hook.ID}}},
	}, nil)

	acked := map[string]bool{}
	sent := 0
	for range n {
		until := time.Now().Add(300*time.Millisecond + rand.N(500*time.Millisecond))
		killed := make(chan struct{})
		go func() {
			wait(t.Context(), time.Until(until))
			p.signal(9)
			close(killed)
		}()
		for open := true; open; {
			var list []any
			var ids []string
			for range 10 {
				sent++
				ids = append(ids, fmt.Sprint("alert-", sent))
				list = append(list, map[string]any{"id": ids[len(ids)-1], "alert_type": "crash_test", "event": "notice"})
			}
			data, err := json.Marshal(list)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := c.send(t.Context(), "POST", "/client/v4"+base+"/alerts", "application/json", data); err == nil &&
				a.status == 200 {
				for _, one := range ids {
					acked[one] = true
				}
			}
			select {
			case <-killed:
				open = false
			default:
			}
		}
		<-p.ended
		p.processLife = nil
		p.start()
		p.waitReady()
	}
	missing := func() (list []string) {
		mu.Lock()
		defer mu.Unlock()
		for one := range acked {
			if got[one] == nil {
				list = append(list, one)
			}
		}
		return list
	}
	for deadline := time.Now().Add(patience); len(missing()) > 0; wait(t.Context(), 10*time.Millisecond) {
		if time.Now().After(deadline) {
			list := missing()
			t.Fatalf("%d of %d acknowledged alerts never arrived, among them %v", len(list), len(acked),
				list[:min(5, len(list))])
		}
	}
	mu.Lock()
	doubled := 0
	for one, ids := range got {
		if len(ids) != 1 {
			t.Errorf("the alert %s arrived under %d webhook-ids", one, len(ids))
		}
		for _, times := range ids {
			doubled += times - 1
		}
	}
	mu.Unlock()
	if doubled > n*1000 { // attempts at once, each kill
		t.Errorf("%d messages came twice in %d kills", doubled, n)
	}
	t.Logf("%d kills, %d alerts acknowledged, %d messages came twice", n, len(acked), doubled)
	p.stop()
}
