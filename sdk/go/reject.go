package belfry

import (
	"bytes"
	"encoding/json"
	"os"
	"sync/atomic"
	"time"
)

// Rejected is an event that was refused for good: a line of rejected.ndjson,
// and what OnReject is given.
type Rejected struct {
	At        time.Time `json:"at"`
	ID        string    `json:"id"`
	AccountID string    `json:"account_id,omitempty"` // the client's; a producer's is inside Event
	// rejected by its content, conflict by its id, or refused with its request
	Status     Status          `json:"status"`
	HTTPStatus int             `json:"http_status"`
	Errors     []FieldError    `json:"errors,omitempty"`
	Event      json.RawMessage `json:"event"` // as it was sent, redacted
}

// rejectLog appends to rejected.ndjson. Only the sender writes.
type rejectLog struct {
	path string
	sync bool
	size atomic.Int64
}

// append writes the lines; when it returned nil they survive what the spool
// survives. The file is opened each time, so anybody may move it away.
func (l *rejectLog) append(list []Rejected) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	for _, r := range list {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(lines.Bytes()); err == nil && l.sync {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	l.measure()
	return err
}

// measure reads the file's size again and reports whether it shrank.
func (l *rejectLog) measure() bool {
	var size int64
	if info, err := os.Stat(l.path); err == nil {
		size = info.Size()
	}
	return l.size.Swap(size) > size
}
