package pages_test

import "time"

// incidents are one of the past, one that is open, and a maintenance that lies ahead.
func (i *installation) incidents() {
	i.later(10 * 24 * time.Hour)
	api := i.create("/status/components", object{"name": "API", "group": "Core services", "location": "AMS"})
	dashboard := i.create("/status/components", object{"name": "Dashboard", "group": "Core services"})
	i.create("/status/components", object{"name": "Mail", "description": "Notifications by mail"})
	i.call("PUT", "/status/page", object{"title": "Acme status", "description": "The platform of Acme, in its words."})
	i.call("PUT", "/status/templates", object{"templates": []object{
		{"name": "Fixed", "status": "monitoring", "message": "The fix is in place. We are watching the results."},
	}})
	i.later(9 * 24 * time.Hour)
	past := i.create("/incidents", object{
		"name": "Elevated errors of the API", "impact": "major", "message": "Some requests fail.",
		"components": []object{{"id": api, "status": "partial_outage"}},
	})
	i.later(9*24*time.Hour - 47*time.Minute)
	i.call("POST", "/incidents/"+past+"/updates", object{"status": "resolved", "message": "The certificate is renewed."})
	i.later(9 * time.Hour)
	i.call("POST", "/incidents", object{
		"name": "The dashboard is slow", "message": "Pages take longer than usual. We are looking for the cause.",
		"components": []object{{"id": dashboard, "status": "degraded_performance"}},
	})
	i.call("POST", "/maintenances", object{
		"name": "Upgrade of the database", "message": "The dashboard is read-only for some minutes.",
		"components":      []string{dashboard},
		"scheduled_for":   now.Add(30 * time.Hour).Format(time.RFC3339),
		"scheduled_until": now.Add(31 * time.Hour).Format(time.RFC3339),
	})
}
