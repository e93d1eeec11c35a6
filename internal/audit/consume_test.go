package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// consumed is a world that consumes a topic of the embedded broker.
type consumed struct {
	*world
	cluster bus.Cluster
	handled chan error // what each batch came to
}

// secondTopic stands for a second partition: the embedded broker's topics have one.
const secondTopic = event.TopicAuditEvents + ".second"

// consume starts a consumer; around may stand between it and the ledger.
func (w *world) consume(
	in *audit.Intake,
	around func(handle func(context.Context, *bus.Batch) error) func(context.Context, *bus.Batch) error,
) *consumed {
	w.T.Helper()
	b, err := broker.New(broker.Config{DataDir: w.T.TempDir()})
	if err == nil {
		err = b.Start(w.T.Context())
	}
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { b.Close() })
	c := &consumed{world: w, cluster: b.Cluster(), handled: make(chan error, 1000)}
	if err := bus.Ensure(w.T.Context(), c.cluster, bus.Topic{
		Name:       event.TopicAuditEvents,
		Partitions: 1,
	}, bus.Topic{Name: secondTopic, Partitions: 1}); err != nil {
		w.T.Fatal(err)
	}
	handle := in.Consume(w.Ledger)
	if around != nil {
		handle = around(handle)
	}
	consumer, err := bus.NewConsumer(bus.Config{
		Cluster: c.cluster,
		Group:   "audit",
		Topics:  []string{event.TopicAuditEvents, secondTopic},
		DB:      w.DB,
		Handle: func(ctx context.Context, batch *bus.Batch) error {
			err := handle(ctx, batch)
			c.handled <- err
			return err
		},
		Retry: bus.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Error(err)
		}
	})
	return c
}

func (c *consumed) publish(msgs ...bus.Message) {
	c.T.Helper()
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: c.cluster, ClientID: "test"})
	if err != nil {
		c.T.Fatal(err)
	}
	defer p.Close(context.Background())
	for i := range msgs {
		if msgs[i].Topic == "" {
			msgs[i].Topic = event.TopicAuditEvents
		}
	}
	if err := p.Publish(c.T.Context(), msgs...); err != nil {
		c.T.Fatal(err)
	}
}

// settle waits until the consumer's positions add up to n.
func (c *consumed) settle(n int64) {
	c.T.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if c.Count(`SELECT COALESCE(SUM(next), 0) FROM bus_offset`) >= n {
			return
		}
		select {
		case <-c.handled:
		case <-deadline:
			c.T.Fatalf("the consumer stays at %d of %d", c.Count(`SELECT COALESCE(SUM(next), 0) FROM bus_offset`), n)
		}
	}
}

