package crash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const eventTopic = "belfry.audit.events"

// producerLimit is the patience of a producer, which then tries another process.
const producerLimit = 5 * time.Second

// A load publishes events until it is stopped and notes what is acknowledged. What fails
// is sent again under the same ids until it is answered, as a producer with a spool does.
type load struct {
	t        *testing.T
	client   *client
	acks     *ackLog
	accounts []string
	run      string // in the ids: several loads of one test differ
	pause    time.Duration

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startLoad starts four HTTP writers and one of Kafka (none without brokers). pause is the
// longest wait between two requests of a writer.
func startLoad(t *testing.T, c *client, a *ackLog, accounts []string, brokers string, pause time.Duration) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{
		t:        t,
		client:   c,
		acks:     a,
		accounts: accounts,
		run:      fmt.Sprintf("%x", rand.Uint32()),
		pause:    pause,
		cancel:   cancel,
	}
	for i, kind := range []writer{{"single", 1}, {"batch", 20}, {"lines", 40}, {"batch", 5}} {
		l.wg.Go(func() { l.write(ctx, i, kind) })
	}
	if brokers != "" {
		l.wg.Go(func() { l.produce(ctx, brokers) })
	}
	t.Cleanup(l.stop)
	return l
}

// stop ends the load: what is under way and not yet acknowledged is given up.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// A writer sends up to most events in a request: alone, as an array, or as NDJSON.
type writer struct {
	form string
	most int
}

func (l *load) write(ctx context.Context, number int, w writer) {
	for n := 0; ctx.Err() == nil; n++ {
		account := l.accounts[rand.IntN(len(l.accounts))]
		ids := make([]string, 1+rand.IntN(w.most))
		for i := range ids {
			ids[i] = fmt.Sprintf("%s%s.%d.%d.%d", idPrefix, l.run, number, n, i)
		}
		// Now and then an event comes again, on whichever way.
		if of, id, ok := l.acks.again(rand.Int()); ok && of == account && w.form != "single" {
			ids = append(ids, id)
		}
		for ctx.Err() == nil {
			limited, cancel := context.WithTimeout(ctx, producerLimit)
			err := l.client.post(limited, l.t, l.acks, account, ids, w.form)
			cancel()
			if err == nil {
				break
			}
			wait(ctx, 50*time.Millisecond)
		}
		wait(ctx, rand.N(l.pause))
	}
}

// errRefused is a 503: nothing of the request is stored.
var errRefused = errors.New("refused with 503")

// post sends events once and notes what is acknowledged. Other errors than errRefused mean
// that there was no answer: whether the events are stored is not known. An answer that is
// none of the two fails the test.
func (c *client) post(
	ctx context.Context, t *testing.T, acks *ackLog, account string, ids []string, form string,
) error {
	parts := make([][]byte, len(ids))
	for i, id := range ids {
		parts[i] = newEvent(id).encode()
	}
	body := bytes.Join(parts, []byte(","))
	kind := "application/json"
	switch form {
	case "batch":
		body = fmt.Appendf(nil, "[%s]", body)
	case "lines":
		body = bytes.Join(parts, []byte("\n"))
		kind = "application/x-ndjson"
	}
	a, err := c.send(ctx, "POST", "/client/v4/accounts/"+account+"/audit/events", kind, body)
	if err != nil {
		return err
	}
	if a.status == http.StatusServiceUnavailable {
		if a.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After: %.300s", a.body)
		}
		acks.refuse()
		return errRefused
	}
	items, err := resultOf[[]struct {
		ID, Status string
		Seq        *int64
	}](a)
	if err != nil || len(items) != len(ids) {
		t.Errorf("answer for %d events: %v; status %d: %.300s", len(ids), err, a.status, a.body)
		return err
	}
	for i, item := range items {
		if item.ID != ids[i] || item.Seq == nil || item.Status != "accepted" && item.Status != "duplicate" {
			t.Errorf("event %s is answered %+v", ids[i], item)
		} else if err := acks.note(account, item.ID, *item.Seq); err != nil {
			t.Error(err)
		}
	}
	return nil
}

// produce publishes over Kafka with acks=all.
func (l *load) produce(ctx context.Context, brokers string) {
	cl := newProducer(l.t, brokers)
	defer cl.Close() // fails what is under way
	for n := 0; ctx.Err() == nil; n++ {
		account := l.accounts[rand.IntN(len(l.accounts))]
		id := fmt.Sprintf("%s%s.k.%d", idPrefix, l.run, n)
		cl.TryProduce(ctx, busRecord(account, id, 0), func(_ *kgo.Record, err error) {
			if err != nil {
				return // it may come or not
			}
			if err := l.acks.note(account, id, overBus); err != nil {
				l.t.Error(err)
			}
		})
		wait(ctx, rand.N(l.pause))
	}
}

func newProducer(t *testing.T, brokers string, more ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(more, kgo.SeedBrokers(brokers), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.MaxBufferedRecords(200))...)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// busRecord is an event as a record; the partition counts with a manual partitioner only.
func busRecord(account, id string, partition int32) *kgo.Record {
	e := newEvent(id)
	e.AccountID = account
	return &kgo.Record{Topic: eventTopic, Partition: partition, Key: []byte(account), Value: e.encode()}
}

// wait waits or returns when ctx ends. It gives load a rhythm and synchronises nothing.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
