package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/id"
)

func TestAFailedDeliveryIsTriedAgainUnderTheSameID(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		tries := 0
		r.answers(func(*delivery.Item) delivery.Result {
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries < 3 {
				return delivery.Result{Status: 500, Body: []byte("sent"), Answer: []byte("no\x00")}
			}
			return delivery.Result{Status: 200}
		})
		r.insert(item("a", "d", "one"))
		r.until("it is delivered", func() bool { return r.states() == "one delivered" })
		all := r.attempts()
		if len(all) != 3 || all[0].id != all[2].id {
			t.Errorf("attempts %+v", all)
		}
		err := r.db.View(t.Context(), func(tx *db.Tx) error {
			list, err := delivery.Attempts(t.Context(), tx, all[0].id)
			if len(list) != 3 || list[0].Outcome != "retry" || list[0].Status != 500 || string(list[0].Body) != "sent" ||
				list[2].Outcome != "delivered" || list[2].N != 3 {
				t.Errorf("%+v", list)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.until("the feature recorded each attempt", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.recorded == 3
		})
	})
}

func TestALaneIsSentInOrderAndOtherLanesDoNotWait(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		r.answers(func(it *delivery.Item) delivery.Result {
			if it.Payload == "first" {
				<-release
			}
			return delivery.Result{Status: 200}
		})
		first := item("a", "d", "first")
		first.Lane = "x"
		second := item("a", "d", "second")
		second.Lane = "x"
		r.insert(first, second, item("a", "d", "other"))
		r.until("the other lane is delivered", func() bool {
			return r.states() == "first waiting, second waiting, other delivered"
		})
		close(release)
		r.until("all are delivered", func() bool {
			return r.states() == "first delivered, second delivered, other delivered"
		})
		if got := r.payloads(); got != "first other second" && got != "other first second" {
			t.Errorf("sent %s", got)
		}
	})
}

// TestALaneStaysInOrderWhileAShardIsLoaded offers a delivery while an older one of
// its lane is being read from the database.
func TestALaneStaysInOrderWhileAShardIsLoaded(t *testing.T) {
	rows := newRowGate()
	everywhere(t, func(t *testing.T, r *rig) {
		r.stop()
		first := item("a", "d", "first")
		first.Lane = "x"
		err := r.db.Tx(t.Context(), func(tx *db.Tx) error {
			return r.q.Insert(t.Context(), tx, []*delivery.Item{first})
		})
		if err != nil {
			t.Fatal(err)
		}
		open := rows.block()
		r.start()
		<-rows.reading
		second := item("a", "d", "second")
		second.Lane = "x"
		r.insert(second)
		r.insert(item("a", "d", "third"))
		open()
		r.until("all are sent", func() bool {
			return r.states() == "first delivered, second delivered, third delivered"
		})
		order := r.payloads()
		if strings.Index(order, "first") > strings.Index(order, "second") {
			t.Errorf("sent %s", order)
		}
	}, func(c *delivery.Config) {
		c.Load = rows.load
	})
}

// TestADeliveryThatWasReadBeforeItIsOfferedIsSentOnce: the shard may be loaded between the commit of a delivery and its
// offer.
func TestADeliveryThatWasReadBeforeItIsOfferedIsSentOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.stop()
		late := item("a", "d", "late")
		err := r.db.Tx(t.Context(), func(tx *db.Tx) error {
			return r.q.Insert(t.Context(), tx, []*delivery.Item{late})
		})
		if err != nil {
			t.Fatal(err)
		}
		again := *late
		loaded := make(chan struct{})
		r.answers(func(*delivery.Item) delivery.Result {
			<-loaded // no read is in progress when the delivery ends
			return delivery.Result{Status: 200}
		})
		r.start()
		r.until("the queue has read all shards", func() bool { return r.q.Loaded() })
		close(loaded)
		r.until("the stored delivery is sent", func() bool { return r.states() == "late delivered" })

		r.q.Offer([]*delivery.Item{&again})
		r.insert(item("a", "d", "next"))
		r.until("the next is sent", func() bool { return r.states() == "late delivered, next delivered" })
		if got := r.payloads(); got != "late next" {
			t.Errorf("sent: %s", got)
		}
	})
}

