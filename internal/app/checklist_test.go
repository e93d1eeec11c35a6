package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/test/poll"
)

func TestTheFirstStepsKnowWhatIsDone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	acme := s.account("Acme")
	base := "/accounts/" + acme
	owner := s.member(acme, "ana@acme.example", "owner")
	owner.Get(base).Expect(200).Says("First steps", "0 of 5 done", "Record the first event", "curl ").
		Links("/docs/guide/publish", base+"/objectives/new", base+"/notifications/policies/new").Lacks("Apply a team")

	s.append(acme, auditEvent("first", "ana", nil))
	owner.Get(base).Says("1 of 5 done", "belfry tail")
	zone := s.made("POST", base+"/zones", object{"name": "shop.example"})
	s.made("POST", base+"/slos", object{"name": "Shop", "match": object{"zone": zone}, "target": 99.9, "window": "28d"})
	owner.Get(base).Says("2 of 5 done")
	s.call("POST", base+"/traffic/counts", object{"zone": "shop.example", "ts": time.Now().Unix(), "total": 100, "bad": 0})
	poll.Until(t, "the counts are a step that is done", func() bool {
		return strings.Contains(owner.Get(base).Body, "3 of 5 done")
	})
	s.call("POST", base+"/alerting/v3/policies", object{
		"name": "All", "enabled": true, "alert_type": "belfry_budget_burn",
		"mechanisms": object{"email": []object{{"id": "ana@acme.example"}}},
	})
	owner.Get(base).Says("4 of 5 done", "belfry verify --bundle")

	// It can be dismissed by those who may change the account, and shown again from the palette.
	viewer := s.member(acme, "bo@acme.example", "viewer")
	viewer.Get(base).Says("First steps").Lacks("Dismiss")
	owner.Get(base).Submit("Dismiss").RedirectsTo(base)
	owner.Get(base).Lacks("First steps")
	viewer.Get(base).Lacks("First steps")
	owner.Get(base + "/search").Submit("Show the first steps").RedirectsTo(base + "#next")
	owner.Get(base).Says("First steps", "4 of 5 done")

	// The last step ends it.
	owner.Get(base + "/audit/events/first?tab=proof&verify=1").Expect(200)
	owner.Get(base).Expect(200).Lacks("First steps")
	s.signIn("operator@localhost").Get(base).Says("5 of 6 done", "Apply a team", "belfry catalog init")
}

func TestTheTourLeadsThroughTheDemo(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.Tour = "http://shop.example:8081 http://inbox.example:8082" })
	other := s.account("Other")
	demo := s.made("POST", "/accounts", object{"name": "Shop", "external_id": "demo"})
	base := "/accounts/" + demo
	s.call("POST", "/accounts/"+other+"/members", object{"email": "sam@shop.example", "name": "Sam", "role": "owner"})
	sam := s.member(demo, "sam@shop.example", "owner")
	s.catalogue(s.made("POST", "/producers", object{"name": "Shop team"}))
	sam.Get(base).Says("Eight minutes with Belfry", "0 of 6 done", "Break something",
		"http://shop.example:8081/settings", "http://inbox.example:8082")
	s.signIn("operator@localhost").Get("/accounts/" + other).Lacks("Eight minutes")

	setting := object{"product": "shop", "type": "setting", "id": "payment_timeout", "name": "payment timeout"}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	s.append(demo, auditEvent("lowered", "sam", object{
		"occurred_at": now,
		"resource":    setting,
		"action":      object{"type": "lower"},
	}))
	sam.Get(base).Says("1 of 6 done", "/audit/events/lowered?tab=proof")
	alert := object{"id": "one", "event": "start", "correlation_id": "one", "alert_type": "shop_payment_provider_down",
		"severity": "critical", "data": object{"provider": "cardpay", "failed": 41}}
	s.call("POST", base+"/alerting/v3/alerts", alert)
	sam.Get(base).Says("2 of 6 done")
	sam.Get(base + "/alerts/one").Expect(200)
	sam.Get(base).Says("3 of 6 done").Submit("Acknowledge")
	sam.Get(base).Says("4 of 6 done", "Acknowledged by")
	alert["id"], alert["event"] = "one-end", "end"
	s.call("POST", base+"/alerting/v3/alerts", alert)
	sam.Get(base).Says("5 of 6 done")
	sam.Get(base + "/audit/events/lowered?tab=proof&verify=1").Expect(200)
	sam.Get(base).Lacks("Eight minutes")
}
