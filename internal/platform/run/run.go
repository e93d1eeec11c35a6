// Package run starts the stages of the program in the order data flows and
// stops them in the same direction: the listeners close first, the work
// in progress drains, and the databases close last.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Stage is one part that runs. Run owns every goroutine that it starts, and
// returns when they have ended: nil after its context ended, an error only for
// what a restart could cure. Lost connections are retried inside.
type Stage struct {
	Name  string
	Run   func(context.Context) error
	Drain time.Duration // longest time from its stop to its end; 0 = 10 s
}

// All runs the stages until ctx ends or one of them fails, then stops them one
// after the other in the order of the list. It returns the first failure, with
// the stages that did not end in time.
func All(ctx context.Context, log *slog.Logger, stages ...Stage) error {
	type ended struct {
		stage int
		err   error
	}
	ends := make(chan ended, len(stages))
	cancels := make([]context.CancelFunc, len(stages))
	running := make([]bool, len(stages))
	for i, s := range stages {
		// Not ctx itself: every stage is stopped in its turn.
		stageCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		cancels[i], running[i] = cancel, true
		go func() {
			err := guarded(stageCtx, s)
			if err == nil && stageCtx.Err() == nil {
				err = errors.New("ended by itself")
			}
			ends <- ended{i, err}
		}()
	}
	var failure error
	note := func(e ended) {
		running[e.stage] = false
		if e.err != nil && !errors.Is(e.err, context.Canceled) {
			failure = errors.Join(failure, fmt.Errorf("%s: %w", stages[e.stage].Name, e.err))
		}
	}
	select {
	case <-ctx.Done():
	case e := <-ends:
		note(e)
	}
	for i, s := range stages {
		cancels[i]()
		began := time.Now()
		drain := s.Drain
		if drain == 0 {
			drain = 10 * time.Second
		}
		deadline := time.After(drain)
		for running[i] {
			select {
			case e := <-ends:
				note(e)
			case <-deadline:
				failure = errors.Join(failure, fmt.Errorf("%s: did not stop within %v", s.Name, drain))
				running[i] = false
			}
		}
		log.Debug("stage stopped", "stage", s.Name, "took", time.Since(began))
	}
	return failure
}

// guarded turns a panic of the stage's own goroutine into an error, so that the
// other stages still drain.
func guarded(ctx context.Context, s Stage) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return s.Run(ctx)
}
