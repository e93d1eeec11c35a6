package slo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/engines"
)

// TestAShardIsHandedToAnotherProcess lets two processes share the partitions of
// a real topic; one goes in the middle, and nothing is lost or counted twice.
func TestAShardIsHandedToAnotherProcess(t *testing.T) {
	cluster := bus.Cluster{Brokers: strings.Split(engines.Kafka(t), ",")}
	w := newWorld(t, engines.Postgres(t))
	// The cluster outlives the test: a topic and group of its own.
	own := "." + fmt.Sprint(time.Now().UnixNano())
	topic, group := event.TopicTrafficSharded+own, slo.Group+own
	err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM bus_offset`)
		return err
	})
	if err == nil {
		err = bus.Ensure(t.Context(), cluster, bus.Topic{Name: topic, Partitions: 4})
	}
	if err != nil {
		t.Fatal(err)
	}
	o := w.create(checkoutSpec())
	start := func(f *slo.Feature) (stop func()) {
		c, err := bus.NewConsumer(bus.Config{
			Cluster:    cluster,
			Group:      group,
			Topics:     []string{topic},
			DB:         w.db,
			Handle:     f.Handle,
			MaxRecords: 50,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	now := time.Now().Unix() / 10 * 10
	publish := func(from, until int64) {
		var msgs []bus.Message
		for _, r := range steady(shop, from, until, 100, 1) {
			value, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			msgs = append(msgs, bus.Message{Topic: topic, Key: []byte(shop), Value: value})
		}
		if err := p.Publish(t.Context(), msgs...); err != nil {
			t.Fatal(err)
		}
	}
	total := func() uint64 {
		w.setClock(now)
		_, s, err := w.f.Status(t.Context(), acme, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s.Budget.Total
	}
	until := func(want uint64) {
		deadline := time.Now().Add(90 * time.Second)
		for total() < want {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d", total(), want)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	stopOne := start(w.another(prometheus.NewRegistry()))
	publish(now-3600, now-2400)
	until(12_000)
	stopTwo := start(w.another(prometheus.NewRegistry()))
	publish(now-2400, now-1200)
	stopOne()
	publish(now-1200, now)
	until(36_000)
	stopTwo()
	if got := total(); got != 36_000 {
		t.Errorf("%d requests instead of 36,000", got)
	}
}
