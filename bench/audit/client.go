package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// client keeps enough connections for the callers of a row.
var client = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}

// call makes one request as the operator, or with the account's token where an
// account publishes, and reads the whole answer into to, which may be nil.
func (s *server) call(ctx context.Context, method, path, contentType string, body []byte, to *bytes.Buffer) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	token := s.b.state.Token
	if account, rest, ok := strings.Cut(strings.TrimPrefix(path, "/client/v4/accounts/"), "/"); ok && rest == "audit/events" {
		token = s.b.state.Tokens[account]
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	if to == nil {
		to = &bytes.Buffer{}
	}
	to.Reset()
	_, err = io.Copy(to, answer.Body)
	return answer.StatusCode, to.Bytes(), err
}

// request is one prepared request of a row and how many events it carries.
type request struct {
	path   string
	body   []byte
	events int
}

// publish sends the requests with so many callers at once until all are sent or
// the time is over, and gives how many events were accepted and each request's
// time. Anything but complete acceptance is an error.
func (s *server) publish(ctx context.Context, callers int, limit time.Duration, requests []request) (accepted int, times []time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	deadline := time.Now().Add(limit)
	var next, done atomic.Int64
	all := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			answer := &bytes.Buffer{}
			for ctx.Err() == nil && time.Now().Before(deadline) {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				q := requests[i]
				begin := time.Now()
				status, text, err := s.call(ctx, "POST", q.path, "application/x-ndjson", q.body, answer)
				if err == nil && (status != 200 || !bytes.Contains(text, fmt.Appendf(nil, `"accepted":%d,`, q.events))) {
					err = fmt.Errorf("status %d: %.600s", status, text)
				}
				if err != nil {
					cancel(err)
					return
				}
				all[c] = append(all[c], time.Since(begin))
				done.Add(int64(q.events))
			}
		})
	}
	wg.Wait()
	for _, t := range all {
		times = append(times, t...)
	}
	return int(done.Load()), times, context.Cause(ctx)
}
