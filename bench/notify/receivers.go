package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The bad receivers, by the beginning of their path below /bad/.
const (
	hangs   = "hang"
	drips   = "drip"
	refuses = "refuse"
)

// receivers are the other end of all webhooks: those at /good answer at once. The one at /bad can be made to hang,
// those
// below it to misbehave by their path.
type receivers struct {
	server  *httptest.Server
	hanging atomic.Bool

	mu        sync.Mutex // guards the fields below
	row       string
	seen      map[string]int // by webhook-id
	latencies []time.Duration
	last      time.Time
}

func newReceivers() *receivers {
	r := &receivers{}
	r.server = httptest.NewServer(r)
	return r
}

// ServeHTTP receives a message.
func (r *receivers) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	data, err := io.ReadAll(request.Body)
	if err != nil {
		return // a broken message is not counted
	}
	if kind, bad := strings.CutPrefix(request.URL.Path, "/bad/"); bad {
		if r.hanging.Load() {
			misbehave(w, request, kind)
		}
		return
	}
	if request.URL.Path == "/bad" && r.hanging.Load() {
		<-request.Context().Done()
		return
	}
	var body struct {
		Data struct {
			Sent int64
			Row  string
		}
	}
	if json.Unmarshal(data, &body) != nil || body.Data.Row == "" || request.Header.Get("webhook-signature") == "" {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if body.Data.Row == r.row {
		r.seen[request.Header.Get("webhook-id")]++
		r.latencies = append(r.latencies, now.Sub(time.Unix(0, body.Data.Sent)))
		r.last = now
	}
}

// misbehave hangs, drips the answer or asks for a pause.
func misbehave(w http.ResponseWriter, request *http.Request, kind string) {
	switch {
	case strings.HasPrefix(kind, hangs):
		<-request.Context().Done()
	case strings.HasPrefix(kind, drips):
		out := http.NewResponseController(w)
		for request.Context().Err() == nil {
			if _, err := w.Write([]byte(".")); err != nil || out.Flush() != nil {
				return
			}
			time.Sleep(time.Second)
		}
	default:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

// begin counts the messages of another row.
func (r *receivers) begin(row string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row = row
	r.seen = map[string]int{}
	r.latencies = nil
	r.last = time.Now()
}

// await returns when n messages of the row have arrived, or none has for a while. It returns the time of the last.
func (r *receivers) await(ctx context.Context, n int, patience time.Duration) time.Time {
	for {
		r.mu.Lock()
		arrived := len(r.seen)
		last := r.last
		r.mu.Unlock()
		if arrived >= n || time.Since(last) > patience || ctx.Err() != nil {
			return last
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// received returns how often each message of the row arrived, and the latencies.
func (r *receivers) received() (map[string]int, []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen, r.latencies
}
