// Package belfry sends audit events to a Belfry server, spool first: Audit
// returns when the event is in a file, and a goroutine delivers the file's
// events in batches until the server gave each one its final answer.
//
//	Audit -> validate, redact, encode once -> spool (group-committed fsync) -> batch, gzip -> server
//	                                                                   accepted, duplicate -> settled
//	                                                                   rejected, conflict  -> rejected.ndjson + OnReject
//	                                                                   unreachable, busy   -> kept, tried again
//
// An event is never dropped silently. It is delivered at least once; its id
// makes the server store it exactly once. When the spool is full, Audit says
// so with ErrSpoolFull.
//
// One process uses a spool directory at a time. A Client is safe for
// concurrent use.
package belfry

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
	"github.com/belfryhq/belfry/sdk/go/internal/rules"
	"github.com/belfryhq/belfry/sdk/go/internal/spool"
)

// Version of this SDK, sent in the User-Agent.
const Version = "0.1.0"

// Errors that callers tell apart with errors.Is.
var (
	// ErrSpoolFull: the event was not accepted, since Config.MaxSpoolBytes are
	// waiting already. The caller decides: fail its own operation, or go on.
	ErrSpoolFull = errors.New("belfry: spool is full, the event was not taken")
	// ErrClosed: the client was closed, the event was not accepted.
	ErrClosed = errors.New("belfry: client is closed")
	// ErrSpoolLocked: another process or client uses Config.SpoolDir.
	ErrSpoolLocked = errors.New("belfry: spool directory is in use by another process or client")
)

// Client takes events and delivers them. New makes it, Close ends it.
type Client struct {
	cfg     Config
	post    poster
	redact  redactor
	spool   *spool.Spool
	rejects rejectLog
	scratch sync.Pool // *scratch

	audited, full atomic.Uint64

	hurry  chan struct{} // Flush and Close ask the sender not to linger
	cancel context.CancelFunc
	sent   chan struct{} // the sender has ended

	closing   sync.Once
	closed    chan struct{} // Close is through
	closeErr  error         // read after closed
	mu        sync.Mutex    // guards the rest
	state     Stats
	progress  chan struct{} // closed and replaced whenever records were settled
	lastError error
}

// scratch holds the buffers of one call of Audit; calls reuse them.
type scratch struct {
	enc      encoder
	doc      rawjson.Doc
	rec, tmp []byte
}

