package main

import (
	"context"
	"fmt"
	"time"
)

// stormZone is the property that all alerts of a storm are about.
const stormZone = "storm.example"

// stormChanges is how many changes of the property the record holds. Every alert
// of a storm looks for those that preceded it.
const stormChanges = 500

// prepareStorm makes the property, and records changes of it.
func (b *bench) prepareStorm(ctx context.Context) error {
	base := "/accounts/" + b.account
	if err := b.s.call(ctx, "POST", base+"/zones", map[string]any{"name": stormZone}, nil); err != nil {
		return err
	}
	var changes []any
	for i := range stormChanges {
		changes = append(changes, map[string]any{
			"id":          fmt.Sprint("change-", i),
			"occurred_at": time.Now().Add(-time.Duration(i) * time.Second).UTC().Format(time.RFC3339Nano),
			"action":      map[string]any{"type": "update"},
			"actor":       map[string]any{"type": "user", "id": fmt.Sprint("u-", i%20), "name": "Ana"},
			"resource":    map[string]any{"product": "bench", "type": "setting", "id": fmt.Sprint("s-", i%100)},
			"zone":        stormZone,
			"before":      map[string]any{"value": i},
			"after":       map[string]any{"value": i + 1},
		})
	}
	return b.s.call(ctx, "POST", base+"/audit/events", changes, nil)
}

// storm hands in the starts, or the ends, of alerts that each have a correlation
// id of their own.
func (b *bench) storm(ctx context.Context, event string) (result, error) {
	before, err := b.ownEvents(ctx)
	if err != nil {
		return result{}, err
	}
	r, err := b.flood(ctx, "storm", b.o.alerts/3, func(row string, n int) map[string]any {
		a := b.alert(row, "storm", n)
		a["event"] = event
		a["correlation_id"] = fmt.Sprint("storm-", n)
		a["zone"] = stormZone
		return a
	})
	if err != nil {
		return result{}, err
	}
	after, err := b.ownEvents(ctx)
	r.events = after - before
	return r, err
}

// ownEvents counts Belfry's own events in the account's audit log.
func (b *bench) ownEvents(ctx context.Context) (int, error) {
	var products []struct {
		Key   string `json:"key"`
		Count int    `json:"count"`
	}
	if err := b.s.call(ctx, "GET", "/accounts/"+b.account+"/audit/summary?group_by=product", nil, &products); err != nil {
		return 0, err
	}
	for _, p := range products {
		if p.Key == "belfry" {
			return p.Count, nil
		}
	}
	return 0, nil
}

// idle returns when the server has used little CPU for two seconds, or after
// five minutes.
func (b *bench) idle(ctx context.Context) {
	deadline := time.Now().Add(5 * time.Minute)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		before := b.s.cpu()
		time.Sleep(2 * time.Second)
		if b.s.cpu()-before < 100*time.Millisecond {
			return
		}
	}
}
