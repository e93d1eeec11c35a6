package run_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/internal/platform/run"
)

var quiet = slog.New(slog.DiscardHandler)

func TestStagesStopInTheOrderOfTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		stage := func(name string, drain time.Duration) run.Stage {
			return run.Stage{Name: name, Run: func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(drain)
				order = append(order, name)
				return nil
			}}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := run.All(ctx, quiet, stage("http", 3*time.Second), stage("consumers", time.Second),
			stage("database", 0)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(order, " "); got != "http consumers database" {
			t.Fatalf("stopped in the order %q", got)
		}
	})
}

func TestAFailingStageStopsTheOthersAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		err := run.All(t.Context(), quiet,
			run.Stage{Name: "door", Run: func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }},
			run.Stage{Name: "disk", Run: func(context.Context) error { return errors.New("fsync failed") }},
		)
		if err == nil || err.Error() != "disk: fsync failed" || !stopped {
			t.Fatalf("err %v, door stopped %v", err, stopped)
		}
	})
}

func TestAStageThatEndsByItselfOrPanicsIsAFailure(t *testing.T) {
	for name, f := range map[string]func(context.Context) error{
		"ended by itself": func(context.Context) error { return nil },
		"panic: oh":       func(context.Context) error { panic("oh") },
	} {
		err := run.All(t.Context(), quiet, run.Stage{Name: "s", Run: f})
		if err == nil || err.Error() != "s: "+name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStageThatDoesNotStopIsLeftBehindAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := run.All(ctx, quiet, run.Stage{
			Name:  "stuck",
			Drain: time.Second,
			Run:   func(context.Context) error { <-release; return nil },
		})
		if err == nil || err.Error() != "stuck: did not stop within 1s" {
			t.Fatal(err)
		}
	})
}