// TestATenantWithManyMessagesDoesNotHoldUpAnother counts turns, not time.
func TestATenantWithManyMessagesDoesNotHoldUpAnother(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		var list []*delivery.Item
		for i := range 20 {
			list = append(list, numbered(20, "large", fmt.Sprint("large", i))...)
		}
		r.insert(append(list, numbered(20, "small", "small")...)...)
		r.until("all are sent", func() bool { return len(r.attempts()) == 420 })
		last := 0
		for i, s := range r.attempts() {
			if s.destination == "small" {
				last = i
			}
		}
		if last > 100 { // alternating, it ends after about 40
			t.Errorf("the small tenant's last message was number %d of 420", last)
		}
	}, func(c *delivery.Config) {
		c.Limits.InFlight = 2
		c.Limits.PerTenant = 1
	})
}

func TestADestinationThatHangsHoldsOnlyItsOwnSlots(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		r.answers(func(it *delivery.Item) delivery.Result {
			if it.Destination == "hangs" {
				<-release
			}
			return delivery.Result{Status: 200}
		})
		r.insert(append(numbered(100, "a", "hangs"), numbered(100, "a", "works")...)...)
		r.until("the other destination has all", func() bool {
			n := 0
			for _, s := range r.attempts() {
				if s.destination == "works" {
					n++
				}
			}
			return n == 100
		})
		hanging := len(r.attempts()) - 100
		close(release)
		if hanging != 4 { // it has answered nothing yet
			t.Errorf("%d attempts in flight to the destination that hangs", hanging)
		}
		r.until("all are sent", func() bool { return len(r.attempts()) == 200 })
	})
}

// TestADestinationThatBeginsToHangGetsNoFurtherAttempts grows its window first.
func TestADestinationThatBeginsToHangGetsNoFurtherAttempts(t *testing.T) {
	var ahead atomic.Int64
	everywhere(t, func(t *testing.T, r *rig) {
		r.insert(numbered(100, "a", "d")...)
		r.until("all are sent", func() bool { return len(r.attempts()) == 100 })
		r.until("all have ended", func() bool {
			return !slices.ContainsFunc(r.stored(), func(s delivery.Stored) bool { return s.State != delivery.StateDelivered })
		})
		release := make(chan struct{})
		r.answers(func(it *delivery.Item) delivery.Result {
			if it.Destination == "d" {
				<-release
			}
			return delivery.Result{Status: 200}
		})
		r.insert(item("a", "d", "hangs"))
		r.until("it is in flight", func() bool { return len(r.attempts()) == 101 })
		ahead.Add(int64(time.Second))
		r.insert(append(numbered(20, "a", "d"), numbered(20, "a", "other")...)...)
		r.until("the other destination has all", func() bool {
			n := 0
			for _, s := range r.attempts() {
				if s.destination == "other" {
					n++
				}
			}
			return n == 20
		})
		if n := len(r.attempts()) - 121; n != 0 {
			t.Errorf("%d further attempts to a destination that hangs", n)
		}
		close(release)
		r.until("the rest is sent", func() bool { return len(r.attempts()) == 141 })
	}, func(c *delivery.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
}

func TestRetryAfterPausesTheWholeDestinationUntilItIsResumed(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.answers(func(it *delivery.Item) delivery.Result {
			if it.Destination == "busy" {
				return delivery.Result{Status: 429, RetryAfter: time.Hour}
			}
			return delivery.Result{Status: 200}
		})
		r.insert(item("a", "busy", "first"))
		r.until("it is refused", func() bool { s := r.stored(); return s[0].Attempts == 1 })
		r.insert(item("a", "busy", "second"), item("a", "works", "third"))
		r.until("the other is sent", func() bool {
			return r.states() == "first waiting, second waiting, third delivered"
		})
		if s := r.stored(); s[0].Failures != 0 || time.Until(s[0].NextAt) < 50*time.Minute {
			t.Errorf("after a 429: %d failures, next at %v", s[0].Failures, s[0].NextAt)
		}
		if got := r.payloads(); got != "first third" {
			t.Errorf("sent %s", got)
		}
		r.answers(nil)
		r.q.Resume("busy")
		r.until("all are delivered", func() bool {
			return r.states() == "first delivered, second delivered, third delivered"
		})
	})
}

