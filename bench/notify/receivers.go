package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"
)

// receivers are the other end of all webhooks: those at /good answer at once, the one at /bad can be made to hang.
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
func (r *receivers) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	data, err := io.ReadAll(request.Body)
	if err != nil {
		return // a broken message is not counted
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
