package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/poll"
	testsite "github.com/belfryhq/belfry/test/site"
)

// crawled is a site with two accounts: one has something of every kind, the
// other has nothing. Its log is kept, since a page that is answered may still
// have gone wrong.
type crawled struct {
	*site
	full, bare string
	log        *testsite.Log
}

// crawlRoles are the people of the crawl: a member of each role, from the one
// that may do least, and an operator of the installation.
var crawlRoles = []string{"auditor", "viewer", "operator", "editor", "admin", "owner", staffRole}

const staffRole = "installation operator"

func crawlEmail(role string) string {
	if role == staffRole {
		return "operator@localhost"
	}
	return role + "@acme.example"
}

// newCrawled makes the site. Its accounts are named so that the first by name
// is the one without data.
func newCrawled(t *testing.T) *crawled {
	t.Helper()
	log := &testsite.Log{}
	c := &crawled{site: newSiteWith(t, log, []string{"BELFRY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128"}), log: log}
	c.full = c.account("Zeta")
	c.bare = c.account("Alpha")
	for _, role := range crawlRoles {
		if role == staffRole {
			continue
		}
		for _, account := range []string{c.full, c.bare} {
			c.call("POST", "/accounts/"+account+"/members", object{
				"email": crawlEmail(role),
				"name":  "Person " + role,
				"role":  role,
			})
		}
	}
	c.furnish()
	return c
}

func (s *site) made(method, path string, body any) string {
	s.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal(s.call(method, path, body), &made); err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// furnish fills one account, and the operators' console.
func (c *crawled) furnish() {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c.t.Cleanup(receiver.Close)
	base := "/accounts/" + c.full
	team := c.made("POST", "/producers", object{"name": "Shop team"})
	c.made("POST", "/producers", object{"name": "Team without a catalogue"})
	c.call("POST", "/producers/"+team+"/tokens", object{"name": "ci"})
	c.catalogue(team)
	var zones []string
	for _, name := range []string{"checkout.shop.example", "www.shop.example", "blog.shop.example"} {
		zones = append(zones, c.made("POST", base+"/zones", object{"name": name}))
	}
	for _, name := range []string{"reports", "deploys", "shop"} {
		c.call("POST", base+"/tokens", object{"name": name, "permissions": []string{"audit:read"}})
	}
	c.events()
	c.objectives(zones)
	var hooks []string
	for _, name := range []string{"On-call", "Archive", "Chat"} {
		hook := object{"name": name, "url": receiver.URL}
		hooks = append(hooks, c.made("POST", base+"/alerting/v3/destinations/webhooks", hook))
	}
	for i, name := range []string{"On-call", "Storefront", "Everything else"} {
		c.call("POST", base+"/alerting/v3/policies", object{
			"name":       name,
			"enabled":    i < 2,
			"alert_type": "shop_payment_provider_down",
			"filters":    object{"zones": zones[:i+1]},
			"mechanisms": object{"webhooks": []object{{"id": hooks[i]}}, "email": []object{{"id": crawlEmail("owner")}}},
		})
	}
	for _, a := range []object{
		{"id": "first", "event": "start"},
		{"id": "second", "event": "start"},
		{"id": "first-end", "event": "end"},
	} {
		a["alert_type"] = "shop_payment_provider_down"
		a["severity"] = "critical"
		a["zone"] = "checkout.shop.example"
		a["data"] = object{"provider": "cardpay", "failed": 41}
		a["correlation_id"] = strings.TrimSuffix(a["id"].(string), "-end")
		c.call("POST", base+"/alerting/v3/alerts", a)
	}
	c.refused()
	c.settle(base)
}

// catalogue declares what the shop of the examples declares.
func (s *site) catalogue(team string) {
	catalogue, err := os.ReadFile("../../examples/shop/belfry.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), "PUT", s.url+"/client/v4/producers/"+team+"/catalog",
		bytes.NewReader(catalogue))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/yaml")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("the catalogue is refused: %d", res.StatusCode)
	}
}

