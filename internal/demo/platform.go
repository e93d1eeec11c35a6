package demo

import (
	"context"
	"net/http"
	"time"
)

// platform creates the components of the status page, a maintenance and an incident of the past. The incident is the
// one of the shop's own past: its provider of payments failed. Nothing is sent.
func (d *demo) platform(ctx context.Context) error {
	create := func(path string, body map[string]any) (string, error) {
		var made struct{ ID string }
		err := d.api.JSON(ctx, http.MethodPost, path, body, &made)
		return made.ID, err
	}
	var components []string
	for _, c := range []map[string]any{
		{"name": "Storefront", "group": "Shop"},
		{"name": "Checkout", "group": "Shop", "description": "Baskets and payments"},
		{"name": "Mail", "group": "Messages"},
	} {
		made, err := create("/status/components", c)
		if err != nil {
			return err
		}
		components = append(components, made)
	}
	texts := map[string]any{"title": "Shop status", "description": "The shop, as its customers notice it."}
	if err := d.api.JSON(ctx, http.MethodPut, "/status/page", texts, nil); err != nil {
		return err
	}
	began := lastIncident.began(time.Now()).UTC()
	stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
	one, err := create("/incidents", map[string]any{
		"name":       "Payments fail",
		"impact":     "major",
		"message":    "About a third of the payments fail. We are looking for the cause.",
		"components": []map[string]string{{"id": components[1], "status": "partial_outage"}},
		"started_at": stamp(began),
		"silent":     true,
	})
	if err != nil {
		return err
	}
	for _, u := range []struct {
		after           time.Duration
		status, message string
	}{
		{2 * time.Minute, "identified", "The last deployment is the cause. We are rolling it back."},
		{lastIncident.lasted, "resolved", "The deployment is rolled back, and payments work."},
	} {
		update := map[string]any{"status": u.status, "message": u.message, "at": stamp(began.Add(u.after)), "silent": true}
		if err := d.api.JSON(ctx, http.MethodPost, "/incidents/"+one+"/updates", update, nil); err != nil {
			return err
		}
	}
	from := began.AddDate(0, 0, -7).Truncate(time.Hour)
	_, err = create("/maintenances", map[string]any{
		"name":            "Upgrade of the database",
		"message":         "Orders are accepted; their mails arrive later.",
		"components":      []string{components[2]},
		"scheduled_for":   stamp(from),
		"scheduled_until": stamp(from.Add(time.Hour)),
		"silent":          true,
	})
	return err
}
