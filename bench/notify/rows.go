package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/bench/internal/load"
)

// result is the outcome of a row.
type result struct {
	sent      int // alerts
	expected  int // messages
	received  int // different messages
	doubled   int // messages beyond the first of each
	took      time.Duration
	used      usage
	latencies []time.Duration
	ownEvents int // Belfry's own in the audit log, of a storm
}

// maker makes the n-th alert of a row.
type maker func(row, kind string, n int) object

// alert makes a notice; n chooses its destination.
func (b *bench) alert(row, kind string, n int) object {
	destinations := b.destinations
	if kind == "spread" {
		destinations = spread
	}
	return object{
		"id":         fmt.Sprintf("%s-%d", row, n),
		"alert_type": "bench_" + kind,
		"event":      "notice",
		"summary":    "A message of the size that messages have, with a sentence for people in it",
		"filters":    object{"to": []string{fmt.Sprint(n % destinations)}},
		"data": object{
			"sent": time.Now().UnixNano(),
			"row":  row,
			"pad":  "0123456789012345678901234567890123456789012345678901234567890123456789",
		},
	}
}

func (b *bench) alertsPath() string { return "/accounts/" + b.account + "/alerting/v3/alerts" }

// begin starts a row of a kind and returns its name.
func (b *bench) begin(kind string) string {
	row := fmt.Sprint(kind, time.Now().UnixNano())
	b.receivers.begin(row)
	return row
}

// flood sends alerts as fast as they are accepted, and waits for the last message. The server's CPU is read when it is
// idle again, because the audit log stores Belfry's own events after the deliveries.
func (b *bench) flood(ctx context.Context, kind string, alerts int, alert maker) (result, error) {
	b.idle(ctx)
	row := b.begin(kind)
	before := b.usage()
	began := time.Now()
	requests := (alerts + b.batch - 1) / b.batch
	err := load.Flood(ctx, b.callers, requests, func(ctx context.Context, _, i int) error {
		var list []object
		for n := i * b.batch; n < min((i+1)*b.batch, alerts); n++ {
			list = append(list, alert(row, kind, n))
		}
		return b.server.Call(ctx, "POST", b.alertsPath(), list, nil)
	})
	if err != nil {
		return result{}, err
	}
	took := b.receivers.await(ctx, alerts, time.Minute).Sub(began)
	generator := b.usage().since(before).generator
	b.idle(ctx)
	used := b.usage().since(before)
	used.generator = generator // without the wait
	return b.result(result{sent: alerts, expected: alerts, took: took, used: used}), nil
}

// steady sends one alert a request at an even rate.
func (b *bench) steady(ctx context.Context, kind string) (result, error) {
	row := b.begin(kind)
	total := b.rate * b.seconds
	before := b.usage()
	began := time.Now()
	var failed atomic.Value
	load.Pace(ctx, b.rate, 64, total, func(ctx context.Context, n int) {
		if err := b.server.Call(ctx, "POST", b.alertsPath(), b.alert(row, kind, n), nil); err != nil {
			failed.Store(err)
		}
	})
	if err, ok := failed.Load().(error); ok {
		return result{}, err
	}
	expected := total
	switch kind {
	case "poisoned":
		expected -= (total + b.destinations - 1) / b.destinations
	case "spread":
		expected = total/spread*(spread-spreadBad) + max(0, total%spread-spreadBad)
	}
	b.receivers.await(ctx, expected, 30*time.Second)
	took := time.Since(began)
	return b.result(result{sent: total, expected: expected, took: took, used: b.usage().since(before)}), nil
}

// result adds the messages that the receivers counted.
func (b *bench) result(r result) result {
	var seen map[string]int
	seen, r.latencies = b.receivers.received()
	r.received = len(seen)
	for _, n := range seen {
		r.doubled += n - 1
	}
	return r
}

// storm sends the starts, or the ends, of alerts that each have a correlation id of their own.
func (b *bench) storm(ctx context.Context, event string) (result, error) {
	before, err := b.ownEvents(ctx)
	if err != nil {
		return result{}, err
	}
	r, err := b.flood(ctx, "storm", b.alerts/3, func(row, kind string, n int) object {
		alert := b.alert(row, kind, n)
		alert["event"] = event
		alert["correlation_id"] = fmt.Sprint("storm-", n)
		alert["zone"] = stormZone
		return alert
	})
	if err != nil {
		return result{}, err
	}
	after, err := b.ownEvents(ctx)
	r.ownEvents = after - before
	return r, err
}

// ownEvents counts Belfry's own events in the account's audit log.
func (b *bench) ownEvents(ctx context.Context) (int, error) {
	var products []struct {
		Key   string
		Count int
	}
	path := "/accounts/" + b.account + "/audit/summary?group_by=product"
	if err := b.server.Call(ctx, "GET", path, nil, &products); err != nil {
		return 0, err
	}
	for _, p := range products {
		if p.Key == "belfry" {
			return p.Count, nil
		}
	}
	return 0, nil
}
