package belfry

import (
	"context"
	"errors"
	"time"
)

// syncPatience is how long AuditSync tries when its context has no deadline.
const syncPatience = time.Minute

// AuditSync sends the events now, past the spool, and returns when the server
// has given each its final answer; results are in the order of the events. An
// event that breaks a rule is answered here as StatusRejected, without being sent.
//
// It tries again by itself until ctx ends (a minute if ctx has no deadline).
// The error is nil only if every result is final. Otherwise it tells why, and
// events without an answer have StatusUnknown and the ID under which they may
// be in the log: set it before passing them again.
func (c *Client) AuditSync(ctx context.Context, events ...Event) ([]Result, error) {
	select {
	case <-c.sent:
		return nil, ErrClosed
	default:
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, syncPatience)
		defer cancel()
	}
	results := make([]Result, len(events))
	var texts [][]byte
	var index []int // of each text's event
	s := c.scratch.Get().(*scratch)
	for i := range events {
		e := events[i]
		text, err := c.encode(ctx, s, nil, &e)
		results[i] = Result{Index: i, ID: e.ID}
		var v *ValidationError
		switch {
		case err == nil:
			texts, index = append(texts, text), append(index, i)
		case errors.As(err, &v):
			results[i].Status, results[i].Errors = StatusRejected, v.Errors
		default:
			c.scratch.Put(s)
			return results, err
		}
	}
	c.scratch.Put(s)
	limit := c.cfg.BatchEvents
	for at := 0; at < len(texts); {
		n := fit(texts[at:], limit, c.cfg.BatchBytes)
		v, err := c.sendUntil(ctx, eventsPath, texts[at:at+n])
		if err != nil {
			return results, err
		}
		if v.what == halve {
			limit = n / 2
			continue
		}
		for k, r := range v.results {
			r.Index = index[at+k]
			results[r.Index] = r
		}
		at += n
	}
	return results, nil
}

// fit is how many texts go into one request, at least one.
func fit(texts [][]byte, events, bytes int) int {
	sum := 0
	for i, t := range texts {
		if sum += len(t) + 1; i > 0 && (i == events || sum > bytes) {
			return i
		}
	}
	return len(texts)
}

// sendUntil tries until there is an answer to settle or halve by.
func (c *Client) sendUntil(ctx context.Context, path string, texts [][]byte) (verdict, error) {
	for failed := 1; ; failed++ {
		v := c.post.send(ctx, c.cfg.AccountID, path, texts)
		if v.what == settle || v.what == halve {
			return v, nil
		}
		failure := &SendError{Events: len(texts), HTTPStatus: v.http, Errors: v.errors, Err: v.err}
		if v.what != retry {
			return v, failure
		}
		failure.RetryIn = max(c.backoff(failed), v.after)
		if !sleep(ctx, failure.RetryIn) {
			return v, errors.Join(ctx.Err(), failure)
		}
	}
}