func (c *consumed) rejects() (keys []string, list []event.Reject) {
	c.T.Helper()
	err := c.DB.View(c.T.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query(c.T.Context(), `SELECT topic, msg_key, value FROM outbox ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var topic string
			var key, value []byte
			if err := rows.Scan(&topic, &key, &value); err != nil {
				return err
			}
			var r event.Reject
			if err := json.Unmarshal(value, &r); err != nil || topic != event.TopicAuditRejects {
				return errors.Join(err, fmt.Errorf("a reject in topic %s", topic))
			}
			keys, list = append(keys, string(key)), append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return keys, list
}

func TestWhatIsRefusedOnTheBusGoesBackWithItsReasons(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		sources := plainSources()
		sources.Account = func(_ context.Context, ref string) (string, error) {
			if ref == "ext:known" {
				return accountA, nil
			}
			if ref == accountA || ref == accountB {
				return ref, nil
			}
			return "", errs.New(errs.CodeNotFound, "no such account")
		}
		in := audit.NewIntake(sources, w.Clock.Now)
		c := w.consume(in, nil)
		with := func(m members) []byte { return []byte(minimal(m)) }
		c.publish(
			bus.Message{Value: with(members{"account_id": accountA, "id": "good-1"})},
			bus.Message{
				Value: with(members{
					"account_id": accountA,
					"id":         "bad-1",
					"colour":     "red",
					"metadata": members{
						"mail":      "ana@example.com",
						"api_token": "s3cret",
						"ip":        "192.0.2.77",
						"v6":        "2001:db8::77",
						"pad":       strings.Repeat("x", 3830) + " bo@example.com",
					},
				}),
			},
			bus.Message{Value: []byte("\xff not JSON")},
			bus.Message{Value: with(members{"account_id": "ext:nobody", "id": "bad-2"})},
			bus.Message{Value: with(members{"id": "bad-3"})},
			bus.Message{
				Value: with(members{"account_id": accountA, "id": "bad-4", "actor": members{"type": "user", "id": "u\x00"}}),
			},
			bus.Message{Value: with(members{"account_id": "ext:known", "id": "good-2"})},
			bus.Message{Value: nil},
		)
		c.settle(8)
		if size, err := w.Reader.Size(t.Context(), accountA); err != nil || size != 2 {
			t.Fatalf("%d events, %v", size, err)
		}
		rec, err := w.Reader.Get(t.Context(), accountA, "good-2")
		if err != nil || rec.SubmittedBy != (record.Submitter{Type: "bus", ID: event.TopicAuditEvents}) ||
			rec.Event.Interface != "SYSTEM" {
			t.Fatalf("%v %+v", err, rec)
		}
		keys, list := c.rejects()
		if wantKeys := []string{accountA, "", "", "", accountA, ""}; !slices.Equal(keys, wantKeys) {
			t.Errorf("keys %q, want %q", keys, wantKeys)
		}
		var got []string
		for _, r := range list {
			got = append(got, fmt.Sprintf("%d %s %d %s", r.Source.Offset, r.EventID, r.Errors[0].Code, r.Errors[0].Pointer))
			if r.Via != "kafka" || r.Source.Topic != event.TopicAuditEvents || r.Source.Partition != 0 || r.At == "" ||
				r.Errors[0].Message == "" {
				t.Errorf("%+v", r)
			}
			for _, private := range []string{"ana@example.com", "s3cret", "192.0.2.77", "2001:db8::77", " bo"} {
				if strings.Contains(r.Payload, private) {
					t.Errorf("%s travels in clear: %s", private, r.Payload)
				}
			}
		}
		want := []string{"1 bad-1 1102 /colour", "2  1101 ", "3 bad-2 12005 /account_id", "4 bad-3 1103 /account_id",
			"5 bad-4 1100 /actor/id", "7  1101 "}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// The rejects, the events and the offset are one transaction: a commit that
// fails leaves none of them, and the batch comes again.
func TestABatchIsStoredOnceThoughItsFirstCommitFails(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var once sync.Once
		in := audit.NewIntake(failingOnce(&once), w.Clock.Now)
		c := w.consume(in, nil)
		c.publish(bus.Message{Value: []byte(minimal(members{"account_id": accountA, "id": "good"}))},
			bus.Message{Value: []byte(`{}`)}, bus.Message{Value: []byte(minimal(members{"account_id": accountA, "id": "good"}))})
		c.settle(3)
		if _, list := c.rejects(); len(list) != 1 {
			t.Errorf("%d rejects", len(list))
		}
		if n := w.Count(`SELECT COUNT(*) FROM leaf`); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// failingOnce are sources of which one is down at first.
func failingOnce(once *sync.Once) audit.Sources {
	s := plainSources()
	s.Account = func(_ context.Context, ref string) (id string, err error) {
		once.Do(func() { err = errs.New(errs.CodeUnavailable, "not now") })
		return ref, err
	}
	return s
}

func TestAFencedConsumerCommitsNeitherEventsNorRejects(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		fence, fenced := make(chan struct{}, 1), make(chan struct{})
		fence <- struct{}{}
		type handler = func(context.Context, *bus.Batch) error
		c := w.consume(w.intake(), func(handle handler) handler {
			return func(ctx context.Context, b *bus.Batch) error {
				select {
				case <-fence: // another process claims the partition while this one works
					w.Exec(`UPDATE bus_offset SET epoch = epoch + 1`)
					err := handle(ctx, b)
					if !errors.Is(err, bus.ErrFenced) {
						t.Errorf("want ErrFenced, got %v", err)
					}
					if n := w.Count(`SELECT (SELECT COUNT(*) FROM leaf) + (SELECT COUNT(*) FROM outbox)`); n != 0 {
						t.Errorf("%d rows of a fenced batch", n)
					}
					close(fenced)
					return err
				default:
					return handle(ctx, b)
				}
			}
		})
		c.publish(bus.Message{Value: []byte(minimal(members{"account_id": accountA, "id": "good"}))},
			bus.Message{Value: []byte(`{}`)})
		select {
		case <-fenced:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was consumed")
		}
	})
}

func TestOneAccountOnTwoPartitionsIsOneLog(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		c := w.consume(w.intake(), nil)
		var msgs []bus.Message
		for i := range 600 {
			msgs = append(msgs, bus.Message{
				Topic: []string{event.TopicAuditEvents, secondTopic}[i%2],
				Value: []byte(minimal(members{
					"account_id":  accountA,
					"id":          fmt.Sprint("e-", i/2*2),
					"occurred_at": "2026-11-22T09:00:00Z",
					"change_set":  fmt.Sprint(i / 2 % 3),
				})),
			})
		}
		c.publish(msgs...)
		c.settle(600)
		if size, err := w.Reader.Size(t.Context(), accountA); err != nil || size != 300 {
			t.Fatalf("%d events, %v", size, err)
		}
		w.CheckTree(accountA)
	})
}

func TestBelfrysOwnEventsAreStoredAndRefusedOnesSaidOut(t *testing.T) {
	w := newWorld(t, "")
	own := event.NewAudit(accountA, "create", "token", "t-1", "deploys").
		By(event.AuditActor{Type: "user", ID: "u-1"}, "UI").Changed(nil, map[string]any{"a": 1}).At(time.Now())
	good, err := json.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Set(time.Now())
	refused, err := w.intake().AppendOwn(t.Context(), w.Ledger,
		[][]byte{good, []byte(`{"account_id":"` + accountA + `"}`), good})
	if err != nil || len(refused) == 0 {
		t.Fatal(refused, err)
	}
	rec, err := w.Reader.Get(t.Context(), accountA, own.ID)
	if err != nil || rec.SubmittedBy != (record.Submitter{Type: "system", ID: "belfry"}) ||
		rec.Event.Resource.Product != event.Product {
		t.Fatalf("%v %+v", err, rec)
	}
	// Nobody else may write in Belfry's name.
	p, err := w.intake().Prepare(t.Context(), audit.Origin{Account: accountA, By: token, Operator: true}, good, [32]byte{})
	if err != nil || p.Status != ledger.Rejected || p.Faults[0].Code != errs.CodeReservedProduct {
		t.Fatalf("%v %s %v", err, p.Status, p.Faults)
	}
}
