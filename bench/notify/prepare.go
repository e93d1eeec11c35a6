package main

import (
	"context"
	"fmt"
	"time"
)

type object = map[string]any

const (
	stormZone    = "storm.example" // the property that all alerts of a storm are about
	stormChanges = 500             // its changes in the record: every alert looks for those that preceded it

	// The rows with bad receivers have spread destinations, of which the first spreadBad can be made bad. Messages to
	// these are never counted, so that the row with good receivers only measures the same destinations.
	spread    = 100
	spreadBad = 20
)

// prepare creates the account, the alert types, the webhooks and the policies: each kind of alert has its destinations.
func (b *bench) prepare(ctx context.Context) error {
	var account, producer struct{ ID string }
	if err := b.server.Call(ctx, "POST", "/accounts", object{"name": "bench"}, &account); err != nil {
		return err
	}
	b.account = account.ID
	if err := b.server.Call(ctx, "POST", "/producers", object{"name": "bench"}, &producer); err != nil {
		return err
	}
	if err := b.server.Call(ctx, "PUT", "/producers/"+producer.ID+"/catalog", catalogue(), nil); err != nil {
		return err
	}

	one, err := b.webhook(ctx, "good/one")
	if err != nil {
		return err
	}
	for _, kind := range []string{"one", "storm"} {
		if err := b.policy(ctx, kind, "", one); err != nil {
			return err
		}
	}
	if err := b.prepareStorm(ctx); err != nil {
		return err
	}
	bad, err := b.webhook(ctx, "bad")
	if err != nil {
		return err
	}
	for i := range b.destinations {
		good, err := b.webhook(ctx, fmt.Sprint("good/", i))
		if err != nil {
			return err
		}
		if err := b.policy(ctx, "many", fmt.Sprint(i), good); err != nil {
			return err
		}
		if i == 0 {
			good = bad
		}
		if err := b.policy(ctx, "poisoned", fmt.Sprint(i), good); err != nil {
			return err
		}
	}
	return b.prepareSpread(ctx)
}

func (b *bench) prepareSpread(ctx context.Context) error {
	for i := range spread {
		path := fmt.Sprint("good/spread-", i)
		if i < spreadBad {
			path = fmt.Sprint("bad/", []string{hangs, drips, refuses}[i%3], i)
		}
		webhook, err := b.webhook(ctx, path)
		if err != nil {
			return err
		}
		if err := b.policy(ctx, "spread", fmt.Sprint(i), webhook); err != nil {
			return err
		}
	}
	return nil
}

func catalogue() object {
	var types []object
	for _, kind := range []string{"one", "many", "poisoned", "storm", "spread"} {
		types = append(types, object{
			"type": "bench_" + kind, "title": kind, "severities": []string{"error"},
			"filters": []object{{"key": "to", "title": "To"}},
		})
	}
	action := object{"type": "update", "sentence": "{actor} changed {resource}"}
	return object{"version": 1, "products": []object{{
		"product": "bench", "title": "Bench", "alert_types": types,
		"resources": []object{{"type": "setting", "actions": []object{action}}},
	}}}
}

func (b *bench) webhook(ctx context.Context, path string) (string, error) {
	var created struct{ ID string }
	body := object{"name": path, "url": b.receivers.server.URL + "/" + path}
	err := b.server.Call(ctx, "POST", "/accounts/"+b.account+"/alerting/v3/destinations/webhooks", body, &created)
	return created.ID, err
}

// policy sends the alerts of a kind to a webhook: all of them, or those with the filter value.
func (b *bench) policy(ctx context.Context, kind, to, webhook string) error {
	body := object{
		"name":       kind + " " + to,
		"enabled":    true,
		"alert_type": "bench_" + kind,
		"mechanisms": object{"webhooks": []object{{"id": webhook}}},
	}
	if to != "" {
		body["filters"] = object{"to": []string{to}}
	}
	return b.server.Call(ctx, "POST", "/accounts/"+b.account+"/alerting/v3/policies", body, nil)
}

// prepareStorm creates the property, and records changes of it.
func (b *bench) prepareStorm(ctx context.Context) error {
	base := "/accounts/" + b.account
	if err := b.server.Call(ctx, "POST", base+"/zones", object{"name": stormZone}, nil); err != nil {
		return err
	}
	var changes []object
	for i := range stormChanges {
		changes = append(changes, object{
			"id":          fmt.Sprint("change-", i),
			"occurred_at": time.Now().Add(-time.Duration(i) * time.Second).UTC().Format(time.RFC3339Nano),
			"action":      object{"type": "update"},
			"actor":       object{"type": "user", "id": fmt.Sprint("u-", i%20), "name": "Ana"},
			"resource":    object{"product": "bench", "type": "setting", "id": fmt.Sprint("s-", i%100)},
			"zone":        stormZone,
			"before":      object{"value": i},
			"after":       object{"value": i + 1},
		})
	}
	return b.server.Call(ctx, "POST", base+"/audit/events", changes, nil)
}
