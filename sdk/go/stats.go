package belfry

import (
	"fmt"
	"time"
)

// Stats are counts since New, and the present state of delivery.
type Stats struct {
	Audited   uint64 // events that Audit took
	SpoolFull uint64 // events that Audit did not take for want of space

	// Final answers to events of the spool.
	Accepted, Duplicates, Conflicts, Rejected uint64

	Requests uint64 // attempts to deliver
	Failures uint64 // attempts after which events were kept

	Pending      int64 // events in the spool
	PendingBytes int64
	// RejectedBytes is the size of rejected.ndjson, which counts against
	// MaxSpoolBytes until it is deleted.
	RejectedBytes    int64
	QuarantinedBytes uint64 // damaged parts of the spool that were set aside

	State     State
	LastError error     // the latest failure, nil when the latest attempt was good
	NextTry   time.Time // when State is Waiting or Held
}

// State is the state of the delivery.
type State string

// States of delivery.
const (
	Idle    State = "idle"    // nothing to deliver
	Sending State = "sending" // events are on their way
	Waiting State = "waiting" // the server could not be reached or was busy; it is tried again
	Held    State = "held"    // the server refuses the client: a person has to look at LastError
)

// Stats is a snapshot.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	s := c.state
	s.LastError = c.lastError
	c.mu.Unlock()
	s.Audited, s.SpoolFull = c.audited.Load(), c.full.Load()
	s.Pending, s.PendingBytes = c.spool.Backlog()
	s.RejectedBytes = c.rejects.size.Load()
	if s.State == "" {
		s.State = Idle
	}
	return s
}

// SendError is an attempt to deliver after which the events were kept, or
// which refused a whole request.
type SendError struct {
	Events     int
	HTTPStatus int          // 0: no answer
	Errors     []FieldError // of the answer, if it had any
	RetryIn    time.Duration
	Err        error // why, when the answer does not say it
}

func (e *SendError) Error() string {
	s := fmt.Sprintf("belfry: %d events not delivered", e.Events)
	if e.HTTPStatus != 0 {
		s += fmt.Sprintf(": HTTP %d", e.HTTPStatus)
	}
	if len(e.Errors) > 0 {
		s += ": " + e.Errors[0].Error()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *SendError) Unwrap() error { return e.Err }

// CorruptionError is a part of the spool that is damaged: bytes that the disk
// gave back otherwise than they were written. Records around it are delivered.
type CorruptionError struct {
	Segment string // path of the file
	Offset  int64
	Bytes   int64
	Copy    string // path of the file that has the bytes now
	Err     error  // why they could not be copied, else nil
}

func (e *CorruptionError) Error() string {
	s := fmt.Sprintf("belfry: %s is damaged: %d bytes at %d were set aside as %s", e.Segment, e.Bytes, e.Offset, e.Copy)
	if e.Err != nil {
		s += ", which failed: " + e.Err.Error()
	}
	return s
}

func (e *CorruptionError) Unwrap() error { return e.Err }
