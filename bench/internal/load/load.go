// Package load makes requests: as fast as they are answered, or at an even rate.
package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Flood calls do for 0 to n-1 from so many callers at once, and returns the first error, after which no call begins.
// caller numbers the callers from 0.
func Flood(ctx context.Context, callers, n int, do func(ctx context.Context, caller, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, caller, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// Pace begins a call of do every 1/perSecond seconds, for 0 to n-1 or until ctx ends, and waits for all of them. With
// so many callers at work the next call waits for one of them, and the following ones catch up.
func Pace(ctx context.Context, perSecond, callers, n int, do func(ctx context.Context, i int)) {
	began := time.Now()
	slots := make(chan struct{}, callers)
	var running sync.WaitGroup
	defer running.Wait()
	for i := range n {
		due := time.NewTimer(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		select {
		case <-due.C:
		case <-ctx.Done():
			due.Stop()
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			do(ctx, i)
		})
	}
}