func TestAHeldDeliveryIsNotSentBeforeItsTimeEvenWhenTheDestinationRecovers(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		long := item("a", "d", "long")
		long.HoldUntil = time.Now().Add(time.Hour)
		short := item("a", "d", "short")
		short.HoldUntil = time.Now().Add(300 * time.Millisecond)
		until := short.HoldUntil
		r.insert(long, short, item("a", "d", "now"))
		r.q.Resume("d")
		r.until("the short one is sent", func() bool {
			return r.states() == "long waiting, short delivered, now delivered"
		})
		for _, s := range r.attempts() {
			if s.payload == "short" && s.at.Before(until) {
				t.Error("it was sent before its time")
			}
		}
		r.stop()
		r.start()
		r.insert(item("a", "d", "later"))
		r.until("the process goes on", func() bool {
			return r.states() == "long waiting, short delivered, now delivered, later delivered"
		})
	})
}

func TestADeliveryThatFailsGoesToTheFallbackThatItsVerdictNames(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.answers(failsFor("broken"))
		it := item("a", "broken", "one")
		it.Subject = "incident"
		r.insert(it)
		r.until("the fallback has it", func() bool { return r.states() == "one failed, one delivered" })
		s := r.stored()
		if s[1].FallbackOf != s[0].ID || s[1].Destination != "spare" || s[1].Subject != "incident" || s[1].Labels != "moved" {
			t.Errorf("the fallback is %+v", s[1])
		}
		r.answers(func(*delivery.Item) delivery.Result { return delivery.Result{Status: 500} })
		r.insert(item("a", "broken", "two"))
		r.until("both fail", func() bool {
			return r.states() == "one failed, one delivered, two failed, two failed"
		})
	}, func(c *delivery.Config) {
		c.Limits.Schedule = []time.Duration{0}
		c.Judge = func(_ *delivery.Item, _ delivery.Result, v delivery.Verdict) delivery.Verdict {
			v.Fallback = &delivery.Item{Destination: "spare", Kind: "test", Labels: "moved"}
			return v
		}
	})
}

func TestAKeyIsPacedAndItsTenantsTakeTurns(t *testing.T) {
	const every = 20 * time.Millisecond
	everywhere(t, func(t *testing.T, r *rig) {
		r.insert(append(numbered(10, "large", "d1"), numbered(3, "small", "d2")...)...)
		r.insert(item("free", "free", "free"))
		r.until("all are sent", func() bool { return len(r.attempts()) == 14 })
		var paced []sent
		for _, s := range r.attempts() {
			if s.destination != "free" {
				paced = append(paced, s)
			}
		}
		// A burst of two, then one per interval.
		if took := paced[12].at.Sub(paced[0].at); took < 10*every {
			t.Errorf("13 messages of one key took %v", took)
		}
		last := slices.IndexFunc(paced, func(s sent) bool { return s.destination == "d2" && s.payload == "m2" })
		if last > 10 { // behind all of the other tenant's it would be 12
			t.Errorf("the small tenant's last message was number %d of the key", last)
		}
	}, func(c *delivery.Config) {
		c.Rate = func(it *delivery.Item) (string, delivery.Rate) {
			if it.Tenant == "free" {
				return "", delivery.Rate{}
			}
			return "example.com", delivery.Rate{Every: every, Burst: 2}
		}
	})
}

