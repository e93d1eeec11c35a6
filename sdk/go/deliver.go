package belfry

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/belfryhq/belfry/sdk/go/internal/spool"
)

// sender is the state of the delivering goroutine.
type sender struct {
	*Client
	limit   int // events in the next request: fewer after 413 or a refusal
	failed  int // attempts in a row after which events were kept
	held    int // of those, the ones in a row that need a person
	refused int // requests of one event that were refused, in a row
}

// deliver runs until ctx ends.
func (c *Client) deliver(ctx context.Context) {
	defer close(c.sent)
	s := sender{Client: c, limit: c.cfg.BatchEvents}
	for ctx.Err() == nil {
		batch, err := c.spool.Next(s.limit, c.cfg.BatchBytes)
		switch {
		case err != nil:
			s.failed++
			s.pause(ctx, Waiting, c.backoff(s.failed), &SendError{Err: err})
		case len(batch.Records) == 0:
			// Damage at the end of the spool leaves nothing to send, and
			// a caller may wait for that.
			s.advance(func(*Stats) {})
			s.setState(Idle, time.Time{})
			s.idle(ctx)
		default:
			s.setState(Sending, time.Time{})
			s.attempt(ctx, batch)
		}
	}
}

// idle waits for events, and then a moment for more of them.
func (s *sender) idle(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.spool.More():
	}
	if s.cfg.Linger <= 0 {
		return
	}
	t := time.NewTimer(s.cfg.Linger)
	defer t.Stop()
	for {
		if records, _ := s.spool.Backlog(); records >= int64(s.limit) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.hurry:
			return
		case <-t.C:
			return
		case <-s.spool.More():
		}
	}
}

// attempt sends a batch once and acts on the answer.
func (s *sender) attempt(ctx context.Context, b spool.Batch) {
	v := s.post.send(ctx, b.Tag, eventsPath, b.Records)
	if ctx.Err() != nil && v.what != settle {
		return // Close cut it off
	}
	s.count(func(x *Stats) { x.Requests++ })
	n := len(b.Records)
	failure := &SendError{Events: n, HTTPStatus: v.http, Errors: v.errors, Err: v.err}
	if v.what != hold {
		s.held = 0
	}
	switch {
	case v.what == settle:
		s.failed, s.refused = 0, 0
		s.limit = min(2*s.limit, s.cfg.BatchEvents)
		s.finish(ctx, b, v)
	case v.what == halve || v.what == refuse && n > 1:
		// Smaller requests get through, or find the one event that is refused.
		s.limit = max(n/2, 1)
	case v.what == refuse:
		s.failed = 0
		s.refused++
		v.results = []Result{{ID: eventID(b.Records[0]), Status: StatusRefused, Errors: v.errors}}
		s.finish(ctx, b, v)
		// If the server refuses everything, that is not about the events: an
		// ever longer pause keeps them from all being put aside meanwhile.
		s.pause(ctx, Waiting, s.backoff(s.refused), failure)
	case v.what == hold:
		s.failed++
		s.held++
		s.pause(ctx, Held, jitter(s.cfg.HoldOff, s.held, 10*s.cfg.HoldOff), failure)
	default:
		s.failed++
		s.pause(ctx, Waiting, max(s.backoff(s.failed), v.after), failure)
	}
}

// finish settles a batch whose events all have a final answer: first the
// rejected ones reach their file, then the callbacks run, then the events
// leave the spool. A crash in between repeats, and loses nothing.
func (s *sender) finish(ctx context.Context, b spool.Batch, v verdict) {
	var rejects []Rejected
	var sum Stats
	for i, r := range v.results {
		switch r.Status {
		case StatusAccepted:
			sum.Accepted++
		case StatusDuplicate:
			sum.Duplicates++
		case StatusConflict:
			sum.Conflicts++
		default:
			sum.Rejected++
		}
		if r.Status != StatusAccepted && r.Status != StatusDuplicate {
			rejects = append(rejects, Rejected{
				At: time.Now().UTC(), ID: r.ID, AccountID: b.Tag, Status: r.Status,
				HTTPStatus: v.http, Errors: r.Errors, Event: append([]byte(nil), b.Records[i]...),
			})
		}
	}
	if len(rejects) > 0 {
		if err := s.rejects.append(rejects); err != nil {
			s.failed++
			s.pause(ctx, Waiting, s.backoff(s.failed), &SendError{Events: len(b.Records), HTTPStatus: v.http, Err: err})
			return
		}
		for _, r := range rejects {
			if s.cfg.OnReject != nil {
				s.cfg.OnReject(r)
			}
		}
	}
	if s.cfg.OnAccept != nil {
		for _, r := range v.results {
			if r.Status == StatusAccepted || r.Status == StatusDuplicate {
				s.cfg.OnAccept(r)
			}
		}
	}
	err := s.spool.Settle(b, len(b.Records))
	s.advance(func(x *Stats) {
		x.Accepted += sum.Accepted
		x.Duplicates += sum.Duplicates
		x.Conflicts += sum.Conflicts
		x.Rejected += sum.Rejected
	})
	if err != nil {
		s.report(err)
	} else {
		s.mu.Lock()
		s.lastError = nil
		s.mu.Unlock()
	}
}

// pause reports a failure and waits, or until the client closes.
func (s *sender) pause(ctx context.Context, state State, d time.Duration, failure *SendError) {
	failure.RetryIn = d
	s.count(func(x *Stats) { x.Failures++ })
	s.setState(state, time.Now().Add(d))
	s.report(failure)
	sleep(ctx, d)
}

// sleep waits for d and reports whether it did to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (c *Client) backoff(failed int) time.Duration {
	return jitter(c.cfg.RetryMin, failed, c.cfg.RetryMax)
}

// jitter is the wait before attempt times+1: least doubled times-1 times, at
// most most, and of that a random part between a half and the whole, so that
// clients that failed together do not come back together.
func jitter(least time.Duration, times int, most time.Duration) time.Duration {
	d := most
	if shift := times - 1; shift < 32 && least<<shift>>shift == least {
		d = min(least<<shift, most)
	}
	return d - rand.N(d/2+1)
}

func (c *Client) count(f func(*Stats)) {
	c.mu.Lock()
	f(&c.state)
	c.mu.Unlock()
}

func (c *Client) setState(state State, next time.Time) {
	c.count(func(x *Stats) { x.State, x.NextTry = state, next })
}

// advance counts, and wakes those who wait for events to be settled.
func (c *Client) advance(f func(*Stats)) {
	c.mu.Lock()
	f(&c.state)
	close(c.progress)
	c.progress = make(chan struct{})
	c.mu.Unlock()
}
