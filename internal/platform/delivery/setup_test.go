package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

// rig is a queue of one process on a database of its own. Its messages are the
// payloads, and answer says what their receiver does.
type rig struct {
	t    *testing.T
	db   *db.DB
	q    *delivery.Queue
	cfg  delivery.Config
	stop func() // waits for the drain

	mu       sync.Mutex // guards what follows
	answer   func(it *delivery.Item) delivery.Result
	sent     []sent
	recorded int
}

// sent is one attempt as the receiver saw it.
type sent struct {
	id, destination, payload string
	at                       time.Time
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, r *rig), change ...func(*delivery.Config)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newRig(t, "", change...)) })
	t.Run("postgres", func(t *testing.T) { test(t, newRig(t, engines.Postgres(t), change...)) })
}

func newRig(t *testing.T, url string, change ...func(*delivery.Config)) *rig {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{
		Feature: "delivery",
		DataDir: t.TempDir(),
		URL:     url,
		Schemas: []db.Schema{delivery.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	r := &rig{t: t, db: d}
	r.cfg = delivery.Config{
		DB:   d,
		Name: "test",
		Compose: func(_ context.Context, it *delivery.Item) (delivery.Message, *delivery.Verdict, error) {
			return it.Payload, nil, nil
		},
		Send: r.send,
		Record: func(_ context.Context, _ *db.Tx, list []*delivery.Outcome) (func(), error) {
			return func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.recorded += len(list)
			}, nil
		},
		Limits: delivery.Limits{
			Attempt:  5 * time.Second,
			Poll:     50 * time.Millisecond,
			Lease:    5 * time.Second,
			Schedule: []time.Duration{0, 20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, time.Hour},
		},
	}
	for _, f := range change {
		f(&r.cfg)
	}
	r.start()
	r.until("the queue owns all shards", func() bool { return r.q.Loaded() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.q, err = delivery.New(r.cfg); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run.All(ctx, slog.New(slog.DiscardHandler), r.q.Stages(true)...) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stop)
}

func (r *rig) send(_ context.Context, it *delivery.Item, m delivery.Message) delivery.Result {
	r.mu.Lock()
	r.sent = append(r.sent, sent{it.ID, it.Destination, m.(string), time.Now()})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		return delivery.Result{Status: 200}
	}
	return answer(it)
}

func (r *rig) answers(f func(*delivery.Item) delivery.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// insert stores deliveries and offers them.
func (r *rig) insert(list ...*delivery.Item) {
	r.t.Helper()
	err := r.db.Tx(r.t.Context(), func(tx *db.Tx) error { return r.q.Insert(r.t.Context(), tx, list) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.q.Offer(list)
}

// item is a delivery to a destination of a tenant.
func item(tenant, destination, payload string) *delivery.Item {
	return &delivery.Item{Tenant: tenant, Destination: destination, Kind: "test", Payload: payload}
}

func (r *rig) attempts() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// payloads are what the receivers got, in order.
func (r *rig) payloads() string {
	var list []string
	for _, s := range r.attempts() {
		list = append(list, s.payload)
	}
	return strings.Join(list, " ")
}

// states are the payloads and states of all deliveries, in the order of ids.
func (r *rig) states() string {
	r.t.Helper()
	var list []string
	for _, s := range r.stored() {
		list = append(list, s.Payload+" "+s.State)
	}
	return strings.Join(list, ", ")
}

func (r *rig) stored() (list []delivery.Stored) {
	r.t.Helper()
	err := r.db.View(r.t.Context(), func(tx *db.Tx) (err error) {
		list, err = delivery.Select(r.t.Context(), tx, `ORDER BY id`)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// until polls for a condition.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	poll.Until(r.t, what, holds)
}

// failsFor answers 500 to a destination, and 200 to all others.
func failsFor(destination string) func(*delivery.Item) delivery.Result {
	return func(it *delivery.Item) delivery.Result {
		if it.Destination == destination {
			return delivery.Result{Status: 500}
		}
		return delivery.Result{Status: 200}
	}
}

// numbered makes n deliveries.
func numbered(n int, tenant, destination string) []*delivery.Item {
	list := make([]*delivery.Item, n)
	for i := range list {
		list[i] = item(tenant, destination, fmt.Sprint("m", i))
	}
	return list
}

// rowGate holds up the reading of stored deliveries, after their query.
type rowGate struct {
	reading chan struct{} // a token: a read is held up
	blocked atomic.Pointer[chan struct{}]
}

func newRowGate() *rowGate { return &rowGate{reading: make(chan struct{}, 1)} }

// block holds up reads until open is called.
func (g *rowGate) block() (open func()) {
	blocked := make(chan struct{})
	g.blocked.Store(&blocked)
	return func() {
		g.blocked.Store(nil)
		close(blocked)
	}
}

// load is the queue's Load.
func (g *rowGate) load(*delivery.Item) error {
	if blocked := g.blocked.Load(); blocked != nil {
		select {
		case g.reading <- struct{}{}:
		default:
		}
		<-*blocked
	}
	return nil
}
