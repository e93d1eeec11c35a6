package traffic_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

// countsTopic is a broker with the topic of counts.
type countsTopic struct {
	*world
	cluster  bus.Cluster
	producer *bus.Producer
	sent     int64
}

func newCountsTopic(t *testing.T, w *world) *countsTopic {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
	if err == nil {
		err = b.Start(t.Context())
	}
	if err == nil {
		err = bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: event.TopicTrafficCounts, Partitions: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: b.Cluster()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return &countsTopic{world: w, cluster: b.Cluster(), producer: p}
}

func (b *countsTopic) publish(values ...string) {
	b.t.Helper()
	var msgs []bus.Message
	for _, v := range values {
		msgs = append(msgs, bus.Message{Topic: event.TopicTrafficCounts, Value: []byte(v), Time: start})
	}
	if err := b.producer.Publish(b.t.Context(), msgs...); err != nil {
		b.t.Fatal(err)
	}
	b.sent += int64(len(values))
}

// consume runs a consumer until it has stored everything that was published.
func (b *countsTopic) consume(c *bus.Consumer) {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	defer func() { stop(); running.Wait() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		positions, err := bus.Positions(b.t.Context(), b.db)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, p := range positions {
			if p.Group == traffic.Group && p.Next >= b.sent {
				return
			}
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the counts were not consumed: %+v", positions)
		}
	}
}

func (b *countsTopic) consumer() *bus.Consumer {
	b.t.Helper()
	c, err := b.f.Consumer(b.cluster)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *countsTopic) count(accountID, zone string, total int) string {
	return fmt.Sprintf(`{"account_id":%q,"zone":%q,"ts":%d,"total":%d}`, accountID, zone, start.Unix(), total)
}

func TestCountsOfTheBusAreSplitAndTheOthersGoBack(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := newCountsTopic(t, w)
		b.publish(
			b.count(w.a, "shop.example", 1)+"\n"+b.count("ext:other", "shop.example", 2),
			"["+b.count("ext:acme", "shop.example", 3)+","+b.count(w.a, "not a host", 1)+"]",
			"garbage", "", `{"account_id":"ext:nobody","zone":"z.example","ts":1,"total":1}`)
		b.consume(b.consumer())
		list := w.sharded(3)
		if list[0].Account != w.a || list[1].Account != w.b || list[2].Account != w.a || list[0].Zone != list[2].Zone ||
			list[2].Counts[0].Total != 3 {
			t.Errorf("%+v", list)
		}
		rejects := decode[event.Reject](t, w.delivered(event.TopicAuditRejects, 4))
		var got []string
		for _, r := range rejects {
			if r.Kind != "traffic" || r.Via != "kafka" || r.Source == nil || r.Source.Topic != event.TopicTrafficCounts {
				t.Errorf("%+v", r)
			}
			got = append(got, fmt.Sprint(r.Source.Offset, r.Errors[0].Pointer, r.Account == w.a))
		}
		if want := "1/zonetrue 2false 3false 4/tsfalse"; strings.Join(got, " ") != want {
			t.Errorf("rejects %q, want %q", strings.Join(got, " "), want)
		}
	})
}

func TestARecordThatIsReadAgainHasTheSameId(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := newCountsTopic(t, w)
		b.publish(b.count(w.a, "shop.example", 1), b.count(w.a, "shop.example", 1))
		b.consume(b.consumer())
		first := w.sharded(2)
		if first[0].ID == first[1].ID {
			t.Error("two records have one id")
		}
		// The position was lost (a restored database): everything comes again.
		if err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM bus_offset`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		again := newWorldOn(t, w)
		b.world = again
		b.consume(b.consumer())
		all := w.sharded(4)
		if all[2].ID != first[0].ID || all[3].ID != first[1].ID {
			t.Errorf("%+v", all)
		}
	})
}

// newWorldOn is the feature of another process on the same database.
func newWorldOn(t *testing.T, w *world) *world {
	t.Helper()
	f, err := traffic.New(traffic.Config{
		Env:        feature.Env{DB: w.db, Wake: func() {}, Now: w.Now},
		Zone:       w.dir.EnsureZone,
		Account:    w.dir.ResolveAccount,
		Partitions: 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, f: f, db: w.db, dir: w.dir, a: w.a, b: w.b}
}

func TestNothingIsStoredWhileZonesCannotBeLookedUp(t *testing.T) {
	w := newWorld(t, "", 1)
	b := newCountsTopic(t, w)
	var mu sync.Mutex
	failures := 3
	f, err := traffic.New(traffic.Config{
		Env:        feature.Env{DB: w.db, Wake: func() {}, Now: w.Now},
		Account:    w.dir.ResolveAccount,
		Partitions: 1,
		Zone: func(ctx context.Context, accountID, ref string) (string, string, error) {
			mu.Lock()
			defer mu.Unlock()
			if failures--; failures >= 0 {
				return "", "", errs.New(errs.CodeUnavailable, "the database does not answer")
			}
			return w.dir.EnsureZone(ctx, accountID, ref)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.publish(b.count(w.a, "shop.example", 1))
	c, err := bus.NewConsumer(bus.Config{Cluster: b.cluster, Group: traffic.Group,
		Topics: []string{event.TopicTrafficCounts}, DB: w.db,
		Retry: bus.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
		Handle: func(ctx context.Context, batch *bus.Batch) error {
			err := f.Handle(ctx, batch)
			if err != nil && (!errs.Is(err, errs.CodeUnavailable) || errors.Is(err, bus.ErrFenced)) {
				t.Error(err)
			}
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	b.consume(c)
	if list := w.sharded(1); list[0].Zone != w.zone(w.a, "shop.example") {
		t.Errorf("%+v", list)
	}
	if n := len(w.delivered(event.TopicAuditRejects, 0)); n > 0 {
		t.Errorf("%d counts were refused for want of a database", n)
	}
}

func TestAnAccountWithAsManyZonesAsItMayHaveSaysSo(t *testing.T) {
	w := newWorld(t, "", 1)
	limit := errs.New(errs.CodeLimit, "the account has %d zones, which is the most it may have", account.MaxZones)
	f, err := traffic.New(traffic.Config{
		Env:        feature.Env{DB: w.db, Wake: func() {}, Now: w.Now},
		Account:    w.dir.ResolveAccount,
		Partitions: 1,
		Zone:       func(context.Context, string, string) (string, string, error) { return "", "", limit },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.f = f
	w.serve()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	a := w.counts(count("one-more.example", start, 1, 0))
	if a.Status != 400 || a.Errors[0].Source.Pointer != "/zone" || a.Errors[0].Code != errs.CodeLimit {
		t.Error(a.Text)
	}
}
