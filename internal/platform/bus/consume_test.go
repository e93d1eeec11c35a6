package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/test/poll"
)

func TestWhatIsPublishedIsStoredOnceInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		w.publish(w.producer(), topic, 0, 1000)
		w.consume(bus.Config{Group: id.New(), Topics: []string{topic}, MaxRecords: 70})
		poll.Until(t, "1000 rows", func() bool { return len(w.seen()) >= 1000 })
		w.complete(1000)
	})
}

// A consumer dies at random moments: before the handler, between the
// transaction's writes and its commit, and after the commit.
func TestEveryRecordIsStoredOnceHoweverOftenTheConsumerDies(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const records = 2000
		topic, group := w.topic(1), id.New()
		p := w.producer()
		w.publish(p, topic, 0, records/2)
		go func() {
			for i := records / 2; i < records; i += 50 {
				w.publish(p, topic, i, 50)
			}
		}()
		deaths := 0
		for round := 0; len(w.seen()) < records; round++ {
			if round > 200 {
				t.Fatalf("only %d rows after %d rounds", len(w.seen()), round)
			}
			dead := make(chan struct{})
			var die sync.Once
			left := rand.IntN(6) + 1
			ctx, kill := context.WithCancel(context.Background())
			c, err := bus.NewConsumer(bus.Config{Cluster: w.cluster, DB: w.db, Group: group, Topics: []string{topic},
				MaxRecords: 40, Drain: time.Nanosecond,
				Handle: func(ctx context.Context, b *bus.Batch) error {
					crash := func() error { die.Do(func() { close(dead) }); return errBoom }
					left--
					switch {
					case left > 0 || len(w.seen()) == records:
						return w.store(ctx, b)
					case round%3 == 0:
						return crash()
					case round%3 == 1:
						return w.db.Tx(ctx, func(tx *db.Tx) error {
							if err := b.Commit(ctx, tx); err != nil {
								return err
							}
							_, err := tx.Exec(ctx, `INSERT INTO seen (value, at_partition, at_offset) VALUES ('half', 0, 0)`)
							return errors.Join(err, crash())
						})
					default:
						return errors.Join(w.store(ctx, b), crash())
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			deadline := time.Now().Add(patience)
			for waiting := true; waiting; {
				select {
				case <-dead:
					deaths++
					waiting = false
				case <-time.After(20 * time.Millisecond):
					waiting = len(w.seen()) < records
				}
				if time.Now().After(deadline) {
					t.Fatalf("only %d rows, and nothing came in round %d", len(w.seen()), round)
				}
			}
			kill()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		w.complete(records)
		if deaths < 5 {
			t.Fatalf("only %d deaths: the test shows nothing", deaths)
		}
	})
}

func TestAZombieConsumerCommitsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic, group := w.topic(1), id.New()
		w.publish(w.producer(), topic, 0, 100)
		held, release := make(chan struct{}), make(chan struct{})
		result := make(chan error, 1)
		var first atomic.Bool
		first.Store(true)
		_, stop := w.consume(bus.Config{Group: group, Topics: []string{topic}, MaxRecords: 100,
			Handle: func(ctx context.Context, b *bus.Batch) error {
				if !first.Swap(false) {
					return w.store(ctx, b)
				}
				close(held)
				<-release // a long pause: others own the partition meanwhile
				err := w.store(context.Background(), b)
				result <- err
				return err
			}})
		<-held
		// Another process claims the partition and stores all of it, under the
		// group's name but without its membership.
		other := &world{t: t, cluster: w.cluster, db: w.db}
		claimed := claimAndStore(t, other, group, topic)
		close(release)
		if err := <-result; !errors.Is(err, bus.ErrFenced) {
			t.Fatalf("the zombie's commit answered %v", err)
		}
		stop()
		if claimed != 100 {
			t.Fatalf("the new owner stored %d", claimed)
		}
		w.complete(100)
	})
}

