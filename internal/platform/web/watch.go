package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// An authorisation may end while a stream is open: the token is revoked, the session
// ends, the member is removed or has a lesser role, the address is no longer allowed.
// So open streams are authorised again, with the request's own credential, every
// Config.Recheck and when the credential ends. If that fails, the stream ends, and
// the client sees the reason when it connects again.

// openStream is the state of a request that streams.
type openStream struct {
	place   *place
	end     context.CancelFunc
	watched bool // the stream is authorised again; or the route is public
}

type streamKey struct{}

func streamOf(ctx context.Context) *openStream {
	s, _ := ctx.Value(streamKey{}).(*openStream)
	return s
}

// mustBeWatched panics if a stream is never authorised again: a defect of the program.
func mustBeWatched(ctx context.Context, pattern string) {
	if s := streamOf(ctx); s != nil && !s.watched {
		panic("web: " + pattern + " streams without Watch")
	}
}

// Admit authorises the client of an open stream again. It has no side effects.
type Admit func(ctx context.Context) (*Principal, error)

// Watch calls admit repeatedly while the stream of ctx is open, and ends the stream
// when it returns an error (after one of the kind Unavailable it tries again). The
// caller calls stop before its handler returns. Pages call it; web itself watches
// registered operations. In a context without a stream it does nothing.
func (a *API) Watch(ctx context.Context, who *Principal, accountID string, admit Admit) (stop func(), err error) {
	s := streamOf(ctx)
	if s == nil {
		return func() {}, nil
	}
	if accountID != "" {
		if err := s.place.add(s.place.pool.ofAccount(accountID)); err != nil {
			a.deps.Metrics.Refused("busy")
			return nil, err
		}
	}
	s.watched = true
	done := make(chan struct{})
	var ended error
	var running sync.WaitGroup
	running.Go(func() {
		if ended = a.watch(context.WithValue(ctx, recheckKey{}, true), who.Ends, done, admit); ended != nil {
			s.end()
		}
	})
	return func() {
		close(done)
		running.Wait()
		if ended != nil {
			telemetry.Add(ctx, slog.String("ended", ended.Error()))
		}
	}, nil
}

// watch returns the reason for which the client may not go on, or nil when the
// stream ended by itself.
func (a *API) watch(ctx context.Context, ends time.Time, done <-chan struct{}, admit Admit) error {
	for {
		wait := a.cfg.Recheck
		if !ends.IsZero() {
			wait = max(min(wait, time.Until(ends)), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-done:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		try, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
		who, err := admit(try)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			ends = who.Ends
		case errs.KindOf(err) != errs.Unavailable && errs.KindOf(err) != errs.Internal:
			return err
		default:
			ends = time.Time{} // asked again after Recheck, not at once
		}
	}
}

type recheckKey struct{}

// Rechecking reports whether a credential is looked at because its stream is
// still open, not because it was used: that keeps no session alive.
func Rechecking(ctx context.Context) bool {
	again, _ := ctx.Value(recheckKey{}).(bool)
	return again
}

// Reidentify is [API.Identify] for the request of an open stream: without
// counting failures, and without a place.
func (a *API) Reidentify(ctx context.Context, r *http.Request) (*Principal, error) {
	return a.identify(ctx, r.WithContext(ctx))
}
