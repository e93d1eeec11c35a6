package app_test

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/test/poll"
)

// paymentAlert is the alert of the catalogue's sample.
func paymentAlert(id, event string) object {
	return object{
		"id":             id,
		"alert_type":     "shop_payment_provider_down",
		"event":          event,
		"correlation_id": "cardpay-outage-3",
		"severity":       "critical",
		"summary":        "cardpay refuses 41 of 60 payments",
		"zone":           "checkout.shop.example",
		"filters":        object{"provider": []string{"cardpay"}},
		"data":           object{"provider": "cardpay", "failed": 41, "of": 60},
	}
}

func (r *recorder) callNotifications(s *story, receiver string) {
	one := []string{s.account}
	onCall := object{"name": "On-call", "url": receiver + "/belfry"}
	s.webhook = r.id(r.do("create-webhook", input{path: one, body: onCall}))
	hook := []string{s.account, s.webhook}
	r.do("replace-webhook", input{path: hook, body: onCall})
	r.do("list-webhooks", input{path: one})
	r.do("get-webhook", input{path: hook})
	r.do("send-test-message", input{path: hook})
	r.do("rotate-webhook-secret", input{path: hook})
	r.do("pause-webhook", input{path: hook})
	r.do("enable-webhook", input{path: hook})
	r.do("list-alert-types", input{path: one})
	r.do("list-destination-kinds", input{path: one})
	r.do("get-webhook-public-key", input{path: hook})
	r.do("preview-webhook-body", input{path: one, body: object{
		"body_template": `{"title": "{{headline}}", "failed": {{data.failed}}}`,
		"alert_type":    "shop_payment_provider_down",
	}})
	connection := r.id(r.do("begin-pagerduty-connection", input{path: one}))
	service := object{
		"connect_id":  connection,
		"name":        "Payments",
		"routing_key": "R0123456789ABCDEFGHIJKLMNOPQRSTU",
		"url":         receiver + "/v2/enqueue",
	}
	connected := r.id(r.do("create-pagerduty-service", input{path: one, body: service}))
	r.do("list-pagerduty-services", input{path: one})
	r.do("list-connected-pagerduty-services", input{path: []string{s.account, connection}})
	r.do("send-pagerduty-test", input{path: []string{s.account, connected}})
	r.do("delete-pagerduty-service", input{path: []string{s.account, connected}})
	r.do("delete-pagerduty-services", input{path: one})
	policy := object{
		"name":       "Payments to on-call",
		"enabled":    true,
		"alert_type": "shop_payment_provider_down",
		"filters":    object{"zones": []string{s.zone}, "severity": []string{"critical"}},
		"mechanisms": object{"webhooks": []object{{"id": s.webhook}}},
	}
	s.policy = r.id(r.do("create-policy", input{path: one, body: policy}))
	path := []string{s.account, s.policy}
	r.do("update-policy", input{path: path, body: object{
		"description":    "Pages the people who own payments.",
		"alert_interval": "30m",
	}})
	r.do("list-policies", input{path: one})
	r.do("get-policy", input{path: path})
	r.do("send-policy-test-messages", input{path: path})
	r.do("send-alerts", input{path: one, body: paymentAlert("cardpay-3", "start")})
	r.callOnRamps(one)
	notice := paymentAlert("cardpay-notice-1", "notice")
	notice["account_id"], notice["correlation_id"] = "ext:acme", "cardpay-notice-1"
	r.do("send-alerts-of-many-accounts", input{token: s.teamToken, body: []object{notice}})
	r.do("preview-policy", input{path: one, body: policy})
	r.callAlerts(s)
	r.callSilences(s)
	webhook := object{
		"since":       time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05Z"),
		"only_failed": false,
		"dry_run":     true,
	}
	r.do("replay-webhook", input{path: hook, body: webhook})
	r.do("get-webhook-statistics", input{path: hook})
	r.do("search-account", input{path: one, query: url.Values{"q": {"pay"}, "limit": {"2"}}})
}

// callSilences silences alerts during a deployment.
func (r *recorder) callSilences(s *story) {
	one := []string{s.account}
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05Z") }
	var made []struct{ ID string }
	created := r.do("create-silences", input{path: one, body: []object{{
		"alert_type": "shop_payment_provider_down",
		"filters":    object{"zones": []string{s.zone}},
		"reason":     "Deployment of the checkout",
		"start_time": at(0),
		"end_time":   at(2 * time.Hour),
	}}})
	if err := json.Unmarshal(created, &made); err != nil || len(made) != 1 {
		r.t.Fatalf("%v: %s", err, created)
	}
	r.do("list-silences", input{path: one})
	r.do("update-silences", input{path: one, body: []object{{"id": made[0].ID, "end_time": at(3 * time.Hour)}}})
	path := []string{s.account, made[0].ID}
	r.do("get-silence", input{path: path})
	r.do("delete-silence", input{path: path})
}

// callAlerts follows an alert to its deliveries.
func (r *recorder) callAlerts(s *story) {
	one := []string{s.account}
	var list []struct{ ID, State string }
	poll.Until(r.t, "every message is delivered", func() bool {
		list = nil
		newest := input{path: one, query: url.Values{"per_page": {"10"}}}
		if err := json.Unmarshal(r.do("list-deliveries", newest), &list); err != nil {
			r.t.Fatal(err)
		}
		for _, d := range list {
			if d.State == "waiting" || d.State == "sending" {
				return false
			}
		}
		return len(list) > 1
	})
	r.do("list-deliveries", input{path: one, query: url.Values{"per_page": {"2"}}})
	alert := []string{s.account, "cardpay-3"}
	r.do("acknowledge-alert", input{path: alert})
	r.do("list-alerts", input{path: one, query: url.Values{"state": {"firing"}}})
	text := object{"text": "The provider has an incident; the timeout is back at 5 s."}
	note := r.id(r.do("create-alert-note", input{path: alert, body: text}))
	r.do("get-alert", input{path: alert})
	r.do("delete-alert-note", input{path: append(alert, note)})
	r.do("withdraw-alert-acknowledgement", input{path: alert})
	r.do("replay-alert", input{path: alert})
	delivery := []string{s.account, list[len(list)-1].ID}
	r.do("replay-delivery", input{path: delivery})
	r.do("get-delivery", input{path: delivery})
}