// claimAndStore is a second owner that the group does not know of: it reads the
// partition directly and moves the offset as a claim of its own does.
func claimAndStore(t *testing.T, w *world, group, topic string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cl, err := w.cluster.Client("other",
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	n := 0
	for n < 100 {
		fetched := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
		err := w.db.Tx(ctx, func(tx *db.Tx) error {
			for _, r := range fetched.Records() {
				if _, err := tx.Exec(ctx, `INSERT INTO seen (value, at_partition, at_offset) VALUES ($1, 0, $2)`, string(r.Value),
					r.Offset); err != nil {
					return err
				}
			}
			changed, err := tx.Exec(ctx,
				`UPDATE bus_offset SET next = next + $1, epoch = epoch + 1, crc = NULL WHERE grp = $2 AND topic = $3
					AND partition = 0`, fetched.NumRecords(), group, topic)
			if err == nil && changed != 1 {
				err = fmt.Errorf("%d offset rows", changed)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n += fetched.NumRecords()
	}
	return n
}

// The records of one key on two partitions (two client libraries hash
// differently) all arrive, each once.
func TestAKeyMayArriveOnTwoPartitions(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		if w.broker != nil {
			t.Skip("the embedded broker has one partition a topic")
		}
		topic := w.topic(2)
		p := w.producer()
		var msgs []bus.Message
		for i := range 200 {
			to := int32(i / 100)
			msgs = append(msgs, bus.Message{
				Topic:     topic,
				Key:       []byte("one"),
				Value:     fmt.Appendf(nil, "%05d", i),
				Partition: &to,
			})
		}
		if err := p.Publish(t.Context(), msgs...); err != nil {
			t.Fatal(err)
		}
		w.consume(bus.Config{Group: id.New(), Topics: []string{topic}, MaxRecords: 7})
		poll.Until(t, "200 rows", func() bool { return len(w.seen()) >= 200 })
		w.complete(200)
	})
}

// Three members share partitions while they come and go.
func TestARebalanceLosesAndRepeatsNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const records = 1500
		topic, group := w.topic(4), id.New()
		p := w.producer()
		msgs := make([]bus.Message, records)
		for i := range msgs {
			msgs[i] = bus.Message{Topic: topic, Key: fmt.Appendf(nil, "%d", i%17), Value: fmt.Appendf(nil, "%05d", i)}
		}
		if err := p.Publish(t.Context(), msgs...); err != nil {
			t.Fatal(err)
		}
		slow := func(ctx context.Context, b *bus.Batch) error {
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
			return w.store(ctx, b)
		}
		cfg := bus.Config{Group: group, Topics: []string{topic}, MaxRecords: 10, Handle: slow}
		_, stop := w.consume(cfg)
		poll.Until(t, "the first rows", func() bool { return len(w.seen()) > 100 })
		w.consume(cfg)
		w.consume(cfg)
		poll.Until(t, "more rows", func() bool { return len(w.seen()) > 500 })
		stop()
		poll.Until(t, "all rows", func() bool { return len(w.seen()) >= records })
		found := map[string]int{}
		for _, v := range w.seen() {
			found[v]++
		}
		for i := range records {
			if n := found[fmt.Sprintf("%05d", i)]; n != 1 {
				t.Fatalf("record %d was stored %d times", i, n)
			}
		}
	})
}

func TestAFaultOfTheStoreIsRetriedInPlaceAndShown(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		w.publish(w.producer(), topic, 0, 100)
		var broken atomic.Bool
		broken.Store(true)
		var tries atomic.Int32
		c, _ := w.consume(bus.Config{Group: id.New(), Topics: []string{topic}, StallAfter: time.Millisecond,
			HealthEvery: 20 * time.Millisecond,
			Handle: func(ctx context.Context, b *bus.Batch) error {
				if broken.Load() {
					tries.Add(1)
					return errBoom
				}
				return w.store(ctx, b)
			}})
		poll.Until(t, "a stalled partition that names the fault", func() bool {
			list := c.Health()
			return len(list) == 1 && list[0].State == bus.Stalled && list[0].Error == "boom" && list[0].Lag() == 100 &&
				tries.Load() > 2 && c.Ready() != nil
		})
		broken.Store(false)
		poll.Until(t, "all rows", func() bool { return len(w.seen()) == 100 })
		poll.Until(t, "health", func() bool {
			list := c.Health()
			return len(list) == 1 && list[0].State == bus.OK && list[0].Error == "" && list[0].Lag() == 0 && c.Ready() == nil
		})
		w.complete(100)
	})
}

// A fence without another member (an operator moved the offset) is not the end:
// the consumer joins again and goes on from where the row stands.
func TestAFencedConsumerClaimsAnewWhenItIsStillTheOwner(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic, group := w.topic(1), id.New()
		p := w.producer()
		w.publish(p, topic, 0, 50)
		w.consume(bus.Config{Group: group, Topics: []string{topic}})
		poll.Until(t, "the first rows", func() bool { return len(w.seen()) == 50 })
		err := w.db.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE bus_offset SET epoch = epoch + 1`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.publish(p, topic, 50, 50)
		poll.Until(t, "the other rows", func() bool { return len(w.seen()) >= 100 })
		w.complete(100)
	})
}

func TestTheGroupInKafkaShowsTheProgressToForeignTools(t *testing.T) {
	grouped(t, func(t *testing.T, w *world) {
		topic, group := w.topic(1), id.New()
		w.publish(w.producer(), topic, 0, 10)
		_, stop := w.consume(bus.Config{Group: group, Topics: []string{topic}})
		poll.Until(t, "rows", func() bool { return len(w.seen()) == 10 })
		stop()
		list := groupHealth(t, w, group)
		if len(list) != 1 || list[0].Next != 10 || list[0].End != 10 || list[0].State != bus.NoMembers {
			t.Fatalf("%+v", list)
		}
	})
}
