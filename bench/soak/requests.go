package main

import (
	"context"
	"fmt"
	"time"
)

type object = map[string]any

// prepare creates the accounts, the alert type and the policies.
func (s *soak) prepare(ctx context.Context, receiver string) error {
	var producer struct{ ID string }
	if err := s.server.Call(ctx, "POST", "/producers", object{"name": "Soak"}, &producer); err != nil {
		return err
	}
	err := s.server.Call(ctx, "PUT", "/producers/"+producer.ID+"/catalog", object{"version": 1, "products": []object{{
		"product": "soak", "title": "Soak", "category": "Soak",
		"alert_types": []object{{"type": "soak_notice", "title": "Soak notice", "severities": []string{"info"}}},
	}}}, nil)
	if err != nil {
		return err
	}
	for i := range accounts {
		var account, webhook struct{ ID string }
		if err := s.server.Call(ctx, "POST", "/accounts", object{"name": fmt.Sprint("Soak ", i)}, &account); err != nil {
			return err
		}
		s.accounts = append(s.accounts, account.ID)
		base := "/accounts/" + account.ID + "/alerting/v3"
		destination := object{"name": "Receiver", "url": receiver}
		err := s.server.Call(ctx, "POST", base+"/destinations/webhooks", destination, &webhook)
		if err != nil {
			return err
		}
		err = s.server.Call(ctx, "POST", base+"/policies", object{
			"name": "All", "enabled": true, "alert_type": "soak_notice",
			"mechanisms": object{"webhooks": []object{{"id": webhook.ID}}},
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// The three kinds of requests, by their running number.

func (s *soak) events(n int) (path string, body any) {
	list := make([]object, eventsPerRequest)
	for i := range list {
		serial := n*eventsPerRequest + i
		user := fmt.Sprint("user-", serial%500)
		setting := fmt.Sprint("setting-", serial%5000)
		list[i] = object{
			"action":   object{"type": "update"},
			"actor":    object{"type": "user", "id": user, "name": user, "email": user + "@example.com"},
			"resource": object{"product": "shop", "type": "setting", "id": setting, "name": setting},
			"before":   object{"value": serial},
			"after":    object{"value": serial + 1},
		}
	}
	return "/accounts/" + s.accounts[n%accounts] + "/audit/events", list
}

func (s *soak) alert(n int) (path string, body any) {
	return "/accounts/" + s.accounts[n%accounts] + "/alerting/v3/alerts",
		object{"alert_type": "soak_notice", "event": "notice", "summary": fmt.Sprint("Notice ", n)}
}

func (s *soak) count(n int) (path string, body any) {
	return "/accounts/" + s.accounts[n%accounts] + "/traffic/counts",
		object{"zone": "soak.example", "ts": time.Now().Unix(), "total": 100, "bad": n % 3}
}
