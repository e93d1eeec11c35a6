package belfry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

// settled flushes and says how long that took on the bubble's clock.
func settled(t *testing.T, c *belfry.Client, began time.Time) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func TestRetryAfterIsHonouredInBothForms(t *testing.T) {
	for _, form := range []func(time.Time) string{
		func(time.Time) string { return "90" },
		func(now time.Time) string {
			return now.Add(90 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			rec := belfrytest.New(t)
			began := time.Now()
			rec.Server().Fail(belfrytest.Failure{Status: 429, Header: map[string]string{"Retry-After": form(began)}})
			audit(t, rec.Client(), 0, 1)
			if took := settled(t, rec.Client(), began); took < 90*time.Second || took > 91*time.Second {
				t.Errorf("delivered after %v, want 90 s", took)
			}
			if n := rec.Server().Requests(); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}

func TestBackoffGrowsToItsLimitAndStartsAnewAfterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		rec := belfrytest.New(t, func(cfg *belfry.Config) {
			cfg.RetryMin = time.Second
			cfg.RetryMax = 8 * time.Second
			cfg.OnError = func(err error) {
				var s *belfry.SendError
				if errors.As(err, &s) {
					waits = append(waits, s.RetryIn)
				}
			}
		})
		for round := range 2 {
			waits = nil
			rec.Server().Fail(belfrytest.Failure{Times: 6, Status: 500})
			audit(t, rec.Client(), round, round+1)
			settled(t, rec.Client(), time.Now())
			for i, most := range []time.Duration{1, 2, 4, 8, 8, 8} {
				if len(waits) != 6 || waits[i] > most*time.Second || waits[i] < most*time.Second/2 {
					t.Fatalf("round %d waited %v", round, waits)
				}
			}
		}
	})
}

func TestARefusedTokenKeepsTheEventsAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported error
		rec := belfrytest.New(t, func(cfg *belfry.Config) { cfg.OnError = func(err error) { reported = err } })
		rec.Server().Fail(belfrytest.Failure{Times: 4, Status: 401})
		began := time.Now()
		audit(t, rec.Client(), 0, 2)
		time.Sleep(10 * time.Second)
		synctest.Wait() // the callback ran before what follows
		st := rec.Client().Stats()
		var failure *belfry.SendError
		if st.State != belfry.Held || st.Pending != 2 || !errors.As(st.LastError, &failure) ||
			failure.HTTPStatus != 401 || !errors.Is(reported, st.LastError) {
			t.Errorf("stats %+v, reported %v", st, reported)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := rec.Client().Flush(ctx); !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "HTTP 401") {
			t.Errorf("Flush meanwhile: %v", err)
		}
		// Four pauses of 30, 60, 120, 240 s, each between a half and the whole.
		if took := settled(t, rec.Client(), began); took < 225*time.Second || took > 450*time.Second {
			t.Errorf("delivered after %v", took)
		}
		if st := rec.Client().Stats(); st.State != belfry.Idle && st.State != belfry.Sending || st.LastError != nil ||
			st.Accepted != 2 {
			t.Errorf("afterwards: %+v", st)
		}
	})
}

func TestAServerThatRefusesEverythingGetsEventsPutAsideEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rejects collect
		rec := belfrytest.New(t, func(cfg *belfry.Config) { cfg.OnReject = rejects.add })
		rec.Server().Fail(belfrytest.Failure{Times: -1, Status: 400})
		audit(t, rec.Client(), 0, 500)
		time.Sleep(10 * time.Minute)
		if n := len(rejects.all()); n < 10 || n > 60 {
			t.Errorf("%d of 500 events were put aside in ten minutes", n)
		}
		rec.Server().Recover()
		settled(t, rec.Client(), time.Now())
		if got := len(rec.Server().Events()) + len(rejects.all()); got != 500 {
			t.Errorf("%d events are accounted for, want 500", got)
		}
	})
}

func TestLingerCollectsEventsAndFlushDoesNotWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := belfrytest.New(t, func(cfg *belfry.Config) { cfg.Linger = 10 * time.Second })
		for i := range 5 {
			audit(t, rec.Client(), i, i+1)
			time.Sleep(time.Second)
		}
		if n := rec.Server().Requests(); n != 0 {
			t.Errorf("%d requests while lingering", n)
		}
		time.Sleep(6 * time.Second)
		if n := rec.Server().Requests(); n != 1 {
			t.Errorf("%d requests after lingering, want 1", n)
		}
		began := time.Now()
		audit(t, rec.Client(), 5, 6)
		if took := settled(t, rec.Client(), began); took != 0 {
			t.Errorf("Flush lingered for %v", took)
		}
	})
}

func TestAHangingServerIsLeftAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := belfrytest.New(t, func(cfg *belfry.Config) { cfg.RequestTimeout = 5 * time.Second })
		rec.Server().Fail(belfrytest.Failure{Hang: make(chan struct{})})
		began := time.Now()
		audit(t, rec.Client(), 0, 1)
		if took := settled(t, rec.Client(), began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("delivered after %v", took)
		}
	})
}

func TestClosingEndsWhileTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := belfrytest.New(t)
		rec.Server().Fail(belfrytest.Failure{Times: 1 << 30, Status: 500})
		audit(t, rec.Client(), 0, 1)
		began := time.Now()
		err := rec.Client().Close(context.Background())
		if took := time.Since(began); took > 31*time.Second || err == nil ||
			!strings.Contains(err.Error(), "1 events stay in the spool") {
			t.Errorf("%v after %v", err, took)
		}
	})
}
