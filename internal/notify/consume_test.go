package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// TestAlertsOfTheBusAreStoredOnceAndRefusedOnesGoBack runs the real consumer on
// a real broker.
func TestAlertsOfTheBusAreStoredOnceAndRefusedOnesGoBack(t *testing.T) {
	w := newWorld(t, "", nil)
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
	if err == nil {
		err = b.Start(t.Context())
	}
	if err == nil {
		err = bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: event.TopicAlerts, Partitions: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	cluster := b.Cluster()
	cluster.Key = []byte("a key of the installation")
	producer := func(c bus.Cluster) *bus.Producer {
		p, err := bus.NewProducer(bus.ProducerConfig{Cluster: c})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close(context.Background()) })
		return p
	}
	p := producer(b.Cluster()) // a product: its records carry no MAC
	good := func(id, extra string) string {
		const format = `{"account_id":%q,"id":%q,"alert_type":"shop_down","event":"notice",` +
			`"occurred_at":"2026-11-22T10:00:00Z"%s}`
		return fmt.Sprintf(format, acme, id, extra)
	}
	values := []string{
		good("k1", ""),                   // stored
		good("k1", ""),                   // repeated
		good("k2", ""),                   // stored
		good("k1", `,"summary":"other"`), // conflict
		`not json`,
		strings.Replace(good("k3", `,"data":{"token":"hunter2","mail":"ana@acme.example"}`), "shop_down", "nothing", 1),
		`{"account_id":"nobody","id":"k4","alert_type":"shop_down","event":"notice"}`,
		strings.Replace(good("k6", ""), "shop_down", "belfry_budget_burn", 1), // forged
		"", // a tombstone
	}
	own := strings.NewReplacer("shop_down", "belfry_budget_burn", "notice", "start").
		Replace(good("k5", `,"correlation_id":"c5"`))
	falseEnd := strings.Replace(good("k7", `,"correlation_id":"c5"`), "notice", "end", 1)
	var msgs []bus.Message
	for _, v := range values {
		msgs = append(msgs, bus.Message{Topic: event.TopicAlerts, Key: []byte(acme), Value: []byte(v)})
	}
	if err := p.Publish(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	if err := producer(cluster).Publish(t.Context(), bus.Message{
		Topic: event.TopicAlerts,
		Key:   []byte(acme),
		Value: []byte(own),
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), bus.Message{
		Topic: event.TopicAlerts,
		Key:   []byte(acme),
		Value: []byte(falseEnd),
	}); err != nil {
		t.Fatal(err)
	}
	values = append(values, own, falseEnd)
	w.deps.Registerer = nil
	consumer, err := w.n.Consumer(cluster)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := consumer.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	until(t, "both arrive", func() bool { return len(r.all()) == 2 })
	until(t, "all are consumed", func() bool {
		positions, err := bus.Positions(t.Context(), w.db)
		if err != nil {
			t.Fatal(err)
		}
		return len(positions) == 1 && positions[0].Next == int64(len(values))
	})
	if d := w.decision("k5"); d.Type != "belfry_budget_burn" || d.State != "firing" {
		t.Errorf("%+v", d)
	}
	var rejects []event.Reject
	err = w.db.View(t.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query(t.Context(), `SELECT value FROM outbox WHERE topic = $1 ORDER BY id`, event.TopicAuditRejects)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var value []byte
			var one event.Reject
			if err := rows.Scan(&value); err != nil {
				return err
			}
			if err := json.Unmarshal(value, &one); err != nil {
				return err
			}
			rejects = append(rejects, one)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]event.Reject{}
	for _, one := range rejects {
		if one.Kind != "alert" || one.Via != "kafka" || one.Source == nil || len(one.Errors) == 0 {
			t.Errorf("%+v", one)
			continue
		}
		got[one.Source.Offset] = one
	}
	for offset, code := range map[int64]int{3: 12000, 4: 1101, 5: 12002, 6: 12005, 7: 12004, 8: 1101, 10: 12000} {
		if one, ok := got[offset]; !ok || one.Errors[0].Code != code {
			t.Errorf("offset %d: %+v, want code %d", offset, one, code)
		}
	}
	if len(got) != 7 || got[3].Producer != team || got[5].Account != acme || strings.Contains(got[5].Payload, "hunter2") ||
		strings.Contains(got[5].Payload, "ana@") {
		t.Errorf("%+v", got)
	}
	if n := len(r.all()); n != 2 {
		t.Errorf("%d messages", n)
	}
}
