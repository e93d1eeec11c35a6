package app_test

import (
	"encoding/json"
	"net/url"
	"time"
)

// callIncidents declares components, an incident and a maintenance, and corrects objectives because of it.
func (r *recorder) callIncidents(s *story, receiver string) {
	api := r.id(r.do("create-status-component", input{body: object{
		"name": "API", "group": "Core services", "description": "Everything below /client/v4", "location": "AMS",
	}}))
	gone := r.id(r.do("create-status-component", input{body: object{"name": "Beta"}}))
	r.do("update-status-component", input{path: []string{api}, body: object{"position": 10}})
	r.do("get-status-component", input{path: []string{api}})
	r.do("delete-status-component", input{path: []string{gone}})
	r.do("replace-status-page", input{body: object{"title": "Acme status", "support_url": "https://support.acme.example"}})
	r.do("get-status-page", input{})
	r.do("replace-update-templates", input{body: object{"templates": []object{
		{"name": "Fixed", "status": "monitoring", "message": "The fix is in place. We are watching the results."},
	}}})
	r.do("get-update-templates", input{})
	at := func(after time.Duration) string { return time.Now().Add(after).UTC().Format(time.RFC3339) }
	incident := r.id(r.do("create-incident", input{body: object{
		"name":       "Elevated errors of the API",
		"impact":     "major",
		"message":    "Some requests of the API fail. We are looking for the cause.",
		"components": []object{{"id": api, "status": "partial_outage"}},
		"started_at": at(-4 * time.Minute),
	}}))
	one := []string{incident}
	var published struct{ Updates []struct{ ID string } }
	if err := json.Unmarshal(r.do("create-incident-update", input{path: one, body: object{
		"status":     "monitoring",
		"message":    "The fix is in place. We are watching the results.",
		"components": []object{{"id": api, "status": "operational"}},
	}}), &published); err != nil || len(published.Updates) != 2 {
		r.t.Fatal(published, err)
	}
	r.do("update-incident-update", input{path: []string{incident, published.Updates[0].ID}, body: object{
		"message": "A fix is in place. We are watching the results.",
	}})
	r.do("update-incident", input{path: one, body: object{"impact": "minor"}})
	r.do("list-status-components", input{})
	r.do("create-maintenance", input{body: object{
		"name":            "Upgrade of the database",
		"message":         "The dashboard is read-only for some minutes.",
		"components":      []string{api},
		"scheduled_for":   at(48 * time.Hour),
		"scheduled_until": at(49 * time.Hour),
	}})
	r.do("list-incidents", input{query: url.Values{"open": {"true"}}})
	r.do("get-incident", input{path: one})
	r.do("create-incident-corrections", input{path: one, body: object{"account_id": s.account, "zones": []string{s.zone}}})
	r.do("list-incident-corrections", input{path: one})
	if _, err := r.app.Incident.SubscribeByWebhook(r.t.Context(), receiver); err != nil {
		r.t.Fatal(err)
	}
	var subscribers []struct{ ID string }
	if err := json.Unmarshal(r.do("list-status-subscribers", input{}), &subscribers); err != nil || len(subscribers) != 1 {
		r.t.Fatal(subscribers, err)
	}
	r.do("delete-status-subscriber", input{path: []string{subscribers[0].ID}})
}
