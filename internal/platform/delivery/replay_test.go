package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

func TestOneDeliveryIsReplayedUnderANewID(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		it := item("a", "d", "one")
		it.Labels = "label"
		it.Subject = "incident"
		r.insert(it)
		r.until("it is delivered", func() bool { return r.states() == "one delivered" })
		var again []*delivery.Item
		err := r.db.Tx(t.Context(), func(tx *db.Tx) (err error) {
			again, err = r.q.Replay(t.Context(), tx, r.stored())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.q.Offer(again)
		r.until("the replay is delivered", func() bool { return r.states() == "one delivered, one delivered" })
		s := r.stored()
		if s[1].ReplayOf != s[0].ID || s[1].ID == s[0].ID || s[1].Labels != "label" || s[1].Subject != "incident" {
			t.Errorf("%+v", s[1])
		}
	})
}

// TestARangeIsReplayedOnceWhateverInterruptsIt interrupts a replay after its
// first batch and calls it again.
func TestARangeIsReplayedOnceWhateverInterruptsIt(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.answers(failsFor("broken"))
		r.insert(append(numbered(450, "a", "works"), numbered(50, "a", "broken")...)...)
		r.insert(numbered(10, "other", "works")...)
		ended := func(tenant string) (n int) {
			for _, s := range r.stored() {
				if s.Tenant == tenant && s.State != delivery.StateWaiting {
					n++
				}
			}
			return n
		}
		r.until("all have ended", func() bool { return ended("a") == 500 && ended("other") == 10 })
		filter := delivery.Filter{Tenant: "a"}
		if n, err := r.q.Count(t.Context(), filter); err != nil || n != 500 {
			t.Errorf("the dry run says %d, %v", n, err)
		}
		failed := delivery.Filter{Tenant: "a", OnlyFailed: true}
		if n, err := r.q.Count(t.Context(), failed); err != nil || n != 50 {
			t.Errorf("the dry run of failed ones says %d, %v", n, err)
		}
		past := delivery.Filter{Tenant: "a", Destination: "works", Before: time.Now().Add(-time.Hour)}
		if n, err := r.q.Count(t.Context(), past); err != nil || n != 0 {
			t.Errorf("the dry run of the past says %d, %v", n, err)
		}
		r.answers(nil)
		ctx, cancel := context.WithCancel(t.Context())
		var progress []int
		replay := delivery.Range{Key: "job", Filter: filter, Rate: 100_000, Progress: func(n int) {
			progress = append(progress, n)
			cancel()
		}}
		if n, err := r.q.ReplayRange(ctx, replay); !errors.Is(err, context.Canceled) || n != 200 {
			t.Fatalf("interrupted after %d, %v", n, err)
		}
		if n, err := r.q.ReplayRange(t.Context(), replay); err != nil || n != 500 {
			t.Fatalf("replayed %d, %v", n, err)
		}
		r.until("all replays have ended", func() bool { return ended("a") == 1000 })
		replays := map[string]int{}
		for _, s := range r.stored() {
			if s.ReplayOf != "" {
				replays[s.ReplayOf]++
			}
		}
		if len(replays) != 500 {
			t.Errorf("%d of 500 deliveries were replayed", len(replays))
		}
		for of, times := range replays {
			if times != 1 {
				t.Errorf("%s was replayed %d times", of, times)
			}
		}
		if len(progress) < 3 {
			t.Errorf("progress %v", progress)
		}
	}, func(c *delivery.Config) { c.Limits.Schedule = []time.Duration{0} })
}

func TestAReplayKeepsItsRate(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.insert(numbered(30, "a", "works")...)
		r.until("all are sent", func() bool { return len(r.attempts()) == 30 })
		r.until("all have ended", func() bool {
			for _, s := range r.stored() {
				if s.State != delivery.StateDelivered {
					return false
				}
			}
			return true
		})
		began := time.Now()
		replay := delivery.Range{Key: "job", Filter: delivery.Filter{Tenant: "a"}, Rate: 20}
		if n, err := r.q.ReplayRange(t.Context(), replay); err != nil || n != 30 {
			t.Fatal(n, err)
		}
		if took := time.Since(began); took < 900*time.Millisecond { // 20 at once, 10 a second later
			t.Errorf("30 deliveries at 20 a second took %v", took)
		}
	})
}