// events are some of every kind that the pages show differently.
func (c *crawled) events() {
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }
	var list []object
	for i := range 30 {
		list = append(list, auditEvent(fmt.Sprintf("tf-%d", i), "terraform", object{
			"occurred_at": ago(400 * time.Minute),
			"change_set":  "apply-31",
			"zone":        "www.shop.example",
			"reason":      object{"text": "apply 31", "url": "https://tickets.example/31"},
		}))
	}
	for i := range 90 {
		list = append(list, auditEvent(fmt.Sprintf("old-%d", i), "li.wei@acme.example",
			object{"occurred_at": ago(50*time.Hour + time.Duration(i)*90*time.Minute)}))
	}
	setting := object{"product": "shop", "type": "setting", "id": "payment_timeout", "name": "payment timeout"}
	list = append(list,
		auditEvent("lowered", "ana", object{
			"zone":     "checkout.shop.example",
			"resource": setting,
			"action":   object{"type": "lower"},
			"before":   object{"value": 3000, "unit": "ms"},
			"after":    object{"value": 30, "unit": "ms"},
			"reason":   object{"text": "PR 214"},
			"actor": object{
				"type":       "user",
				"id":         "ana",
				"name":       "Ana Lima",
				"email":      "ana@acme.example",
				"ip_address": "192.0.2.7",
			},
			"request":  object{"id": "8f0a", "method": "PATCH", "uri": "/settings", "status_code": 200, "user_agent": "Mozilla"},
			"related":  []object{{"type": "deployment", "id": "2.1", "name": "2.1"}},
			"metadata": object{"region": "eu"},
		}),
		auditEvent("deleted", "bo", object{"action": object{"type": "delete"}, "before": object{"ttl": 60}}),
		auditEvent("failed", "sam", object{
			"actor":  object{"type": "staff", "id": "s-7", "name": "Sam (support)"},
			"action": object{"type": "update", "result": "failure"},
		}),
		auditEvent("integration", "dd", object{
			"actor": object{
				"type":         "integration",
				"id":           "i-1",
				"name":         "Datadog",
				"on_behalf_of": object{"type": "user", "id": "ana"},
			},
		}),
		auditEvent("token", "t", object{
			"actor":     object{"type": "token", "id": "t-1", "token_name": "terraform"},
			"interface": "CLI",
		}),
		auditEvent("viewed", "bo", object{"action": object{"type": "view"}}))
	c.append(c.full, list...)
}

// objectives are one that burns, one that is calm and one without data.
func (c *crawled) objectives(zones []string) {
	base := "/accounts/" + c.full
	for i, name := range []string{"Checkout", "Storefront", "Blog"} {
		c.call("POST", base+"/slos", object{"name": name, "match": object{"zone": zones[i]}, "target": 99.9, "window": "28d"})
	}
	var counts []object
	now := time.Now().Unix() / 10 * 10
	for at := now - 7200; at < now; at += 60 {
		bad := 0
		if at >= now-180 { // older than that is history, which sends no alert
			bad = 600
		}
		counts = append(counts, object{"zone": "checkout.shop.example", "ts": at, "seconds": 60, "total": 1200, "bad": bad},
			object{"zone": "www.shop.example", "ts": at, "seconds": 60, "total": 1200, "bad": 0})
	}
	c.call("POST", base+"/traffic/counts", counts)
}

// refused sends what the catalogue does not allow.
func (c *crawled) refused() {
	body, err := json.Marshal([]object{
		{"id": "refused", "action": object{"type": "explode"}, "actor": object{"type": "user", "id": "ana"},
			"resource": object{"product": "shop", "type": "setting", "id": "x"}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+"/client/v4/accounts/"+c.full+"/audit/events",
		bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bootstrap)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Body.Close()
}

// settle waits until the alerts are decided and delivered, and the objectives
// have counted.
func (c *crawled) settle(base string) {
	c.t.Helper()
	poll.Until(c.t, "nothing waits to be delivered", func() bool {
		var list []struct{ State string }
		waits := func(d struct{ State string }) bool { return d.State == "waiting" || d.State == "sending" }
		err := json.Unmarshal(c.call("GET", base+"/alerting/v3/history", nil), &list)
		return err == nil && len(list) > 1 && !slices.ContainsFunc(list, waits)
	})
	poll.Until(c.t, "an objective burns", func() bool {
		var list []struct{ State string }
		return json.Unmarshal(c.call("GET", base+"/alerting/v3/alerts?"+url.Values{"state": {"firing"}}.Encode(), nil),
			&list) == nil && len(list) > 1
	})
}