func (r *recorder) callJobs(s *story) {
	one := []string{s.account}
	export := object{"format": "csv", "filters": object{"actor_id": []string{"u_17"}}}
	job := r.id(r.do("start-audit-export", input{path: one, body: export}))
	path := []string{s.account, job}
	poll.Until(r.t, "the export is done", func() bool {
		var got struct{ State string }
		return json.Unmarshal(r.do("get-job", input{path: path}), &got) == nil && got.State == "done"
	})
	r.do("download-job-file", input{path: path})
	r.do("list-jobs", input{path: one, query: url.Values{"kind": {"audit.export"}}})
	r.do("delete-job", input{path: path})
	erasure := object{"actor_id": "u_17", "reason": "Request of the person, ticket 4711"}
	r.do("start-audit-erasure", input{path: one, body: erasure})
}

// callEnds deletes what was made.
func (r *recorder) callEnds(s *story) {
	r.do("delete-policy", input{path: []string{s.account, s.policy}})
	r.do("delete-webhook", input{path: []string{s.account, s.webhook}})
	spec := object{"name": "deployment pipeline"}
	token := r.id(r.do("create-producer-token", input{path: []string{s.team}, body: spec}))
	r.do("revoke-producer-token", input{path: []string{s.team, token}})
	empty := r.id(r.call("POST", "/producers", object{"name": "A team that ends"}))
	r.do("delete-producer", input{path: []string{empty}})
	old := object{"name": "old", "permissions": []string{"audit:read"}}
	other := r.id(r.call("POST", "/accounts/"+s.account+"/tokens", old))
	r.do("revoke-token", input{path: []string{s.account, other}})
	r.addMember(s.account, "bea@acme.example", "Bea Novak", "viewer")
	r.do("delete-user", input{client: r.signIn("bea@acme.example").Client()})
	r.callOwnership()
}

// callOwnership gives an account to another owner, and closes it.
func (r *recorder) callOwnership() {
	account := r.account("Globex")
	r.addMember(account, "ines@globex.example", "Ines", "owner")
	next := r.addMember(account, "joao@globex.example", "João", "admin")
	ines := r.signIn("ines@globex.example").Client()
	r.do("transfer-ownership", input{client: ines, path: []string{account}, body: object{"member_id": next}})
	r.do("close-account", input{path: []string{account}, body: object{"name": "Globex"}})
	r.do("reopen-account", input{path: []string{account}})
}

// callOnRamps sends alerts in the formats of other systems.
func (r *recorder) callOnRamps(one []string) {
	alert := func(name, status string) object {
		return object{
			"status":       status,
			"labels":       object{"alertname": name, "severity": "warning", "instance": "checkout.shop.example:9090"},
			"annotations":  object{"summary": "Requests of checkout take longer than 500 ms"},
			"startsAt":     "2026-11-28T10:00:00Z",
			"generatorURL": "https://prometheus.example/graph?g0.expr=latency",
		}
	}
	posted := alert("HighLatency", "firing")
	delete(posted, "status")
	posted["endsAt"] = "2126-11-28T10:04:00Z"
	r.do("post-prometheus-alerts", input{path: one, body: []object{posted}})
	hook := object{
		"version":  "4",
		"groupKey": `{}:{alertname="DiskFull"}`,
		"status":   "firing",
		"receiver": "belfry",
		"alerts":   []object{alert("DiskFull", "firing")},
	}
	r.do("receive-alertmanager-webhook", input{path: one, body: hook})
	folder := alert("QueueLong", "firing")
	folder["values"] = object{"A": 91.4}
	hook["alerts"] = []object{folder}
	r.call("POST", "/accounts/"+one[0]+"/alerting/v3/policies", object{
		"name":       "Grafana to Kim",
		"enabled":    true,
		"alert_type": "grafana_alert",
		"mechanisms": object{"inbox": []object{{"id": "user:kim"}}},
	})
	r.do("receive-grafana-webhook", input{path: one, body: hook})
	r.callInbox(one)
}

// callInbox reads the inbox of a user and acts on it.
func (r *recorder) callInbox(one []string) {
	of := url.Values{"member": {"user:kim"}}
	var list []struct{ ID string }
	poll.Until(r.t, "the alert is in the inbox", func() bool {
		err := json.Unmarshal(r.do("list-inbox", input{path: one, query: of}), &list)
		return err == nil && len(list) == 1
	})
	r.do("count-unread-inbox", input{path: one, query: of})
	r.do("stream-inbox", input{path: one, query: url.Values{"member": {"user:kim"}, "last_event_id": {"0"}}})
	entry := append([]string{one[0]}, list[0].ID)
	r.do("read-inbox-entry", input{path: entry, query: of, body: object{"read": true}})
	wakes := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	r.do("snooze-inbox-entry", input{path: entry, query: of, body: object{"until": wakes}})
	r.do("archive-inbox-entry", input{path: entry, query: of, body: object{"archived": true}})
	r.do("read-inbox", input{path: one, query: of})
}
