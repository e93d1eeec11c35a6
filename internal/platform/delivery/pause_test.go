package delivery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/test/engines"
)

// shifted makes the engine's clock run ahead of the machine's.
func shifted(ahead *atomic.Int64) func(*delivery.Config) {
	return func(c *delivery.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
}

// sentTo counts the attempts that a destination has got.
func (r *rig) sentTo(destination string) (n int) {
	for _, s := range r.attempts() {
		if s.destination == destination {
			n++
		}
	}
	return n
}

// asksToWait answers 429 for a destination, and 200 for all others.
func asksToWait(destination string) func(*delivery.Item) delivery.Result {
	return func(it *delivery.Item) delivery.Result {
		if it.Destination == destination {
			return delivery.Result{Status: 429, RetryAfter: time.Hour}
		}
		return delivery.Result{Status: 200}
	}
}

func TestAPauseOutlivesARestart(t *testing.T) {
	var ahead atomic.Int64
	everywhere(t, func(t *testing.T, r *rig) {
		ahead.Store(0)
		r.answers(asksToWait("busy"))
		r.insert(item("a", "busy", "first"))
		r.until("it is refused", func() bool { return r.stored()[0].Attempts == 1 })
		r.insert(item("a", "busy", "second"))

		r.stop()
		r.start()
		r.answers(nil)
		r.insert(item("a", "busy", "third"), item("a", "works", "fourth"))
		r.until("the other destination has its message", func() bool {
			return r.states() == "first waiting, second waiting, third waiting, fourth delivered"
		})
		if n := r.sentTo("busy"); n != 1 {
			t.Fatalf("%d attempts before the end of the pause", n)
		}

		ahead.Store(int64(2 * time.Hour))
		r.insert(item("a", "works", "fifth")) // the queue looks at its clock
		r.until("the pause is over", func() bool {
			return r.states() == "first delivered, second delivered, third delivered, fourth delivered, fifth delivered"
		})
	}, shifted(&ahead))
}

func TestAPauseThatWasEndedDoesNotComeBack(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		r.answers(asksToWait("busy"))
		r.insert(item("a", "busy", "first"))
		r.until("it is refused", func() bool { return r.stored()[0].Attempts == 1 })
		err := r.db.Tx(t.Context(), func(tx *db.Tx) error { return r.q.EndPause(t.Context(), tx, "busy") })
		if err != nil {
			t.Fatal(err)
		}

		r.stop()
		r.start()
		r.answers(nil)
		r.insert(item("a", "busy", "second"))
		r.until("it is sent at once", func() bool { return r.states() == "first waiting, second delivered" })
	})
}

// TestAnotherProcessCanEndAPause uses a second queue on the same database, which
// owns nothing.
func TestAnotherProcessCanEndAPause(t *testing.T) {
	r := newRig(t, engines.Postgres(t))
	r.answers(asksToWait("busy"))
	r.insert(item("a", "busy", "first"))
	r.until("it is refused", func() bool { return r.stored()[0].Attempts == 1 })
	r.insert(item("a", "busy", "second"), item("a", "works", "third"))
	r.until("the other destination has its message", func() bool {
		return r.states() == "first waiting, second waiting, third delivered"
	})
	if n := r.sentTo("busy"); n != 1 {
		t.Fatalf("%d attempts before the end of the pause", n)
	}

	r.answers(nil)
	other, err := delivery.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = r.db.Tx(t.Context(), func(tx *db.Tx) error { return other.EndPause(t.Context(), tx, "busy") })
	if err != nil {
		t.Fatal(err)
	}
	other.Resume("busy")
	r.until("all are delivered", func() bool {
		return r.states() == "first delivered, second delivered, third delivered"
	})
}

// TestAnAttemptFromBeforeAPauseDoesNotEndIt lets two attempts be in flight when
// one of them is refused with Retry-After; the other arrives afterwards.
func TestAnAttemptFromBeforeAPauseDoesNotEndIt(t *testing.T) {
	everywhere(t, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		r.answers(func(it *delivery.Item) delivery.Result {
			switch it.Payload {
			case "slow":
				<-release
			case "refused":
				return delivery.Result{Status: 429, RetryAfter: time.Hour}
			}
			return delivery.Result{Status: 200}
		})
		r.insert(item("a", "busy", "slow"), item("a", "busy", "refused"))
		r.until("one is refused", func() bool { return r.stored()[1].Attempts == 1 })
		close(release)
		r.until("the other one arrives", func() bool { return r.stored()[0].State == delivery.StateDelivered })
		r.insert(item("a", "busy", "third"), item("a", "works", "fourth"))
		r.until("the other destination has its message", func() bool {
			return r.states() == "slow delivered, refused waiting, third waiting, fourth delivered"
		})
		if n := r.sentTo("busy"); n != 2 {
			t.Errorf("%d attempts before the end of the pause", n)
		}
	})
}

// TestPruningDeletesPausesThatAreOver keeps the others.
func TestPruningDeletesPausesThatAreOver(t *testing.T) {
	var ahead atomic.Int64
	everywhere(t, func(t *testing.T, r *rig) {
		ahead.Store(0)
		r.answers(asksToWait("busy"))
		r.insert(item("a", "busy", "first"))
		r.until("it is refused", func() bool { return r.stored()[0].Attempts == 1 })
		r.answers(nil) // no further pause
		for _, step := range []struct {
			ahead time.Duration
			want  int
		}{{0, 1}, {2 * time.Hour, 0}} {
			ahead.Store(int64(step.ahead))
			if _, err := r.q.Prune(t.Context(), time.Now().Add(-24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			n := 0
			err := r.db.View(t.Context(), func(tx *db.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT count(*) FROM pause`).Scan(&n)
			})
			if err != nil || n != step.want {
				t.Errorf("after %v: %d pauses, want %d; %v", step.ahead, n, step.want, err)
			}
		}
	}, shifted(&ahead))
}