// New checks the configuration, takes the spool directory, recovers what an
// earlier process left there and starts to deliver it.
func New(cfg Config) (*Client, error) {
	post, redact, err := cfg.prepare()
	if err != nil {
		return nil, fmt.Errorf("belfry: %w", err)
	}
	c := &Client{
		cfg: cfg, post: post, redact: redact,
		rejects:  rejectLog{path: filepath.Join(cfg.SpoolDir, "rejected.ndjson"), sync: cfg.Durability == PowerLoss},
		hurry:    make(chan struct{}, 1),
		sent:     make(chan struct{}),
		closed:   make(chan struct{}),
		progress: make(chan struct{}),
	}
	c.scratch.New = func() any { return new(scratch) }
	c.rejects.measure()
	c.spool, err = spool.Open(spool.Options{
		Dir: cfg.SpoolDir, Tag: cfg.AccountID, MaxBytes: cfg.MaxSpoolBytes, SegmentBytes: cfg.SegmentBytes,
		Sync: cfg.Durability == PowerLoss, Corrupt: c.corrupt, Outside: c.rejects.size.Load,
	})
	if errors.Is(err, spool.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrSpoolLocked, cfg.SpoolDir)
	}
	if err != nil {
		return nil, fmt.Errorf("belfry: spool: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go c.deliver(ctx)
	return c, nil
}

// Audit puts the event into the spool and returns nil when it is there as
// safely as Config.Durability says; delivery follows by itself. ID and
// OccurredAt are filled in if they are empty, and Request and Actor.IPAddress
// from a context made by ContextWithRequest.
//
// Errors: *ValidationError (nothing was stored, the same event will never be
// accepted), ErrSpoolFull and ErrClosed (nothing was stored), ctx's error or
// one of the disk (it is not known whether the event was stored: an event with
// an ID of yours may be passed again without being recorded twice).
func (c *Client) Audit(ctx context.Context, e Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := c.scratch.Get().(*scratch)
	defer c.scratch.Put(s)
	s.rec = spool.Reserve(s.rec[:0])
	var err error
	if s.rec, err = c.encode(ctx, s, s.rec, &e); err != nil {
		return err
	}
	err = c.spool.Append(ctx, s.rec)
	if errors.Is(err, spool.ErrFull) && c.rejects.measure() { // rejected.ndjson was moved away
		err = c.spool.Append(ctx, s.rec)
	}
	switch {
	case err == nil:
		c.audited.Add(1)
		return nil
	case errors.Is(err, spool.ErrFull):
		c.full.Add(1)
		return ErrSpoolFull
	case errors.Is(err, spool.ErrClosed):
		return ErrClosed
	case ctx.Err() != nil:
		return err
	}
	return fmt.Errorf("belfry: spool: %w", err)
}

// encode appends the event as it will be sent.
func (c *Client) encode(ctx context.Context, s *scratch, dst []byte, e *Event) ([]byte, error) {
	now := time.Now()
	fillFromContext(ctx, e)
	if e.ID == "" {
		e.ID = newID(now)
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = now
	}
	if own := c.cfg.AccountID; own != "" {
		if e.AccountID != "" && e.AccountID != own {
			return dst, invalid(codeInvalid, "/account_id", "is another account than the client's")
		}
		e.AccountID = "" // the address says it
	}
	from := len(dst)
	dst, err := s.enc.event(dst, e)
	if err != nil {
		return dst, err
	}
	o := rules.Options{Now: now, Producer: c.cfg.AccountID == ""}
	if err := checkText(&s.doc, dst[from:], o); err != nil {
		return dst, err
	}
	if text, changed := c.redact.apply(s.tmp[:0], &s.doc); changed {
		s.tmp = text
		dst = append(dst[:from], text...)
		if err := checkText(&s.doc, dst[from:], o); err != nil { // it may have grown too large
			return dst, err
		}
	}
	return dst, nil
}

// Flush returns nil when every event whose Audit returned before has its final
// answer. It does not cut a backoff short. When ctx ends first, the error says
// what keeps the events; they stay in the spool and are still delivered.
func (c *Client) Flush(ctx context.Context) error {
	target := c.spool.End()
	for {
		c.mu.Lock()
		progress := c.progress
		c.mu.Unlock()
		if records, _ := c.spool.Backlog(); records == 0 || !c.spool.Settled().Before(target) {
			return nil
		}
		select {
		case c.hurry <- struct{}{}:
		default:
		}
		select {
		case <-progress:
		case <-c.sent:
			return c.unsent(ErrClosed)
		case <-ctx.Done():
			return c.unsent(ctx.Err())
		}
	}
}

// unsent explains why events are still in the spool.
func (c *Client) unsent(cause error) error {
	records, _ := c.spool.Backlog()
	c.mu.Lock()
	last := c.lastError
	c.mu.Unlock()
	if last != nil {
		return fmt.Errorf("belfry: %d events stay in the spool: %w (last failure: %w)", records, cause, last)
	}
	return fmt.Errorf("belfry: %d events stay in the spool: %w", records, cause)
}

// closeTime is how long Close delivers when its context has no deadline.
const closeTime = 30 * time.Second

// Close accepts no more events, delivers what is in the spool until ctx ends,
// and gives the spool directory back. What was not delivered by then stays in
// the spool for the next client, and the error says how much that is. No
// goroutine is left when Close returns. Further calls return the first one's
// result. A ctx without a deadline, such as context.Background, gets one of 30
// seconds: a server that is away must not keep a process from ending.
func (c *Client) Close(ctx context.Context) error {
	c.closing.Do(func() {
		defer close(c.closed)
		if _, bounded := ctx.Deadline(); !bounded {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, closeTime)
			defer cancel()
		}
		c.spool.Stop()
		err := c.Flush(ctx)
		c.cancel()
		<-c.sent
		c.closeErr = errors.Join(err, c.spool.Close())
		if c.cfg.HTTPClient == nil {
			c.post.client.CloseIdleConnections()
		}
	})
	<-c.closed
	return c.closeErr
}

// corrupt receives the damage that the spool found: bytes that it moved to a file of their own.
func (c *Client) corrupt(x spool.Corruption) {
	c.mu.Lock()
	c.state.QuarantinedBytes += uint64(x.Bytes)
	c.mu.Unlock()
	c.report(&CorruptionError{Segment: x.Segment, Offset: x.Offset, Bytes: x.Bytes, Copy: x.Copy, Err: x.Err})
}

func (c *Client) report(err error) {
	c.mu.Lock()
	c.lastError = err
	c.mu.Unlock()
	if c.cfg.OnError != nil {
		c.cfg.OnError(err)
	}
}