func TestOrderClosesDeliveriesOfALane(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.answers(func(*delivery.Item) delivery.Result { return delivery.Result{Status: 503, RetryAfter: time.Hour} })
		first := item("a", "d", "first")
		r.insert(first)
		r.until("the destination is paused", func() bool { return r.stored()[0].Attempts == 1 })
		one := item("a", "d", "one")
		one.Lane = "x"
		two := item("a", "d", "two")
		two.Lane = "x"
		r.insert(one)
		r.insert(two)
		r.until("the older one is superseded", func() bool {
			return r.states() == "first waiting, one superseded, two waiting"
		})
	}, func(c *delivery.Config) {
		c.Order = func(lane []*delivery.Item) (closed []delivery.Closing) {
			for _, it := range lane[:len(lane)-1] {
				if !it.Attempted() {
					closed = append(closed, delivery.Closing{Item: it, State: delivery.StateSuperseded, Why: "newer"})
				}
			}
			return closed
		}
	})
}

// TestAPairThatIsReadAndOfferedEndsOnce: the end is offered after the query found both and before they are queued.
func TestAPairThatIsReadAndOfferedEndsOnce(t *testing.T) {
	rows := newRowGate()
	everywhere(t, func(t *testing.T, r *rig) {
		r.stop()
		start := item("a", "d", "start")
		start.Lane = "x"
		start.HoldUntil = time.Now().Add(time.Hour)
		end := item("a", "d", "end")
		end.Lane = "x"
		err := r.db.Tx(t.Context(), func(tx *db.Tx) error {
			return r.q.Insert(t.Context(), tx, []*delivery.Item{start, end})
		})
		if err != nil {
			t.Fatal(err)
		}
		open := rows.block()
		r.start()
		<-rows.reading
		r.q.Offer([]*delivery.Item{end})
		open()
		r.until("both are superseded", func() bool { return r.states() == "start superseded, end superseded" })

		r.insert(item("a", "d", "next"))
		r.until("the next is sent", func() bool { return strings.HasSuffix(r.states(), "next delivered") })
		if got := r.payloads(); got != "next" {
			t.Errorf("sent: %s", got)
		}
	}, func(c *delivery.Config) {
		c.Order = func(lane []*delivery.Item) (closed []delivery.Closing) {
			if len(lane) < 2 {
				return nil
			}
			for _, it := range lane {
				closed = append(closed, delivery.Closing{Item: it, State: delivery.StateSuperseded, Why: "a pair"})
			}
			return closed
		}
		c.Load = rows.load
	})
}

func TestWorkIsCommittedWithTheOutcomes(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		err := r.q.Commit(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO node (holder, until) VALUES ('work', 1)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = r.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM node WHERE holder = 'work'`).Scan(&n)
		})
		if err != nil || n != 1 {
			t.Error(n, err)
		}
	})
}

func TestPruningDeletesEndedDeliveriesWithTheirAttempts(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		old := time.Now().Add(-48 * time.Hour)
		list := numbered(1200, "a", "works")
		list = append(list, item("a", "works", "held"), item("a", "works", "new"))
		for _, it := range list[:1201] {
			it.ID = id.At(old)
		}
		list[1200].HoldUntil = time.Now().Add(time.Hour)
		r.insert(list...)
		r.until("all but the held one are delivered", func() bool {
			n := 0
			for _, s := range r.stored() {
				if s.State == delivery.StateDelivered {
					n++
				}
			}
			return n == 1201
		})
		n, err := r.q.Prune(t.Context(), time.Now().Add(-24*time.Hour))
		if err != nil || n != 1200 {
			t.Errorf("pruned %d, %v", n, err)
		}
		if got := r.states(); got != "held waiting, new delivered" {
			t.Errorf("left: %s", got)
		}
		attempts := 0
		err = r.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM attempt`).Scan(&attempts)
		})
		if err != nil || attempts != 1 {
			t.Errorf("%d attempts left, %v", attempts, err)
		}
	})
}
